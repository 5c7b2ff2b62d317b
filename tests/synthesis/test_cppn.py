import jax
import numpy as np

from vizlab import synthesis

KEY = jax.random.key(0)


def test_a_cppn_by_hand():
  shape = 2, 3, 4, 3
  image = synthesis.cppn(shape, width=5, depth=2, decorrelated=False)
  z = image.init(KEY)
  assert [k.shape for k in z] == [(2, 3, 5), (2, 11, 5), (2, 11, 3)]
  assert not np.any(z[-1]), 'grey at the start'
  z = [jax.random.normal(jax.random.key(i), k.shape) for i, k in enumerate(z)]
  got = image.decode(tuple(z))
  for n, (i, j) in ((0, (0, 0)), (1, (2, 1)), (1, (0, 3))):
    a = 3**0.5 * np.array([i - 1.0, 2 * j / 3 - 1])
    for kernel in z[:-1]:
      y = np.arctan(np.array([1, *a]) @ np.asarray(kernel[n]))
      a = np.concatenate([y / 0.67, (y**2 - 0.45) / 0.6])
    y = np.array([1, *a]) @ np.asarray(z[-1][n])
    np.testing.assert_allclose(got[n, i, j], 1 / (1 + np.exp(-y)), rtol=1e-4)


def test_a_cppn_starts_with_outputs_of_variance_one():
  first, second, _ = synthesis.cppn((4, 4, 3), width=60, depth=2).init(KEY)
  np.testing.assert_allclose(first.std(), 2**-0.5, rtol=0.15)
  np.testing.assert_allclose(second.std(), 120**-0.5, rtol=0.1)


def test_a_cppn_is_drawn_at_any_size():
  small, large = (synthesis.cppn((n, n, 3), width=8, depth=3) for n in (9, 17))
  z = jax.tree.map(
    lambda k: jax.random.normal(KEY, k.shape) / 3, small.init(KEY)
  )
  np.testing.assert_allclose(
    large.decode(z)[::2, ::2], small.decode(z), atol=1e-5
  )
