"""Architectures as functions that return layers, and their catalog."""

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
