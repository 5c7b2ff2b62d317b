"""Additive parts of a function, for FullGrad: biases and other constants."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from vizlab.nets.functions.axes import shown
from vizlab.nets.functions.linear import LAYOUT
from vizlab.nets.functions.naming import PRODUCTS
from vizlab.nets.functions.pointwise import AFFINE, uniform_constants
from vizlab.nets.functions.program import Program
from vizlab.nets.functions.steps import ADDS, MULTIPLIES, Steps, apply
from vizlab.types import Array

__all__ = ['additive_parts']

# Operations whose results differ where one of their arguments does.
_CHANGES = ADDS | MULTIPLIES | {'neg', 'rsqrt', 'convert_element_type'}


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
  parts = {}
  preprocessing = _preprocessing(program)
  if preprocessing:
    parts['input'] = _shift(program, preprocessing, known)
  for indices in _chains(program):
    adds = [i for i in indices if steps.steps[i].operation in ADDS]
    if not adds or preprocessing.issuperset(indices):
      continue
    output = steps.steps[indices[-1]].writes[0]
    if output not in names:
      scope = steps.steps[adds[0]].module
      raise ValueError(
        f'net: got an addition in {scope} to a value that is no map or vector, '
        'expected biases of channels'
      )
    _check_channels(program, adds, names[output])
    value = _at_zero(program, indices, known)
    value = shown(value, program.places[output].labels)
    parts[names[output]] = value[(0,) * (value.ndim - 1)]
  return parts


def _chains(program: Program) -> list[tuple[int, ...]]:
  """Indices of the steps of each layer, operation and affine function."""
  layers = [group.chain for group in program.modules if group.chain]
  inside = {index for chain in layers for index in chain}
  single = [
    part.indices
    for index, part in program.parts.items()
    if len(part.inputs) == 1 and index not in inside
  ]
  affine = [unit.steps for unit in program.units if unit.kind == AFFINE]
  return layers + single + affine


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
  steps = program.steps.steps
  moves = ('pad', 'slice', 'dynamic_slice', 'gather', 'concatenate')
  numbers = [i for i in indices if steps[i].operation in _CHANGES]
  alike = not any(steps[i].operation in moves for i in indices) and all(
    _is_of_channels(program, i) for i in numbers
  )
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
    out = steps.replay(order, known, {image: x})
    return shown(out, labels)[0, 0, 0]

  channels, dtype = known[image].shape[-1], known[image].dtype
  precise = jnp.promote_types(dtype, jnp.float32)
  black = at(jnp.zeros(channels, dtype)).astype(precise)
  mixing = [
    at(c).astype(precise) - black for c in jnp.eye(channels, dtype=dtype)
  ]
  return jnp.linalg.solve(jnp.stack(mixing, -1), black)


def _at_zero(
  program: Program, indices: Sequence[int], known: dict[int, Any]
) -> Array:
  """The output of a chain of steps for zeros: what it adds."""
  steps = program.steps
  # A product of zeros is zeros, so the chain may begin behind it.
  for at, index in enumerate(indices):
    if steps.steps[index].operation in PRODUCTS:
      indices = indices[at + 1 :]
      break
  reads = steps.steps[indices[0]].reads
  (start,) = {number for number in reads if number in program.places}
  aval = steps.avals[start]
  return steps.replay(
    indices, known, {start: jnp.zeros(aval.shape, aval.dtype)}
  )


def _check_linear(program: Program) -> None:
  """Raises a `ValueError` unless all is linear between ReLUs and pooling."""
  steps, inner = program.steps.steps, program.inner
  uniform = uniform_constants(program.steps)
  for index, step in enumerate(steps):
    read = [number for number in step.reads if number in program.places]
    if not read or index in inner or index in program.parts:
      continue
    unit = program.unit_ends.get(index)
    fits = step.operation == 'reduce_window_max' or step.operation in LAYOUT
    if step.operation == 'concatenate':
      fits = len(read) == len(step.reads)  # not with constants
    if step.operation == 'pad':
      fits = uniform.get(step.reads[1]) in (0, -np.inf)  # adds nothing
    kind = unit.kind if unit else step.operation
    if kind not in ('relu', 'leaky_relu', AFFINE) and not fits:
      raise ValueError(
        f'net: {kind} in {step.module} is not linear, '
        'expected layers that are linear between ReLUs and max pooling'
      )


def _check_channels(program: Program, adds: Sequence[int], name: str) -> None:
  """Raises a `ValueError` if what is added differs over positions."""
  if not all(_is_of_channels(program, index) for index in adds):
    raise ValueError(
      f'net: {name!r} adds values that differ over positions, expected one for '
      'each channel'
    )


def _is_of_channels(program: Program, index: int) -> bool:
  """Tells if the constants of a step differ over channels only."""
  step = program.steps.steps[index]
  labels = program.places[step.writes[0]].labels
  return all(
    labels[axis].startswith('c')
    for number in step.reads
    if number not in program.places
    for axis in _varying(program.steps, number)
  )


def _varying(steps: Steps, number: int) -> set[int]:
  """Axes along which a constant may differ, whatever it is broadcast from."""
  shape = steps.avals[number].shape
  axes = {axis for axis, size in enumerate(shape) if size > 1}
  if number not in steps.makers:
    return axes
  step = steps.steps[steps.makers[number]]
  if step.operation == 'broadcast_in_dim':
    to = step.eqn.params['broadcast_dimensions']
    return {to[axis] for axis in _varying(steps, step.reads[0])}
  if step.operation in _CHANGES:
    below = [_varying(steps, n) for n in step.reads]
    return axes & set().union(*below)
  return axes
