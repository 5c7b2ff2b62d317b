"""Recipes of style: each image comes nearer to what it shall match."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tools import defaults

from vizlab import io, optimize, style, synthesis
from vizlab.image import colour, statistics
from vizlab.image.filters import resize

KEY = jax.random.key(4)
LAYERS = ('relu1_1', 'relu2_1')


@pytest.fixture(scope='module')
def photo():
  return io.read_image('sample:star_and_square', shorter=48)


@pytest.fixture(scope='module')
def painting():
  return io.read_image('sample:swirls', shorter=64)[:, :64]


def gram_distance(net, x, y):
  """Distance of Gram matrices in relu2_1, as a share of those of ``y``."""
  ours, theirs = (statistics.gram(net(v)[1]['relu2_1']) for v in (x, y))
  return float(jnp.linalg.norm(ours - theirs) / jnp.linalg.norm(theirs))


def transfer(net, photo, painting, **settings):
  settings = {'steps': 12, 'style_layers': LAYERS} | settings
  return [
    *style.transfer(net, photo, [painting], content_layer='relu2_1', **settings)
  ]


def test_a_transfer_takes_the_style_and_keeps_the_content(
  minivgg, photo, painting
):
  found = transfer(minivgg, photo, painting, octaves=2)
  # 24 pixels are too few for an octave.
  assert [p.image.shape for p in found] == [(48, 48, 3)]
  image = found[-1].image
  assert 0 <= image.min() and image.max() <= 1
  before = gram_distance(minivgg, photo, painting)
  assert gram_distance(minivgg, image, painting) < 0.8 * before
  plain = transfer(minivgg, photo, painting, alpha=0.0)[-1].image
  near, far = (float(jnp.abs(x - photo).mean()) for x in (image, plain))
  assert near < far


def test_a_loss_that_is_not_normalised_falls(minivgg, photo, painting):
  found = transfer(minivgg, photo, painting, normalise=False, beta=1e3, tv=0.01)
  total = found[-1].scores - found[-1].penalties
  assert total[-1] > total[0] and found[-1].penalties[-1] > 0


def test_luminance_alone_is_painted(minivgg, photo, painting):
  last = transfer(minivgg, photo, painting, colours='luminance')[-1].image
  light = np.asarray(colour.grey(last) - colour.grey(photo))
  # Where nothing is clipped the colours are the photo's.
  inside = (last > 0.02).all(-1) & (last < 0.98).all(-1)
  apart = np.asarray(last - photo) - light[..., None]
  assert np.abs(apart[inside]).max() < 1e-4 < 0.005 < np.abs(light).mean()
  with pytest.raises(ValueError, match="colours: got 'grey'"):
    transfer(minivgg, photo, painting, colours='grey')


def test_a_start_of_ones_own(minivgg, photo, painting):
  start = jnp.full(photo.shape, 0.25)
  found = transfer(minivgg, photo, painting, start=start, steps=1, octaves=1)
  # One step of Adam is as long as its learning rate.
  np.testing.assert_allclose(jnp.abs(found[0].image - start).max(), 0.02, 1e-3)


@pytest.mark.parametrize('components', [0, 4])
def test_a_texture_comes_nearer_to_the_example(minivgg, painting, components):
  progress = style.texture(
    minivgg,
    painting,
    KEY,
    layers=LAYERS,
    components=components,
    size=(48, 40),
    octaves=1,
    steps=16,
  )
  last = optimize.final(progress).image
  assert last.shape == (48, 40, 3)
  noise = 0.5 + 0.1 * jax.random.normal(KEY, (48, 40, 3))
  before = gram_distance(minivgg, noise, painting)
  assert gram_distance(minivgg, last, painting) < 0.9 * before


def test_a_doodle_paints_each_region_like_its_own(minivgg):
  left = jnp.arange(64)[None, :, None] < 32
  red, blue = jnp.array([0.9, 0.1, 0.1]), jnp.array([0.1, 0.1, 0.9])
  image = jnp.broadcast_to(jnp.where(left, red, blue), (64, 64, 3))
  mask = jnp.broadcast_to(jnp.concatenate([left, ~left], -1), (64, 64, 2))
  mask = mask.astype(jnp.float32)
  wanted = jnp.swapaxes(mask, 0, 1)[:48, :48]
  start = style.doodle_start(KEY, image, mask, wanted)
  np.testing.assert_array_equal(
    start, jnp.where(wanted[..., :1] > 0.5, red, blue)
  )
  progress = style.doodle(
    *(minivgg, image, mask, wanted, KEY),
    layers=LAYERS,
    octaves=1,
    steps=4,
  )
  last = optimize.final(progress).image
  assert last[:20, :, 0].mean() > 0.6 > 0.3 > last[36:, :, 0].mean()
  with pytest.raises(ValueError, match='mask, wanted: got shapes'):
    style.doodle(minivgg, image, mask[:9], wanted, KEY)


def test_examples_shrink_with_what_is_made(minivgg, painting):
  small = style.shrink(painting, 0.5)
  assert small.shape == (32, 32, 3)
  np.testing.assert_allclose(small, resize(painting, (32, 32)), atol=1e-6)
  assert style.shrink(painting, 0.01).shape == (16, 16, 3)


PAPERS = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1')
DEFAULTS = {
  'adam_in_range': {'learning_rate': 0.02},
  'lbfgs_in_range': {'learning_rate': 0.05},
  'content_loss': {'layer': 'relu4_2'},
  'style_loss': {'statistic': 'gram'},
  'doodle_loss': {'statistic': 'gram'},
  'texture_loss': {'statistic': 'gram'},
  'texture_net': {'components': 0},
  'transfer_loss': {'colours': 'free'},
  'total_loss': {
    'content_layer': 'relu4_2',
    'style_layers': PAPERS,
    'alpha': 1.0,
    'beta': 10.0,
    'statistic': 'gram',
  },
  'transfer': {
    **{'octaves': 1, 'steps': 150, 'alpha': 0.05, 'beta': 1.0, 'tv': 0.0},
    **{'colours': 'free', 'chunk': 16},
  },
  'texture': {
    **{'layers': PAPERS, 'components': 0, 'statistic': 'gram', 'octaves': 3},
    **{'steps': 300, 'tv': 0.0, 'chunk': 16},
  },
  'doodle': {
    **{'layers': PAPERS[:3], 'statistic': 'gram', 'octaves': 3},
    **{'steps': 120, 'tv': 0.0, 'chunk': 16},
  },
}


def test_defaults_are_those_that_pictures_were_made_with():
  assert defaults(style) == DEFAULTS


@pytest.mark.parametrize('name', ['adam', 'lbfgs'])
def test_optimizers_keep_pixels_in_range(name):
  make, rate = style.OPTIMIZERS[name]
  plain = {
    'adam': optax.adam(0.02),
    'lbfgs': synthesis.lbfgs(0.05, 0.05, smooth=0.5),
  }[name]
  assert rate == {'adam': 0.02, 'lbfgs': 0.05}[name]
  start = jax.random.uniform(KEY, (6, 6, 3))
  target = 3 * start - 1

  def ends(optimizer):
    progress = optimize.run(
      lambda x: -jnp.square(x - target).sum((-3, -2, -1)),
      synthesis.pixels(start),
      KEY,
      steps=12,
      optimizer=optimizer,
    )
    return optimize.final(progress).image

  got = ends(make(rate))
  np.testing.assert_array_equal(
    got, ends(optax.chain(plain, synthesis.project()))
  )
  assert got.min() > -1e-6 and got.max() < 1 + 1e-6
  assert ends(plain).max() > 1.01


def test_a_texture_has_the_size_of_its_example(minivgg, painting):
  progress = style.texture(
    minivgg, painting[:40, :32], KEY, layers=LAYERS, octaves=1, steps=1
  )
  assert optimize.final(progress).image.shape == (40, 32, 3)


def test_a_region_of_one_pixel_is_filled_with_it():
  image = jax.random.uniform(KEY, (8, 8, 3))
  one = jnp.zeros((8, 8, 1)).at[2, 5].set(1.0)
  mask = jnp.concatenate([1 - one, one], -1)
  wanted = jnp.broadcast_to(mask[2, 5], (4, 4, 2))
  start = style.doodle_start(KEY, image, mask, wanted)
  np.testing.assert_allclose(start, jnp.broadcast_to(image[2, 5], (4, 4, 3)))
  nowhere = jnp.broadcast_to(jnp.array([1.0, 0.0]), (8, 8, 2))
  grey = style.doodle_start(KEY, image, nowhere, wanted)
  assert 0.3 < float(grey.mean()) < 0.7 and float(grey.std()) < 0.2


def test_colours_can_be_matched_first(minivgg, photo, painting):
  free, matched = (
    transfer(minivgg, photo, painting, alpha=0.0, colours=colours)[-1].image
    for colours in ('free', 'matched')
  )
  near = [
    float(jnp.abs((x - photo).mean((0, 1))).max()) for x in (free, matched)
  ]
  assert near[1] < 0.7 * near[0], 'the mean colour stays that of the photo'


def test_a_style_goes_where_its_mask_is(minivgg, photo, painting):
  masks = jnp.zeros((*photo.shape[:2], 1)).at[:, :24].set(1.0)
  image = transfer(minivgg, photo, painting, alpha=0.0, masks=masks)[-1].image
  moved = jnp.abs(image - photo).mean((0, 2))
  assert moved[:16].min() > 0.01 > 1e-4 > moved[34:].max()


def test_noise_is_the_same_with_x64():
  noise = style.noise(jax.random.key(3), (4, 5))
  with jax.enable_x64(True):
    again = style.noise(jax.random.key(3), (4, 5))
  assert noise.dtype == again.dtype == jnp.float32
  np.testing.assert_allclose(again, noise, atol=1e-6)
  assert noise.shape == (4, 5, 3) and 0.02 < float(noise.std()) < 0.3
