"""Textures and styles: images that share statistics with others."""

from vizlab.style.colours import (
  luminance,
  match_colours,
  match_luminance,
  with_colours_of,
)
from vizlab.style.components import principal
from vizlab.style.losses import (
  STATISTICS,
  content_loss,
  masks_at,
  style_loss,
  total_loss,
)

__all__ = [
  'STATISTICS',
  'content_loss',
  'luminance',
  'masks_at',
  'match_colours',
  'match_luminance',
  'principal',
  'style_loss',
  'total_loss',
  'with_colours_of',
]
