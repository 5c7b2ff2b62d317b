"""ResNets (He et al. 2016): torchvision's, and those of CIFAR-10."""

from collections.abc import Sequence

from vizlab.nets.layers import (
  Add,
  BatchNorm,
  Conv,
  Dense,
  GlobalPool,
  Layer,
  Pool,
  ReLU,
  Subsample,
)
from vizlab.rules import PoolWindow

__all__ = ['CIFAR_DEPTHS', 'DEPTHS', 'cifar_resnet', 'resnet']

DEPTHS = {
  'resnet18': (2, 2, 2, 2),
  'resnet34': (3, 4, 6, 3),
  'resnet50': (3, 4, 6, 3),
  'resnet101': (3, 4, 23, 3),
  'resnet152': (3, 8, 36, 3),
}
_BASIC = ('resnet18', 'resnet34')  # two 3x3 convolutions a block
CIFAR_DEPTHS = {f'resnet{6 * n + 2}': n for n in (3, 5, 7, 9)}
_WIDTHS = (64, 128, 256, 512)
_CIFAR_WIDTHS = (16, 32, 64)


def _block(
  name: str,
  before: str,
  convs: list[tuple[int, int, int]],
  shortcut: Sequence[Layer] = (),
) -> list[Layer]:
  """Layers of a residual block.

  Args:
    name: Name of the block.
    before: Name of the layer that it reads.
    convs: Features, kernel and stride of each convolution.
    shortcut: Layers of the shortcut; none for the identity.
  """
  ops: list[Layer] = []
  for i, (features, kernel, stride) in enumerate(convs, start=1):
    ops += [
      Conv(
        f'{name}.conv{i}',
        features,
        kernel,
        stride,
        kernel // 2,
        bias=False,
        inputs=(before,) if i == 1 else (),
      ),
      BatchNorm(f'{name}.bn{i}'),
      ReLU(f'{name}.relu{i}'),
    ]
  ops.pop()  # the last one comes after the sum
  branch = ops[-1].name
  if shortcut:
    ops += shortcut
    before = ops[-1].name
  return [*ops, Add(f'{name}.add', inputs=(branch, before)), ReLU(name)]


def resnet(name: str, classes: int) -> tuple[Layer, ...]:
  """Layers of a ResNet, with torchvision's names (``layer1.0.conv1`` ...).

  The output of a block has the name of the block, such as ``layer4.1``.
  """
  bottleneck = name not in _BASIC
  ops: list[Layer] = [
    Conv('conv1', 64, 7, 2, 3, bias=False),
    BatchNorm('bn1'),
    ReLU('relu'),
    Pool('maxpool', PoolWindow(3, 2, padding=1)),
  ]
  features = 64
  for stage, (depth, width) in enumerate(
    zip(DEPTHS[name], _WIDTHS, strict=True), start=1
  ):
    for i in range(depth):
      block = f'layer{stage}.{i}'
      stride = 2 if stage > 1 and i == 0 else 1
      if bottleneck:
        convs = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
      else:
        convs = [(width, 3, stride), (width, 3, 1)]
      shortcut = ()
      if stride > 1 or features != convs[-1][0]:
        shortcut = _projection(block, ops[-1].name, convs[-1][0], stride)
      ops += _block(block, ops[-1].name, convs, shortcut)
      features = convs[-1][0]
  return (*ops, GlobalPool('avgpool'), Dense('fc', classes))


def _projection(
  name: str, before: str, features: int, stride: int
) -> tuple[Layer, ...]:
  """Shortcut by a 1x1 convolution (option B of the paper)."""
  path = f'{name}.downsample'
  return (
    Conv(f'{path}.0', features, 1, stride, 0, bias=False, inputs=(before,)),
    BatchNorm(f'{path}.1'),
  )


def cifar_resnet(name: str, classes: int) -> tuple[Layer, ...]:
  """Layers of a ResNet for images of 32 pixels (section 4.2 of the paper).

  Shortcuts between the stages have no parameters (option A): they subsample,
  and fill the new channels with zeros. The names are those of torch
  implementations (``layer1.0.conv1`` ...).
  """
  ops: list[Layer] = [
    Conv('conv1', 16, 3, 1, 1, bias=False),
    BatchNorm('bn1'),
    ReLU('relu'),
  ]
  for stage, width in enumerate(_CIFAR_WIDTHS, start=1):
    for i in range(CIFAR_DEPTHS[name]):
      before, block = ops[-1].name, f'layer{stage}.{i}'
      stride = 2 if stage > 1 and i == 0 else 1
      shortcut = [Subsample(f'{block}.shortcut', width, inputs=(before,))]
      convs = [(width, 3, stride), (width, 3, 1)]
      ops += _block(block, before, convs, shortcut if stride > 1 else ())
  return (*ops, GlobalPool('avgpool'), Dense('linear', classes))
