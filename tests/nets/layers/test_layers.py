import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.nets.layers import (
  LRN,
  AdaptivePool,
  AveragePool,
  Channels,
  Conv,
  Dense,
  Subsample,
)
from vizlab.rules import PoolWindow, Rules, avg_pool, max_pool


@pytest.mark.parametrize('shape', [(3, 3, 2, 5), (70, 3), (1, 1, 1, 1)])
def test_kernels_are_those_of_jax(shape):
  *window, channels, features = shape
  key = jax.random.key(6)
  op = Conv('conv', features, kernel=window[0]) if window else Dense('fc', 3)
  params = op.init(key, (8, 8, channels) if window else (channels,))
  wanted = jax.nn.initializers.he_normal()(key, shape, jnp.float32)
  np.testing.assert_allclose(params['kernel'], wanted, rtol=1e-6)
  assert params['kernel'].dtype == jnp.float32 and not params['bias'].any()


@pytest.mark.parametrize(
  ('size', 'beta'), [(5, 0.75), (5, 0.5), (4, 0.75), (1, 0.6)]
)
def test_lrn_equals_a_slow_replica(size, beta):
  x = np.asarray(3 * jax.random.normal(jax.random.key(0), (1, 2, 2, 7)))
  op = LRN('norm', size=size, alpha=0.5, beta=beta, k=2.0)
  half = size // 2

  def replica(x):
    out = np.zeros_like(x)
    for i, j, c in np.ndindex(2, 2, 7):
      near = x[0, i, j, max(0, c - half) : c - half + size]
      scale = 2.0 + 0.5 / size * np.square(near).sum()
      out[0, i, j, c] = x[0, i, j, c] / scale**beta
    return out

  got, backward = jax.vjp(lambda x: op({}, Rules(), x), jnp.asarray(x))
  np.testing.assert_allclose(got, replica(x), rtol=1e-5)
  weight = np.asarray(jax.random.normal(jax.random.key(1), x.shape))
  (slope,) = backward(jnp.asarray(weight))
  wide, step = x.astype(np.float64), 1e-6
  for place in np.ndindex(x.shape):
    move = np.zeros_like(wide)
    move[place] = step
    rise = (replica(wide + move) - replica(wide - move)) / (2 * step)
    np.testing.assert_allclose(
      slope[place], (rise * weight).sum(), rtol=1e-4, atol=1e-5
    )


def test_adaptive_pool_by_hand():
  x = jnp.arange(5.0).reshape(1, 5, 1, 1)
  got = AdaptivePool('pool', 3)({}, Rules(), x)[0, :, 0, 0]
  np.testing.assert_allclose(got, [0.5, 2.0, 3.5])
  same = jnp.ones((1, 3, 3, 2))
  assert AdaptivePool('pool', 3)({}, Rules(), same) is same


@pytest.mark.parametrize('rule', [max_pool, avg_pool])
def test_average_pooling_counts_its_padding_whatever_the_rule(rule):
  x = np.asarray(jax.random.normal(jax.random.key(0), (1, 4, 5, 2)))
  pool = AveragePool('pool', PoolWindow(3, 1, 1))
  padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
  y = pool({}, Rules(pool=rule), jnp.asarray(x))
  assert y.shape == (1, *pool.out_shape((4, 5, 2))) == x.shape
  for i, j in np.ndindex(4, 5):
    mean = padded[0, i : i + 3, j : j + 3].sum((0, 1)) / 9
    np.testing.assert_allclose(y[0, i, j], mean, atol=1e-6)
  # As in torch, where the last window hangs over the padding.
  over = AveragePool('pool', PoolWindow(2, 2, 1, ceil=True))
  sums = over({}, Rules(pool=rule), jnp.ones((1, 4, 3, 1)))
  assert sums.shape == (1, *over.out_shape((4, 3, 1)))
  np.testing.assert_allclose(
    sums[0, :, :, 0], [[0.25, 0.5], [0.5, 1], [0.25, 0.5]]
  )
  halved = AveragePool('pool')({}, Rules(pool=rule), jnp.asarray(x))
  assert halved.shape == (1, 2, 2, 2)
  np.testing.assert_allclose(
    halved[0, 1, 0], x[0, 2:4, :2].mean((0, 1)), atol=1e-6
  )


def test_a_kernel_of_a_line():
  row = Conv('row', 4, (1, 7), 1, (0, 3))
  assert row.param_shapes((9, 8, 3))['kernel'] == (1, 7, 3, 4)
  assert row.out_shape((9, 8, 3)) == (9, 8, 4)
  assert Conv('even', 4, (3, 2), 2, 0).out_shape((9, 8, 3)) == (4, 4, 4)
  assert row.slide is None  # windows are square
  square = Conv('square', 4, (3, 3), 1, (1, 1))
  assert square.slide == Conv('square', 4).slide
  assert Conv('uneven', 4, 3, 1, (1, 0)).slide is None


def test_subsampling_keeps_all_channels():
  with pytest.raises(ValueError, match="features: got 2 for 'shortcut', expe"):
    Subsample('shortcut', 2).out_shape((8, 8, 4))


def test_subsampling_by_hand():
  x = np.arange(1.0, 31.0, dtype=np.float32).reshape(1, 5, 3, 2)
  layer = Subsample('shortcut', 5)
  y = np.asarray(layer({}, Rules(), x))
  assert y.shape == (1, *layer.out_shape((5, 3, 2))) == (1, 3, 2, 5)
  np.testing.assert_array_equal(y[..., [0, 3, 4]], 0)
  for i, j, c in np.ndindex(3, 2, 2):
    assert y[0, i, j, 1 + c] == x[0, 2 * i, 2 * j, c]
  even = np.asarray(Subsample('shortcut', 6)({}, Rules(), x))
  np.testing.assert_array_equal(even[..., 2:4], x[:, ::2, ::2])
  third = Subsample('noise', 2, step=3)
  y = np.asarray(third({}, Rules(), x))
  assert y.shape == (1, *third.out_shape((5, 3, 2))) == (1, 2, 1, 2)
  np.testing.assert_array_equal(y, x[:, ::3, ::3])


def test_channels_are_neighbours_and_there():
  x = jnp.arange(10.0).reshape(1, 1, 2, 5)
  layer = Channels('part', 1, 3)
  np.testing.assert_array_equal(
    layer({}, Rules(), x)[0, 0], [[1, 2, 3], [6, 7, 8]]
  )
  assert layer.out_shape((4, 6, 5)) == (4, 6, 3)
  for first, count in ((3, 3), (-1, 2), (0, 0)):
    with pytest.raises(ValueError, match="for 'part', expected some of its 5"):
      Channels('part', first, count).out_shape((1, 2, 5))
