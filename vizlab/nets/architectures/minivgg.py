"""minivgg: the small network that ships with vizlab, trained on scenes."""

import dataclasses

from vizlab.nets.architectures.vgg import stages
from vizlab.nets.layers import Dense, GlobalPool, Layer

__all__ = ['minivgg']

_DEPTHS = (1, 1, 2, 2, 2)
_WIDTHS = (32, 64, 96, 128, 128)


def minivgg(classes: int) -> tuple[Layer, ...]:
  """Layers of a small VGG with global average pooling before ``fc``.

  Its first kernels are 5x5, large enough to be visualized. The last pooling
  layer is left out, so that the class activation map of a 96 px scene is 6x6.
  """
  first, *rest = stages(_DEPTHS, _WIDTHS)[:-1]
  first = dataclasses.replace(first, kernel=5, padding=2)
  return (first, *rest, GlobalPool('gap'), Dense('fc', classes))
