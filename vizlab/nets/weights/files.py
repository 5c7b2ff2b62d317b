"""Loading and saving of weights, with strict checks of names and shapes."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from vizlab import io
from vizlab.lookup import check_name
from vizlab.nets.architectures.catalog import (
  POOLS,
  architecture,
  names,
  pooling_rules,
)
from vizlab.nets.graph import check_wiring, infer_shapes
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.layers import Layer
from vizlab.nets.network import Network, get_params
from vizlab.nets.precision import check_dtype, with_dtype
from vizlab.nets.weights.matching import Fit, best_fit, own_fit
from vizlab.nets.weights.published import (
  cached_path,
  check_source,
  fetch,
  weight_file,
)
from vizlab.nets.weights.serial import layers_from_json, layers_to_json
from vizlab.nets.weights.sources import SOURCES
from vizlab.types import Array

__all__ = ['from_layers', 'from_tensors', 'load', 'save']

_FORMAT = 'vizlab-1'


def load(
  source: str | os.PathLike,
  *,
  arch: str | None = None,
  preprocess: str | None = None,
  pool: str | None = None,
  dtype: str | None = None,
  layers: Iterable[type[Layer]] = (),
) -> Network:
  """Loads a trained network.

  Names and shapes must match one to one. Kernels are transposed to vizlab's
  order of axes, including the flattening order (C, H, W) of torchvision's
  classifiers. A file without the tensors of the classifier gives a network
  without one. Files that `save` wrote for your own layers include these layers.

  Args:
    source: ``'minivgg'``, the network that ships with vizlab;
      ``'minivgg_random_labels'``, which memorised random labels of 512 scenes,
      for sanity checks; ``'minivgg_robust'``, which small changes of an image
      do not fool; ``'fast_style_paintings'``, which paints images in four
      styles; ``'super_resolution_pixel'``, which enlarges them four times;
      published weights by one of the names in `vizlab.nets.SOURCES`, such as
      ``'torchvision/vgg19'``, which are downloaded once and kept, converted, in
      ``~/.cache/vizlab`` or ``$VIZLAB_CACHE``; or the path of a file in
      vizlab's format (``.safetensors``, ``.npz``), with torchvision's names
      (``.safetensors``, ``.npz``, ``.pth``), with Keras' names (``.h5``) or
      with those of a published network of fast style, or Caffe's
      ``.caffemodel``.
    arch: Name of the architecture, one of `vizlab.nets.names`; ``None`` detects
      it from the file.
    preprocess: ``'torchvision'`` or ``'caffe'``, and ``'bytes'`` for networks
      of fast style. ``None`` uses the header of the file if it has one,
      otherwise the preprocessing that the format of the names implies
      (torchvision's names: ``'torchvision'``, Keras' names: ``'caffe'``).
    pool: ``'max'`` or ``'avg'``, for every pooling layer. ``None`` uses the
      header of the file, otherwise ``'max'``.
    dtype: ``'bfloat16'`` or ``'float16'``, in which the layers compute, see
      `with_dtype`; ``None`` for that of the images.
    layers: Your own layer classes that the file refers to, if they cannot be
      imported from the module in which they were defined.

  Returns:
    A `Network`, in float32 or ``dtype``.

  Raises:
    ValueError: The file is missing or damaged, cannot be downloaded or needs
      another package, or its tensors are not those of the network. The message
      lists missing, extra and misshapen tensors and the architecture that the
      file resembles.

  >>> from vizlab import nets
  >>> nets.load('minivgg').arch
  'minivgg'
  """
  if pool is not None:
    pooling_rules(pool)  # raises before a file is read
  if arch is not None:
    architecture(arch)
  if dtype is not None:
    check_dtype(dtype)
  check_source(source)
  if source in SOURCES:
    path = _converted(str(source))
  else:
    path = weight_file(source) or source
  tensors, header = io.read_tensors(path)
  origin = f'path: {path}'
  net = _assemble(tensors, header, origin, arch, preprocess, pool, layers)
  return net if dtype is None else with_dtype(net, dtype)


def _converted(name: str) -> pathlib.Path:
  """Published weights in the cache, converted after they are downloaded.

  The publisher's file is removed then; torch is not needed to read it again.
  """
  path = cached_path(name)
  try:
    if not _is_of(path, name):
      with io.exclusive(path.with_suffix('.lock')):
        if not _is_of(path, name):  # now, as another process may have made it
          file = fetch(name)
          save(load(file, arch=SOURCES[name].arch), path, source=file)
          for left in (file, file.with_name(f'{file.name}.sha256')):
            left.unlink(missing_ok=True)
  except OSError as error:
    raise ValueError(
      f'source: cannot keep {name} in {path.parent}: {error.strerror}'
    ) from error
  return path


def _is_of(path: pathlib.Path, name: str) -> bool:
  """Returns True for a whole file of the weights that a source names now."""
  try:
    header = io.read_header(path)
  except ValueError:  # damaged
    return False
  known = SOURCES[name].sha256
  return path.exists() and (
    known is None or header.get('source_sha256', '').startswith(known.lower())
  )


def from_tensors(
  tensors: Mapping[str, np.ndarray],
  *,
  arch: str | None = None,
  preprocess: str | None = None,
  pool: str = 'max',
) -> Network:
  """Builds a trained network from tensors in memory.

  Args:
    tensors: Arrays by name, such as a torch state dict converted to NumPy.
    arch: Name of the architecture, one of `vizlab.nets.names`; ``None`` detects
      it from the names and shapes.
    preprocess: ``'torchvision'`` or ``'caffe'``; ``None`` uses the
      preprocessing that the format of the names implies.
    pool: ``'max'`` or ``'avg'``, for every pooling layer.

  Returns:
    A `Network`, in float32.

  Raises:
    ValueError: The tensors are not those of the network, or an argument is
      unknown. The message lists missing, extra and misshapen tensors.
  """
  pooling_rules(pool)
  return _assemble(tensors, {}, 'tensors:', arch, preprocess, pool, ())


def from_layers(
  ops: Iterable[Layer],
  spec: InputSpec,
  tensors: Mapping[str, np.ndarray],
  *,
  names: Mapping[str, str] | None = None,
  arch: str = 'own',
  pool: str = 'max',
) -> Network:
  """Builds a trained network from your own layers and tensors.

  Args:
    ops: The layers in the order they run; see `vizlab.nets.layers`.
    spec: Input size and preprocessing.
    tensors: Arrays by name: ``layer/kernel`` with axes ``[H, W, in, out]``, or
      ``layer.weight`` as in a torch state dict. Names and shapes must match one
      to one.
    names: Name in ``tensors`` of each layer that is called otherwise there,
      such as ``{'conv1': 'features.0'}``.
    arch: Name of the network.
    pool: ``'max'`` or ``'avg'``, for every pooling layer.

  Returns:
    A `Network`, in float32, which `save` and `load` write and read.

  Raises:
    ValueError: The tensors are not those of the layers, a layer in ``names`` is
      unknown, or the layers do not fit together.

  >>> import numpy as np
  >>> from vizlab import nets
  >>> from vizlab.nets.layers import Conv, Dense, GlobalPool, ReLU
  >>> net = nets.from_layers(
  ...     (Conv('conv1', 4), ReLU('relu1'), GlobalPool('gap'), Dense('fc', 2)),
  ...     nets.InputSpec(size=32),
  ...     {
  ...         '0.weight': np.ones((4, 3, 3, 3)),
  ...         '0.bias': np.zeros(4),
  ...         'fc.weight': np.ones((2, 4)),
  ...         'fc.bias': np.zeros(2),
  ...     },
  ...     names={'conv1': '0'},
  ... )
  >>> nets.param_count(net)
  122
  """
  ops = tuple(ops)
  check_wiring(ops)
  for name in names or {}:
    check_name('names', name, [op.name for op in ops])
  fit = own_fit('tensors:', tensors, arch, ops, spec, names)
  return Network(
    arch, ops, spec, _params(fit, tensors, 'tensors:'), pooling_rules(pool)
  )


def _assemble(
  tensors: Mapping[str, np.ndarray],
  header: Mapping[str, str],
  origin: str,
  arch: str | None,
  preprocess: str | None,
  pool: str | None,
  kinds: Iterable[type[Layer]],
) -> Network:
  written = header.get('format', _FORMAT)
  if not written.startswith('vizlab'):
    header = {}  # of another library
  elif written != _FORMAT:
    raise ValueError(f'{origin} has format {written!r}, expected {_FORMAT!r}')
  if arch is None and 'layers' in header:
    fit = _own(origin, tensors, header, kinds)
  else:
    fit = best_fit(origin, tensors, arch or header.get('arch'))
  params = _params(fit, tensors, origin)
  spec = _input_spec(origin, header, fit, preprocess)
  rules = pooling_rules(pool or header.get('pool', 'max'))
  return Network(fit.arch.name, fit.ops, spec, params, rules)


def _params(
  fit: Fit, tensors: Mapping[str, np.ndarray], origin: str
) -> dict[str, dict[str, Array]]:
  """Parameters of the layers from the tensors of a fit."""
  params: dict[str, dict[str, Array]] = {}
  for name, entry in fit.entries.items():
    value = entry.to_ours(np.asarray(tensors[name], np.float32))
    if not np.isfinite(value).all():
      raise ValueError(f'{origin} has non-finite numbers in {name!r}')
    # A copy, as `asarray` would compile a program for each shape.
    params.setdefault(entry.layer, {})[entry.parameter] = jnp.array(value)
  return params


def _own(
  origin: str,
  tensors: Mapping[str, np.ndarray],
  header: Mapping[str, str],
  kinds: Iterable[type[Layer]],
) -> Fit:
  """Matches the tensors of a file to the layers in its header."""
  try:
    ops = layers_from_json(header['layers'], kinds)
    spec = InputSpec(**_tuples(json.loads(header['input'])))
    name = header['arch']
  except (AttributeError, KeyError, TypeError) as error:
    raise ValueError(f'{origin} has a damaged header: {error}') from error
  except ValueError as error:
    raise ValueError(f'{origin}: {error}') from error
  return own_fit(origin, tensors, name, ops, spec)


def save(
  net: Network,
  path: str | os.PathLike,
  *,
  source: str | os.PathLike | None = None,
  half: bool = False,
) -> pathlib.Path:
  """Writes a network in vizlab's format, atomically.

  The file also holds the name of the architecture, the preprocessing and
  average pooling, and the layers if they are not those of the catalog. Backward
  rules and the dtype of the layers are not stored.

  Args:
    net: The network.
    path: A ``.safetensors`` file.
    source: The file from which it was converted; its name and SHA-256 are
      recorded, or those of the file from which that was converted.
    half: Whether to store float16 (half the size; loaded as float32).

  Returns:
    The path.

  Raises:
    ValueError: The path does not end in ``.safetensors``, a number is outside
      the range of float16, or a field of a layer cannot be written as JSON.
      Nothing is written then.
  """
  path = pathlib.Path(path)
  if path.suffix != '.safetensors':
    raise ValueError(f'path: got {path}, expected a name in .safetensors')
  dtype = np.float16 if half else np.float32
  tensors = {}
  for layer, params in get_params(net).items():
    for name, value in params.items():
      with np.errstate(over='ignore'):
        tensors[f'{layer}/{name}'] = stored = np.asarray(value).astype(dtype)
      if not np.isfinite(stored).all():
        raise ValueError(
          f'net: {layer}/{name} holds numbers that {dtype.__name__} cannot'
        )
  header = {
    'format': _FORMAT,
    'arch': net.arch,
    'input': json.dumps(dataclasses.asdict(net.spec)),
  }
  if net.rules.pool is POOLS['avg']:
    header['pool'] = 'avg'
  if not _is_of_catalog(net):
    header['layers'] = layers_to_json(net.ops)
  if source is not None:
    known = io.read_header(source)
    header['source'] = known.get('source') or pathlib.Path(source).name
    header['source_sha256'] = known.get('source_sha256') or io.sha256(source)
  return io.write_tensors(path, tensors, header)


def _is_of_catalog(net: Network) -> bool:
  """Returns True if the name of the architecture determines the layers."""
  if net.arch not in names():
    return False
  arch, image = architecture(net.arch), net.spec.shape
  classes = infer_shapes(net.ops, image)[net.ops[-1].name][-1]
  known = arch.layers(classes), arch.layers(classifier=False)
  return image == arch.spec().shape and net.ops in known


def _input_spec(
  origin: str,
  header: Mapping[str, str],
  fit: Fit,
  preprocess: str | None,
) -> InputSpec:
  if preprocess is None and 'input' in header:
    try:
      return InputSpec(**_tuples(json.loads(header['input'])))
    except (TypeError, AttributeError, ValueError) as error:
      raise ValueError(f'{origin} has a damaged header: {error}') from error
  implied = fit.layout.preprocess
  known = implied if implied in fit.arch.preprocessing else None
  return fit.arch.spec(preprocess or known)


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
  """Converts the lists of JSON to tuples."""
  return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
