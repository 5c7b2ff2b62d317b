"""GoogLeNet, or Inception v1 (Szegedy et al. 2015), as released for Caffe."""

from vizlab.nets.layers import (
  LRN,
  Concat,
  Conv,
  Dense,
  GlobalPool,
  Layer,
  Pool,
  ReLU,
)
from vizlab.rules import PoolWindow

__all__ = ['MODULES', 'googlenet']

_POOL = PoolWindow(3, 2, ceil=True)
# Features of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5 and pool_proj.
MODULES = {
  '3a': (64, 96, 128, 16, 32, 32),
  '3b': (128, 128, 192, 32, 96, 64),
  '4a': (192, 96, 208, 16, 48, 64),
  '4b': (160, 112, 224, 24, 64, 64),
  '4c': (128, 128, 256, 24, 64, 64),
  '4d': (112, 144, 288, 32, 64, 64),
  '4e': (256, 160, 320, 32, 128, 128),
  '5a': (256, 160, 320, 32, 128, 128),
  '5b': (384, 192, 384, 48, 128, 128),
}


def _conv(
  module: str, part: str, features: int, size: int, *inputs: str
) -> list[Layer]:
  """Convolution with padding that keeps the size, and its ReLU."""
  return [
    Conv(f'{module}/{part}', features, size, 1, size // 2, inputs=inputs),
    ReLU(f'{module}/relu_{part}'),
  ]


def _inception(module: str, before: str) -> list[Layer]:
  """Layers of an inception module: four branches, concatenated."""
  name = f'inception_{module}'
  one, thin3, three, thin5, five, pooled = MODULES[module]
  branches = [
    _conv(name, '1x1', one, 1, before),
    [
      *_conv(name, '3x3_reduce', thin3, 1, before),
      *_conv(name, '3x3', three, 3),
    ],
    [
      *_conv(name, '5x5_reduce', thin5, 1, before),
      *_conv(name, '5x5', five, 5),
    ],
    [
      Pool(f'{name}/pool', PoolWindow(3, 1, padding=1), inputs=(before,)),
      *_conv(name, 'pool_proj', pooled, 1),
    ],
  ]
  ends = tuple(branch[-1].name for branch in branches)
  return [*sum(branches, []), Concat(f'{name}/output', inputs=ends)]


def googlenet(classes: int) -> tuple[Layer, ...]:
  """Layers of GoogLeNet without its auxiliary classifiers, by Caffe's names.

  Pooling rounds up, and the first two stages normalise local responses.
  """
  ops: list[Layer] = [
    Conv('conv1/7x7_s2', 64, 7, 2, 3),
    ReLU('conv1/relu_7x7'),
    Pool('pool1/3x3_s2', _POOL),
    LRN('pool1/norm1'),
    *_conv('conv2', '3x3_reduce', 64, 1),
    *_conv('conv2', '3x3', 192, 3),
    LRN('conv2/norm2'),
    Pool('pool2/3x3_s2', _POOL),
  ]
  for module in MODULES:
    if module in ('4a', '5a'):
      ops.append(Pool(f'pool{int(module[0]) - 1}/3x3_s2', _POOL))
    ops += _inception(module, ops[-1].name)
  return (*ops, GlobalPool('pool5/7x7_s1'), Dense('loss3/classifier', classes))
