import jax
import numpy as np
import pytest

from vizlab import data, io
from vizlab.data.strokes import _flow


def test_the_sample_is_what_the_code_draws():
  image = jax.jit(data.swirls, static_argnums=1)(jax.random.key(3), 224)
  shipped = io.read_image('sample:swirls')
  assert np.abs(np.asarray(image) - shipped).max() < 2 / 255


def test_strokes_lie_along_the_flow():
  """Along a stroke grey values change less than across it."""
  image = np.asarray(
    jax.jit(data.swirls, static_argnums=1)(jax.random.key(1), 96)
  )
  down, right = np.gradient(image.mean(-1))
  (y, x), _ = _flow(96)
  along, across = y * down + x * right, x * down - y * right
  assert (along**2).mean() < 0.3 * (across**2).mean()
  assert image.min() >= 0 and image.max() <= 1


def test_another_key_is_another_picture_and_small_ones_are_refused():
  draw = jax.jit(data.swirls, static_argnums=1)
  one, other = (np.asarray(draw(jax.random.key(i), 48)) for i in (0, 1))
  assert one.shape == (48, 48, 3) and not np.allclose(one, other)
  with pytest.raises(ValueError, match='size: got 20, expected a whole number'):
    data.swirls(jax.random.key(0), 20)
