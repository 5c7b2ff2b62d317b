"""AlexNet (Krizhevsky 2012 and 2014) and ZFNet (Zeiler & Fergus 2014).

``alexnet_cam`` is that of class activation maps (Zhou et al. 2016).
"""

from vizlab.nets.architectures.vgg import classifier
from vizlab.nets.layers import (
  LRN,
  AdaptivePool,
  Conv,
  Dense,
  GlobalPool,
  Layer,
  Pool,
  ReLU,
)
from vizlab.rules import PoolWindow

__all__ = ['alexnet', 'alexnet_cam', 'caffe_alexnet', 'zfnet']

_OVERLAPPING = PoolWindow(3, 2)
_CAFFE = PoolWindow(3, 2, ceil=True)  # Caffe rounds the number of windows up


def alexnet(classes: int) -> tuple[Layer, ...]:
  """Layers of torchvision's AlexNet: one column, for 224 px images.

  It has no normalisation ("One weird trick", Krizhevsky 2014).
  """
  return (
    Conv('conv1', 64, 11, 4, 2),
    ReLU('relu1'),
    Pool('pool1', _OVERLAPPING),
    Conv('conv2', 192, 5, 1, 2),
    ReLU('relu2'),
    Pool('pool2', _OVERLAPPING),
    Conv('conv3', 384),
    ReLU('relu3'),
    Conv('conv4', 256),
    ReLU('relu4'),
    Conv('conv5', 256),
    ReLU('relu5'),
    Pool('pool5', _OVERLAPPING),
    AdaptivePool('avgpool', 6),
    *classifier(classes),
  )


def caffe_alexnet(classes: int) -> tuple[Layer, ...]:
  """Layers of Caffe's AlexNet (Krizhevsky 2012), for 227 px images.

  It has the two groups and the normalisation of the paper.
  """
  return (
    Conv('conv1', 96, 11, 4, 0),
    ReLU('relu1'),
    LRN('norm1'),
    Pool('pool1', _CAFFE),
    Conv('conv2', 256, 5, 1, 2, groups=2),
    ReLU('relu2'),
    LRN('norm2'),
    Pool('pool2', _CAFFE),
    Conv('conv3', 384),
    ReLU('relu3'),
    Conv('conv4', 384, groups=2),
    ReLU('relu4'),
    Conv('conv5', 256, groups=2),
    ReLU('relu5'),
    Pool('pool5', _CAFFE),
    AdaptivePool('avgpool', 6),
    *classifier(classes),
  )


def alexnet_cam(classes: int) -> tuple[Layer, ...]:
  """Layers of AlexNet with global average pooling, by the names of Caffe.

  The published network ("AlexNet+-CAM"), for 227 px images: the last pooling
  has a stride of 1, and two convolutions take the place of the fully connected
  layers, so that maps have 11 x 11 positions. Normalisation follows pooling.
  """
  return (
    Conv('conv1', 96, 11, 4, 0),
    ReLU('relu1'),
    Pool('pool1', _CAFFE),
    LRN('norm1'),
    Conv('conv2', 256, 5, 1, 2, groups=2),
    ReLU('relu2'),
    Pool('pool2', _CAFFE),
    LRN('norm2'),
    Conv('conv3', 384),
    ReLU('relu3'),
    Conv('conv4', 384, groups=2),
    ReLU('relu4'),
    Conv('conv5', 384, groups=2),
    ReLU('relu5'),
    Pool('pool5', PoolWindow(3, 1)),
    Conv('conv6', 512, groups=2),
    ReLU('relu6'),
    Conv('conv7', 512, groups=2),
    ReLU('relu7'),
    GlobalPool('pool8_global'),
    Dense('fc9', classes),
  )


def zfnet(classes: int) -> tuple[Layer, ...]:
  """Layers of ZFNet (Zeiler & Fergus 2014, figure 3): a 7x7 stride 2 start.

  The paper states the sizes of the maps (110, 55, 26, 13, 6 for 224 px images)
  but not the padding; this padding gives those sizes.
  """
  return (
    Conv('conv1', 96, 7, 2, 1),
    ReLU('relu1'),
    Pool('pool1', PoolWindow(3, 2, padding=1)),
    LRN('norm1'),
    Conv('conv2', 256, 5, 2, 0),
    ReLU('relu2'),
    Pool('pool2', PoolWindow(3, 2, padding=1)),
    LRN('norm2'),
    Conv('conv3', 384),
    ReLU('relu3'),
    Conv('conv4', 384),
    ReLU('relu4'),
    Conv('conv5', 256),
    ReLU('relu5'),
    Pool('pool5', _OVERLAPPING),
    AdaptivePool('avgpool', 6),
    *classifier(classes),
  )
