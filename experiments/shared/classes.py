"""The classes of a net by number and by name."""

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from vizlab import nets
from vizlab.data.scenes import SHAPE_NAMES
from vizlab.lookup import by_nearness, did_you_mean
from vizlab.runs.settings import listed

__all__ = ['chosen_class', 'chosen_classes', 'class_names']

_SHOWN = 10  # names in an error, of a thousand


def class_names(config: ConfigDict, net: nets.Network) -> list[str]:
  """The names of a net's classes, of which ``config.classes`` are explained.

  They are those of ``config.labels``, a JSON file, where there is one.
  """
  labels = config.get('labels', '')
  count = nets.layer_info(net)[-1].shape[-1]
  if 'classes' in config and not 1 <= config.classes <= count:
    raise ValueError(
      f'config.classes: got {config.classes}, expected at most {count} and at '
      'least 1'
    )
  if not labels:
    if net.arch == 'minivgg' and count == len(SHAPE_NAMES):
      return list(SHAPE_NAMES)
    return [f'class {i}' for i in range(count)]
  try:
    names = json.loads(pathlib.Path(labels).expanduser().read_text())
  except (OSError, ValueError) as error:
    reason = getattr(error, 'strerror', None) or error
    raise ValueError(f'config.labels: {labels}: {reason}') from error
  if not isinstance(names, list) or len(names) != count:
    raise ValueError(
      f'config.labels: {labels}: expected a JSON list of {count} names, one '
      'for each class of the net'
    )
  return [str(name) for name in names]


def chosen_classes(
  setting: str, given: Sequence[Any], names: Sequence[str]
) -> tuple[int, ...]:
  """The numbers of classes that are given by number or by name.

  A name may be one of several by which a label calls a class (``tabby`` of
  ``tabby, tabby cat``), or a word that only one label has; capitals do not
  matter.

  Args:
    setting: The setting, such as ``'config.targets'``.
    given: Numbers, or names; in one text several by commas.
    names: The name of each class.

  Raises:
    ValueError: A number or a name is unknown, or several classes have it.
  """
  found: list[int] = []
  for value in given:
    if isinstance(value, str) and not _matches(value, names):
      found += [_number(setting, part, names) for part in listed(value)]
    else:
      found.append(_number(setting, value, names))
  return tuple(found)


def chosen_class(config: ConfigDict, names: Sequence[str]) -> int | None:
  """The number of the class ``config.target``; ``None`` if it is not set."""
  if config.target is None:
    return None
  given = chosen_classes('config.target', [config.target], names)
  if len(given) != 1:
    raise ValueError(
      f'config.target: got {config.target!r}, expected one class'
    )
  return given[0]


def _number(setting: str, value: Any, names: Sequence[str]) -> int:
  """The number of one class."""
  known = f'classes 0 to {len(names) - 1}'
  if not isinstance(value, str) or re.fullmatch(r'[+-]?\d+', value):
    number = int(value) if isinstance(value, str) else value
    if type(number) is not int or not 0 <= number < len(names):
      raise ValueError(f'{setting}: got {value!r}, expected {known}')
    return number
  matches = _matches(value, names)
  if not matches:
    near = by_nearness(value, names)[:_SHOWN]
    raise ValueError(
      f'{setting}: got {value!r}, expected {known} or names as {near}'
      f'{did_you_mean(value, names)}'
    )
  if len(matches) > 1:
    several = ', '.join(f'{names[i]} ({i})' for i in matches[:_SHOWN])
    raise ValueError(
      f'{setting}: got {value!r}, which {len(matches)} classes have, such as '
      f'{several}; expected one of them, or its number'
    )
  return matches[0]


def _matches(text: str, names: Sequence[str]) -> list[int]:
  """The classes of a name: by the whole label, a part of it, or a word."""
  wanted = _plain(text)
  for parts in (
    lambda name: [name],
    lambda name: name.split(','),
    lambda name: re.split(r'[\W_]+', name),
  ):
    found = [
      i for i, name in enumerate(names) if wanted in map(_plain, parts(name))
    ]
    if found and wanted:
      return found
  return []


def _plain(text: str) -> str:
  """A name without capitals and underscores."""
  return ' '.join(text.lower().replace('_', ' ').split())
