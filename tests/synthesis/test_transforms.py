import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vizlab import synthesis
from vizlab.image import filters

KEY = jax.random.key(0)


@pytest.fixture
def x():
  return jax.random.uniform(KEY, (9, 8, 3))


@pytest.fixture
def grad():
  return jax.random.normal(jax.random.key(1), (9, 8, 3))


def after(optimizer, x, grad, steps=1):
  """The image after steps of size 1 down the same gradient."""
  tx = optax.with_extra_args_support(
    optimizer
    if isinstance(optimizer, optax.GradientTransformation)
    else optimizer()
  )
  state = tx.init(x)
  for _ in range(steps):
    updates, state = tx.update(-grad, state, x, grad=grad)
    x = optax.apply_updates(x, updates)
  return x


def test_blur_gradient(x, grad):
  np.testing.assert_allclose(
    after(synthesis.blur_gradient(1.5), x, grad),
    x - filters.blur(grad, 1.5),
    atol=1e-6,
  )


def test_normalise(x, grad):
  for scale in (1.0, 1e-3, 1e4):
    step = x - after(synthesis.normalise(), x, scale * grad)
    np.testing.assert_allclose(jnp.abs(step).mean(), 1.0, rtol=1e-3)
  same = after(synthesis.normalise(0.0), x, grad)
  np.testing.assert_allclose(same, x - grad, atol=1e-6)
  zero = after(synthesis.normalise(), x, 0 * grad)
  np.testing.assert_array_equal(zero, x)


def test_normalise_by_a_power_of_the_mean(x, grad):
  step = x - after(synthesis.normalise(0.5), x, grad)
  np.testing.assert_allclose(
    step, grad / jnp.abs(grad).mean() ** 0.5, rtol=1e-4
  )


def test_ascent_is_a_normalised_step_within_the_range(x, grad):
  way = grad / jnp.abs(grad).mean()
  # What `after` goes down, `ascent` goes down too: its sign is the loss's.
  np.testing.assert_allclose(
    after(synthesis.ascent(0.1), x, grad, 2),
    jnp.clip(jnp.clip(x + 0.1 * way, 0, 1) + 0.1 * way, 0, 1),
    atol=1e-5,
  )


def test_no_share_of_the_pixels_is_none(x, grad):
  for optimizer in (
    synthesis.clip_small_norm(0.0),
    synthesis.clip_small_contribution(0.0),
  ):
    np.testing.assert_allclose(after(optimizer, x, grad), x - grad, atol=1e-5)


def test_bands_that_are_empty_stay_empty(x):
  flat = jnp.full_like(x, 2.0)
  step = x - after(synthesis.laplacian_normalise(2), x, flat)
  np.testing.assert_allclose(step, 1.0, atol=1e-5)
  still = after(synthesis.laplacian_normalise(2), x, 0 * flat)
  np.testing.assert_allclose(still, x, atol=1e-6)


def test_decay_draws_to_grey(x, grad):
  moved = x - grad
  np.testing.assert_allclose(
    after(synthesis.decay(0.3, centre=0.4), x, grad),
    moved - 0.3 * (moved - 0.4),
    atol=1e-6,
  )


def test_rules_on_the_image_also_work_in_plain_optax(x, grad):
  tx = optax.chain(optax.sgd(0.1), synthesis.project())
  updates, _ = tx.update(grad, tx.init(x), x)
  np.testing.assert_allclose(
    x + updates, jnp.clip(x - 0.1 * grad, 0, 1), atol=1e-6
  )
  tx = synthesis.clip_small_contribution()
  with pytest.raises(ValueError, match='grad, params: got none'):
    tx.update(grad, tx.init(x), x)


@pytest.mark.parametrize(
  'optimizer',
  [
    synthesis.blur_gradient(),
    synthesis.laplacian_normalise(),
    synthesis.project(),
    synthesis.blur_every(1),
  ],
)
def test_those_for_pixels_refuse_other_parameters(optimizer):
  z = jnp.ones((8, 5, 3, 2))  # a spectrum
  with pytest.raises(ValueError, match='expected pixels'):
    after(optimizer, z, z)


def test_every_band_gets_the_same_strength(x, grad):
  smooth = filters.blur(grad, 2.0) + 0.01 * grad
  step = x - after(synthesis.laplacian_normalise(2), x, smooth)
  fine, coarse = filters.bands(smooth, 2)
  expected = filters.sum_of_bands(
    [b / jnp.sqrt(jnp.square(b).mean()) for b in (fine, coarse)]
  )
  np.testing.assert_allclose(step, expected, atol=1e-4)


def test_blur_every_third_step(x, grad):
  image = x
  for step in (1, 2, 3, 4):
    image = image - grad
    if step == 3:
      image = filters.blur(image, 0.8)
    got = after(synthesis.blur_every(3, 0.8), x, grad, step)
    np.testing.assert_allclose(got, image, atol=1e-5)


def test_bilateral_every_step(x, grad):
  np.testing.assert_allclose(
    after(synthesis.bilateral_every(1, space=0.8, colour=0.3), x, grad),
    filters.bilateral(x - grad, space=0.8, colour=0.3),
    atol=1e-5,
  )


def test_pixels_of_small_norm_become_grey(x, grad):
  got = after(synthesis.clip_small_norm(0.25, centre=0.4), x, 0 * grad)
  norm = np.linalg.norm(np.asarray(x) - 0.4, axis=-1)
  small = norm < np.quantile(norm, 0.25)
  assert 15 <= small.sum() <= 18
  np.testing.assert_allclose(got[small], 0.4, atol=1e-6)
  np.testing.assert_allclose(got[~small], x[~small], atol=1e-6)


def test_pixels_of_small_contribution_become_grey(x, grad):
  optimizer = synthesis.clip_small_contribution(0.25, centre=0.4)
  got = after(optimizer, x, grad)
  moved = np.asarray(x - grad)
  much = np.abs(((moved - 0.4) * np.asarray(grad)).sum(-1))
  small = much < np.quantile(much, 0.25)
  np.testing.assert_allclose(got[small], 0.4, atol=1e-5)
  np.testing.assert_allclose(got[~small], moved[~small], atol=1e-5)


def test_projection(x, grad):
  got = after(synthesis.project(0.1, 0.8), x, grad)
  np.testing.assert_allclose(got, jnp.clip(x - grad, 0.1, 0.8), atol=1e-6)


def test_image_rules_see_the_step_before_them(x, grad):
  optimizer = optax.chain(optax.scale(0.1), synthesis.project())
  got = after(optimizer, x, grad)
  np.testing.assert_allclose(got, jnp.clip(x - 0.1 * grad, 0, 1), atol=1e-6)


def test_bad_settings_are_named():
  with pytest.raises(ValueError, match='n: got 0'):
    synthesis.blur_every(0)
  with pytest.raises(ValueError, match='levels: got 0'):
    synthesis.laplacian_normalise(0)
