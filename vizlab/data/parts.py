"""Parts of the shapes of scenes: their positions and their masks.

A part may have several positions, such as the corners of a square: where a
shape looks the same after a rotation, equal positions are one part, as no image
distinguishes them.
"""

import jax.numpy as jnp
import numpy as np

from vizlab.data.scenes import SHAPE_NAMES, Scene
from vizlab.types import Array

__all__ = ['PARTS', 'part_masks', 'part_positions']


def _around(count: int, radius: float, start: float = 0.0) -> np.ndarray:
  """Positions evenly spaced around the centre; ``start`` is in turns."""
  angle = 2 * np.pi * (np.arange(count) / count + start)
  return radius * np.stack([np.cos(angle), np.sin(angle)], -1)


_CENTRE = ((0.0, 0.0),)

# {shape: {part: positions}}, (x, y) in units of the radius as in `shapes`.
PARTS: dict[str, dict[str, np.ndarray]] = {
  shape: {part: np.array(points, np.float32) for part, points in parts.items()}
  for shape, parts in {
    'disc': {'centre': _CENTRE},
    'ring': {'centre': _CENTRE},
    'crescent': {
      'horns': ((0.52, -0.81), (0.52, 0.81)),
      'back': ((-0.65, 0.0),),
    },
    'semicircle': {
      'corners': ((-0.8, 0.35), (0.8, 0.35)),
      'top': ((0.0, -0.4),),
      'base': ((0.0, 0.35),),
    },
    'drop': {'tip': ((0.0, -0.9),), 'belly': ((0.0, 0.42),)},
    'heart': {
      'tip': ((0.0, 0.8),),
      'notch': ((0.0, -0.5),),
      'lobes': ((-0.4, -0.35), (0.4, -0.35)),
    },
    'triangle': {
      'corners': _around(3, 0.9, 1 / 6),
      'sides': _around(3, 0.45),
      'centre': _CENTRE,
    },
    'square': {
      'corners': _around(4, 0.95, 1 / 8),
      'sides': _around(4, 0.68),
      'centre': _CENTRE,
    },
    'frame': {
      'corners': _around(4, 0.74, 1 / 8),
      'sides': _around(4, 0.52),
    },
    'bar': {'ends': _around(2, 0.9), 'centre': _CENTRE},
    'cross': {
      'ends': _around(4, 0.9),
      'corners': _around(4, 0.42, 1 / 8),
      'centre': _CENTRE,
    },
    'ell': {
      'corner': ((-0.35, 0.51),),
      'long end': ((-0.35, -0.7),),
      'short end': ((0.55, 0.51),),
    },
    'tee': {
      'joint': ((0.0, -0.45),),
      'arms': ((-0.65, -0.45), (0.65, -0.45)),
      'foot': ((0.0, 0.9),),
    },
    'star': {
      'tips': _around(5, 0.9),
      'valleys': _around(5, 0.4, 1 / 10),
      'centre': _CENTRE,
    },
    'flower': {
      'petals': _around(6, 0.85),
      'notches': _around(6, 0.42, 1 / 12),
      'centre': _CENTRE,
    },
    'hourglass': {
      'waist': _CENTRE,
      'ends': ((0.0, -0.7), (0.0, 0.7)),
      'corners': ((-0.55, -0.7), (0.55, -0.7), (-0.55, 0.7), (0.55, 0.7)),
    },
  }.items()
}

_PARTS = max(len(parts) for parts in PARTS.values())
_POSITIONS = max(
  len(points) for parts in PARTS.values() for points in parts.values()
)


def _table() -> np.ndarray:
  """Positions ``[16, P, M, 2]``, NaN where a shape has fewer."""
  shape = len(SHAPE_NAMES), _PARTS, _POSITIONS, 2
  table = np.full(shape, np.nan, np.float32)
  for i, name in enumerate(SHAPE_NAMES):
    for j, points in enumerate(PARTS[name].values()):
      table[i, j, : len(points)] = points
  return table


_TABLE = _table()


def part_positions(scene: Scene) -> Array:
  """Positions of the parts of each object.

  Args:
    scene: A `Scene`, or several of any leading batch.

  Returns:
    ``[..., 2, P, M, 2]``: by object, part (in the order of `PARTS`) and
    position the row and column in units of the image's side; NaN where a shape
    has fewer parts, a part has fewer positions, or an object is absent.
  """
  local = jnp.asarray(_TABLE)[jnp.maximum(scene.labels, 0)]
  x, y, radius, angle = jnp.split(scene.poses[..., None], 4, -2)
  c, s = jnp.cos(angle), jnp.sin(angle)
  # The rotation that brings a pixel into the shape's frame, inverted.
  column = x + radius * (c * local[..., 0] - s * local[..., 1])
  row = y + radius * (s * local[..., 0] + c * local[..., 1])
  return jnp.stack([row, column], -1)


def part_masks(scene: Scene) -> Array:
  """Masks of the parts of each object: its pixels that are nearest to them.

  Args:
    scene: A `Scene`, or several of any leading batch.

  Returns:
    ``[..., 2, P, H, W]``, the fraction of each pixel that a part covers; all
    parts of an object sum to its mask, and missing ones are empty.
  """
  points = part_positions(scene)[..., None, None, :]  # [..., 2, P, M, 1, 1, 2]
  height, width = scene.masks.shape[-2:]
  ahead = (1,) * (points.ndim - 4)
  y = (jnp.arange(height, dtype=jnp.float32) + 0.5) / height
  x = (jnp.arange(width, dtype=jnp.float32) + 0.5) / width
  y, x = y.reshape(*ahead, -1, 1), x.reshape(*ahead, 1, -1)
  nearest = jnp.full((*points.shape[:-4], height, width), jnp.inf)
  # One by one: all squared distances at once are many times the masks.
  for m in range(_POSITIONS):
    row, column = points[..., m, :, :, 0], points[..., m, :, :, 1]
    away = jnp.square(row - y) + jnp.square(column - x)  # [..., 2, P, H, W]
    nearest = jnp.where(away < nearest, away, nearest)
  owner = nearest.argmin(-3)[..., None, :, :]
  part = jnp.arange(_PARTS).reshape(*(1,) * (owner.ndim - 3), -1, 1, 1)
  return jnp.where(owner == part, scene.masks[..., None, :, :], 0)
