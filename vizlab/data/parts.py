"""Parts of the shapes of scenes: their places and their masks.

A part is a kind of place, such as the corners of a square: where a shape looks
the same when it is turned, all its equal places are one part, as nothing in an
image tells them apart.
"""

import jax.numpy as jnp
import numpy as np

from vizlab.data.scenes import SHAPE_NAMES, Scene
from vizlab.types import Array

__all__ = ['PARTS', 'part_masks', 'part_places']


def _around(count: int, radius: float, start: float = 0.0) -> np.ndarray:
  """Places evenly spaced around the centre; ``start`` is in turns."""
  angle = 2 * np.pi * (np.arange(count) / count + start)
  return radius * np.stack([np.cos(angle), np.sin(angle)], -1)


_CENTRE = ((0.0, 0.0),)

# {shape: {part: places}}, (x, y) in units of the radius as in `shapes`.
PARTS: dict[str, dict[str, np.ndarray]] = {
  shape: {part: np.array(places, np.float32) for part, places in parts.items()}
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

_MOST = max(len(parts) for parts in PARTS.values())
_ROOM = max(
  len(places) for parts in PARTS.values() for places in parts.values()
)


def _table() -> np.ndarray:
  """Places ``[16, P, M, 2]``, NaN where a shape has fewer."""
  table = np.full((len(SHAPE_NAMES), _MOST, _ROOM, 2), np.nan, np.float32)
  for i, shape in enumerate(SHAPE_NAMES):
    for j, places in enumerate(PARTS[shape].values()):
      table[i, j, : len(places)] = places
  return table


_TABLE = _table()


def part_places(scene: Scene) -> Array:
  """Places of the parts of each object.

  Args:
    scene: A `Scene`, or several of any leading batch.

  Returns:
    ``[..., 2, P, M, 2]``: by object, part (in the order of `PARTS`) and place
    the row and column in units of the image's side; NaN where a shape has fewer
    parts, a part fewer places, or an object is absent.
  """
  place = jnp.asarray(_TABLE)[jnp.maximum(scene.labels, 0)]
  x, y, radius, angle = jnp.split(scene.poses, 4, -1)
  c, s = (v[..., None] for v in (jnp.cos(angle), jnp.sin(angle)))
  x, y, radius = (v[..., None] for v in (x, y, radius))
  px, py = place[..., 0], place[..., 1]
  # The turn by which a pixel is brought into the shape's frame, turned back.
  column = x + radius * (c * px - s * py)
  row = y + radius * (s * px + c * py)
  return jnp.stack([row, column], -1)


def part_masks(scene: Scene) -> Array:
  """Masks of the parts of each object: its pixels that are nearest to them.

  Args:
    scene: A `Scene`, or several of any leading batch.

  Returns:
    ``[..., 2, P, H, W]``, the fraction of each pixel that a part covers; all
    parts of an object sum to its mask, and missing ones are empty.
  """
  places = part_places(scene)[..., None, None, :]  # [..., 2, P, M, 1, 1, 2]
  height, width = scene.masks.shape[-2:]
  ahead = (1,) * (places.ndim - 3)
  y = (jnp.arange(height, dtype=jnp.float32) + 0.5) / height
  x = (jnp.arange(width, dtype=jnp.float32) + 0.5) / width
  away = jnp.square(places[..., 0] - y.reshape(*ahead, -1, 1)) + jnp.square(
    places[..., 1] - x.reshape(*ahead, 1, -1)
  )
  away = jnp.where(jnp.isnan(away), jnp.inf, away).min(-3)  # [..., 2, P, H, W]
  nearest = away.argmin(-3)[..., None, :, :]
  part = jnp.arange(_MOST).reshape(*(1,) * (nearest.ndim - 3), -1, 1, 1)
  return jnp.where(nearest == part, scene.masks[..., None, :, :], 0)
