"""Layers as data, the building blocks of networks."""

from vizlab.nets.layers.base import Layer, Params, Pointwise, Shape
from vizlab.nets.layers.conv import conv2d
from vizlab.nets.layers.joining import Add, Concat, Flatten, Subsample
from vizlab.nets.layers.linear import Conv, Dense
from vizlab.nets.layers.pointwise import LRN, BatchNorm, ReLU
from vizlab.nets.layers.pooling import AdaptivePool, GlobalPool, Pool

__all__ = [
  'AdaptivePool',
  'Add',
  'BatchNorm',
  'Concat',
  'Conv',
  'Dense',
  'Flatten',
  'GlobalPool',
  'LRN',
  'Layer',
  'Params',
  'Pointwise',
  'Pool',
  'ReLU',
  'Shape',
  'Subsample',
  'conv2d',
]
