"""Synthetic scenes with ground truth, and folders of photos."""

from vizlab.data.categories import SIXTEEN
from vizlab.data.folder import Batch, folder, photos
from vizlab.data.scenes import (
  SHAPE_NAMES,
  TEXTURE_NAMES,
  Scene,
  scene,
  scenes,
)
from vizlab.data.strokes import swirls

__all__ = [
  'SHAPE_NAMES',
  'SIXTEEN',
  'TEXTURE_NAMES',
  'Batch',
  'Scene',
  'folder',
  'photos',
  'scene',
  'scenes',
  'swirls',
]
