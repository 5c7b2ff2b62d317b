"""Parsing and validation of the settings of a config."""

import ast
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict, FieldReference

from vizlab.lookup import check_name, did_you_mean

__all__ = [
  'amounts',
  'as_flag',
  'assign',
  'each_of',
  'flatten',
  'listed',
  'named',
  'need_not_negative',
  'need_positive',
  'numbers',
  'parse_tuple',
  'tupled',
  'validate',
]

_INTS = np.iinfo(np.int32)  # dtype of JAX ints
# Classes by number or name; the experiment checks them.
_CLASSES = {'config.targets'}


def listed(value: Any) -> tuple[str, ...]:
  """The texts of a setting that lists some.

  Args:
    value: A tuple of texts or numbers; a text in it may list several between
      commas, as ``--config.images=a.png,b.png`` does. ``None`` for none.
  """
  parts = () if value is None else value
  parts = parts if isinstance(parts, tuple | list) else (parts,)
  texts = ','.join(map(str, parts)).split(',')
  return tuple(text.strip() for text in texts if text.strip())


def parse_tuple(text: str, default: tuple[Any, ...]) -> tuple[Any, ...]:
  """A text as a tuple: ``a.png,b.png``, ``3,5`` or ``('a', 'b')``.

  Args:
    text: The text.
    default: The setting's default, whose elements have the type of the result.
  """
  # What holds commas alone stays, for an error that shows it.
  texts = listed(text) or (text,) * bool(text.strip())
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return texts
  parts = tuple(value) if isinstance(value, tuple | list) else (value,)
  if default and isinstance(default[0], str):
    return parts if all(isinstance(part, str) for part in parts) else texts
  return parts


def as_flag(value: Any) -> str:
  """A setting that lists some, as a flag gives it: ``a.png,b.png``."""
  if not isinstance(value, tuple) or any(isinstance(v, tuple) for v in value):
    return str(value)
  return ','.join(map(str, value))


@contextlib.contextmanager
def named(**settings: str) -> Iterator[None]:
  """Renames the arguments in errors of the library to settings.

  Under ``named(layer='style_layers')`` the error ``layer: got 'relu9', ...`` is
  ``config.style_layers: got 'relu9', ...``. Other errors pass unchanged.

  Args:
    **settings: ``argument='setting'``, the setting for each argument.
  """
  try:
    yield
  except ValueError as error:
    argument, colon, rest = str(error).partition(':')
    if not colon or argument not in settings:
      raise
    raise ValueError(f'config.{settings[argument]}:{rest}') from error


def numbers(config: ConfigDict, name: str, count: int) -> list[int]:
  """Parses comma-separated integers from 0 to ``count - 1``."""
  try:
    values = [int(value) for value in listed(config[name])]
  except ValueError as error:
    raise ValueError(
      f'config.{name}: got {as_flag(config[name])!r}, expected '
      'comma-separated numbers'
    ) from error
  wrong = [k for k in values if not 0 <= k < count]
  if wrong:
    raise ValueError(
      f'config.{name}: got {wrong[0]}, expected 0 to {count - 1}'
    )
  return values


def amounts(config: ConfigDict, name: str) -> tuple[float, ...]:
  """Numbers of a setting, from 0.

  Raises:
    ValueError: There is none, or one is below 0 or no finite number.
  """
  values = listed(config[name])
  try:
    found = tuple(map(float, values))
  except ValueError:
    found = ()
  if not found or not all(0 <= value < float('inf') for value in found):
    raise ValueError(
      f'config.{name}: got {config[name]!r}, expected numbers from 0'
    )
  return found


def each_of(name: str, values: Iterable[str], known: Iterable[str]) -> None:
  """Raises a `ValueError` that lists known values for an unknown one."""
  known = list(known)
  for value in values:
    check_name(name, value, known)


def need_positive(config: ConfigDict, *names: str) -> None:
  """Raises a `ValueError` unless those are 1 or more, or floats above 0.

  A placeholder without a value passes.
  """
  for name in names:
    if (value := config[name]) is None:
      continue
    if not (value > 0 if isinstance(value, float) else value >= 1):
      least = 'more than 0' if isinstance(value, float) else '1 or more'
      raise ValueError(f'config.{name}: got {value}, expected {least}')


def need_not_negative(config: ConfigDict, *names: str) -> None:
  """Raises a `ValueError` unless those are 0 or more, or have no value."""
  for name in names:
    if config[name] is not None and not config[name] >= 0:
      raise ValueError(f'config.{name}: got {config[name]}, expected 0 or more')


def assign(config: ConfigDict, changes: Mapping[str, Any]) -> None:
  """Assigns settings by name, ``net.weights`` too, as flags do.

  Lists become tuples, and a text for a tuple is parsed by `parse_tuple`.

  Raises:
    KeyError: There is no such setting.
    TypeError: A value of another type.
  """
  flat = flatten(config.to_dict())
  config.update_from_flattened_dict(
    {
      name: parse_tuple(value, flat[name])
      if isinstance(value, str) and isinstance(flat.get(name), tuple)
      else tupled(value)
      for name, value in flatten(changes).items()
    }
  )


def validate(
  config: ConfigDict, reference: ConfigDict, name: str, complete: bool = True
) -> None:
  """Validates the keys, types and numbers of a config against a reference.

  Args:
    config: The config.
    reference: A config with the defaults, or placeholders.
    name: Name of the experiment, for errors.
    complete: Whether settings without a default must be given.

  Raises:
    ValueError: A key is unknown or missing, a required value is not given, a
      value has another type, or a number is outside the range of float32 or
      int32.
  """
  have, want = flatten(config.to_dict()), flatten(reference.to_dict())
  for key in have:
    if key not in want:
      hint = did_you_mean(key, want)
      raise ValueError(f'config.{key}: {name} has no such setting{hint}')
  for key, default in want.items():
    if key not in have:
      raise ValueError(f'config.{key}: got none, expected a setting of {name}')
    if have[key] is None:
      if complete and not _is_placeholder(reference, key):
        raise ValueError(  # of another net, for which there is no default
          f'config.{key}: got none, expected {_kind(default)}; give '
          f'--config.{key}=...'
        )
      continue
    if default is None:
      default = _example(reference, key)
    _check_value(f'config.{key}', have[key], default)


def _is_placeholder(reference: ConfigDict, key: str) -> bool:
  """Returns True for a setting that may have no value, even if it has one."""
  folder, last = _parent(reference, key)
  fields = dict(folder.items(preserve_field_references=True))
  return isinstance(fields[last], FieldReference)


def _example(reference: ConfigDict, key: str) -> Any:
  """A value of the type of a placeholder."""
  folder, last = _parent(reference, key)
  return folder.get_type(last)()


def _parent(config: ConfigDict, key: str) -> tuple[ConfigDict, str]:
  """The part of a config that holds a setting, and its name there."""
  *folders, last = key.split('.')
  for folder in folders:
    config = config[folder]
  return config, last


def _check_value(name: str, value: Any, default: Any) -> None:
  kind = (int, float) if isinstance(default, float) else type(default)
  wrong = isinstance(value, bool) and not isinstance(default, bool)
  if wrong or not isinstance(value, kind):
    raise ValueError(f'{name}: got {value!r}, expected {_kind(default)}')
  if isinstance(value, int) and not isinstance(default, float):
    if not _INTS.min <= value <= _INTS.max:
      raise ValueError(f'{name}: got {value}, expected a 32-bit int')
  if isinstance(default, float) and not _holds(value):
    raise ValueError(
      f'{name}: got {value}, expected a finite number in the range of float32'
    )
  if isinstance(value, tuple) and default and name not in _CLASSES:
    for part in value:
      _check_value(name, part, default[0])


def _kind(value: Any) -> str:
  name = type(value).__name__
  return f'an {name}' if name == 'int' else f'a {name}'


def _holds(value: float) -> bool:
  """Returns True if float32 holds a number without over- or underflow."""
  with np.errstate(over='ignore', under='ignore'):
    held = np.float32(value)
  return bool(np.isfinite(held)) and bool(held) == bool(value)


def tupled(value: Any) -> Any:
  """Converts lists of JSON to tuples, which flags can override."""
  if isinstance(value, Mapping):
    return {k: tupled(v) for k, v in value.items()}
  return tuple(map(tupled, value)) if isinstance(value, list) else value


def flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Flattens nested settings to ``{'net.weights': ...}``."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[f'{prefix}{key}'] = value
  return flat
