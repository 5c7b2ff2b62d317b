"""Procedural style image of brush strokes that swirl around lights."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from vizlab.types import Array, whole

__all__ = ['swirls']

# For each light: row, column and radius as fractions of the side, and the
# direction of rotation.
_LIGHTS = (
  (0.30, 0.28, 0.20, 1),
  (0.62, 0.60, 0.22, -1),
  (0.25, 0.80, 0.14, 1),
  (0.82, 0.20, 0.14, 1),
  (0.90, 0.85, 0.12, -1),
)
# From dark sky to light, RGB.
_PALETTE = np.array(
  [
    [0.05, 0.10, 0.32],
    [0.10, 0.25, 0.58],
    [0.25, 0.50, 0.78],
    [0.55, 0.74, 0.80],
    [0.97, 0.86, 0.45],
    [0.98, 0.70, 0.20],
  ],
  np.float32,
)
_STEPS = 9  # samples along a stroke, in each direction


def swirls(key: Array, size: int = 224) -> Array:
  """Draws brush strokes along a flow around five lights.

  The strokes are noise averaged along the flow (line integral convolution).

  Args:
    key: A JAX random key for the noise.
    size: Side of the image in pixels, at least 36.

  Returns:
    ``[size, size, 3]`` in [0, 1].

  Raises:
    ValueError: ``size`` is less than 36.

  Reference:
    Cabral & Leedom 1993 (Imaging vector fields using line integral
    convolution).
  """
  size = whole(size, 'size', 36)
  flow, light = _flow(size)
  fine, coarse, tone = (
    _noise(k, size, cells)
    for k, cells in zip(
      jax.random.split(key, 3), (size // 4, size // 9, 6), strict=True
    )
  )
  strokes = _standardised(_along(fine, flow, 1.6))
  broad = _standardised(_along(coarse, flow, 2.0))
  level = 0.42 * tone + 0.75 * light + 0.16 * broad
  level = (level - level.min()) / (level.max() - level.min())
  at = np.linspace(0, 1, len(_PALETTE)).astype(np.float32)
  colour = [jnp.interp(level, at, _PALETTE[:, c]) for c in range(3)]
  image = jnp.stack(colour, -1) * (1 + 0.34 * strokes[..., None])
  return jnp.clip(image, 0, 1)


def _flow(size: int) -> tuple[np.ndarray, np.ndarray]:
  """Directions ``[2, H, W]`` of strokes (down, right), and brightness."""
  y, x = np.meshgrid(*[np.arange(size) / size] * 2, indexing='ij')
  down, right = 0.12 * np.sin(3 * np.pi * x), np.full_like(x, 0.35)
  light = np.zeros_like(x)
  for row, column, radius, turn in _LIGHTS:
    dy, dx = y - row, x - column
    far = np.hypot(dy, dx)
    pull = 3 * turn * np.exp(-1.2 * (far / radius) ** 2) / (far + 1e-3)
    down, right = down + pull * dx, right - pull * dy
    light = np.maximum(light, np.exp(-((far / (0.45 * radius)) ** 2)))
  length = np.hypot(down, right) + 1e-6
  flow = np.stack([down, right]) / length
  return flow.astype(np.float32), light.astype(np.float32)


def _noise(key: Array, size: int, cells: int) -> Array:
  """Smooth noise ``[H, W]`` with ``cells`` cells per side."""
  coarse = jax.random.uniform(key, (cells, cells), jnp.float32)
  return jax.image.resize(coarse, (size, size), 'cubic')


def _along(values: Array, flow: np.ndarray, step: float) -> Array:
  """Averages a map ``[H, W]`` along the flow, in both directions."""
  size = values.shape[0]
  start = np.indices((size, size)).astype(np.float32)

  def read(plane: Array, at: Array) -> Array:
    return map_coordinates(plane, [*at], order=1, mode='nearest')

  def advance(at: Array, sign: Array) -> tuple[Array, Array]:
    at = at + sign * step * jnp.stack([read(plane, at) for plane in flow])
    return at, read(values, at)

  total = values
  for sign in (1.0, -1.0):
    signs = jnp.full(_STEPS, sign, jnp.float32)
    total += jax.lax.scan(advance, jnp.asarray(start), signs)[1].sum(0)
  return total / (2 * _STEPS + 1)


def _standardised(values: Array) -> Array:
  return (values - values.mean()) / values.std()
