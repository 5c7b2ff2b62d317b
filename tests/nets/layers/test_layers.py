import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.nets.layers import LRN, AdaptivePool, Channels, Subsample
from vizlab.rules import Rules


def test_lrn_equals_a_slow_replica():
  x = np.asarray(3 * jax.random.normal(jax.random.key(0), (1, 2, 2, 7)))
  op = LRN('norm', size=5, alpha=0.5, beta=0.75, k=2.0)
  expected = np.zeros_like(x)
  for i, j, c in np.ndindex(2, 2, 7):
    near = x[0, i, j, max(0, c - 2) : c + 3]
    scale = 2.0 + 0.5 / 5 * np.square(near).sum()
    expected[0, i, j, c] = x[0, i, j, c] / scale**0.75
  got = op({}, Rules(), jnp.asarray(x))
  np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_adaptive_pool_by_hand():
  x = jnp.arange(5.0).reshape(1, 5, 1, 1)
  got = AdaptivePool('pool', 3)({}, Rules(), x)[0, :, 0, 0]
  np.testing.assert_allclose(got, [0.5, 2.0, 3.5])
  same = jnp.ones((1, 3, 3, 2))
  assert AdaptivePool('pool', 3)({}, Rules(), same) is same


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
