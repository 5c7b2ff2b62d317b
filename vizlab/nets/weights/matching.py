"""Detection of the architecture and layout of a weight file."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping

import numpy as np

from vizlab.nets.architectures.catalog import Architecture, architecture, names
from vizlab.nets.graph import param_shapes
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.layers import Layer
from vizlab.nets.weights.layouts import LAYOUTS, Entry, Layout, expected

__all__ = ['Fit', 'best_fit', 'own_fit']


@dataclasses.dataclass(frozen=True)
class Fit:
  """Comparison of the tensors of a file with an architecture in a layout."""

  arch: Architecture
  layout: Layout
  ops: tuple[Layer, ...]
  entries: Mapping[str, Entry]
  missing: tuple[str, ...]
  extra: tuple[str, ...]
  misshapen: tuple[str, ...]

  @property
  def faults(self) -> int:
    """Number of missing, extra and misshapen tensors."""
    return len(self.missing) + len(self.extra) + len(self.misshapen)


def best_fit(
  origin: str, tensors: Mapping[str, np.ndarray], arch: str | None
) -> Fit:
  """Returns the fit without faults; raises `ValueError` if there is none."""
  wanted = names() if arch is None else (architecture(arch).name,)
  fits = [fit for name in wanted for fit in _fits(tensors, name)]
  best = min(fits, key=lambda fit: fit.faults)
  if not best.faults:
    return best
  message = _faults(origin, best)
  others = [fit for name in names() for fit in _fits(tensors, name)]
  look = min(others, key=lambda fit: fit.faults)
  if look.faults == 0:
    message.append(f'these look like {look.arch.name} weights')
  elif look.faults < best.faults and look.faults < len(tensors) / 2:
    message.append(f'the most similar architecture is {look.arch.name}')
  raise ValueError('; '.join(message))


def own_fit(
  origin: str,
  tensors: Mapping[str, np.ndarray],
  arch: str,
  ops: tuple[Layer, ...],
  spec: InputSpec,
  names: Mapping[str, str] | None = None,
) -> Fit:
  """Matches tensors, in the layout of vizlab or torch, to given layers.

  Args:
    origin: Where the tensors come from, for errors.
    tensors: Arrays by name.
    arch: Name of the network.
    ops: Its layers.
    spec: Its input specification.
    names: Prefixes of the tensors of layers that have another name there.

  Raises:
    ValueError: The tensors are not those of the layers.
  """
  own = Architecture(arch, lambda classes: ops, '', {'of the file': spec})
  places = {op.name: (names or {}).get(op.name, op.name) for op in ops}
  image = spec.shape
  taken: dict[str, str] = {}
  for name in param_shapes(ops, image):
    if (first := taken.setdefault(places[name], name)) != name:
      raise ValueError(
        f'names: got {places[name]!r} for {first!r} and {name!r}, expected a '
        'name for each'
      )
  fits = []
  for layout in LAYOUTS[:2]:
    placed = dataclasses.replace(layout, places=lambda *_: places)
    entries = expected(placed, arch, ops, spec.shape)
    shapes = _shapes(tensors, layout, arch)
    fits.append(_compared(own, layout, ops, entries, shapes))
  fit = min(fits, key=lambda fit: fit.faults)
  if fit.faults:
    raise ValueError('; '.join(_faults(origin, fit)))
  return fit


def _faults(origin: str, fit: Fit) -> list[str]:
  """Describes the faults of a fit as parts of an error message."""
  message = [f'{origin} does not hold the weights of {fit.arch.name}']
  for title in ('missing', 'extra', 'misshapen'):
    if tensors := getattr(fit, title):
      message.append(f'{title} {len(tensors)}: {_some(tensors)}')
  return message


def _fits(tensors: Mapping[str, np.ndarray], name: str) -> Iterable[Fit]:
  arch = architecture(name)
  for layout in LAYOUTS:
    file_shapes = _shapes(tensors, layout, name)
    for classifier in (True, False):
      if not classifier and _has_head(arch, layout, file_shapes):
        continue  # partly present, so the rest is missing
      classes = _classes(arch, layout, file_shapes) if classifier else None
      ops = arch.layers(classes, classifier)
      entries = expected(layout, name, ops, arch.spec().shape)
      if entries is not None:
        yield _compared(arch, layout, ops, entries, file_shapes)


def _shapes(
  tensors: Mapping[str, np.ndarray], layout: Layout, arch: str
) -> dict[str, tuple[int, ...]]:
  """Shapes of the tensors that a layout does not ignore."""
  ignored = layout.ignore(arch)
  return {
    key: value.shape
    for key, value in tensors.items()
    if not any(fnmatch.fnmatchcase(key, p) for p in ignored)
  }


def _compared(
  arch: Architecture,
  layout: Layout,
  ops: tuple[Layer, ...],
  entries: Mapping[str, Entry],
  file_shapes: Mapping[str, tuple[int, ...]],
) -> Fit:
  """Compares the shapes in a file with those that a network needs."""
  return Fit(
    arch,
    layout,
    ops,
    entries,
    missing=tuple(k for k in entries if k not in file_shapes),
    extra=tuple(k for k in file_shapes if k not in entries),
    misshapen=tuple(
      f'{key} {file_shapes[key]}, expected {entry.shape}'
      for key, entry in entries.items()
      if key in file_shapes and file_shapes[key] != entry.shape
    ),
  )


def _has_head(
  arch: Architecture, layout: Layout, file_shapes: Mapping[str, tuple[int, ...]]
) -> bool:
  """Returns True if the file holds a tensor of the classifier."""
  ops = arch.layers()
  places = layout.places(arch.name, ops) or {}
  body = {op.name for op in arch.layers(classifier=False)}
  return any(
    layout.key(places[op.name], parameter) in file_shapes
    for op in ops
    if op.name not in body and op.name in places
    for parameter in op.param_shapes((1, 1, 1))
  )


def _classes(
  arch: Architecture, layout: Layout, file_shapes: Mapping[str, tuple[int, ...]]
) -> int | None:
  """Number of classes: the length of the last bias."""
  ops = arch.layers()
  last = [op.name for op in ops if op.param_shapes((1, 1, 1))][-1]
  places = layout.places(arch.name, ops)
  shape = places and file_shapes.get(layout.key(places[last], 'bias'))
  return shape[0] if shape else None


def _some(items: tuple[str, ...], most: int = 6) -> str:
  rest = len(items) - most
  return ', '.join(items[:most]) + (f' and {rest} more' if rest > 0 else '')
