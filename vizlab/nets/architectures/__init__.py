"""Architectures as functions that give layers, and their catalog."""

from vizlab.nets.architectures.catalog import (
  Architecture,
  architecture,
  create,
  names,
  pooling_rules,
)

__all__ = [
  'Architecture',
  'architecture',
  'create',
  'names',
  'pooling_rules',
]
