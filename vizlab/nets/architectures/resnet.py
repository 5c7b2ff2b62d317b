"""ResNet-18 and ResNet-50 (He et al. 2016), as torchvision builds them."""

from vizlab.nets.layers import (
  Add,
  BatchNorm,
  Conv,
  Dense,
  GlobalPool,
  Layer,
  Pool,
  ReLU,
)
from vizlab.rules import PoolWindow

__all__ = ['DEPTHS', 'resnet']

DEPTHS = {'resnet18': (2, 2, 2, 2), 'resnet50': (3, 4, 6, 3)}
_WIDTHS = (64, 128, 256, 512)


def _block(
  name: str, before: str, convs: list[tuple[int, int, int]], shortcut: bool
) -> list[Layer]:
  """Layers of a residual block; ``convs`` lists features, kernel and stride."""
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
    stride = max(stride for *_, stride in convs)
    features = convs[-1][0]
    ops += [
      Conv(
        f'{name}.downsample.0',
        features,
        1,
        stride,
        0,
        bias=False,
        inputs=(before,),
      ),
      BatchNorm(f'{name}.downsample.1'),
    ]
    before = ops[-1].name
  return [*ops, Add(f'{name}.add', inputs=(branch, before)), ReLU(name)]


def resnet(name: str, classes: int) -> tuple[Layer, ...]:
  """Layers of a ResNet, with torchvision's names (``layer1.0.conv1`` ...).

  The output of a block has the name of the block, such as ``layer4.1``.
  """
  bottleneck = name == 'resnet50'
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
      stride = 2 if stage > 1 and i == 0 else 1
      if bottleneck:
        convs = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
      else:
        convs = [(width, 3, stride), (width, 3, 1)]
      shortcut = stride > 1 or features != convs[-1][0]
      ops += _block(f'layer{stage}.{i}', ops[-1].name, convs, shortcut)
      features = convs[-1][0]
  return (*ops, GlobalPool('avgpool'), Dense('fc', classes))
