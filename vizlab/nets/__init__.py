"""Networks and their weights; the only package that imports Flax."""

from vizlab.nets.architectures.catalog import (
  Architecture,
  architecture,
  create,
  names,
)
from vizlab.nets.functions import FunctionNet, from_function
from vizlab.nets.info import layer_info, unit_field
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.masking import with_template_masks
from vizlab.nets.merging import merge_batch_norm
from vizlab.nets.network import (
  LayerInfo,
  Network,
  check_layers,
  get_params,
  is_chain,
  param_count,
  with_params,
)
from vizlab.nets.precision import with_dtype
from vizlab.nets.receptive_field import Field
from vizlab.nets.tiled import tiled
from vizlab.nets.transferring import (
  check_cut,
  param_labels,
  trained_layers,
  transplant,
  untrained,
  with_classes,
)
from vizlab.nets.weights.files import (
  from_layers,
  from_tensors,
  load,
  save,
)
from vizlab.nets.weights.published import weight_file
from vizlab.nets.weights.sources import SOURCES, Source

__all__ = [
  'SOURCES',
  'Source',
  'Architecture',
  'Field',
  'FunctionNet',
  'InputSpec',
  'LayerInfo',
  'Network',
  'architecture',
  'check_cut',
  'check_layers',
  'create',
  'from_function',
  'from_layers',
  'from_tensors',
  'get_params',
  'is_chain',
  'layer_info',
  'load',
  'merge_batch_norm',
  'names',
  'param_count',
  'param_labels',
  'save',
  'tiled',
  'trained_layers',
  'transplant',
  'unit_field',
  'untrained',
  'weight_file',
  'with_classes',
  'with_dtype',
  'with_params',
  'with_template_masks',
]
