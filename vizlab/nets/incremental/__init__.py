"""Incremental evaluation of networks on images with one changed box."""

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
