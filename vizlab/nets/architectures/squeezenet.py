"""SqueezeNet 1.1 (Iandola et al. 2016)."""

from vizlab.nets.layers import Concat, Conv, GlobalPool, Layer, Pool, ReLU
from vizlab.rules import PoolWindow

__all__ = ['squeezenet11']

_POOL = PoolWindow(3, 2, ceil=True)


def _fire(name: str, before: str, squeeze: int, expand: int) -> list[Layer]:
  """Layers of a fire module: a 1x1 squeeze, then 1x1 and 3x3 expansions."""
  thin, one, three = (
    f'{name}/{part}' for part in ('squeeze1x1', 'expand1x1', 'expand3x3')
  )
  rectified = [
    f'{name}/relu_{part.split("/")[1]}' for part in (thin, one, three)
  ]
  return [
    Conv(thin, squeeze, 1, 1, 0, inputs=(before,)),
    ReLU(rectified[0]),
    Conv(one, expand, 1, 1, 0, inputs=(rectified[0],)),
    ReLU(rectified[1]),
    Conv(three, expand, inputs=(rectified[0],)),
    ReLU(rectified[2]),
    Concat(f'{name}/concat', inputs=(rectified[1], rectified[2])),
  ]


def squeezenet11(classes: int) -> tuple[Layer, ...]:
  """Layers of SqueezeNet 1.1, with the names of its Caffe release."""
  return (
    Conv('conv1', 64, 3, 2, 0),
    ReLU('relu_conv1'),
    Pool('pool1', _POOL),
    *_fire('fire2', 'pool1', 16, 64),
    *_fire('fire3', 'fire2/concat', 16, 64),
    Pool('pool3', _POOL),
    *_fire('fire4', 'pool3', 32, 128),
    *_fire('fire5', 'fire4/concat', 32, 128),
    Pool('pool5', _POOL),
    *_fire('fire6', 'pool5', 48, 192),
    *_fire('fire7', 'fire6/concat', 48, 192),
    *_fire('fire8', 'fire7/concat', 64, 256),
    *_fire('fire9', 'fire8/concat', 64, 256),
    Conv('conv10', classes, 1, 1, 0),
    ReLU('relu_conv10'),
    GlobalPool('pool10'),
  )
