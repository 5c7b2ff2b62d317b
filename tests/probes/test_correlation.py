import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import probes


@pytest.fixture(params=[(6, 5, 4, 3), (9, 6)], ids=str)
def pair(request):
  one, noise = (
    jax.random.normal(jax.random.key(i), request.param) for i in range(2)
  )
  return jnp.maximum(one, 0) + 3, jnp.maximum(one + noise, 0)


def test_it_equals_that_of_numpy(pair):
  one, other = (
    np.asarray(v, np.float64).reshape(-1, v.shape[-1]) for v in pair
  )
  wanted = [
    np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, other.T, strict=True)
  ]
  found = jax.jit(lambda a, b: probes.correlation(probes.products(a, b)))(*pair)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_parts_add_up_to_the_whole(pair):
  parts = [
    probes.products(*(v[rows] for v in pair))
    for rows in (slice(0, 1), slice(1, 4), slice(4, None))
  ]
  start = probes.no_products(pair[0].shape[-1])
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4),
    functools.reduce(probes.combined_products, parts, start),
    probes.products(*pair),
  )


def test_a_channel_that_does_not_vary_correlates_with_nothing(pair):
  one, other = pair
  flat = one.at[..., 0].set(0.3)
  for sums in (probes.products(flat, other), probes.products(other, flat)):
    found = np.asarray(probes.correlation(sums))
    assert found[0] == 0
    wanted = probes.correlation(probes.products(one, other))[1:]
    np.testing.assert_allclose(found[1:], wanted, atol=1e-5)
  empty = probes.correlation(probes.no_products(2))
  np.testing.assert_array_equal(empty, 0)
  self = probes.correlation(probes.products(one, one))
  np.testing.assert_allclose(self, 1, atol=1e-5)


def test_nan_stays_in_its_channel(pair):
  one, other = pair
  found = probes.correlation(
    probes.products(one.at[0, ..., 1].set(np.nan), other)
  )
  assert np.isnan(found[1]) and np.isfinite(np.delete(found, 1)).all()


def test_shapes_that_differ_are_named(pair):
  one, other = pair
  with pytest.raises(ValueError, match=r'acts, others: got \('):
    probes.products(one, other[:3])
  with pytest.raises(ValueError, match='channels: got 0'):
    probes.no_products(0)


def test_a_large_mean_does_not_drown_the_rest():
  one, noise = jax.random.normal(jax.random.key(0), (2, 4096, 3))
  parts = [
    probes.products(100 + 0.2 * one[rows], 100 + 0.2 * (one + noise)[rows])
    for rows in (slice(0, 1000), slice(1000, None))
  ]
  found = probes.correlation(functools.reduce(probes.combined_products, parts))
  wanted = [
    np.corrcoef(a, a + b)[0, 1] for a, b in zip(one.T, noise.T, strict=True)
  ]
  np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_nothing_adds_nothing(pair):
  none = probes.no_products(pair[0].shape[-1])
  jax.tree.map(
    np.testing.assert_array_equal, probes.combined_products(none, none), none
  )
  some = probes.products(*pair)
  for both in ((none, some), (some, none)):
    jax.tree.map(
      np.testing.assert_array_equal, probes.combined_products(*both), some
    )


def test_moments_of_parts_with_far_means():
  """Two positions and two others, by hand."""
  one = probes.products(jnp.array([[0.0], [2.0]]), jnp.array([[1.0], [3.0]]))
  other = probes.products(
    jnp.array([[10.0], [12.0]]), jnp.array([[5.0], [5.0]])
  )
  count, mean, square, product = probes.combined_products(one, other)
  assert count == 4
  np.testing.assert_allclose(mean[:, 0], [6, 3.5])
  np.testing.assert_allclose(square[:, 0], [104, 11])
  np.testing.assert_allclose(product, [32])
