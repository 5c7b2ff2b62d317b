"""Synthetic scenes and chairs with ground truth, and folders of photos."""

from vizlab.data.categories import SIXTEEN
from vizlab.data.chairs import (
  STYLES,
  Chair,
  ChairChange,
  ChairStyle,
  chair,
  chair_style,
)
from vizlab.data.concepts import COLOUR_NAMES, CONCEPTS, concept_masks
from vizlab.data.curves import curve, curves
from vizlab.data.folder import Batch, folder, photos
from vizlab.data.parts import PARTS, part_masks, part_positions
from vizlab.data.scenes import (
  SHAPE_NAMES,
  TEXTURE_NAMES,
  Scene,
  scene,
  scenes,
)
from vizlab.data.strokes import swirls

__all__ = [
  'COLOUR_NAMES',
  'CONCEPTS',
  'PARTS',
  'SHAPE_NAMES',
  'SIXTEEN',
  'STYLES',
  'TEXTURE_NAMES',
  'Batch',
  'Chair',
  'ChairChange',
  'ChairStyle',
  'Scene',
  'chair',
  'chair_style',
  'concept_masks',
  'curve',
  'curves',
  'folder',
  'part_masks',
  'part_positions',
  'photos',
  'scene',
  'scenes',
  'swirls',
]
