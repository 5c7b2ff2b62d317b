"""Textures and styles: images that share statistics with others."""

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
  'masks_at',
  'principal',
  'style_loss',
  'total_loss',
]
