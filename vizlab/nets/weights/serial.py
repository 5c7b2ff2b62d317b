"""Serialisation of layers as JSON, for the header of weight files."""

import dataclasses
import importlib
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from vizlab.lookup import did_you_mean
from vizlab.nets import layers
from vizlab.nets.layers import Layer
from vizlab.rules import PoolWindow

__all__ = ['layers_from_json', 'layers_to_json']

_OURS: dict[str, type] = {
  'PoolWindow': PoolWindow,
  **{
    name: kind
    for name in layers.__all__
    if isinstance(kind := getattr(layers, name), type)
    and issubclass(kind, Layer)
  },
}
_FORMER = {'Window': 'PoolWindow'}  # names in files of earlier versions
_PLAIN = (str, int, float, type(None))


def layers_to_json(layers: Iterable[Layer]) -> str:
  """Converts layers to JSON: the class and fields of each.

  A class from outside of vizlab is written as ``module:Class``.

  Raises:
    ValueError: A field cannot be written as JSON.
  """
  return json.dumps([_written(layer, layer.name) for layer in layers])


def layers_from_json(
  text: str, kinds: Iterable[type[Layer]] = ()
) -> tuple[Layer, ...]:
  """Converts the JSON of `layers_to_json` to layers.

  Args:
    text: The JSON.
    kinds: Layer classes from outside of vizlab. Others are imported from the
      module that the JSON names.

  Raises:
    ValueError: A class is not found or is not a layer, or the fields differ.
  """
  given = {kind.__qualname__: kind for kind in kinds}
  try:
    ops = tuple(_read(part, given) for part in json.loads(text))
  except (AttributeError, KeyError, TypeError) as error:
    raise ValueError(f'layers: got malformed JSON: {error}') from error
  for layer in ops:
    if not isinstance(layer, Layer):
      raise ValueError(f'layers: got {layer!r}, expected a layer')
  return ops


def _written(value: Any, layer: str) -> Any:
  if dataclasses.is_dataclass(value):
    kind = type(value)
    name = kind.__qualname__
    if _OURS.get(name) is not kind:
      name = f'{kind.__module__}:{name}'
    fields = [field.name for field in dataclasses.fields(value) if field.init]
    return {'kind': name} | {
      field: _written(getattr(value, field), layer) for field in fields
    }
  if isinstance(value, tuple | list):
    return [_written(part, layer) for part in value]
  if not isinstance(value, _PLAIN):
    raise ValueError(
      f'net: layer {layer!r} has a field of {value!r}, expected numbers, '
      'strings and tuples of them'
    )
  return value


def _read(part: Any, given: Mapping[str, type]) -> Any:
  if isinstance(part, list):
    return tuple(_read(each, given) for each in part)
  if not isinstance(part, dict):
    return part
  fields = {name: _read(value, given) for name, value in part.items()}
  kind = _kind(fields.pop('kind'), given)
  known = {field.name for field in dataclasses.fields(kind) if field.init}
  if wrong := sorted(fields.keys() - known):
    raise ValueError(
      f'layers: {kind.__qualname__} has no field {wrong[0]!r}, expected some '
      f'of {sorted(known)}'
    )
  return kind(**fields)


def _kind(name: str, given: Mapping[str, type]) -> type:
  """Returns the class of a layer: built-in, given, or imported."""
  module, colon, inner = name.partition(':')
  if not colon:
    name = _FORMER.get(name, name)
    if name not in _OURS:
      raise ValueError(
        f'layers: got the class {name!r}, expected one of {sorted(_OURS)}'
        f'{did_you_mean(name, _OURS)}'
      )
    return _OURS[name]
  if inner in given:
    return given[inner]
  try:
    member: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in inner.split('.'):
      member = getattr(member, part)
  except (ImportError, AttributeError) as error:
    raise ValueError(
      f'layers: got the class {inner!r} of {module!r}, which cannot be '
      f'imported ({error}); expected layers=[{inner}], the class itself'
    ) from error
  if not isinstance(member, type) or not issubclass(member, Layer):
    raise ValueError(f'layers: got {name!r}, expected a subclass of Layer')
  return member
