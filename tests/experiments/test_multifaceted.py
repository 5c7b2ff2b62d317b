"""Whether facets are told apart, by codes worked by hand."""

import numpy as np

from experiments import multifaceted

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
