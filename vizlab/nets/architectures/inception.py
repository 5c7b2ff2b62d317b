"""Inception networks of torchvision, with batch normalisation.

GoogLeNet (Szegedy et al. 2015) as it was trained with batch normalisation, and
Inception v3 (Szegedy et al. 2016). Names are those of torchvision's modules:
``Mixed_5b.branch1x1.conv``, its ``.bn``, and ``Mixed_5b.branch1x1`` for the
ReLU after them; a module of several branches gives its name to their
concatenation. Both were trained in TensorFlow, on images in [-1, 1].
"""

from vizlab.nets.architectures.googlenet import MODULES
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
from vizlab.nets.layers.conv import both
from vizlab.rules import PoolWindow

__all__ = ['googlenet_bn', 'inception_v3']

Kernel = int | tuple[int, int]

_POOL = PoolWindow(3, 2)
_KEEPS = PoolWindow(3, 1, padding=1)  # the size


def _conv(
  path: str,
  features: int,
  kernel: Kernel = 1,
  stride: int = 1,
  padding: Kernel = 0,
  inputs: tuple[str, ...] = (),
) -> list[Layer]:
  """Convolution, batch normalisation and ReLU."""
  return [
    Conv(
      f'{path}.conv',
      features,
      kernel,
      stride,
      padding,
      bias=False,
      inputs=inputs,
    ),
    BatchNorm(f'{path}.bn', 1e-3),
    ReLU(path),
  ]


def _branch(
  path: str, before: str, *convs: tuple[int, Kernel] | tuple[int, Kernel, int]
) -> list[Layer]:
  """Convolutions ``path_1``, ``path_2`` and so on of a branch.

  Args:
    path: Name of the branch, and of its convolution if there is one.
    before: Name of the layer that it reads.
    *convs: Features and kernel of each, and its stride; with a stride of 1 the
      padding keeps the size, and with 2 there is none.
  """
  ops: list[Layer] = []
  for i, (features, kernel, *rest) in enumerate(convs, start=1):
    name = f'{path}_{i}' if len(convs) > 1 else path
    stride = rest[0] if rest else 1
    rows, columns = both(kernel)
    padding = (rows // 2, columns // 2) if stride == 1 else 0
    inputs = (before,) if i == 1 else ()
    ops += _conv(name, features, kernel, stride, padding, inputs)
  return ops


def _joined(name: str, *branches: list[Layer]) -> list[Layer]:
  """Branches and their concatenation."""
  ends = tuple(branch[-1].name for branch in branches)
  return [*sum(branches, []), Concat(name, inputs=ends)]


def _averaged(block: str, before: str, features: int) -> list[Layer]:
  """Branch of average pooling and a 1x1 convolution."""
  pool = AveragePool(f'{block}.pool', _KEEPS, inputs=(before,))
  return [pool, *_conv(f'{block}.branch_pool', features)]


def _a(block: str, before: str, pooled: int) -> list[Layer]:
  """Module A, at 35 x 35 positions (figure 5 of the paper)."""
  return _joined(
    block,
    _branch(f'{block}.branch1x1', before, (64, 1)),
    _branch(f'{block}.branch5x5', before, (48, 1), (64, 5)),
    _branch(f'{block}.branch3x3dbl', before, (64, 1), (96, 3), (96, 3)),
    _averaged(block, before, pooled),
  )


def _b(block: str, before: str) -> list[Layer]:
  """Module B, which halves the size."""
  return _joined(
    block,
    _branch(f'{block}.branch3x3', before, (384, 3, 2)),
    _branch(f'{block}.branch3x3dbl', before, (64, 1), (96, 3), (96, 3, 2)),
    [Pool(f'{block}.pool', _POOL, inputs=(before,))],
  )


def _c(block: str, before: str, thin: int) -> list[Layer]:
  """Module C, at 17 x 17 positions (figure 6): 7x7 kernels as two of a line."""
  row, column = (1, 7), (7, 1)
  return _joined(
    block,
    _branch(f'{block}.branch1x1', before, (192, 1)),
    _branch(
      f'{block}.branch7x7', before, (thin, 1), (thin, row), (192, column)
    ),
    _branch(
      f'{block}.branch7x7dbl',
      before,
      (thin, 1),
      (thin, column),
      (thin, row),
      (thin, column),
      (192, row),
    ),
    _averaged(block, before, 192),
  )


def _d(block: str, before: str) -> list[Layer]:
  """Module D, which halves the size."""
  return _joined(
    block,
    _branch(f'{block}.branch3x3', before, (192, 1), (320, 3, 2)),
    _branch(
      f'{block}.branch7x7x3',
      before,
      (192, 1),
      (192, (1, 7)),
      (192, (7, 1)),
      (192, 3, 2),
    ),
    [Pool(f'{block}.pool', _POOL, inputs=(before,))],
  )


def _fork(path: str, stem: list[Layer], number: int) -> list[Layer]:
  """Branch that ends in a 1x3 and a 3x1 convolution, side by side."""
  before = stem[-1].name
  return _joined(
    path,
    [*stem, *_branch(f'{path}_{number}a', before, (384, (1, 3)))],
    _branch(f'{path}_{number}b', before, (384, (3, 1))),
  )


def _e(block: str, before: str) -> list[Layer]:
  """Module E, at 8 x 8 positions (figure 7)."""
  three, double = f'{block}.branch3x3', f'{block}.branch3x3dbl'
  return _joined(
    block,
    _branch(f'{block}.branch1x1', before, (320, 1)),
    _fork(three, _branch(f'{three}_1', before, (384, 1)), 2),
    _fork(double, _branch(double, before, (448, 1), (384, 3)), 3),
    _averaged(block, before, 192),
  )


def inception_v3(classes: int) -> tuple[Layer, ...]:
  """Layers of Inception v3 without its auxiliary classifier."""
  ops: list[Layer] = [
    *_conv('Conv2d_1a_3x3', 32, 3, 2),
    *_conv('Conv2d_2a_3x3', 32, 3),
    *_conv('Conv2d_2b_3x3', 64, 3, padding=1),
    Pool('maxpool1', _POOL),
    *_conv('Conv2d_3b_1x1', 80),
    *_conv('Conv2d_4a_3x3', 192, 3),
    Pool('maxpool2', _POOL),
  ]
  for part, pooled in (('5b', 32), ('5c', 64), ('5d', 64)):
    ops += _a(f'Mixed_{part}', ops[-1].name, pooled)
  ops += _b('Mixed_6a', ops[-1].name)
  for part, thin in (('6b', 128), ('6c', 160), ('6d', 160), ('6e', 192)):
    ops += _c(f'Mixed_{part}', ops[-1].name, thin)
  ops += _d('Mixed_7a', ops[-1].name)
  for part in ('7b', '7c'):
    ops += _e(f'Mixed_{part}', ops[-1].name)
  return (*ops, GlobalPool('avgpool'), Dense('fc', classes))


def _module(part: str, before: str) -> list[Layer]:
  """Inception module of GoogLeNet; torchvision's 5x5 kernels are 3x3."""
  block = f'inception{part}'
  one, thin3, three, thin5, five, pooled = MODULES[part]
  return _joined(
    block,
    _conv(f'{block}.branch1', one, inputs=(before,)),
    [
      *_conv(f'{block}.branch2.0', thin3, inputs=(before,)),
      *_conv(f'{block}.branch2.1', three, 3, padding=1),
    ],
    [
      *_conv(f'{block}.branch3.0', thin5, inputs=(before,)),
      *_conv(f'{block}.branch3.1', five, 3, padding=1),
    ],
    [
      Pool(f'{block}.branch4.0', _KEEPS, inputs=(before,)),
      *_conv(f'{block}.branch4.1', pooled),
    ],
  )


def googlenet_bn(classes: int) -> tuple[Layer, ...]:
  """Layers of torchvision's GoogLeNet without its auxiliary classifiers."""
  pool = PoolWindow(3, 2, ceil=True)
  ops: list[Layer] = [
    *_conv('conv1', 64, 7, 2, 3),
    Pool('maxpool1', pool),
    *_conv('conv2', 64),
    *_conv('conv3', 192, 3, padding=1),
    Pool('maxpool2', pool),
  ]
  for part in MODULES:
    if part == '4a':
      ops.append(Pool('maxpool3', pool))
    if part == '5a':
      ops.append(Pool('maxpool4', PoolWindow(2, 2, ceil=True)))
    ops += _module(part, ops[-1].name)
  return (*ops, GlobalPool('avgpool'), Dense('fc', classes))
