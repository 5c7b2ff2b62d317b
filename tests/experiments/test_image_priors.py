"""Priors of a visualization: each setting reaches the images."""

import jax
import numpy as np
import pytest
from tools import start

from vizlab import io, synthesis
from vizlab_experiments.configs.synthesis import visualize
from vizlab_experiments.shared import image_priors

PLAIN = {'negative': False, 'examples': False, 'layers': 'fc', 'steps': 2}
# Each setting by itself, where another would hide it or needs it.
CHANGES = [
  ({}, 'decay', 1.0),
  ({}, 'pad', 0.0),
  ({}, 'jitter', 0.2),
  ({}, 'scale', 0.0),
  ({}, 'rotation', 0.0),
  ({}, 'noise', 0.2),
  ({}, 'draws', 2),
  ({}, 'tv', 1.0),
  ({}, 'l2', 1.0),
  ({}, 'opacity', True),
  ({'batch': 0}, 'opacity', True),
  ({}, 'start', 'sample:star_and_square'),
  ({'image': 'maco'}, 'crop', 0.9),
  ({'image': 'maco'}, 'noise', 0.2),
]


@pytest.fixture(scope='module')
def images(tmp_path_factory):
  """Images by settings, each run once."""
  made = {}

  def run(**settings):
    name = repr(sorted(settings.items()))
    if name not in made:
      folder = tmp_path_factory.mktemp('runs') / 'run'
      start('synthesis/visualize', folder, **PLAIN, **settings)
      made[name] = dict(np.load(folder / 'fc_0.npz'))['images']
    return made[name]

  return run


@pytest.mark.parametrize(('beside', 'name', 'value'), CHANGES)
def test_every_prior_has_its_effect(beside, name, value, images):
  assert getattr(visualize.get_test_config(), name) != value
  before, after = images(**beside), images(**beside, **{name: value})
  assert np.isfinite(after).all()
  assert np.abs(before - after[..., :3]).max() > 1e-4
  assert after.shape[-1] == (4 if name == 'opacity' else 3)


def test_a_start_is_where_the_images_start(images):
  made = images(start='sample:star_and_square')
  picture = io.read_image('sample:star_and_square', shorter=32, crop=32)
  for image in made:
    # Two steps of 0.05 change little of it.
    assert np.corrcoef(image.ravel(), picture.ravel())[0, 1] > 0.9


def test_what_maco_did_not_look_at_is_white(tmp_path):
  settings = {'image': 'maco', 'opacity': True}
  start('synthesis/visualize', tmp_path / 'run', **PLAIN, **settings)
  folder = tmp_path / 'run'
  total = np.load(folder / 'fc_0_gradients.npz')['total']
  image = np.load(folder / 'fc_0.npz')['images']
  assert total.shape == image.shape and (total >= 0).all() and total.any()
  opacity = np.asarray(synthesis.opacity_of(total))
  white = opacity * image + 1 - opacity
  config = visualize.get_test_config()
  shown = io.read_image(folder / 'sheet.png')
  side = max(112, config.size)
  # The first picture of the sheet's only row.
  tile = shown[-side - 4 : -4, side + 8 : 2 * side + 8]
  small = jax.image.resize(white[0], tile.shape, 'nearest')
  assert np.abs(tile - small).mean() < 0.02 < np.abs(tile - image.mean()).mean()


def test_priors_make_what_the_library_makes():
  """The config's defaults are those of `robust` and `fourier`."""
  config = visualize.get_config()
  augment = image_priors.settings_of(config)['augment']
  want = synthesis.robust(config.size)
  *moved, grain = augment.parts
  leaves, wanted = jax.tree.leaves(moved), jax.tree.leaves(want)
  np.testing.assert_allclose(leaves, wanted)
  assert moved[0].pixels == want.parts[0].pixels and not grain.deviation
  image = image_priors.image_of(config, (1, 8, 8, 3))
  assert image.decay == synthesis.fourier((1, 8, 8, 3)).decay
