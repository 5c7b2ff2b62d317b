import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.generate import diversity


def test_the_nearest_of_the_others_counts():
  x = np.asarray(jax.random.uniform(jax.random.key(0), (5, 6, 7, 3)))
  apart = np.sqrt(np.square(x[:, None] - x[None]).mean((2, 3, 4)))
  np.fill_diagonal(apart, np.inf)
  expected = np.log(apart.min(1)).mean()
  np.testing.assert_allclose(jax.jit(diversity)(x), expected, rtol=1e-5)
  # Of black and white images, which are as far apart as images can be.
  flat = jnp.stack([jnp.zeros((4, 4, 3)), jnp.ones((4, 4, 3))])
  np.testing.assert_allclose(diversity(flat), 0, atol=1e-6)


def test_its_slope_drives_images_apart():
  x = jax.random.uniform(
    jax.random.key(0), (3, 4, 4, 3), minval=0.3, maxval=0.6
  )
  slope = jax.jit(jax.grad(diversity))(x)
  assert diversity(x + 0.02 * slope) > diversity(x)
  step = 1e-3 * jax.random.normal(jax.random.key(1), x.shape)
  rise = (diversity(x + step) - diversity(x - step)) / 2
  np.testing.assert_allclose((slope * step).sum(), rise, rtol=0.02)


def test_equal_images_have_a_finite_slope():
  x = jnp.full((2, 4, 4, 3), 0.5)
  np.testing.assert_allclose(diversity(x), 0.5 * np.log(1e-12), rtol=1e-4)
  assert jnp.isfinite(jax.grad(diversity)(x)).all()


def test_the_type_is_that_of_the_images():
  x = np.asarray(jax.random.uniform(jax.random.key(0), (3, 4, 4, 3)))
  with jax.enable_x64(True):
    for dtype in (jnp.float32, jnp.float64):
      assert diversity(jnp.asarray(x, dtype)).dtype == dtype


@pytest.mark.parametrize('shape', [(1, 4, 4, 3), (4, 4, 3), (2, 2, 4, 4, 3)])
def test_a_batch_is_needed(shape):
  with pytest.raises(ValueError, match='images: got shape'):
    diversity(jnp.zeros(shape))
