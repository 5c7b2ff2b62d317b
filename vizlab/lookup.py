"""Looking a name up: an unknown one is an error that lists the known ones."""

import difflib
import os.path
from collections.abc import Iterable
from typing import Any

__all__ = ['by_nearness', 'check_name', 'did_you_mean']

# Below this ratio of matching characters a name suggests nothing.
_ALIKE = 0.4


def by_nearness(name: str, known: Iterable[str]) -> list[str]:
  """Known names, those most like ``name`` first.

  >>> from vizlab.lookup import by_nearness
  >>> by_nearness('Relu1', ['conv1', 'fc', 'relu1'])
  ['relu1', 'conv1', 'fc']
  """
  return sorted(known, key=lambda other: _nearness(name, other), reverse=True)


def did_you_mean(name: str, known: Iterable[str]) -> str:
  """``'; did you mean ...?'`` for the nearest name, ``''`` if none is near."""
  nearest = by_nearness(name, known)[:1]
  near = [other for other in nearest if _nearness(name, other)[0] >= _ALIKE]
  return f'; did you mean {near[0]!r}?' if near else ''


def check_name(
  argument: str, name: Any, known: Iterable[str], where: str = ''
) -> None:
  """Raises a `ValueError` unless a name is known.

  Args:
    argument: What the error calls the name, such as ``'layer'``.
    name: The name.
    known: All names that exist.
    where: What has them, such as ``' of vgg19'``; for the error.

  Raises:
    ValueError: The name is unknown. The message lists all known names, the
      nearest first, and suggests the nearest.
  """
  known = list(known)
  if name not in known:
    listed = by_nearness(str(name), known)
    raise ValueError(
      f'{argument}: got {name!r}, expected one of {listed}{where}'
      f'{did_you_mean(str(name), known)}'
    )


def _nearness(name: str, other: str) -> tuple[float, float, int]:
  """Ratio of matching characters, in order, then in any; common prefix.

  A path is as near as it is whole, or as its last part.
  """
  *_, last = other.rpartition('/')
  return max(_ratios(name, other), _ratios(name, last))


def _ratios(name: str, other: str) -> tuple[float, float, int]:
  name, other = name.lower(), other.lower()
  match = difflib.SequenceMatcher(None, name, other, autojunk=False)
  prefix = os.path.commonprefix([name, other])
  return match.ratio(), match.quick_ratio(), len(prefix)
