import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import probes


@pytest.fixture(params=[(7, 5, 4, 3), (9, 6)], ids=str)
def acts(request):
  x = jax.random.normal(jax.random.key(0), request.param) * 30
  return jnp.maximum(x, -5).at[0].set(0)


def test_statistics_equal_those_of_numpy(acts):
  stats = probes.activity(acts)
  x = np.asarray(acts, np.float64)
  axes = tuple(range(x.ndim - 1))
  assert stats.count == len(x)
  np.testing.assert_allclose(stats.active, (x > 0).mean(axes), rtol=1e-6)
  np.testing.assert_allclose(stats.mean, x.mean(axes), rtol=1e-4, atol=1e-4)
  np.testing.assert_allclose(stats.square, (x**2).mean(axes), rtol=1e-5)
  np.testing.assert_array_equal(stats.low, acts.min(axes))
  np.testing.assert_array_equal(stats.high, acts.max(axes))
  edges = [-np.inf, *probes.log_edges(), np.inf]
  for k, shares in enumerate(stats.histogram):
    counts, _ = np.histogram(x[..., k], edges)
    np.testing.assert_allclose(shares, counts / x[..., k].size, rtol=1e-6)


def test_parts_combine_to_the_whole(acts):
  parts = [probes.activity(acts[:1]), probes.activity(acts[1:4])]
  parts.append(probes.activity(acts[4:]))
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4),
    functools.reduce(probes.combined, parts),
    probes.activity(acts),
  )


def test_no_images_change_nothing(acts):
  stats = probes.activity(acts)
  none = probes.no_activity(acts.shape[-1])
  for pair in ((none, stats), (stats, none)):
    jax.tree.map(np.testing.assert_array_equal, probes.combined(*pair), stats)
  assert probes.combined(none, none).active.tolist() == [0] * acts.shape[-1]


def test_it_compiles(acts):
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
    jax.jit(probes.activity)(acts),
    probes.activity(acts),
  )


def test_bins_by_hand():
  values = jnp.array([-1.0, 0.0, 0.5, 1.0, 1.0, 2.0, 9.0, jnp.nan])
  counts = probes.histogram(values, jnp.array([0.0, 1.0, 2.0]))
  assert counts.tolist() == [1, 2, 2, 2]
  assert counts.dtype == jnp.int32


def test_zero_has_a_bin_of_its_own():
  edges = probes.log_edges(6, 0.1, 10.0)
  assert edges.shape == (5,)
  values = jnp.array([-2.0, 0.0, 0.0, 0.05, 0.5, 5.0, 50.0, 60.0])
  counts = probes.histogram(values, edges)
  assert counts.tolist() == [1, 2, 1, 1, 1, 2]


def test_counts_of_many_values_are_exact():
  values = jnp.repeat(jnp.array([0.0, 3.0]), jnp.array([40_001, 70_000]))
  counts = probes.histogram(values, jnp.array([1.0, 2.0]))
  assert counts.tolist() == [40_001, 0, 70_000]


def test_too_many_edges_are_named():
  with pytest.raises(ValueError, match='edges: got 255, expected at most 254'):
    probes.histogram(jnp.zeros(3), jnp.arange(255.0))
  assert probes.histogram(jnp.zeros(3), jnp.arange(254.0))[1] == 3


@pytest.mark.parametrize('dtype', [jnp.float16, jnp.bfloat16, jnp.int32])
def test_other_types_are_computed_in_float32(dtype):
  x = jnp.full((8, 64, 64, 4), 2, dtype).at[..., 0].set(0)
  stats = probes.activity(x)
  np.testing.assert_allclose(stats.active, [0, 1, 1, 1])
  np.testing.assert_allclose(stats.mean, [0, 2, 2, 2])
  assert stats.histogram.dtype == jnp.float32
  np.testing.assert_allclose(stats.histogram[0, 1], 1)
  np.testing.assert_allclose(stats.histogram[1:].max(1), 1)


@pytest.mark.parametrize(
  'wrong', [(4,), (24, 0.0), (24, 2.0, 1.0), (6, 1e-40), (6, 1.0, np.inf)]
)
def test_wrong_bins_are_named(wrong):
  with pytest.raises(ValueError, match='bins, low, high: got'):
    probes.log_edges(*wrong)


@pytest.mark.parametrize('shape', [(3,), (0, 4, 4, 2)])
def test_wrong_activations_are_named(shape):
  with pytest.raises(ValueError, match='acts: got'):
    probes.activity(jnp.zeros(shape))


def test_nan_shows_and_fills_no_bin():
  x = jnp.ones((2, 3, 3, 2)).at[0, 0, 0, 1].set(jnp.nan)
  stats = probes.activity(x)
  for name in ('active', 'mean', 'square', 'low', 'high'):
    value = np.isnan(getattr(stats, name))
    assert value.tolist() == [False, True], name
  np.testing.assert_allclose(stats.histogram.sum(1), [1, 17 / 18], rtol=1e-6)
