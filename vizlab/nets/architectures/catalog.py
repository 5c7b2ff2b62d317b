"""The catalog of architectures: name -> layers, input, and public names."""

import dataclasses
import functools
from collections.abc import Callable

import jax

from vizlab import rules
from vizlab.lookup import check_name
from vizlab.nets.architectures import (
  alexnet,
  minivgg,
  resnet,
  squeezenet,
  vgg,
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
_SCENES = InputSpec(size=96, mean=(0.5,) * 3, std=(0.25,) * 3)

POOLS = {'max': rules.max_pool, 'avg': rules.avg_pool}


@dataclasses.dataclass(frozen=True)
class Architecture:
  """One net of the catalog.

  Attributes:
    name: The name it is created and loaded by.
    build: ``classes -> layers``.
    head: Name of the first layer of the classifier.
    classes: Number of classes of the published net.
    preprocessing: The published ways to feed it, by name; the first is the
      default.
  """

  name: str
  build: Callable[[int], tuple[Layer, ...]]
  head: str
  preprocessing: dict[str, InputSpec]
  classes: int = 1000

  def layers(
    self, classes: int | None = None, classifier: bool = True
  ) -> tuple[Layer, ...]:
    """The layers, without those of the classifier if so wished."""
    ops = self.build(self.classes if classes is None else classes)
    if classifier:
      return ops
    return ops[: [op.name for op in ops].index(self.head)]

  def spec(self, preprocess: str | None = None) -> InputSpec:
    """The input spec of that name, or the default one."""
    if preprocess is None:
      return next(iter(self.preprocessing.values()))
    known = self.preprocessing
    check_name('preprocess', preprocess, known, f' for {self.name}')
    return self.preprocessing[preprocess]


_BOTH = {'torchvision': TORCHVISION, 'caffe': CAFFE}

_CATALOG = {
  arch.name: arch
  for arch in (
    Architecture('alexnet', alexnet.alexnet, 'avgpool', _BOTH),
    Architecture(
      'caffe_alexnet', alexnet.caffe_alexnet, 'avgpool', {'caffe': _CAFFE_227}
    ),
    Architecture('zfnet', alexnet.zfnet, 'avgpool', {'caffe': CAFFE}),
    *(
      Architecture(name, functools.partial(vgg.vgg, name), 'avgpool', _BOTH)
      for name in vgg.DEPTHS
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
  """The architecture of that name.

  Raises:
    ValueError: No such name; the message lists all, the nearest first.
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
  """Creates a net with random weights (He-normal kernels, zero biases).

  Args:
    arch: One of `names`.
    key: Random key of the weights; ``jax.random.key(0)`` where it is ``None``.
    classes: Number of logits; the published number where it is ``None``.
    classifier: Whether the layers behind the convolutions are kept.
    pool: ``'max'`` or ``'avg'``, for every pooling layer.
    preprocess: ``'torchvision'`` or ``'caffe'``, where a net knows both.

  Returns:
    A `Network`.

  Raises:
    ValueError: An unknown architecture, pooling or preprocessing.
  """
  found = architecture(arch)
  if classes is not None and classes < 1:
    raise ValueError(f'classes: got {classes}, expected at least 1')
  ops, spec = found.layers(classes, classifier), found.spec(preprocess)
  key = jax.random.key(0) if key is None else key
  params = init_params(ops, (spec.size, spec.size, 3), key)
  return Network(arch, ops, spec, params, pooling_rules(pool))


def pooling_rules(pool: str) -> Rules:
  """The rules of a net that pools that way."""
  check_name('pool', pool, POOLS)
  return Rules(pool=POOLS[pool])
