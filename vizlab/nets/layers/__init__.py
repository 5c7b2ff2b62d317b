"""Layers as data, the building blocks of networks."""

from vizlab.nets.layers.attention import (
  GELU,
  Attend,
  AttentionWeights,
  LayerNorm,
  Token,
  Tokens,
)
from vizlab.nets.layers.base import Layer, Params, Pointwise, Shape
from vizlab.nets.layers.conv import conv2d
from vizlab.nets.layers.imaging import (
  ConditionalInstanceNorm,
  ConvTranspose,
  InstanceNorm,
  Pad,
  Rescale,
  Upsample,
)
from vizlab.nets.layers.joining import (
  Add,
  Channels,
  Concat,
  Flatten,
  Subsample,
)
from vizlab.nets.layers.linear import Conv, Dense
from vizlab.nets.layers.masking import TemplateMask
from vizlab.nets.layers.pointwise import LRN, BatchNorm, ReLU
from vizlab.nets.layers.pooling import (
  AdaptivePool,
  AveragePool,
  GlobalPool,
  Pool,
)

__all__ = [
  'AdaptivePool',
  'Attend',
  'AttentionWeights',
  'AveragePool',
  'Add',
  'BatchNorm',
  'Channels',
  'Concat',
  'ConditionalInstanceNorm',
  'Conv',
  'ConvTranspose',
  'Dense',
  'Flatten',
  'GELU',
  'GlobalPool',
  'InstanceNorm',
  'LRN',
  'Layer',
  'LayerNorm',
  'Pad',
  'Params',
  'Pointwise',
  'Pool',
  'ReLU',
  'Rescale',
  'Shape',
  'Subsample',
  'TemplateMask',
  'Token',
  'Tokens',
  'Upsample',
  'conv2d',
]
