"""Weights from files: strict, from every format that people have."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from importlib import resources

import jax.numpy as jnp
import numpy as np

from vizlab.io import read_tensors, sha256, write_tensors
from vizlab.nets.catalog import (
  Architecture,
  architecture,
  names,
  pooling_rules,
)
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.layouts import LAYOUTS, Entry, Layout, expected
from vizlab.nets.net import Network, get_params
from vizlab.nets.ops import Layer
from vizlab.rules import Rules

__all__ = ['EMBEDDED', 'from_tensors', 'load', 'save', 'shipped']

EMBEDDED = ('minivgg', 'minivgg_random_labels')
_FORMAT = 'vizlab-1'


@dataclasses.dataclass(frozen=True)
class _Fit:
  """How well a file's names fit one architecture in one layout."""

  arch: Architecture
  layout: Layout
  ops: tuple[Layer, ...]
  entries: Mapping[str, Entry]
  missing: tuple[str, ...]
  extra: tuple[str, ...]
  misshapen: tuple[str, ...]

  @property
  def faults(self) -> int:
    return len(self.missing) + len(self.extra) + len(self.misshapen)


def load(
  source: str | os.PathLike,
  *,
  arch: str | None = None,
  preprocess: str | None = None,
  pool: str = 'max',
) -> Network:
  """Loads a trained net.

  Names and shapes must match one to one; kernels are turned to our order of
  axes, the flattening of torchvision's classifiers (C, H, W) included. A file
  without the tensors of the classifier gives a net without one.

  Args:
    source: ``'minivgg'``, the net that ships with vizlab; or
      ``'minivgg_random_labels'``, one that learned 512 scenes with random
      labels by heart, for sanity checks; or the path of a file in vizlab's own
      format (``.safetensors``), with torchvision's names (``.safetensors``,
      ``.pth``) or with Keras' (``.h5``).
    arch: The architecture, one of `vizlab.nets.names`; found from the file
      where it is ``None``.
    preprocess: ``'torchvision'`` or ``'caffe'``; where it is ``None``, what the
      file's header says, or else what its format implies (torchvision's names:
      ``'torchvision'``, Keras': ``'caffe'``).
    pool: ``'max'`` or ``'avg'``, for every pooling layer.

  Returns:
    A `Network`, in float32.

  Raises:
    ValueError: The file is missing or damaged, or its tensors are not those of
      the net; the message lists what is missing, extra or misshapen, and says
      what the file looks like.

  >>> from vizlab import nets
  >>> nets.load('minivgg').arch
  'minivgg'
  """
  rules = pooling_rules(pool)  # a wrong one is told before a file is read
  if arch is not None:
    architecture(arch)
  # A word without a suffix or a folder is meant as a name, not as a file.
  word = isinstance(source, str) and not pathlib.PurePath(source).suffix
  if source not in EMBEDDED and word and '/' not in source:
    raise ValueError(
      f'source: got {source!r}, expected a file of its weights, or one of '
      f'{EMBEDDED}, which ship with vizlab'
    )
  source = str(shipped(source) or source)
  tensors, header = read_tensors(source)
  return _assemble(tensors, header, f'path: {source}', arch, preprocess, rules)


def shipped(name: str | os.PathLike) -> pathlib.Path | None:
  """The file of a net that ships with vizlab, if it is one."""
  folder = pathlib.Path(str(resources.files('vizlab.nets'))) / 'data'
  return folder / f'{name}.safetensors' if name in EMBEDDED else None


def from_tensors(
  tensors: Mapping[str, np.ndarray],
  *,
  arch: str | None = None,
  preprocess: str | None = None,
  pool: str = 'max',
) -> Network:
  """Builds a trained net from tensors in memory, as `load` does from a file.

  Args:
    tensors: Arrays by name, such as a torch state dict turned to numpy.
    arch: As in `load`.
    preprocess: As in `load`.
    pool: As in `load`.

  Returns:
    A `Network`, in float32.

  Raises:
    ValueError: As in `load`.
  """
  return _assemble(
    tensors, {}, 'tensors:', arch, preprocess, pooling_rules(pool)
  )


def _assemble(
  tensors: Mapping[str, np.ndarray],
  header: Mapping[str, str],
  origin: str,
  arch: str | None,
  preprocess: str | None,
  rules: Rules,
) -> Network:
  written = header.get('format', _FORMAT)
  if written != _FORMAT:
    raise ValueError(f'{origin} has format {written!r}, expected {_FORMAT!r}')
  fit = _match(origin, tensors, arch or header.get('arch'))
  params: dict[str, dict[str, np.ndarray]] = {}
  for name, entry in fit.entries.items():
    value = entry.to_ours(np.asarray(tensors[name], np.float32))
    if not np.isfinite(value).all():
      raise ValueError(f'{origin} has non-finite numbers in {name!r}')
    params.setdefault(entry.layer, {})[entry.parameter] = jnp.asarray(value)
  spec = _input_spec(origin, header, fit, preprocess)
  return Network(fit.arch.name, fit.ops, spec, params, rules)


def save(
  net: Network,
  path: str | os.PathLike,
  *,
  source: str | os.PathLike | None = None,
  half: bool = False,
) -> pathlib.Path:
  """Writes a net in vizlab's own format, whole or not at all.

  Args:
    net: The net.
    path: A ``.safetensors`` file.
    source: The file it was converted from; its name and SHA-256 are recorded.
    half: Whether to store float16 (half the size; loaded as float32).

  Returns:
    The path.

  Raises:
    ValueError: The path does not end in ``.safetensors``, or a number does not
      fit into float16; nothing is written.
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
  if source is not None:
    header['source'] = pathlib.Path(source).name
    header['source_sha256'] = sha256(source)
  return write_tensors(path, tensors, header)


def _match(
  origin: str, tensors: Mapping[str, np.ndarray], arch: str | None
) -> _Fit:
  """The one fit without a fault, or an error that says what is wrong."""
  wanted = names() if arch is None else (architecture(arch).name,)
  fits = [fit for name in wanted for fit in _fits(tensors, name)]
  best = min(fits, key=lambda fit: fit.faults)
  if not best.faults:
    return best
  message = [f'{origin} does not hold the weights of {best.arch.name}']
  for title in ('missing', 'extra', 'misshapen'):
    if found := getattr(best, title):
      message.append(f'{title} {len(found)}: {_some(found)}')
  others = [fit for name in names() for fit in _fits(tensors, name)]
  look = min(others, key=lambda fit: fit.faults)
  if look.faults == 0:
    message.append(f'these look like {look.arch.name} weights')
  elif look.faults < best.faults and look.faults < len(tensors) / 2:
    message.append(f'the nearest net is {look.arch.name}')
  raise ValueError('; '.join(message))


def _fits(tensors: Mapping[str, np.ndarray], name: str) -> Iterable[_Fit]:
  arch = architecture(name)
  for layout in LAYOUTS:
    found = {
      key: value.shape
      for key, value in tensors.items()
      if not key.endswith(layout.ignore or ('\0',))
    }
    for classifier in (True, False):
      if not classifier and _has_head(arch, layout, found):
        continue  # a part of it is there, so the rest is missing
      classes = _classes(arch, layout, found) if classifier else None
      ops = arch.layers(classes, classifier)
      entries = expected(layout, name, ops, arch.spec().size)
      if entries is None:
        continue
      yield _Fit(
        arch,
        layout,
        ops,
        entries,
        missing=tuple(k for k in entries if k not in found),
        extra=tuple(k for k in found if k not in entries),
        misshapen=tuple(
          f'{key} {found[key]}, expected {entry.shape}'
          for key, entry in entries.items()
          if key in found and found[key] != entry.shape
        ),
      )


def _has_head(
  arch: Architecture, layout: Layout, found: Mapping[str, tuple[int, ...]]
) -> bool:
  """Whether any tensor of the classifier is among the names."""
  ops = arch.layers()
  places = layout.places(arch.name, ops) or {}
  body = {op.name for op in arch.layers(classifier=False)}
  return any(
    layout.key(places[op.name], parameter) in found
    for op in ops
    if op.name not in body and op.name in places
    for parameter in op.param_shapes((1, 1, 1))
  )


def _classes(
  arch: Architecture, layout: Layout, found: Mapping[str, tuple[int, ...]]
) -> int | None:
  """The number of classes: as many as the last bias has numbers."""
  ops = arch.layers()
  last = [op.name for op in ops if op.param_shapes((1, 1, 1))][-1]
  places = layout.places(arch.name, ops)
  shape = places and found.get(layout.key(places[last], 'bias'))
  return shape[0] if shape else None


def _input_spec(
  origin: str,
  header: Mapping[str, str],
  fit: _Fit,
  preprocess: str | None,
) -> InputSpec:
  if preprocess is None and 'input' in header:
    try:
      raw = json.loads(header['input'])
      raw = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
      return InputSpec(**raw)
    except (TypeError, AttributeError, ValueError) as error:
      raise ValueError(f'{origin} has a damaged header: {error}') from error
  implied = fit.layout.preprocess
  known = implied if implied in fit.arch.preprocessing else None
  return fit.arch.spec(preprocess or known)


def _some(items: tuple[str, ...], most: int = 6) -> str:
  rest = len(items) - most
  return ', '.join(items[:most]) + (f' and {rest} more' if rest > 0 else '')
