"""Weight files: formats and detection of the architecture."""

from vizlab.nets.weights.files import from_tensors, load, save
from vizlab.nets.weights.published import EMBEDDED, weight_file
from vizlab.nets.weights.sources import SOURCES, Source

__all__ = [
  'EMBEDDED',
  'SOURCES',
  'Source',
  'from_tensors',
  'load',
  'save',
  'weight_file',
]
