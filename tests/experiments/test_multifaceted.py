"""Facets of codes that were worked by hand."""

import numpy as np
import pytest
from tools import start

from vizlab_experiments.synthesis import multifaceted

CODES = np.array([[2.0, 0], [1, 0], [0, 3]])  # cosines 1, 0 and 0
LABEL = np.array([0, 0, 1])


def test_facets_that_differ_less_than_pictures_are_alike():
  images = np.array([[1.0, 0], [1, 1]])  # a cosine of 0.707
  found, told = multifaceted._alike(CODES, LABEL, images)
  np.testing.assert_allclose([*found.values()], [0.5**0.5, 0], atol=1e-6)
  assert 'the facets are alike' in told and '0.707' in told


def test_facets_that_differ_more_are_unlike():
  close = np.array([[1.0, 1], [1, 0], [1, 0.1]])
  found, told = multifaceted._alike(close, LABEL, np.array([[1.0, 0], [0, 1]]))
  assert found['alike_images'] == 0 < found['alike_pictures'] < 1
  assert 'the facets are unlike each other' in told


def test_one_facet_is_compared_with_none():
  one = np.zeros(3, int), np.ones((1, 2))
  assert multifaceted._alike(CODES, *one) == ({}, '')


def test_the_pictures_that_excite_the_unit_most_are_parted(
  monkeypatch, tmp_path
):
  class Parted(Exception):
    pass

  def look(config, wish, images):
    number = np.arange(len(images))
    return ((number * 7) % len(images)).astype(float), number[:, None]

  def facets(config, codes):
    raise Parted(codes[:, 0].tolist())

  monkeypatch.setattr(multifaceted, '_look', look)
  monkeypatch.setattr(multifaceted, '_facets', facets)
  with pytest.raises(Parted) as parted:
    start('synthesis/multifaceted', tmp_path / 'run', scenes=16, top=5)
  # 7 n mod 16 is 15, 14, 13, 12, 11 for these n.
  assert parted.value.args[0] == [9, 2, 11, 4, 13]
