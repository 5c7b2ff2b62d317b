"""Promises of single experiments that make images."""

import importlib

import numpy as np
import pytest
from tools import start

from vizlab import io, nets
from vizlab_experiments.configs.synthesis import mixtures


def test_a_dream_goes_on_with_the_next_frame(tmp_path, monkeypatch):
  whole = start('synthesis/dream', tmp_path / 'whole')
  gif = (tmp_path / 'whole' / 'zoom.gif').read_bytes()
  module = importlib.import_module('vizlab_experiments.synthesis.dream')
  dream, asked = module._dream, []

  def killing(*args):
    asked.append(args[-1])
    if len(asked) == 3:
      raise KeyboardInterrupt
    return dream(*args)

  monkeypatch.setattr(module, '_dream', killing)
  with pytest.raises(KeyboardInterrupt):
    start('synthesis/dream', tmp_path / 'killed')
  assert start('synthesis/dream', tmp_path / 'killed') == whole
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
  found = start(
    'synthesis/dream', tmp_path / 'run', frames=0, steps=4, **changes
  )
  assert found['after/relu2_1'] > found['before/relu2_1']


def test_fooling_comes_with_its_curve(tmp_path):
  found = start(
    'adversarial/fool', tmp_path / 'run', steps=60, other='', targets=(9, 3)
  )
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
    'synthesis/visualize',
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
    'synthesis/invert',
    tmp_path / 'run',
    images=str(path),
    steps=20,
    layers='relu2_1',
  )
  assert all(0 < value < 100 for value in found.values())


def test_negative_images_lower_what_a_relu_reads(tmp_path):
  start('synthesis/visualize', tmp_path / 'run', examples=False, steps=24)
  net = nets.load('minivgg')
  values = []
  for kind in ('relu2_1', 'conv2_1_negative'):
    with np.load(tmp_path / 'run' / f'{kind}_0.npz') as made:
      acts = net(made['images'])[1]
    values.append(np.asarray(acts['conv2_1']).mean((1, 2)))
  chosen = np.linspace(0, 63, 2, dtype=int)  # as the config spreads them
  for i, k in enumerate(chosen):
    assert values[1][i, k] < 0 < values[0][i, k] - values[1][i, k]


def test_more_total_variation_makes_smoother_inversions(tmp_path):
  start(
    'synthesis/invert',
    tmp_path / 'run',
    layers='relu2_1',
    tv=(0.1, 100.0),
    steps=20,
    seeds=1,
  )
  with np.load(tmp_path / 'run' / 'relu2_1.npz') as made:
    rough = np.square(np.diff(made['images'], axis=2)).mean((1, 2, 3))
    assert made['images'].shape == (4, 32, 32, 3)
  # Two pictures by the first weight, then both by the second.
  assert (rough[2:] < 0.5 * rough[:2]).all()


def test_inversions_start_from_noise_about_grey(tmp_path):
  settings = {'layers': 'relu2_1', 'optimizer': 'adam', 'seeds': 1}
  start(
    'synthesis/invert',
    tmp_path / 'run',
    learning_rate=1e-6,
    steps=1,
    noise=0.05,
    **settings,
  )
  with np.load(tmp_path / 'run' / 'relu2_1.npz') as made:
    images = made['images']
  assert abs(images.mean() - 0.5) < 0.005 and abs(images.std() - 0.05) < 0.005


def test_a_mixture_of_two_units_reads_both(tmp_path):
  start('synthesis/mixtures', tmp_path / 'run', steps=1)
  first = {}
  for name in ('first', 'second', 'both', 'first_not_second'):
    with np.load(tmp_path / 'run' / f'{name}.npz') as made:
      first[name] = made['scores'][0].item()  # of one start, seen alike
  against = mixtures.get_test_config().against
  one, other = first['first'], first['second']
  np.testing.assert_allclose(first['both'], one + other, rtol=1e-5)
  np.testing.assert_allclose(
    first['first_not_second'], one - against * other, rtol=1e-4
  )


def test_a_finer_texture_begins_with_the_coarser_one(tmp_path):
  settings = {'models': 'relu1_1', 'steps': 20, 'later_steps': 1}
  start('style/texture', tmp_path / 'run', **settings)
  by_side = {}
  for path in (tmp_path / 'run').glob('*x*.npz'):
    with np.load(path) as made:
      by_side[len(made['images'])] = made['images']
  small, large = (by_side[side] for side in sorted(by_side))
  h, w = small.shape[:2]
  back = large.reshape(h, 2, w, 2, 3).mean((1, 3))
  assert np.corrcoef(back.ravel(), small.ravel())[0, 1] > 0.8
