"""What single experiments that make images promise."""

import importlib

import numpy as np
import pytest
from tools import start

from vizlab import io


def test_a_dream_goes_on_with_the_next_frame(tmp_path, monkeypatch):
  whole = start('dream', tmp_path / 'whole')
  gif = (tmp_path / 'whole' / 'zoom.gif').read_bytes()
  module = importlib.import_module('experiments.dream')
  dream, asked = module._dream, []

  def killing(*args):
    asked.append(args[-1])
    if len(asked) == 3:
      raise KeyboardInterrupt
    return dream(*args)

  monkeypatch.setattr(module, '_dream', killing)
  with pytest.raises(KeyboardInterrupt):
    start('dream', tmp_path / 'killed')
  assert start('dream', tmp_path / 'killed') == whole
  assert asked == [0, 1, 2, 2], 'what was dreamed is not dreamed again'
  assert (tmp_path / 'killed' / 'zoom.gif').read_bytes() == gif


@pytest.mark.parametrize(
  'changes',
  [
    {'image': 'noise'},
    {'channels': '3,5'},
    {'guide': 'sample:crescent_and_cross'},
    {'tile': 32},
  ],
  ids=str,
)
def test_every_kind_of_dream_rises(changes, tmp_path):
  found = start('dream', tmp_path / 'run', frames=0, steps=4, **changes)
  assert found['after/relu2_1'] > found['before/relu2_1']


def test_fooling_comes_with_its_curve(tmp_path):
  found = start('fool', tmp_path / 'run', steps=60, other='', targets=(9, 3))
  assert found['fooled'] == 1
  with np.load(tmp_path / 'run' / 'fooled.npz') as made:
    assert made['curve'].shape == (len(made['step']), 2)
    assert (made['curve'][-1] > 0.5).all() and (made['curve'][0] < 0.5).all()


@pytest.mark.parametrize(
  ('objective', 'layers', 'images'),
  [
    ('neuron', 'relu2_1', 2),
    ('layer', 'relu2_1,fc', 2),
    ('logit', 'fc', 2),
    ('probability', 'fc', 2),
  ],
)
def test_every_objective_rises(objective, layers, images, tmp_path):
  found = start(
    'visualize',
    tmp_path / 'run',
    objective=objective,
    layers=layers,
    steps=32,  # scores are of transformed images, which vary
    examples=False,
  )
  assert found['images'] == found['risen'] == images
  rows = 2 * len(layers.split(','))  # each of them once more, negative
  assert len(list((tmp_path / 'run').glob('*.npz'))) == rows


def test_inversion_of_a_photo_of_another_shape(tmp_path):
  grey = np.random.default_rng(0).integers(0, 255, (50, 70), np.uint8)
  path = io.write_png(tmp_path / 'grey.png', grey)
  found = start(
    'invert', tmp_path / 'run', images=str(path), steps=20, layers='relu2_1'
  )
  assert all(0 < value < 100 for value in found.values())
