"""Motion of images: rotations and shifts, bilinear."""

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from vizlab.types import Array

__all__ = ['turned']


def turned(
  image: Array, turn: Array, shift: tuple[Array | float, Array | float] = (0, 0)
) -> Array:
  """Rotates images about their center, then shifts them; bilinear.

  Args:
    image: ``[..., H, W, C]``.
    turn: Angle to the left in radians, one number.
    shift: Pixels down and to the right.

  Returns:
    Images of the same shape, 0 where they come from outside.
  """
  height, width, channels = image.shape[-3:]
  middle = (height - 1) / 2, (width - 1) / 2
  down, right = jnp.meshgrid(
    *(
      jnp.arange(n, dtype=image.dtype) - half - offset
      for n, half, offset in zip((height, width), middle, shift, strict=True)
    ),
    indexing='ij',
  )
  sine, cosine = jnp.sin(turn), jnp.cos(turn)
  at = [
    cosine * down + sine * right + middle[0],
    cosine * right - sine * down + middle[1],
  ]

  def one(plane: Array) -> Array:
    return map_coordinates(plane, at, order=1, mode='constant')

  planes = jnp.moveaxis(image, -1, -3).reshape(-1, height, width)
  out = jax.vmap(one)(planes).reshape(
    *image.shape[:-3], channels, height, width
  )
  return jnp.moveaxis(out, -3, -1)
