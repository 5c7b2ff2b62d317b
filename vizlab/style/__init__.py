"""Textures and styles: images that share statistics with others."""

from vizlab.style.components import principal
from vizlab.style.losses import (
  STATISTICS,
  content_loss,
  masks_at,
  style_loss,
  total_loss,
)
from vizlab.style.recipes import (
  OPTIMIZERS,
  adam_in_range,
  doodle,
  doodle_start,
  lbfgs_in_range,
  noise,
  texture,
  transfer,
)
from vizlab.style.scores import (
  COLOURS,
  LEAST,
  doodle_loss,
  score_of,
  shrink,
  shrunk_size,
  texture_loss,
  texture_net,
  transfer_loss,
)

__all__ = [
  'COLOURS',
  'LEAST',
  'OPTIMIZERS',
  'STATISTICS',
  'adam_in_range',
  'content_loss',
  'doodle',
  'doodle_loss',
  'doodle_start',
  'lbfgs_in_range',
  'masks_at',
  'noise',
  'principal',
  'score_of',
  'shrink',
  'shrunk_size',
  'style_loss',
  'texture',
  'texture_loss',
  'texture_net',
  'total_loss',
  'transfer',
  'transfer_loss',
]
