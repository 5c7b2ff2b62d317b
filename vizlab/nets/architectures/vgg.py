"""VGG-11, 13, 16 and 19 (Simonyan & Zisserman 2015), configurations A to E."""

from vizlab.nets.layers import (
  AdaptivePool,
  Conv,
  Dense,
  Flatten,
  Layer,
  Pool,
  ReLU,
)

__all__ = ['DEPTHS', 'classifier', 'stages', 'vgg']

DEPTHS = {
  'vgg11': (1, 1, 2, 2, 2),
  'vgg13': (2, 2, 2, 2, 2),
  'vgg16': (2, 2, 3, 3, 3),
  'vgg19': (2, 2, 4, 4, 4),
}
_WIDTHS = (64, 128, 256, 512, 512)


def stages(depths: tuple[int, ...], widths: tuple[int, ...]) -> list[Layer]:
  """Convolutional layers: 3x3 convolutions and a 2x2 pooling per stage."""
  ops: list[Layer] = []
  for stage, (depth, width) in enumerate(
    zip(depths, widths, strict=True), start=1
  ):
    for i in range(1, depth + 1):
      ops += [Conv(f'conv{stage}_{i}', width), ReLU(f'relu{stage}_{i}')]
    ops.append(Pool(f'pool{stage}'))
  return ops


def vgg(name: str, classes: int) -> tuple[Layer, ...]:
  """Layers of a VGG, ``conv1_1`` to ``fc8``."""
  return (
    *stages(DEPTHS[name], _WIDTHS),
    AdaptivePool('avgpool', 7),
    *classifier(classes),
  )


def classifier(classes: int) -> tuple[Layer, ...]:
  """Fully connected layers of AlexNet, ZFNet and VGG."""
  return (
    Flatten('flatten'),
    Dense('fc6', 4096),
    ReLU('relu6'),
    Dense('fc7', 4096),
    ReLU('relu7'),
    Dense('fc8', classes),
  )
