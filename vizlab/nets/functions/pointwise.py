"""Activation functions of a function's steps, recognised by their values.

A ReLU may be written as ``max(x, 0)``, ``where(x > 0, x, 0)``, a clip, or a
function with a derivative of its own. What they share are their values. So the
steps that together compute one number from one number are evaluated at some
numbers, and compared with the functions that have a name.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from vizlab.nets.functions.scalars import (
  AFFINE,
  OTHER,
  apply_scalar,
  is_scalar,
  kind_of,
)
from vizlab.nets.functions.steps import Step, Steps

__all__ = ['AFFINE', 'GUARD', 'OTHER', 'Unit', 'uniform_constants', 'units']

GUARD = 'guard'  # a function that only keeps a denominator from zero
# Operations from a variance to its root.
_FOLLOWED = frozenset(
  'add add_any broadcast_in_dim convert_element_type mul reshape squeeze'
  ' transpose'.split()
)


@dataclasses.dataclass(frozen=True)
class Unit:
  """Steps that compute each number of a value from one of another.

  Attributes:
    kind: Name of the function, `AFFINE`, `GUARD`, or `OTHER` for one without a
      name.
    input: Number of the value that is read.
    output: Number of the value that is computed.
    steps: Indices of its steps, in the order they run.
  """

  kind: str
  input: int
  output: int
  steps: tuple[int, ...]


def units(steps: Steps, sources: Sequence[int]) -> list[Unit]:
  """Finds the functions of single numbers, in the order of their results.

  Args:
    steps: The function.
    sources: Numbers of the values to follow, such as that of the image.
  """
  regions = _Regions(steps, sources)
  found: list[Unit] = []
  for step in steps.steps:
    for number in step.writes:
      if number in regions.exits and regions.roots[number] != number:
        found += _split(regions, number)
  return [
    dataclasses.replace(unit, kind=GUARD)
    if unit.kind in ('relu', OTHER) and _only_scales(regions, unit.output)
    else unit
    for unit in found
  ]


def uniform_constants(steps: Steps) -> dict[int, Any]:
  """Constants whose elements are all equal, as one number each."""
  known = {}
  for number, value in steps.constants.items():
    plain = isinstance(getattr(value, 'dtype', None), np.dtype)  # no key
    if isinstance(value, jax.core.Tracer) or not plain or not np.size(value):
      continue
    # Whether trained arrays happen to be equal everywhere does not matter.
    if np.ndim(value) == 0 or isinstance(value, np.ndarray):
      array = np.asarray(value)
      if (array == array.flat[0]).all():
        known[number] = array.flat[0]
  for step in steps.steps:
    if not step.reads or not all(n in known for n in step.reads):
      continue  # it reads a parameter, the image or nothing
    value = apply_scalar(step.eqn, [known[n] for n in step.reads])
    if value is not None:
      known[step.writes[0]] = value
  return known


class _Regions:
  """Values that are functions, number by number, of a value before them.

  Attributes:
    steps: The function.
    uniform: Constants of equal elements.
    roots: The value that each value is a function of; itself for others.
    exits: Values that steps outside of their region read.
  """

  def __init__(self, steps: Steps, sources: Sequence[int]) -> None:
    self.steps = steps
    self.uniform = uniform_constants(steps)
    self.data = steps.depending_on(sources)
    self.exits: set[int] = set()
    while True:  # what follows an exit may have another root than before
      self.roots = self._roots(sources)
      exits = {n for n in self.roots if self._is_exit(n)}
      if exits <= self.exits:
        break
      self.exits |= exits

  def _roots(self, sources: Sequence[int]) -> dict[int, int]:
    roots = {number: number for number in sources}
    for step in self.steps.steps:
      read = [n for n in step.reads if n in self.data]
      if not read:
        continue
      start = {n if n in self.exits else roots[n] for n in read}
      inside = len(start) == 1 and self._is_pointwise(step)
      for number in step.writes:
        roots[number] = next(iter(start)) if inside else number
    return roots

  def _is_pointwise(self, step: Step) -> bool:
    shape = self.steps.avals[step.writes[0]].shape
    return is_scalar(step.eqn) and all(
      n in self.uniform
      or (n in self.data and self.steps.avals[n].shape == shape)
      for n in step.reads
    )

  def _is_exit(self, number: int) -> bool:
    root = self.roots[number]
    return any(
      index < 0 or self.roots[self.steps.steps[index].writes[0]] != root
      for index in self.steps.readers.get(number, [])
    )

  def unit(self, kind: str, start: int, end: int) -> Unit:
    """The function from one value to another."""
    return Unit(
      kind, start, end, tuple(self.steps.between(start, end, self.data))
    )

  def value(self, start: int, end: int, x: np.ndarray) -> Any:
    """The function from one value to another, at some numbers."""
    known = {**self.uniform, start: x}
    for index in self.steps.between(start, end, self.data):
      step = self.steps.steps[index]
      values = [known[number] for number in step.reads]
      known[step.writes[0]] = apply_scalar(step.eqn, values)
    return known[end]


def _only_scales(regions: _Regions, number: int) -> bool:
  """Tells if a value is a variance or a denominator, and nothing else.

  ``max(x, 0)`` keeps rounding errors out of a variance, and is no ReLU.
  """
  pending, seen, scales = [number], set(), False
  while pending:
    number = pending.pop()
    if number in seen:
      continue
    seen.add(number)
    for index in regions.steps.readers.get(number, [-1]):
      if index < 0:
        return False
      step = regions.steps.steps[index]
      data = [n for n in step.reads if n in regions.data]
      divides = step.operation == 'div' and step.reads[-1] == number
      if step.operation in ('rsqrt', 'sqrt') or (divides and data[0] != number):
        scales = True
      elif step.operation in _FOLLOWED and data == [number]:
        pending += step.writes
      else:
        return False
  return scales


def _split(regions: _Regions, end: int) -> list[Unit]:
  """Functions with names, one after another, that end in a value.

  ``1.7 * relu(2 * x - 1)`` is a ReLU between two affine functions. If a part
  has no name nothing is split, but for what is written as a ReLU:
  ``min(max(x, 0), 3)`` is none, ``log(1 + relu(x))`` has one.
  """
  start = regions.roots[end]
  cuts = _cuts(regions, start, end)
  pieces: list[Unit] = []
  first = 0
  for at in range(len(cuts) - 1):
    if _is_written_relu(regions, cuts[at], cuts[at + 1]):
      pieces += _named(regions, cuts[first : at + 1])
      pieces.append(regions.unit('relu', cuts[at], cuts[at + 1]))
      first = at + 1
  whole = _named(regions, cuts)
  if any(unit.kind == OTHER for unit in whole):
    return pieces + _named(regions, cuts[first:])
  return whole


def _is_written_relu(regions: _Regions, start: int, end: int) -> bool:
  """Tells if a step is `jax.nn.relu`, or another with a gradient of its own."""
  (step, *others) = (
    regions.steps.steps[i]
    for i in regions.steps.between(start, end, regions.data)
  )
  custom = not others and step.operation.startswith('custom')
  return custom and _kind(regions, start, end) == 'relu'


def _named(regions: _Regions, cuts: list[int]) -> list[Unit]:
  """The fewest functions with names between values; else one without."""
  if len(cuts) < 2:
    return []
  best: dict[int, list[Unit]] = {len(cuts) - 1: []}
  for at in range(len(cuts) - 2, -1, -1):
    chains = []
    for to in range(at + 1, len(cuts)):
      kind = _kind(regions, cuts[at], cuts[to]) if to in best else OTHER
      if kind != OTHER:
        chains.append([regions.unit(kind, cuts[at], cuts[to]), *best[to]])
    if chains:
      best[at] = min(chains, key=len)
  return best.get(0) or [regions.unit(OTHER, cuts[0], cuts[-1])]


def _cuts(regions: _Regions, start: int, end: int) -> list[int]:
  """Values that all that follows is a function of, from the first to the last.

  ``x * sigmoid(x)`` has none between its ends.
  """
  steps = regions.steps
  indices = steps.between(start, end, regions.data)
  last = {start: -1}  # where each value is read last
  for index in indices:
    for number in steps.steps[index].reads:
      last[number] = index
  cuts, pending = [start], last[start]
  for index in indices:
    (number,) = steps.steps[index].writes
    if pending <= index:
      cuts.append(number)
    pending = max(pending, last.get(number, index))
  return cuts


def _kind(regions: _Regions, start: int, end: int) -> str:
  """Name of the function from one value to another."""
  kind = kind_of(lambda x: regions.value(start, end, x))
  operations = [
    regions.steps.steps[index].operation
    for index in regions.steps.between(start, end, regions.data)
  ]
  # Values do not tell the gradient of these.
  if 'stop_gradient' in operations:
    return OTHER
  custom = any(operation.startswith('custom') for operation in operations)
  return OTHER if kind == AFFINE and custom else kind
