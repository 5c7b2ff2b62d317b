"""Synthetic lines and curves, by direction and curvature."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array

__all__ = ['curve', 'curves']


def curve(
  angle: float | Array,
  curvature: float | Array,
  *,
  size: int,
  centre: tuple[float, float],
  width: float = 1.5,
  reach: float = 12.0,
  contrast: float = 0.5,
) -> Array:
  """Draws a curve through a point: an arc, or a line if it is not curved.

  The arc is bright (dark for a negative contrast) on grey and fades away from
  the point.

  Args:
    angle: Direction in radians, clockwise from the right, in which the centre
      of the circle lies; of a line, its normal.
    curvature: One over the radius in pixels, at least 0.
    size: Side of the image in pixels.
    centre: Row and column of the point, in pixels from the middle of the first
      one.
    width: Standard deviation of the brightness across the curve, in pixels.
    reach: Standard deviation of its fading, in pixels.
    contrast: Brightness above the grey of 0.5, in [-0.5, 0.5].

  Returns:
    ``[size, size, 3]``.

  References:
    Cammarata et al. 2020, "Curve Detectors": synthetic stimuli.
  """
  place = jnp.arange(size, dtype=jnp.float32)
  y, x = jnp.meshgrid(place - centre[0], place - centre[1], indexing='ij')
  along = x * jnp.cos(angle) + y * jnp.sin(angle)
  square = jnp.square(x) + jnp.square(y)
  # The distance to the circle; this form of it holds for a line as well.
  root = jnp.square(curvature) * square - 2 * curvature * along + 1
  away = (curvature * square - 2 * along) / (jnp.sqrt(jnp.maximum(root, 0)) + 1)
  line = jnp.exp(-jnp.square(away / width) / 2)
  fade = jnp.exp(-square / (2 * reach**2))
  grey = 0.5 + contrast * line * fade
  return jnp.repeat(grey[..., None], 3, -1)


def curves(
  angles: np.ndarray, curvatures: np.ndarray, **settings: object
) -> Array:
  """All curves of some directions and curvatures, ``[A, K, size, size, 3]``.

  Args:
    angles: ``[A]``, in radians.
    curvatures: ``[K]``, one over the radius in pixels.
    **settings: Of `curve`.
  """
  draw = functools.partial(curve, **settings)
  each = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))
  return each(
    jnp.asarray(angles, jnp.float32), jnp.asarray(curvatures, jnp.float32)
  )
