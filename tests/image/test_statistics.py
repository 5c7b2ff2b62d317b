import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.image import statistics

STATISTICS = [
  statistics.mean,
  statistics.gram,
  statistics.moments,
  statistics.covariance,
]


@pytest.fixture
def a():
  return jax.random.normal(jax.random.key(0), (2, 4, 5, 3)) + 1


def close(got, expected, atol=1e-5):
  for one, two in zip(
    jax.tree.leaves(got), jax.tree.leaves(expected), strict=True
  ):
    np.testing.assert_allclose(one, two, atol=atol)


def test_gram_of_ones_is_one():
  np.testing.assert_array_equal(
    statistics.gram(jnp.ones((4, 4, 3))), np.ones((3, 3))
  )


def test_statistics_are_numpys(a):
  for n in range(2):
    flat = np.asarray(a[n], np.float64).reshape(20, 3)
    close(statistics.gram(a)[n], flat.T @ flat / 20)
    close(statistics.mean(a)[n], flat.mean(0))
    close(statistics.moments(a).std[n], flat.std(0))
    close(statistics.covariance(a)[1][n], np.cov(flat.T, ddof=0))


@pytest.mark.parametrize('statistic', STATISTICS)
def test_places_may_be_permuted(statistic, a):
  order = jax.random.permutation(jax.random.key(1), 20)
  moved = a.reshape(2, 20, 3)[:, order].reshape(a.shape)
  close(statistic(moved), statistic(a))


@pytest.mark.parametrize('statistic', STATISTICS)
def test_a_mask_chooses_places(statistic, a):
  mask = jnp.zeros((4, 5)).at[1:3, :2].set(1)
  close(statistic(a, mask), statistic(a[:, 1:3, :2]))
  close(statistic(a, jnp.stack([mask, 3 * mask])), statistic(a[:, 1:3, :2]))
  close(statistic(a, jnp.ones((4, 5))), statistic(a))


@pytest.mark.parametrize('statistic', STATISTICS)
def test_nowhere_is_nothing_with_a_finite_slope(statistic, a):
  def f(a):
    return sum(
      v.sum() for v in jax.tree.leaves(statistic(a, jnp.zeros((4, 5))))
    )

  assert abs(float(f(a))) < 1e-3
  assert jnp.isfinite(jax.grad(f)(a)).all()


@pytest.mark.parametrize('shape', [(4, 4), (3, 4, 5), (20,)])
def test_a_mask_of_another_shape_is_named(shape, a):
  if len(shape) == 1:
    shape = (1, 20)
  with pytest.raises(ValueError, match='mask: got shape'):
    statistics.gram(a, jnp.ones(shape))
