"""Networks on images of which one box is changed, computed from there on."""

from vizlab.nets.incremental.occlusion import occlude
from vizlab.nets.incremental.regions import (
  Axis,
  Frame,
  Region,
  multiplications,
  plan,
)

__all__ = [
  'Axis',
  'Frame',
  'Region',
  'multiplications',
  'occlude',
  'plan',
]
