import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from vizlab import synthesis

KEY = jax.random.key(5)
EVERY = {
  'jitter': synthesis.jitter(3),
  'crop': synthesis.crop(9, 8),
  'pad': synthesis.pad(2, fill=0.25),
  'scale': synthesis.scale(0.8, 1.3),
  'rotate': synthesis.rotate(20.0),
  'colour': synthesis.colour(0.2, 0.1),
  'robust': synthesis.robust(12),
}
each = pytest.mark.parametrize('name', EVERY)


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (3, 12, 14, 3))


def test_every_augment_has_a_row():
  # One is tested on its own: it needs opacity.
  made = {type(part).__name__ for part in EVERY.values()} | {'OnNoise'}
  room = importlib.import_module('vizlab.synthesis.augment')
  assert made == {name for name in room.__all__ if name[0].isupper()}


@each
def test_one_draw_for_a_batch_and_each_its_own_under_vmap(name, x):
  augment = EVERY[name]
  batch = augment(KEY, x)
  for i, image in enumerate(x):
    np.testing.assert_allclose(batch[i], augment(KEY, image), atol=1e-6)
  keys = jax.random.split(KEY, 3)
  mapped = jax.vmap(augment)(keys, x)
  for i, image in enumerate(x):
    np.testing.assert_allclose(mapped[i], augment(keys[i], image), atol=1e-6)


@each
def test_the_key_decides(name, x):
  augment = jax.jit(EVERY[name])
  first = augment(KEY, x)
  np.testing.assert_array_equal(first, augment(KEY, x))
  others = [augment(jax.random.fold_in(KEY, i), x) for i in range(6)]
  moved = any(float(jnp.abs(first - other).max()) > 1e-3 for other in others)
  assert moved == (name != 'pad')


@each
def test_the_slope_is_that_of_finite_differences(name, x):
  augment, image = EVERY[name], x[0]
  way = jax.random.normal(jax.random.key(1), image.shape)

  def read(image):
    return jnp.square(augment(KEY, image)).sum()

  slope = (jax.grad(read)(image) * way).sum()
  step = 1e-2  # it is a square, so a central difference is exact
  rise = read(image + step * way) - read(image - step * way)
  np.testing.assert_allclose(slope, rise / (2 * step), rtol=2e-3)


def test_jitter_moves_up_to_its_pixels(x):
  seen = {
    tuple(np.argwhere(np.asarray(y)[..., 0] == 1)[0])
    for y in (
      synthesis.jitter(1)(
        jax.random.key(i), jnp.zeros((5, 5, 3)).at[2, 2].set(1)
      )
      for i in range(60)
    )
  }
  assert seen == {(i, j) for i in (1, 2, 3) for j in (1, 2, 3)}


def test_crop_reaches_every_place():
  image = jnp.broadcast_to(jnp.arange(12.0).reshape(3, 4, 1), (3, 4, 3))
  corners = {
    float(synthesis.crop(2)(jax.random.key(i), image)[0, 0, 0])
    for i in range(80)
  }
  assert corners == {0.0, 1.0, 2.0, 4.0, 5.0, 6.0}


def test_pad():
  padded = synthesis.pad(2, fill=0.25)(KEY, jnp.ones((2, 3, 3)))
  assert padded.shape == (6, 7, 3) and float(padded[0, 0, 0]) == 0.25
  np.testing.assert_array_equal(padded[2:4, 2:5], 1.0)


@pytest.mark.parametrize('degrees', [7.0, 30.0])
def test_rotation_is_scipys(x, degrees):
  key = jax.random.key(2)
  turn = degrees * float(jax.random.uniform(key, (), minval=-1.0))
  got = synthesis.rotate(degrees, fill=0.0)(key, x)
  expected = ndimage.rotate(
    np.asarray(x[0]), -turn, (0, 1), reshape=False, order=1, cval=0.0
  )
  inside = np.s_[4:-4, 4:-4]
  alike = [
    np.abs(got[0][inside] - other[inside]).max()
    for other in (
      expected,
      ndimage.rotate(
        np.asarray(x[0]), turn, (0, 1), reshape=False, order=1, cval=0.0
      ),
    )
  ]
  assert min(alike) < 1e-4


def test_scale_enlarges_about_the_centre():
  ramp = jnp.linspace(0, 1, 21)[:, None, None] * jnp.ones((21, 21, 3))
  got = synthesis.scale(2.0, 2.0)(KEY, ramp)
  middle = got[5:16, 10, 0]
  np.testing.assert_allclose(
    middle, 0.5 + (jnp.arange(5, 16) - 10) / 40, atol=1e-5
  )
  shrunk = synthesis.scale(0.5, 0.5, fill=0.3)(KEY, ramp)
  np.testing.assert_allclose(shrunk[0, 0], 0.3, atol=1e-6)


def test_an_opaque_image_hides_the_noise_and_a_clear_one_does_not(x):
  augment = synthesis.on_noise()
  opaque = jnp.concatenate([x, jnp.ones_like(x[..., :1])], -1)
  np.testing.assert_allclose(augment(KEY, opaque), x, atol=1e-6)
  clear = opaque.at[..., 3].set(0)
  np.testing.assert_allclose(
    augment(KEY, clear), augment(KEY, clear.at[..., :3].set(0.9)), atol=1e-6
  )
  with pytest.raises(ValueError, match='expected 4 channels'):
    augment(KEY, x)


def test_strengths_may_be_traced(x):
  @jax.jit
  def look(strength):
    parts = synthesis.colour(strength), synthesis.scale(1 - strength, 1.0)
    return synthesis.compose(*parts)(KEY, x)

  plain = synthesis.compose(synthesis.colour(0.2), synthesis.scale(0.8, 1.0))
  np.testing.assert_allclose(look(0.2), plain(KEY, x), atol=1e-5)


def test_another_strength_does_not_recompile(x):
  traces = []

  @jax.jit
  def look(augment, x):
    traces.append(0)
    return augment(KEY, x)

  look(synthesis.robust(12, degrees=3.0), x)
  look(synthesis.robust(12, degrees=9.0, spread=0.2), x)
  assert len(traces) == 1


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: synthesis.jitter(-1), 'pixels: got -1'),
    (lambda: synthesis.jitter(1.5), 'pixels: got 1.5, expected a whole'),
    (lambda: synthesis.pad(-1), 'pixels: got -1'),
    (lambda: synthesis.crop(0), 'height, width: got'),
    (lambda: synthesis.scale(1.2, 0.9), 'low, high: got'),
    (lambda: synthesis.rotate(float('nan')), 'degrees: got nan'),
    (lambda: synthesis.crop(99)(KEY, jnp.ones((9, 9, 3))), 'size: got'),
  ],
)
def test_bad_settings_are_named(make, message):
  with pytest.raises(ValueError, match=message):
    make()
