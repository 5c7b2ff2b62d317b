"""Images as small nets from a place to its colour."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.image.colour import to_rgb
from vizlab.synthesis.images import Shape, check_shape
from vizlab.types import Array, pytree_dataclass, whole

__all__ = ['Cppn', 'cppn']


@pytree_dataclass(static=('shape', 'width', 'depth', 'decorrelated'))
class Cppn:
  """See `cppn`."""

  shape: Shape
  width: int
  depth: int
  decorrelated: bool

  def init(self, key: Array) -> tuple[Array, ...]:
    """A kernel ``[..., in, out]`` for each layer."""
    *lead, _, _, c = self.shape
    sizes = [2, *(self.width,) * self.depth, c]
    kernels = []
    for i, (n, m) in enumerate(zip(sizes, sizes[1:], strict=False)):
      # Two numbers a unit go on; the last layer starts at grey.
      n, last = (n if i == 0 else 2 * n), i == self.depth
      size = (*lead, n + 1, m)
      draw = jax.random.normal(jax.random.fold_in(key, i), size, jnp.float32)
      kernels.append(draw * (0.0 if last else 1 / math.sqrt(n)))
    return tuple(kernels)

  def decode(self, z: tuple[Array, ...]) -> Array:
    """Evaluates the net at every pixel."""
    *lead, h, w, _ = self.shape
    # Both axes span sqrt(3) times -1 to 1: a variance of 1.
    axes = [
      math.sqrt(3) * np.linspace(-1, 1, n, dtype=np.float32) for n in (h, w)
    ]
    at = jnp.stack(jnp.meshgrid(*axes, indexing='ij'), -1)
    a = jnp.broadcast_to(at, (*lead, h, w, 2))
    for i, kernel in enumerate(z):
      y = jnp.einsum('...hwn,...nm->...hwm', a, kernel[..., 1:, :])
      y = y + kernel[..., :1, :][..., None, :, :]
      if i < self.depth:
        bent = jnp.arctan(y)
        # Odd and even, each with a mean square of about 1.
        a = jnp.concatenate([bent / 0.67, (bent * bent - 0.45) / 0.6], -1)
    return to_rgb(y, decorrelated=self.decorrelated)


def cppn(
  shape: Shape, *, width: int = 24, depth: int = 8, decorrelated: bool = True
) -> Cppn:
  """A small net from a pixel's place to its colour, one for each image.

  Its image can be drawn at any size: give another shape the same ``z``.

  Args:
    shape: ``(..., H, W, C)``.
    width: Units of a layer.
    depth: Layers between place and colour.
    decorrelated: Whether colours lie along the axes of photos.

  Raises:
    ValueError: Not the shape of images, or no unit or layer.

  Reference:
    Stanley 2007; Mordvintsev, Pezzotti, Schubert & Olah 2018 (Differentiable
    image parameterizations).
  """
  width, depth = whole(width, 'width'), whole(depth, 'depth')
  return Cppn(check_shape(shape), width, depth, decorrelated)
