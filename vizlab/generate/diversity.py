"""Diversity of what a network makes."""

import jax.numpy as jnp

from vizlab import extrema
from vizlab.types import Array, check_image

__all__ = ['diversity']

_EQUAL = 1e-12  # square of a difference that is none


def diversity(images: Array) -> Array:
  r"""Mean logarithm of the distance from each image to the nearest other.

  .. math::
    \frac{1}{B} \sum_i \log \min_{j \neq i} \| x_i - x_j \|

  where the norm is the root mean square over pixels and channels. But for a
  constant and a factor it estimates the entropy of the images, so a network
  that is trained to raise it does not make the same image of all noise.

  Args:
    images: ``[B, H, W, 3]`` in [0, 1], at least two.

  Returns:
    ``[]``, of root mean squares in [0, 1]: at most 0, and about -14 for equal
    images.

  Raises:
    ValueError: Not a batch of at least two images.

  References:
    Ulyanov, Vedaldi & Lempitsky 2017, section 3.

  >>> import jax.numpy as jnp
  >>> x = jnp.stack([jnp.zeros((2, 2, 3)), jnp.full((2, 2, 3), 0.5)])
  >>> round(float(jnp.exp(diversity(x))), 4)
  0.5
  """
  check_image(images, 'images')
  if images.ndim != 4 or len(images) < 2:
    raise ValueError(
      f'images: got shape {images.shape}, expected [B, H, W, 3], at least two'
    )
  apart = jnp.square(images[:, None] - images[None])
  square = apart.mean((-3, -2, -1))
  # No image is its own neighbour: that has a distance of all values.
  square = square + 4 * jnp.eye(len(images), dtype=images.dtype)
  # At 0 the logarithm has no slope.
  return 0.5 * jnp.log(extrema.min_over(square, -1) + _EQUAL).mean()
