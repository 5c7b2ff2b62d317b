"""Concepts of scenes with exact masks: shapes, textures and colours."""

import jax.numpy as jnp
import numpy as np

from vizlab.data.scenes import SHAPE_NAMES, TEXTURE_NAMES, Scene
from vizlab.types import Array

__all__ = ['COLOUR_NAMES', 'CONCEPTS', 'colour_of', 'concept_masks']

# A pixel has the name of the nearest of these hues, in degrees.
_HUES = {
  'red': 0,
  'orange': 30,
  'yellow': 60,
  'green': 120,
  'cyan': 180,
  'blue': 230,
  'purple': 280,
  'pink': 325,
}
COLOUR_NAMES = ('black', 'grey', 'white', *_HUES)
CONCEPTS = (
  *(('shape', name) for name in SHAPE_NAMES),
  *(('texture', name) for name in TEXTURE_NAMES),
  *(('colour', name) for name in COLOUR_NAMES),
)


def colour_of(image: Array) -> Array:
  """Index of each pixel's colour in `COLOUR_NAMES`, int32 ``[..., H, W]``.

  Without a hue if the saturation is below 0.2, black if the value is below 0.2
  (as in HSV); else the nearest hue.

  Args:
    image: RGB ``[..., H, W, 3]`` in [0, 1].
  """
  value, low = image.max(-1), image.min(-1)
  spread = value - low
  safe = jnp.where(spread > 0, spread, 1)
  red, green, blue = jnp.moveaxis(image, -1, 0)
  hue = jnp.where(
    value == red,
    (green - blue) / safe,
    jnp.where(
      value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe
    ),
  )
  centres = np.array([*_HUES.values()], np.float32) / 60
  apart = jnp.abs(hue[..., None] - centres.reshape((1,) * hue.ndim + (-1,))) % 6
  nearest = jnp.minimum(apart, 6 - apart).argmin(-1).astype(jnp.int32) + 3
  pale = spread < 0.2 * jnp.where(value > 0, value, 1)
  plain = jnp.where(value > 0.8, 2, 1)
  colour = jnp.where(pale, plain, nearest)
  return jnp.where(value < 0.2, 0, colour).astype(jnp.int32)


def concept_masks(scenes: Scene) -> Array:
  """Masks of `CONCEPTS`, bool ``[B, H, W, K]``.

  Shapes and textures are those of objects, where they cover at least half of a
  pixel; colours are those of all pixels.

  Args:
    scenes: Scenes with a batch axis.
  """
  inside = jnp.moveaxis(scenes.masks, 1, -1) >= 0.5  # [B, H, W, 2]
  parts = []
  for labels, count in (
    (scenes.labels, len(SHAPE_NAMES)),
    (scenes.textures, len(TEXTURE_NAMES)),
  ):
    of = labels[..., None] == jnp.arange(count)[None, None]  # [B, 2, K]
    parts.append((inside[..., None] & of[:, None, None]).any(-2))
  colours = colour_of(scenes.image)[..., None]
  names = jnp.arange(len(COLOUR_NAMES))[None, None, None]
  return jnp.concatenate([*parts, colours == names], -1)
