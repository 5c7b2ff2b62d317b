"""Lookup of names: errors for unknown names list known ones."""

import difflib
import os.path
from collections.abc import Iterable
from typing import Any

__all__ = ['by_nearness', 'check_name', 'did_you_mean']

# Names with a lower ratio of matching characters are not suggested.
_ALIKE = 0.4
# Of more names than one looks through, the nearest are listed.
_MOST, _NEAREST = 80, 12


def by_nearness(name: str, known: Iterable[str]) -> list[str]:
  """Sorts known names by similarity to ``name``, the most similar first.

  >>> from vizlab.lookup import by_nearness
  >>> by_nearness('Relu1', ['conv1', 'fc', 'relu1'])
  ['relu1', 'conv1', 'fc']
  """
  return sorted(known, key=lambda other: _nearness(name, other), reverse=True)


def did_you_mean(name: str, known: Iterable[str]) -> str:
  """Returns ``'; did you mean ...?'`` for a similar name, otherwise ``''``."""
  nearest = by_nearness(name, known)[:1]
  near = [other for other in nearest if _nearness(name, other)[0] >= _ALIKE]
  return f'; did you mean {near[0]!r}?' if near else ''


def check_name(
  argument: str, name: Any, known: Iterable[str], where: str = ''
) -> None:
  """Raises a `ValueError` unless a name is known.

  Args:
    argument: Name of the argument in the error, such as ``'layer'``.
    name: The name to check.
    known: All names that exist.
    where: Text for the error that follows the known names, such as
      ``' of vgg19'``.

  Raises:
    ValueError: The name is unknown. The message lists the known names, the most
      similar first, and suggests that one; of more than 80 it lists 12.
  """
  known = list(known)
  if name not in known:
    listed, others = by_nearness(str(name), known), ''
    if len(listed) > _MOST:
      others = f' and {len(listed) - _NEAREST} others'
      listed = listed[:_NEAREST]
    raise ValueError(
      f'{argument}: got {name!r}, expected one of {listed}{others}{where}'
      f'{did_you_mean(str(name), known)}'
    )


def _nearness(name: str, other: str) -> tuple[float, float, int]:
  """Similarity: ratio of matching characters in order, in any order, prefix.

  For a path it is the larger of the values of the whole path and its last part.
  """
  *_, last = other.rpartition('/')
  return max(_ratios(name, other), _ratios(name, last))


def _ratios(name: str, other: str) -> tuple[float, float, int]:
  name, other = name.lower(), other.lower()
  match = difflib.SequenceMatcher(None, name, other, autojunk=False)
  prefix = os.path.commonprefix([name, other])
  return match.ratio(), match.quick_ratio(), len(prefix)
