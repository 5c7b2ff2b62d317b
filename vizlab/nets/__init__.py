"""Networks and their weights: the only room of the house that knows flax."""

from vizlab.nets.catalog import Architecture, architecture, create, names
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.net import (
  LayerInfo,
  Network,
  check_layers,
  get_params,
  is_chain,
  layers,
  param_count,
  with_params,
)
from vizlab.nets.receptive_field import Field
from vizlab.nets.sources import SOURCES, Source
from vizlab.nets.tiles import tiled
from vizlab.nets.weights import from_tensors, load, save, shipped

__all__ = [
  'SOURCES',
  'Source',
  'Architecture',
  'Field',
  'InputSpec',
  'LayerInfo',
  'Network',
  'architecture',
  'check_layers',
  'create',
  'from_tensors',
  'get_params',
  'is_chain',
  'layers',
  'load',
  'names',
  'param_count',
  'save',
  'shipped',
  'tiled',
  'with_params',
]
