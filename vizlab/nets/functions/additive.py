"""Additive parts of a function, for FullGrad: biases and other constants."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from vizlab.nets.functions.axes import shown
from vizlab.nets.functions.linear import LAYOUT
from vizlab.nets.functions.naming import PRODUCTS
from vizlab.nets.functions.pointwise import AFFINE
from vizlab.nets.functions.program import Program
from vizlab.nets.functions.steps import Steps, apply
from vizlab.types import Array

__all__ = ['additive_parts']

_SHARED = frozenset(('broadcast_in_dim', 'reshape', 'convert_element_type'))
_ADDS = frozenset(('add', 'add_any', 'sub'))


def additive_parts(
  program: Program, arguments: Sequence[Array]
) -> dict[str, Array]:
  """The additive part of each layer, ``{layer: [C]}``.

  That of the preprocessing is ``'input'``, in units of the image.

  Args:
    program: A program that is linear between ReLUs and max pooling.
    arguments: Its arguments; the values of the image do not matter.

  Raises:
    ValueError: It is not linear there, or adds something that differs over
      positions.
  """
  _check_linear(program)
  steps = program.steps
  known: dict[int, Any] = dict(steps.constants)
  known.update(zip(steps.inputs, arguments, strict=True))
  for step in steps.steps:
    if not any(number in program.places for number in step.reads):
      out = apply(step.eqn, [known[number] for number in step.reads])
      known.update(zip(step.writes, out, strict=True))
  names = {named.number: named.name for named in program.named}
  chains = [
    (part.indices, part.inputs[0], part.output)
    for part in program.parts.values()
    if len(part.inputs) == 1
  ]
  chains += [
    (unit.steps, unit.input, unit.output)
    for unit in program.units
    if unit.kind == AFFINE
  ]
  parts = {}
  preprocessing = _preprocessing(program)
  if preprocessing:
    parts['input'] = _shift(program, preprocessing, known)
  for indices, start, output in chains:
    if preprocessing.issuperset(indices):
      continue
    adds = [i for i in indices if steps.steps[i].operation in _ADDS]
    if not adds:
      continue
    if output not in names:
      scope = steps.steps[adds[0]].scope or 'the function'
      raise ValueError(
        f'net: got an addition in {scope} to a value that is no map or vector, '
        'expected biases of channels'
      )
    _check_channels(program, adds, names[output])
    value = _at_zero(steps, indices, start, known)
    shape = shown(value, program.places[output].labels)
    parts[names[output]] = shape[(0,) * (shape.ndim - 1)]
  return parts


def _preprocessing(program: Program) -> set[int]:
  """Indices of the steps before all layers, if they treat positions alike."""
  paths = {
    part.before
    for part in program.parts.values()
    if part.before is not None and part.kind != 'Affine'
  }
  if len(paths) != 1:
    return set()
  indices = {*paths.pop()}
  moves = ('pad', 'slice', 'dynamic_slice', 'gather', 'concatenate')
  alike = not any(program.steps.steps[i].operation in moves for i in indices)
  return indices if alike else set()


def _shift(program: Program, indices: set[int], known: dict[int, Any]) -> Array:
  """Addition of the preprocessing, in units of the image: ``[C]``.

  It may mix channels, ``z = W x + b``, and then is ``W^-1 b``.
  """
  steps, image = program.steps, program.steps.inputs[-1]
  order = sorted(indices)
  labels = program.places[steps.steps[order[-1]].writes[0]].labels

  def at(colour: Array) -> Array:
    x = jnp.broadcast_to(colour, known[image].shape)
    out = steps.replay(order, {**known, image: x})
    return shown(out, labels)[0, 0, 0]

  channels = known[image].shape[-1]
  black = at(jnp.zeros(channels, known[image].dtype))
  mixing = jnp.stack([at(colour) - black for colour in jnp.eye(channels)], -1)
  return jnp.linalg.solve(mixing, black)


def _at_zero(
  steps: Steps, indices: Sequence[int], start: int, known: dict[int, Any]
) -> Array:
  """The output of a chain of steps for zeros: what it adds."""
  aval = steps.avals[start]
  values = {**known, start: jnp.zeros(aval.shape, aval.dtype)}
  for index in indices:
    step = steps.steps[index]
    if step.operation in PRODUCTS:  # of zeros
      aval = steps.avals[step.writes[0]]
      out = [jnp.zeros(aval.shape, aval.dtype)]
    else:
      out = apply(step.eqn, [values[number] for number in step.reads])
    values.update(zip(step.writes, out, strict=True))
  return values[steps.steps[indices[-1]].writes[0]]


def _check_linear(program: Program) -> None:
  """Raises a `ValueError` unless all is linear between ReLUs and pooling."""
  steps, inner = program.steps.steps, program.inner
  for index, step in enumerate(steps):
    read = [number for number in step.reads if number in program.places]
    if not read or index in inner or index in program.parts:
      continue
    unit = program.unit_ends.get(index)
    fits = step.operation == 'reduce_window_max' or step.operation in LAYOUT
    if step.operation == 'concatenate':
      fits = len(read) == len(step.reads)  # not with constants
    kind = unit.kind if unit else step.operation
    if kind not in ('relu', 'leaky_relu', AFFINE) and not fits:
      raise ValueError(
        f'net: {kind} in {step.scope or "the function"} is not linear, '
        'expected layers that are linear between ReLUs and max pooling'
      )


def _check_channels(program: Program, adds: Sequence[int], name: str) -> None:
  """Raises a `ValueError` if what is added differs over positions."""
  steps = program.steps
  for index in adds:
    step = steps.steps[index]
    labels = program.places[step.writes[0]].labels
    shape = steps.avals[step.writes[0]].shape
    channels = math.prod(
      n for n, v in zip(shape, labels, strict=True) if v.startswith('c')
    )
    for number in step.reads:
      if number in program.places:
        continue
      while number in steps.makers:
        maker = steps.steps[steps.makers[number]]
        if maker.operation not in _SHARED:
          break
        (number,) = maker.reads
      if math.prod(steps.avals[number].shape) > channels:
        raise ValueError(
          f'net: {name!r} adds values {steps.avals[number].shape} that differ '
          'over positions, expected one for each channel'
        )
