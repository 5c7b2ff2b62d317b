"""VGG-11, 13, 16 and 19 (Simonyan & Zisserman 2015), configurations A to E.

Names that end in ``_bn`` have batch normalisation; ``vgg16_cam`` is that of
class activation maps (Zhou et al. 2016).
"""

from vizlab.nets.layers import (
  AdaptivePool,
  BatchNorm,
  Conv,
  Dense,
  Flatten,
  GlobalPool,
  Layer,
  Pool,
  ReLU,
)

__all__ = ['DEPTHS', 'NAMES', 'classifier', 'stages', 'vgg', 'vgg16_cam']

DEPTHS = {
  'vgg11': (1, 1, 2, 2, 2),
  'vgg13': (2, 2, 2, 2, 2),
  'vgg16': (2, 2, 3, 3, 3),
  'vgg19': (2, 2, 4, 4, 4),
}
NAMES = (*DEPTHS, *(f'{name}_bn' for name in DEPTHS))
_WIDTHS = (64, 128, 256, 512, 512)


def stages(
  depths: tuple[int, ...], widths: tuple[int, ...], norm: bool = False
) -> list[Layer]:
  """Convolutional layers: 3x3 convolutions and a 2x2 pooling per stage.

  With ``norm`` each convolution is followed by batch normalisation.
  """
  ops: list[Layer] = []
  for stage, (depth, width) in enumerate(
    zip(depths, widths, strict=True), start=1
  ):
    for i in range(1, depth + 1):
      place = f'{stage}_{i}'
      norms = [BatchNorm(f'bn{place}')] if norm else []
      ops += [Conv(f'conv{place}', width), *norms, ReLU(f'relu{place}')]
    ops.append(Pool(f'pool{stage}'))
  return ops


def vgg(name: str, classes: int) -> tuple[Layer, ...]:
  """Layers of a VGG, ``conv1_1`` to ``fc8``; ``name`` is one of `NAMES`."""
  depths = DEPTHS[name.removesuffix('_bn')]
  return (
    *stages(depths, _WIDTHS, norm=name.endswith('_bn')),
    AdaptivePool('avgpool', 7),
    *classifier(classes),
  )


def vgg16_cam(classes: int) -> tuple[Layer, ...]:
  """Layers of VGG-16 with global average pooling, by the names of Caffe.

  The last pooling is left out, so that maps have 14 x 14 positions.
  """
  return (
    *stages(DEPTHS['vgg16'], _WIDTHS)[:-1],
    Conv('CAM_conv', 1024, groups=2),
    ReLU('CAM_relu'),
    GlobalPool('CAM_pool'),
    Dense('CAM_fc', classes),
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
