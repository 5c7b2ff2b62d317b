"""Labels of axes that are kept, merged or split by a reshape."""

import math
from collections.abc import Sequence

__all__ = ['Labels', 'reshaped']

# 'n', 'h', 'w', 'c', '' for any other axis, 'c:0:2' for the first part of two,
# 'h=4*w=6' for rows and columns that became one axis.
Labels = tuple[str, ...]


def reshaped(
  labels: Labels, before: tuple[int, ...], after: tuple[int, ...]
) -> Labels:
  """Labels after a reshape: axes are kept, merged or split.

  The parts of an axis that is split remember it, so that they can be merged
  again; a map that is flattened behind the batch is a vector.
  """
  old = [
    each
    for n, label in zip(before, labels, strict=True)
    for each in (_parts_of(label) or [(n, label)])
  ]
  if [n for n, _ in old] == [*after]:  # as it was before axes were merged
    return tuple(label for _, label in old)
  out: list[str] = []
  old = list(zip(before, labels, strict=True))[::-1]
  while len(out) < len(after):
    size, merged = after[len(out)], []
    product = 1
    while old and (product < size or not merged):
      if size == 1 and old[-1][0] != 1:
        break  # a new axis
      merged.append(old.pop())
      product *= merged[-1][0]
    if len(out) == len(after) - 1:
      merged += old[::-1]  # axes of length 1 that are left
    if product == size:
      flat = len(out) == 1 and len(after) == 2 and out[0] == 'n'
      out.append(_merged(merged, flat))
    else:  # the first of several parts
      parts = [size]
      while math.prod(parts) < product and len(out) + len(parts) < len(after):
        parts.append(after[len(out) + len(parts)])
      if math.prod(parts) != product or len(merged) != 1:
        return ('',) * len(after)
      out += _parted(merged[0][1], parts)
  return tuple(out)


def _parted(label: str, sizes: Sequence[int]) -> list[str]:
  """Labels of the axes that one becomes."""
  before = _parts_of(label)
  if [size for size, _ in before] == [*sizes]:
    return [name for _, name in before]
  count = len(sizes)
  return [f'{label}:{i}:{count}' if label else '' for i in range(count)]


def _parts_of(label: str) -> list[tuple[int, str]]:
  """Sizes and labels of the axes that became one; empty for any other."""
  parts = [part.split('=') for part in label.split('*') if '=' in part]
  return [(int(size), name) for name, size in parts]


def _merged(axes: list[tuple[int, str]], flat: bool) -> str:
  """Label of one axis that several become."""
  long = [(n, v) for n, v in axes if n != 1 or v == 'n']
  labels = [v for _, v in long] or [v for _, v in axes if v]
  known = [v for v in labels if v]
  if len(labels) <= 1:
    return labels[0] if labels else ''
  name = labels[0].split(':')[0]
  if labels == [f'{name}:{i}:{len(labels)}' for i in range(len(labels))]:
    return name
  if flat and set(labels) <= {*'hwc'}:
    return 'c'
  if len(known) == 1 and known[0] in ('h', 'w'):  # repeated rows or columns
    return known[0]
  return '*'.join(f'{v}={n}' for n, v in long) if len(known) > 1 else ''
