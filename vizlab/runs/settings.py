"""Reading and checking the settings of a config."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from vizlab.lookup import check_name, did_you_mean

__all__ = [
  'each_of',
  'flatten',
  'listed',
  'named',
  'need_not_negative',
  'need_positive',
  'numbers',
  'tupled',
  'validate',
]

_INTS = np.iinfo(np.int32)  # of JAX
# Classes, by number or by name: what knows the net checks them.
_CLASSES = {'config.targets'}


def listed(value: str) -> tuple[str, ...]:
  """The parts of a text between commas: ``--config.images=a.png,b.png``."""
  return tuple(part.strip() for part in value.split(',') if part.strip())


@contextlib.contextmanager
def named(**settings: str) -> Iterator[None]:
  """Errors of the library under the names of settings.

  Under ``named(layer='style_layers')`` the error ``layer: got 'relu9', ...`` is
  ``config.style_layers: got 'relu9', ...``. Other errors pass as they are.

  Args:
    **settings: The name of the setting by that of the library's argument.
  """
  try:
    yield
  except ValueError as error:
    argument, colon, rest = str(error).partition(':')
    if not colon or argument not in settings:
      raise
    raise ValueError(f'config.{settings[argument]}:{rest}') from error


def numbers(config: ConfigDict, name: str, count: int) -> list[int]:
  """The whole numbers between commas, each of them below ``count``."""
  try:
    found = [int(value) for value in listed(config[name])]
  except ValueError as error:
    raise ValueError(
      f'config.{name}: got {config[name]!r}, expected numbers by commas'
    ) from error
  wrong = [k for k in found if not 0 <= k < count]
  if wrong:
    raise ValueError(
      f'config.{name}: got {wrong[0]}, expected 0 to {count - 1}'
    )
  return found


def each_of(name: str, values: Iterable[str], known: Iterable[str]) -> None:
  """Raises a `ValueError` unless every value is known; lists the known."""
  known = list(known)
  for value in values:
    check_name(name, value, known)


def need_positive(config: ConfigDict, *names: str) -> None:
  """Raises a `ValueError` unless those are 1 or more, or floats above 0."""
  for name in names:
    value = config[name]
    if not (value > 0 if isinstance(value, float) else value >= 1):
      least = 'more than 0' if isinstance(value, float) else '1 or more'
      raise ValueError(f'config.{name}: got {value}, expected {least}')


def need_not_negative(config: ConfigDict, *names: str) -> None:
  """Raises a `ValueError` unless those settings are 0 or more."""
  for name in names:
    if not config[name] >= 0:
      raise ValueError(f'config.{name}: got {config[name]}, expected 0 or more')


def validate(config: ConfigDict, reference: ConfigDict, name: str) -> None:
  """Checks a config's keys, types and numbers against a reference.

  Raises:
    ValueError: A key is unknown or missing, a value has another type, or
      float32 or int32 does not hold a number.
  """
  have, want = flatten(config.to_dict()), flatten(reference.to_dict())
  for key in have:
    if key not in want:
      hint = did_you_mean(key, want)
      raise ValueError(f'config.{key}: {name} has no such setting{hint}')
  for key, default in want.items():
    if key not in have:
      raise ValueError(f'config.{key}: missing, expected as in {name}')
    _check_value(f'config.{key}', have[key], default)


def _check_value(name: str, value: Any, default: Any) -> None:
  kind = (int, float) if isinstance(default, float) else type(default)
  wrong = isinstance(value, bool) and not isinstance(default, bool)
  if wrong or not isinstance(value, kind):
    kind = type(default).__name__
    raise ValueError(
      f'{name}: got {value!r}, expected {"an" if kind == "int" else "a"} {kind}'
    )
  if isinstance(value, int) and not isinstance(default, float):
    if not _INTS.min <= value <= _INTS.max:
      raise ValueError(f'{name}: got {value}, expected an int of 32 bits')
  if isinstance(default, float) and not _holds(value):
    raise ValueError(
      f'{name}: got {value}, expected a finite number that float32 holds'
    )
  if isinstance(value, tuple) and default and name not in _CLASSES:
    for part in value:
      _check_value(name, part, default[0])


def _holds(value: float) -> bool:
  """True if float32 holds a number without overflow or underflow."""
  with np.errstate(over='ignore', under='ignore'):
    held = np.float32(value)
  return bool(np.isfinite(held)) and bool(held) == bool(value)


def tupled(value: Any) -> Any:
  """Tuples where JSON has lists: flags can change tuples."""
  if isinstance(value, Mapping):
    return {k: tupled(v) for k, v in value.items()}
  return tuple(map(tupled, value)) if isinstance(value, list) else value


def flatten(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Nested settings as ``{'net.weights': ...}``."""
  flat = {}
  for key, value in tree.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f'{prefix}{key}.')
    else:
      flat[f'{prefix}{key}'] = value
  return flat
