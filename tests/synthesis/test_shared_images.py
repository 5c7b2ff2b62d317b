import jax
import jax.numpy as jnp
import numpy as np
import optax

from vizlab import optimize, synthesis
from vizlab.image import colour as image_colour

SHAPE = (2, 16, 20, 3)
KEY = jax.random.key(0)


def test_neighbours_share_their_grids():
  shape = (3, 4, 8, 8, 3)
  own = synthesis.fourier(shape, noise=0.0, decorrelated=False)
  image = synthesis.shared(own, sides=(8,), reach=0.8)
  _, (copies,) = image.init(KEY)
  np.testing.assert_array_equal(copies, np.broadcast_to(copies[:1, :1], shape))
  copies = np.asarray(jax.random.normal(KEY, shape))
  wanted = np.zeros(shape)
  for i, j in np.ndindex(3, 4):
    near = np.exp(
      -((np.arange(3)[:, None] - i) ** 2 + (np.arange(4) - j) ** 2)
      / (2 * 0.8**2)
    )
    wanted[i, j] = np.tensordot(near / near.sum(), copies, 2)
  zeros = jnp.zeros_like(own.init(KEY))
  found = image.decode((zeros, (copies,)))
  np.testing.assert_allclose(found, 1 / (1 + np.exp(-wanted)), atol=1e-5)
  far = synthesis.shared(own, sides=(8,), reach=1e4)
  one = synthesis.shared(own, sides=(8,))
  z = (zeros, (copies,))
  np.testing.assert_allclose(
    far.decode(z), np.broadcast_to(one.decode(z), shape), atol=1e-5
  )


def test_shared_grids_are_one_grid():
  """Against a step of gradient ascent on a grid that really is only one."""
  h, w = SHAPE[1:3]
  own = synthesis.fourier(SHAPE, noise=0.5)
  image = synthesis.shared(own, sides=(1, 4), noise=0.3)
  weight = jax.random.normal(jax.random.key(1), SHAPE)

  def wish(x):
    return (weight * x).sum((-3, -2, -1))

  first, last = (
    optimize.final(
      optimize.run(wish, image, KEY, steps=n, optimizer=optax.sgd(0.2))
    ).state.z
    for n in (1, 2)
  )

  def total(grids):
    values = own.values(first[0])
    for grid in grids:
      values += jax.image.resize(grid, (h, w, 3), 'linear')[None]
    return wish(image_colour.to_rgb(values)).sum()

  grids = [np.asarray(copies[0]) for copies in first[1]]
  slopes = jax.grad(total)(grids)
  for copies, grid, slope in zip(last[1], grids, slopes, strict=True):
    for copy in copies:
      np.testing.assert_allclose(copy, grid + 0.2 * slope / 2, atol=2e-6)
    np.testing.assert_array_equal(copies[0], copies[1])
  made = image.decode(last)
  assert float(jnp.abs(made[0] - made[1]).max()) > 0.05, 'of their own'
  values = image_colour.from_rgb(made) - own.values(last[0])
  np.testing.assert_allclose(values[0], values[1], atol=2e-3)
