"""DenseNet-121 (Huang et al. 2017), as in torchvision."""

from vizlab.nets.layers import (
  AveragePool,
  BatchNorm,
  Concat,
  Conv,
  Dense,
  GlobalPool,
  Layer,
  Pool,
  ReLU,
)
from vizlab.rules import PoolWindow

__all__ = ['densenet121']

_DEPTHS = (6, 12, 24, 16)
_GROWTH = 32


def _conv(
  path: str,
  number: str,
  features: int,
  kernel: int,
  inputs: tuple[str, ...] = (),
) -> list[Layer]:
  """Batch normalisation, ReLU and a convolution that keeps the size."""
  return [
    BatchNorm(f'{path}norm{number}', inputs=inputs),
    ReLU(f'{path}relu{number}'),
    Conv(f'{path}conv{number}', features, kernel, 1, kernel // 2, bias=False),
  ]


def densenet121(classes: int) -> tuple[Layer, ...]:
  """Layers of DenseNet-121, by torchvision's names without ``features``.

  A layer of a dense block reads all maps before it, ``denselayer3.concat``;
  the last concatenation has the name of the block, such as ``denseblock1``.
  """
  ops: list[Layer] = [
    Conv('conv0', 64, 7, 2, 3, bias=False),
    BatchNorm('norm0'),
    ReLU('relu0'),
    Pool('pool0', PoolWindow(3, 2, padding=1)),
  ]
  features = 64
  for stage, depth in enumerate(_DEPTHS, start=1):
    block = f'denseblock{stage}'
    for i in range(1, depth + 1):
      before, path = ops[-1].name, f'{block}.denselayer{i}.'
      ops += _conv(path, '1', 4 * _GROWTH, 1, (before,))
      ops += _conv(path, '2', _GROWTH, 3)
      name = f'{path}concat' if i < depth else block
      ops.append(Concat(name, inputs=(before, ops[-1].name)))
    features += depth * _GROWTH
    if stage < len(_DEPTHS):
      features //= 2
      path = f'transition{stage}.'
      ops += _conv(path, '', features, 1)
      ops.append(AveragePool(f'{path}pool'))
  return (
    *ops,
    BatchNorm('norm5'),
    ReLU('relu5'),
    GlobalPool('avgpool'),
    Dense('classifier', classes),
  )
