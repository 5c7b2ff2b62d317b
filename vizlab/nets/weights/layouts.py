"""Names and layouts of tensors in the weight files of other projects."""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable

import numpy as np

from vizlab.nets.architectures import vgg
from vizlab.nets.graph import infer_shapes, param_shapes, wiring
from vizlab.nets.layers import Flatten, Layer, Shape

__all__ = ['LAYOUTS', 'Entry', 'Layout', 'expected']


@dataclasses.dataclass(frozen=True)
class Entry:
  """Tensor of a file: its layer and parameter, shape, and conversion."""

  layer: str
  parameter: str
  shape: Shape
  to_ours: Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Layout:
  """Naming scheme and axis order of a public weight format.

  Attributes:
    name: Name of the format.
    preprocess: Preprocessing of networks in this format; ``None`` for the
      default of the architecture.
    ignore: Function from the architecture to patterns of names in the file
      that are not weights of it.
    places: Function from the architecture to the prefix of each layer's names
      in the file; ``None`` if the format does not have the architecture.
    key: Function from a layer's prefix and a parameter to the name in the file.
    source_shape: Function from vizlab's shape to the shape in the file.
    to_ours: Function that converts a tensor of the file to vizlab's layout.
  """

  name: str
  preprocess: str | None
  ignore: Callable[[str], tuple[str, ...]]
  places: Callable[[str, tuple[Layer, ...]], dict[str, str] | None]
  key: Callable[[str, str], str]
  source_shape: Callable[[Shape], Shape]
  to_ours: Callable[[np.ndarray, Shape | None], np.ndarray]


def expected(
  layout: Layout, arch: str, ops: tuple[Layer, ...], image: Shape
) -> dict[str, Entry] | None:
  """Lists the tensors that a file of this layout must hold, by name.

  Args:
    layout: The format.
    arch: Name of the architecture.
    ops: Layers of the architecture.
    image: Shape of the image, which determines the fully connected layers.

  Returns:
    ``{name in the file: Entry}``, or ``None`` if the format does not have the
    architecture.
  """
  places = layout.places(arch, ops)
  if places is None:
    return None
  shapes = infer_shapes(ops, image)
  kinds = {op.name: op for op in ops}
  reads = {op.name: inputs[0] for op, inputs in wiring(ops)}
  entries = {}
  for layer, parameters in param_shapes(ops, image).items():
    before = kinds.get(reads[layer])
    grid = shapes[reads[before.name]] if isinstance(before, Flatten) else None
    for parameter, shape in parameters.items():
      entries[layout.key(places[layer], parameter)] = Entry(
        layer,
        parameter,
        layout.source_shape(shape),
        functools.partial(layout.to_ours, grid=grid),
      )
  return entries


def _own_places(arch: str, ops: Iterable[Layer]) -> dict[str, str]:
  return {op.name: op.name for op in ops}


def _slash(place: str, parameter: str) -> str:
  return f'{place}/{parameter}'


def _same(value: np.ndarray, grid: Shape | None) -> np.ndarray:
  return value


_CLASSIFIER = {
  'alexnet': {'fc6': 1, 'fc7': 4, 'fc8': 6},
  **{name: {'fc6': 0, 'fc7': 3, 'fc8': 6} for name in vgg.NAMES},
}
_FIRE_INDEX = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True))


def _torch_places(arch: str, ops: tuple[Layer, ...]) -> dict[str, str]:
  """Module paths of torchvision's models; otherwise the names of the layers."""
  if arch in _CLASSIFIER:  # nn.Sequential: modules have indices
    slots = _CLASSIFIER[arch]
    places = {op.name: f'features.{i}' for i, op in enumerate(ops)}
    return places | {name: f'classifier.{i}' for name, i in slots.items()}
  if arch == 'squeezenet11':
    return {op.name: _squeezenet_place(op.name) for op in ops}
  if arch.startswith('vit_'):
    return {
      op.name: op.name.replace('linear_1', '0').replace('linear_2', '3')
      for op in ops
    }
  if arch == 'densenet121':
    places = {op.name: f'features.{op.name}' for op in ops}
    return places | {'classifier': 'classifier'}
  return _own_places(arch, ops)


def _squeezenet_place(name: str) -> str:
  if not name.startswith('fire'):
    return {'conv1': 'features.0', 'conv10': 'classifier.1'}.get(name, name)
  fire, part = name.split('/')
  part = 'squeeze' if part.startswith('squeeze') else part
  return f'features.{_FIRE_INDEX[int(fire[4:])]}.{part}'


def _former_places(arch: str, ops: tuple[Layer, ...]) -> dict[str, str] | None:
  """Module paths of published files where those of the models are others now.

  ``norm.1`` of a DenseNet is now ``norm1``, and ``linear_1`` of a vision
  transformer ``0``.
  """
  if arch.startswith('vit_'):
    return _own_places(arch, ops)
  if arch != 'densenet121':
    return None
  return {
    name: re.sub(r'(denselayer\d+\.\w+)(\d)$', r'\1.\2', place)
    for name, place in _torch_places(arch, ops).items()
  }


def _torch_key(place: str, parameter: str) -> str:
  names = {
    'kernel': 'weight',
    'scale': 'weight',
    'mean': 'running_mean',
    'var': 'running_var',
  }
  if parameter in _TOKENS:
    return _TOKENS[parameter]
  # Of the attention, whose queries, keys and values are in one tensor.
  dot = '_' if place.endswith('in_proj') else '.'
  return f'{place}{dot}{names.get(parameter, parameter)}'


# Parameters of a vision transformer that belong to no layer in torchvision.
_TOKENS = {
  'class_token': 'class_token',
  'pos_embedding': 'encoder.pos_embedding',
}


def _torch_shape(shape: Shape) -> Shape:
  if len(shape) == 4:
    h, w, c, d = shape
    return d, c, h, w
  return shape if len(shape) == 3 else shape[::-1]


def _from_torch(value: np.ndarray, grid: Shape | None) -> np.ndarray:
  if value.ndim == 4:
    return value.transpose(2, 3, 1, 0)
  if value.ndim == 2 and grid is not None:  # torch flattens C, H, W
    h, w, c = grid
    value = value.reshape(-1, c, h, w).transpose(0, 2, 3, 1)
    return value.reshape(value.shape[0], -1).T
  return value if value.ndim == 3 else value.T


_KERAS_DENSE = {'fc6': 'fc1', 'fc7': 'fc2', 'fc8': 'predictions'}


def _keras_places(arch: str, ops: tuple[Layer, ...]) -> dict[str, str] | None:
  if arch not in ('vgg16', 'vgg19'):
    return None
  places = {}
  for op in ops:
    stage, _, number = op.name.removeprefix('conv').partition('_')
    block = f'block{stage}_conv{number}'
    places[op.name] = _KERAS_DENSE.get(op.name, block)
  return places


def _fast_style_places(
  arch: str, ops: tuple[Layer, ...]
) -> dict[str, str] | None:
  """Names of lengstrom's Fast Style Transfer: one for a layer and its norm."""
  if arch != 'fast_style_transposed':
    return None
  return {op.name: op.name.removesuffix('_norm') for op in ops}


def _fast_style_key(place: str, parameter: str) -> str:
  return f'{place}/{"shift" if parameter == "bias" else parameter}'


def _examples_places(
  arch: str, ops: tuple[Layer, ...]
) -> dict[str, str] | None:
  """Module paths of the fast neural style of PyTorch's examples."""
  if arch != 'fast_style':
    return None
  return {op.name: _examples_place(op.name) for op in ops}


def _examples_place(name: str) -> str:
  layer = name.removesuffix('_norm')
  if layer.startswith('res'):
    part = '12'['ab'.index(layer[-1])] if layer[-1] in 'ab' else ''
    kind = f'in{part}' if name != layer else f'conv{part}.conv2d'
    return f'{layer[:4]}.{kind}'
  if layer.startswith('up'):
    number = int(layer[2]) if layer[2:3].isdigit() else 0
    return f'in{number + 3}' if name != layer else f'deconv{number}.conv2d'
  if name != layer:
    return f'in{layer[-1]}'
  return 'deconv3.conv2d' if layer == 'conv4' else f'{layer}.conv2d'


def _none(arch: str) -> tuple[str, ...]:
  return ()


_COUNTS = '*.num_batches_tracked'  # of batches that torch has normalised
# Classifiers of the training.
_AUXILIARY = {
  'googlenet': ('loss1/*', 'loss2/*'),
  'googlenet_bn': ('aux1.*', 'aux2.*'),
  'inception_v3': ('AuxLogits.*',),
}
_TORCH = Layout(
  'torchvision',
  'torchvision',
  lambda arch: (_COUNTS, *_AUXILIARY.get(arch, ())),
  _torch_places,
  _torch_key,
  _torch_shape,
  _from_torch,
)
LAYOUTS = (
  Layout('vizlab', None, _none, _own_places, _slash, lambda s: s, _same),
  _TORCH,
  dataclasses.replace(
    _TORCH,
    name='former torchvision',
    ignore=lambda arch: (_COUNTS,),
    places=_former_places,
  ),
  Layout('keras', 'caffe', _none, _keras_places, _slash, lambda s: s, _same),
  dataclasses.replace(
    _TORCH,
    name='caffe',
    preprocess='caffe',
    ignore=lambda arch: _AUXILIARY.get(arch, ()),
    places=_own_places,
  ),
  Layout(
    'fast style',
    'bytes',
    _none,
    _fast_style_places,
    _fast_style_key,
    lambda s: s,
    _same,
  ),
  dataclasses.replace(
    _TORCH,
    name='pytorch examples',
    preprocess='bytes',
    # Of early versions, which recorded statistics and never used them.
    ignore=lambda arch: ('*.running_mean', '*.running_var', _COUNTS),
    places=_examples_places,
  ),
)
