"""A traced function as a flat list of steps, which can be run one by one.

`jax.make_jaxpr` returns a program in which functions call functions. Here calls
are replaced by what they compute, so that a value of the program has one number
wherever it is used, and each step knows the modules in which it was written.
"""

import dataclasses
import functools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from jax.lax import ConvDimensionNumbers

from vizlab.nets.layers.conv import conv2d
from vizlab.types import Array

__all__ = [
  'ADDS',
  'MULTIPLIES',
  'TAKES',
  'Step',
  'Steps',
  'apply',
  'inner_jaxprs',
  'steps_of',
]

# Operations of two values, number by number, that a layer consists of.
ADDS = frozenset(('add', 'add_any', 'sub'))
MULTIPLIES = frozenset(('mul', 'div'))
# Operations that take a part of a value.
TAKES = frozenset(('slice', 'dynamic_slice', 'gather'))

# Calls that are replaced by what they compute. Others have derivatives of their
# own (custom_jvp_call, custom_vjp_call) or control what is computed.
_CALLS = frozenset(
  ('jit', 'pjit', 'closed_call', 'core_call', 'remat', 'remat2', 'checkpoint')
)
_NHWC = ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
# Parts of a path that name a transform and not a module.
_NOT_MODULES = frozenset(('', '~', 'checkpoint', 'rematted_computation'))


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
  """One operation on values, which are known by their numbers.

  Attributes:
    eqn: The equation: an operation of JAX and its settings.
    reads: Numbers of the values that it reads.
    writes: Numbers of the values that it computes.
    scope: Path of the modules around it, ``'Block_0/Conv_0'``; may be empty.
  """

  eqn: JaxprEqn
  reads: tuple[int, ...]
  writes: tuple[int, ...]
  scope: str

  @property
  def operation(self) -> str:
    """Name of the operation, such as ``'conv_general_dilated'``."""
    return self.eqn.primitive.name

  @property
  def module(self) -> str:
    """The modules around it, for errors."""
    return self.scope or 'the function'


@dataclasses.dataclass(frozen=True, eq=False)
class Steps:
  """A function as steps.

  Attributes:
    steps: The steps, in the order they run.
    inputs: Numbers of the arguments' values.
    outputs: Numbers of the results' values.
    constants: Values that are known, by number.
    avals: Shape and dtype of every value.
  """

  steps: tuple[Step, ...]
  inputs: tuple[int, ...]
  outputs: tuple[int, ...]
  constants: dict[int, Any]
  avals: tuple[Any, ...]

  def depending_on(self, numbers: Sequence[int]) -> set[int]:
    """Numbers of values and of all values that are computed from them."""
    found = {*numbers}
    for step in self.steps:
      if found.intersection(step.reads):
        found.update(step.writes)
    return found

  @functools.cached_property
  def makers(self) -> dict[int, int]:
    """Index of the step that computes each value."""
    return {n: i for i, step in enumerate(self.steps) for n in step.writes}

  @functools.cached_property
  def readers(self) -> dict[int, list[int]]:
    """Indices of the steps that read each value; -1 stands for a result."""
    readers: dict[int, list[int]] = {}
    for index, step in enumerate(self.steps):
      for number in set(step.reads):
        readers.setdefault(number, []).append(index)
    for number in self.outputs:
      readers.setdefault(number, []).append(-1)
    return readers

  def between(self, start: int, end: int, data: Collection[int]) -> list[int]:
    """Indices of the steps that compute one value from another, in order.

    Args:
      start: Number of the value that they begin with.
      end: Number of the value that they compute.
      data: Numbers of the values to follow; others count as constants.
    """
    needed, found = {end} - {start}, []
    for index in range(self.makers.get(end, -1), -1, -1):
      step = self.steps[index]
      if needed.intersection(step.writes):
        found.append(index)
        needed.update(n for n in step.reads if n in data and n != start)
    return found[::-1]

  def replay(
    self,
    indices: Sequence[int],
    known: Mapping[int, Any],
    changed: Mapping[int, Any],
  ) -> Any:
    """Runs some steps; returns the first result of the last one.

    Args:
      indices: Indices of the steps, in the order they run.
      known: Values by number.
      changed: Values instead of these, such as that of the first input.
    """
    values = {**known, **changed}
    for index in indices:
      step = self.steps[index]
      out = apply(step.eqn, [values[number] for number in step.reads])
      values.update(zip(step.writes, out, strict=True))
    return values[self.steps[indices[-1]].writes[0]]


def apply(eqn: JaxprEqn, values: Sequence[Any]) -> list[Array]:
  """Computes the results of an equation; common convolutions by `conv2d`.

  On a CPU its gradient takes a fifth of the time in a loop, and wide layers
  take half of the time.
  """
  if _is_common(eqn):
    (stride, _), ((padding, _), _) = (
      eqn.params[name] for name in ('window_strides', 'padding')
    )
    groups = eqn.params['feature_group_count']
    return [conv2d(*values, stride, padding, groups)]
  params = eqn.primitive.get_bind_params(eqn.params)
  out = eqn.primitive.bind(*values, **params)
  return list(out) if eqn.primitive.multiple_results else [out]


def _is_common(eqn: JaxprEqn) -> bool:
  """Tells if an equation is a convolution that `conv2d` computes."""
  if eqn.primitive.name != 'conv_general_dilated':
    return False
  params, (x, kernel) = eqn.params, (var.aval for var in eqn.invars)
  (stride, *_), ((padding, *_), *_) = (
    params[name] for name in ('window_strides', 'padding')
  )
  expected = {
    'dimension_numbers': _NHWC,
    'window_strides': (stride,) * 2,
    'padding': ((padding,) * 2,) * 2,
    'lhs_dilation': (1, 1),
    'rhs_dilation': (1, 1),
    'batch_group_count': 1,
    'precision': None,
    'preferred_element_type': None,
  }
  return (
    padding >= 0
    and kernel.shape[0] == kernel.shape[1]
    and x.dtype == kernel.dtype
    and all(params[name] == value for name, value in expected.items())
  )


def inner_jaxprs(eqn: JaxprEqn) -> list[ClosedJaxpr]:
  """The functions that an equation calls."""
  found = []
  for value in eqn.params.values():
    for each in value if isinstance(value, tuple | list) else [value]:
      if isinstance(each, ClosedJaxpr):
        found.append(each)
      elif isinstance(each, Jaxpr):
        found.append(ClosedJaxpr(each, ()))
  return found


def steps_of(closed: ClosedJaxpr) -> Steps:
  """Replaces calls by what they compute, and numbers all values."""
  flat = _Flat()
  inputs = [flat.new(var.aval) for var in closed.jaxpr.invars]
  outputs = flat.inline(closed, inputs, '')
  return Steps(
    tuple(flat.steps),
    tuple(inputs),
    tuple(outputs),
    flat.constants,
    tuple(flat.avals),
  )


class _Flat:
  """The steps so far, and the numbers of their values."""

  def __init__(self) -> None:
    self.steps: list[Step] = []
    self.constants: dict[int, Any] = {}
    self.avals: list[Any] = []

  def new(self, aval: Any) -> int:
    """The number of a new value."""
    self.avals.append(aval)
    return len(self.avals) - 1

  def constant(self, value: Any, aval: Any) -> int:
    """The number of a value that is known."""
    number = self.new(aval)
    self.constants[number] = value
    return number

  def inline(
    self, closed: ClosedJaxpr, inputs: Sequence[int], scope: str
  ) -> list[int]:
    """Adds the steps of a function; returns the numbers of its results."""
    jaxpr = closed.jaxpr
    numbers = dict(zip(jaxpr.invars, inputs, strict=True))
    for var, value in zip(jaxpr.constvars, closed.consts, strict=True):
      numbers[var] = self.constant(value, var.aval)

    def number(var: Any) -> int:
      if isinstance(var, Literal):
        return self.constant(np.asarray(var.val, var.aval.dtype), var.aval)
      return numbers[var]

    for eqn in jaxpr.eqns:
      reads = tuple(number(var) for var in eqn.invars)
      path = _joined(scope, str(eqn.source_info.name_stack))
      if eqn.primitive.name in _CALLS:
        (inner,) = inner_jaxprs(eqn)
        writes = self.inline(inner, reads, path)
      else:
        writes = [self.new(var.aval) for var in eqn.outvars]
        self.steps.append(Step(eqn, reads, tuple(writes), path))
      numbers.update(zip(eqn.outvars, writes, strict=True))
    return [number(var) for var in jaxpr.outvars]


def _joined(scope: str, stack: str) -> str:
  """A path of modules, from a name stack within a scope.

  Transforms stand around names, as in ``vmap(stem)/relu``. Equinox writes
  classes, ``eqx.nn.Conv``, which do not tell one module from another; Linen
  methods beside ``__call__``, ``VGG.head``, which are no modules.
  """
  parts = scope.split('/') if scope else []
  for part in re.sub(r'\b\w+\(([^()]*)\)', r'\1', stack).split('/'):
    if part in _NOT_MODULES or part.startswith('eqx.'):
      continue
    module, *method = part.split('.')
    if not (method and parts[-1:] == [module]):
      parts.append(module)
  return '/'.join(parts)
