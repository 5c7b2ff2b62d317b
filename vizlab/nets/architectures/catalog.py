"""Catalog of architectures: layers, input specifications and names."""

import dataclasses
import functools
from collections.abc import Callable

import jax

from vizlab import rules
from vizlab.lookup import check_name
from vizlab.nets.architectures import (
  alexnet,
  all_cnn,
  densenet,
  googlenet,
  inception,
  minivgg,
  resnet,
  squeezenet,
  transformation,
  vgg,
  vit,
)
from vizlab.nets.graph import init_params
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.layers import Layer
from vizlab.nets.network import Network
from vizlab.rules import Rules
from vizlab.types import Array

__all__ = ['Architecture', 'architecture', 'create', 'names', 'pooling_rules']

TORCHVISION = InputSpec()
CAFFE = InputSpec(
  mean=(103.939, 116.779, 123.68), std=(1.0,) * 3, scale=255.0, order='bgr'
)
_CAFFE_227 = dataclasses.replace(CAFFE, size=227)
_CAFFE_ROUND = dataclasses.replace(CAFFE, mean=(104.0, 117.0, 123.0))
_CIFAR = dataclasses.replace(TORCHVISION, size=32)
_BYTES = InputSpec(mean=(0.0,) * 3, std=(1.0,) * 3, scale=255.0)
_UNIT = InputSpec(mean=(0.0,) * 3, std=(1.0,) * 3)
_TENSORFLOW = InputSpec(mean=(0.5,) * 3, std=(0.5,) * 3)
_TENSORFLOW_299 = dataclasses.replace(_TENSORFLOW, size=299)
_SCENES = InputSpec(size=96, mean=(0.5,) * 3, std=(0.25,) * 3)

POOLS = {'max': rules.max_pool, 'avg': rules.avg_pool}


@dataclasses.dataclass(frozen=True)
class Architecture:
  """Architecture of the catalog.

  Attributes:
    name: Name for `create` and `vizlab.nets.load`.
    build: Function ``classes -> layers``.
    head: Name of the first layer of the classifier; ``None`` for a network
      without one, whose last layer is an image.
    classes: Number of classes of the published network.
    preprocessing: Published input specifications by name; the first is the
      default.
  """

  name: str
  build: Callable[[int], tuple[Layer, ...]]
  head: str | None
  preprocessing: dict[str, InputSpec]
  classes: int = 1000

  def layers(
    self, classes: int | None = None, classifier: bool = True
  ) -> tuple[Layer, ...]:
    """Returns the layers, optionally without those of the classifier."""
    ops = self.build(self.classes if classes is None else classes)
    if classifier or self.head is None:
      return ops
    return ops[: [op.name for op in ops].index(self.head)]

  def spec(self, preprocess: str | None = None) -> InputSpec:
    """Returns the input specification of that name, or the default one."""
    if preprocess is None:
      return next(iter(self.preprocessing.values()))
    known = self.preprocessing
    check_name('preprocess', preprocess, known, f' for {self.name}')
    return self.preprocessing[preprocess]


def _transformation(resize: bool, classes: int) -> tuple[Layer, ...]:
  del classes
  return transformation.transformation(resize=resize)


def _super_resolution(factor: int, classes: int) -> tuple[Layer, ...]:
  del classes
  return transformation.super_resolution(factor)


_BOTH = {'torchvision': TORCHVISION, 'caffe': CAFFE}

_CATALOG = {
  arch.name: arch
  for arch in (
    Architecture('alexnet', alexnet.alexnet, 'avgpool', _BOTH),
    Architecture(
      'caffe_alexnet', alexnet.caffe_alexnet, 'avgpool', {'caffe': _CAFFE_227}
    ),
    Architecture(
      'alexnet_cam', alexnet.alexnet_cam, 'pool8_global', {'caffe': _CAFFE_227}
    ),
    Architecture('zfnet', alexnet.zfnet, 'avgpool', {'caffe': CAFFE}),
    *(
      Architecture(
        name,
        functools.partial(vgg.vgg, name),
        'avgpool',
        _BOTH if name in vgg.DEPTHS else {'torchvision': TORCHVISION},
      )
      for name in vgg.NAMES
    ),
    Architecture('vgg16_cam', vgg.vgg16_cam, 'CAM_pool', {'caffe': CAFFE}),
    Architecture(
      'googlenet', googlenet.googlenet, 'pool5/7x7_s1', {'caffe': _CAFFE_ROUND}
    ),
    Architecture(
      'googlenet_bn',
      inception.googlenet_bn,
      'avgpool',
      {'torchvision': _TENSORFLOW},
    ),
    Architecture(
      'inception_v3',
      inception.inception_v3,
      'avgpool',
      {'torchvision': _TENSORFLOW_299},
    ),
    Architecture(
      'densenet121',
      densenet.densenet121,
      'avgpool',
      {'torchvision': TORCHVISION},
    ),
    Architecture(
      'all_cnn_c',
      all_cnn.all_cnn_c,
      'conv9',
      {'torchvision': _CIFAR},
      classes=10,
    ),
    Architecture(
      'squeezenet11',
      squeezenet.squeezenet11,
      'conv10',
      {'torchvision': TORCHVISION, 'caffe': _CAFFE_ROUND},
    ),
    *(
      Architecture(
        name,
        functools.partial(resnet.resnet, name),
        'avgpool',
        {'torchvision': TORCHVISION},
      )
      for name in resnet.DEPTHS
    ),
    *(
      Architecture(
        name,
        functools.partial(resnet.cifar_resnet, name),
        'avgpool',
        {'torchvision': _CIFAR},
        classes=10,
      )
      for name in resnet.CIFAR_DEPTHS
    ),
    *(
      Architecture(
        name,
        functools.partial(_transformation, resize),
        None,
        {'bytes': _BYTES},
      )
      for name, resize in (
        ('fast_style', True),
        ('fast_style_transposed', False),
      )
    ),
    *(
      Architecture(
        name,
        functools.partial(_super_resolution, factor),
        None,
        {'unit': _UNIT},
      )
      for name, factor in transformation.FACTORS.items()
    ),
    Architecture('vit_b_16', vit.vit, 'class', {'torchvision': TORCHVISION}),
    Architecture(
      'minivgg', minivgg.minivgg, 'gap', {'scenes': _SCENES}, classes=16
    ),
  )
}


def names() -> tuple[str, ...]:
  """Names of all architectures.

  >>> from vizlab import nets
  >>> 'vgg19' in nets.names()
  True
  """
  return tuple(_CATALOG)


def architecture(name: str) -> Architecture:
  """Returns the architecture of that name.

  Raises:
    ValueError: The name is unknown; the message lists all names, the most
      similar first.
  """
  check_name('arch', name, _CATALOG)
  return _CATALOG[name]


def create(
  arch: str,
  *,
  key: Array | None = None,
  classes: int | None = None,
  classifier: bool = True,
  pool: str = 'max',
  preprocess: str | None = None,
) -> Network:
  """Creates a network with random weights (He-normal kernels, zero biases).

  Args:
    arch: Name of the architecture, one of `names`.
    key: JAX random key of the weights; ``jax.random.key(0)`` by default.
    classes: Number of logits; by default the published number.
    classifier: Whether to include the layers after the convolutions.
    pool: ``'max'`` or ``'avg'``, for every pooling layer.
    preprocess: Name of a published preprocessing, such as ``'torchvision'`` or
      ``'caffe'``; by default the first one of the architecture.

  Returns:
    A `Network`.

  Raises:
    ValueError: The architecture, pooling or preprocessing is unknown.
  """
  published = architecture(arch)
  if classes is not None and classes < 1:
    raise ValueError(f'classes: got {classes}, expected at least 1')
  if classes is not None and published.head is None:
    raise ValueError(
      f'classes: got {classes}, expected none for {arch}, which makes images'
    )
  ops, spec = published.layers(classes, classifier), published.spec(preprocess)
  by_pooling = pooling_rules(pool)
  key = jax.random.key(0) if key is None else key
  params = init_params(ops, spec.shape, key)
  return Network(arch, ops, spec, params, by_pooling)


def pooling_rules(pool: str) -> Rules:
  """Returns rules with ``'max'`` or ``'avg'`` pooling."""
  check_name('pool', pool, POOLS)
  return Rules(pool=POOLS[pool])
