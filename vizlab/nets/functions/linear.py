"""Parts of a function that are linear but for constants: layers for rules."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from vizlab.nets.functions.axes import Place
from vizlab.nets.functions.naming import PRODUCTS, Group, Named
from vizlab.nets.functions.pointwise import Unit
from vizlab.nets.functions.steps import Step, Steps
from vizlab.types import Array

__all__ = ['LAYOUT', 'LINEAR', 'Part', 'PartLayer', 'linear_parts']

# Operations that move numbers, or change their precision only.
LAYOUT = frozenset(
  'broadcast_in_dim concatenate convert_element_type copy copy_p dynamic_slice'
  ' expand_dims gather name pad reduce_max reduce_precision reshape rev slice'
  ' squeeze transpose'.split()
)
_ADDS = frozenset(('add', 'add_any', 'sub'))
_MULTIPLIES = frozenset(('mul', 'div'))
# Kinds of operations that are linear, without parameters.
LINEAR = {
  'add': 'Add',
  'add_any': 'Add',
  'sub': 'Add',
  'reduce_sum': 'GlobalPool',
  'reduce_window_sum': 'AvgPool',
  'conv_general_dilated': 'Linear',  # with constants, such as a blur
  'dot_general': 'Linear',  # with constants, such as a change of the size
}


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
  """Steps that are linear in some values, but for constants.

  Attributes:
    name: Name of the layer, or of the operation.
    kind: Its kind, such as ``'Conv'``.
    indices: Indices of its steps.
    inputs: Numbers of the values that it is linear in.
    output: Number of the value that it computes.
    params: Numbers of its parameters, by ``'kernel'``, ``'bias'`` or another
      name.
    before: Indices of the steps from the image to its input, if these are
      preprocessing only; otherwise ``None``.
  """

  name: str
  kind: str
  indices: tuple[int, ...]
  inputs: tuple[int, ...]
  output: int
  params: dict[str, int]
  before: tuple[int, ...] | None


@dataclasses.dataclass(frozen=True, eq=False)
class PartLayer:
  """A part with its constants: what a rule for linear layers takes.

  Attributes:
    steps: The function.
    part: The part of it.
    known: Values by number.
  """

  steps: Steps
  part: Part
  known: Mapping[int, Any]

  @property
  def name(self) -> str:
    """Name of the layer."""
    return self.part.name

  @property
  def kind(self) -> str:
    """Kind of the layer."""
    return self.part.kind

  def linear(self, params: Mapping[str, Array], *xs: Array) -> Array:
    """The output, linear in the inputs but for constants."""
    known = dict(self.known)
    known.update(zip(self.part.inputs, xs, strict=True))
    known.update({self.part.params[name]: v for name, v in params.items()})
    return self.steps.replay(self.part.indices, known)

  def preprocessing(self, image: int) -> Callable[[Array], Array] | None:
    """Function from a constant image to the input of the layer, or ``None``.

    Args:
      image: Number of the image's value.
    """
    if self.part.before is None:
      return None

    def read(end: Array) -> Array:
      # The input may have another layout than the image, but is of one value.
      x = jnp.full_like(self.known[image], end.ravel()[0])
      if not self.part.before:
        return x
      return self.steps.replay(self.part.before, {**self.known, image: x})

    return read


def linear_parts(
  steps: Steps,
  places: dict[int, Place],
  units: Sequence[Unit],
  modules: Sequence[Group],
  named: Sequence[Named],
) -> dict[int, Part]:
  """Finds layers with weights and sums, by the index of their last step.

  Args:
    steps: The function; its last argument is the image.
    places: Axes of the values that depend on the image.
    units: Its functions of single numbers.
    modules: Its layers with weights.
    named: Names of activations.
  """
  names = {each.number: each.name for each in named}
  taken = {index for unit in units for index in unit.steps}
  parts = {}
  for group in modules:
    first = steps.steps[group.steps[0]]
    (start, *others) = (n for n in first.reads if n in places)
    indices = steps.between(start, group.output, places)
    linear = all(_is_affine(steps.steps[i], places) for i in indices)
    taken.update(group.steps)
    if linear and not others and _is_closed(steps, indices):
      taken.update(indices)
      parts[indices[-1]] = Part(
        names.get(group.output, group.owner),
        group.kind,
        tuple(indices),
        (start,),
        group.output,
        _params(steps, indices, places),
        _preprocessing(steps, start, places),
      )
  for index, step in enumerate(steps.steps):
    if index in taken or step.operation not in LINEAR:
      continue
    read = tuple(n for n in step.reads if n in places)
    alone = len(read) == 1 or LINEAR[step.operation] == 'Add'
    if read and alone:
      name = names.get(step.writes[0], step.operation)
      kind = LINEAR[step.operation]
      parts[index] = Part(name, kind, (index,), read, step.writes[0], {}, None)
  return parts


def _is_affine(step: Step, places: Mapping[int, Place]) -> bool:
  """Tells if a step is linear in one value, but for constants."""
  data = [i for i, number in enumerate(step.reads) if number in places]
  if len(data) != 1:
    return False
  if step.operation == 'div':
    return data == [0]
  return step.operation in (LAYOUT - {'name', 'reduce_max'}) | _ADDS | {
    'mul',
    'neg',
    *PRODUCTS,
  }


def _is_closed(steps: Steps, indices: Sequence[int]) -> bool:
  """Tells if only the last of some steps is read by others."""
  chain = {*indices}
  return all(
    chain.issuperset(steps.readers.get(number, ()))
    for index in indices[:-1]
    for number in steps.steps[index].writes
  )


def _params(
  steps: Steps, indices: Sequence[int], places: Mapping[int, Place]
) -> dict[str, int]:
  """Names of the constants that a layer multiplies with and adds."""
  params: dict[str, int] = {}
  for index in indices:
    step = steps.steps[index]
    constants = [n for n in step.reads if n not in places]
    if step.operation in PRODUCTS:
      params['kernel'] = constants[0]
    elif step.operation in ('add', 'add_any') and 'bias' not in params:
      params['bias'] = constants[0]
    elif step.operation in _ADDS | _MULTIPLIES:
      params[f'{step.operation}_{index}'] = constants[0]
  return params


def _preprocessing(
  steps: Steps, number: int, places: Mapping[int, Place]
) -> tuple[int, ...] | None:
  """Steps from the image to a value, if these have no weights of a layer."""
  image = steps.inputs[-1]
  indices = steps.between(image, number, places)
  for index in indices:
    step = steps.steps[index]
    if step.operation in PRODUCTS or not _is_affine(step, places):
      return None
  return tuple(indices)
