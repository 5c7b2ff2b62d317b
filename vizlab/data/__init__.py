"""Data whose truth is known."""

from vizlab.data.scenes import (
  SHAPE_NAMES,
  TEXTURE_NAMES,
  Scene,
  scene,
  scenes,
)

__all__ = ['SHAPE_NAMES', 'TEXTURE_NAMES', 'Scene', 'scene', 'scenes']
