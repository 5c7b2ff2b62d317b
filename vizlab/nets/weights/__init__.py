"""Weight files: formats and detection of the architecture."""

from vizlab.nets.weights.files import (
  EMBEDDED,
  from_tensors,
  load,
  save,
  shipped,
)
from vizlab.nets.weights.sources import SOURCES, Source

__all__ = [
  'EMBEDDED',
  'SOURCES',
  'Source',
  'from_tensors',
  'load',
  'save',
  'shipped',
]
