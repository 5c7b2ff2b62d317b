"""Parts of a function that are linear but for constants: layers for rules."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from vizlab.nets.functions.axes import Place
from vizlab.nets.functions.naming import PRODUCTS, Group, Named, mean_of
from vizlab.nets.functions.pointwise import Unit
from vizlab.nets.functions.steps import ADDS, MULTIPLIES, Step, Steps
from vizlab.types import Array

__all__ = [
  'LAYOUT',
  'LINEAR',
  'Part',
  'PartLayer',
  'find_chains',
  'linear_parts',
]

# Operations that move numbers, or change their precision only.
LAYOUT = frozenset(
  'broadcast_in_dim concatenate convert_element_type copy dynamic_slice'
  ' gather name pad reduce_max reduce_precision reshape rev slice'
  ' squeeze transpose pvary pcast'.split()
)
_FREE = frozenset((*ADDS, *MULTIPLIES, 'neg'))  # with constants, in a layer
# Kinds of operations that are linear, without parameters.
LINEAR = {
  'add': 'Add',
  'add_any': 'Add',
  'sub': 'Add',
  'reduce_sum': 'GlobalPool',
  'reduce_window_sum': 'AvgPool',
  'mul': 'Affine',  # with a number for each position
  'div': 'Affine',
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
    changed = dict(zip(self.part.inputs, xs, strict=True))
    changed.update({self.part.params[name]: v for name, v in params.items()})
    return self.steps.replay(self.part.indices, self.known, changed)

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
      return self.steps.replay(self.part.before, self.known, {image: x})

    return read


def find_chains(
  steps: Steps, places: Mapping[int, Place], modules: Sequence[Group]
) -> None:
  """Finds the steps of layers that are linear, `Group.chain`."""
  for group in modules:
    group.chain = tuple(_chain(steps, group, places) or ())


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
    modules: Its layers with weights, whose chains are known.
    named: Names of activations.
  """
  names = {each.number: each.name for each in named}
  parts = {}
  for group in modules:
    # A factor behind weights has a part of its own, as their signs count.
    cut = _factor(steps, group.chain)
    for kind, indices in (
      (group.kind, group.chain[:cut]),
      ('BatchNorm', group.chain[cut:]),
    ):
      if indices:
        (start,) = (n for n in steps.steps[indices[0]].reads if n in places)
        parts[indices[-1]] = Part(
          names.get(group.output, group.name),
          kind,
          indices,
          (start,),
          steps.steps[indices[-1]].writes[0],
          _params(steps, indices, places),
          _preprocessing(steps, start, places),
        )
  taken = {index for unit in units for index in unit.steps}
  for group in modules:
    taken.update(group.steps, group.chain)
  ends = {group.output for group in modules}
  for index, step in enumerate(steps.steps):
    read = tuple(n for n in step.reads if n in places)
    if index in taken or not read or not _is_linear(step, read):
      continue
    number = step.writes[0]
    shown = mean_of(steps, number, places, ends)
    name = names.get(shown, names.get(number, step.operation))
    kind = LINEAR[step.operation]
    parts[index] = Part(name, kind, (index,), read, number, {}, None)
  return parts


def _is_linear(step: Step, read: Sequence[int]) -> bool:
  """Tells if an operation without parameters is linear in what it reads."""
  kind = LINEAR.get(step.operation)
  if kind is None or (step.operation == 'div' and read[0] != step.reads[0]):
    return False
  return len(read) == 1 or kind == 'Add'


def _is_affine(step: Step, places: Mapping[int, Place]) -> bool:
  """Tells if a step is linear in one value, but for constants."""
  data = [i for i, number in enumerate(step.reads) if number in places]
  if len(data) != 1:
    return False
  if step.operation == 'div':
    return data == [0]
  return step.operation in (LAYOUT - {'name', 'reduce_max'}) | ADDS | {
    'mul',
    'neg',
    *PRODUCTS,
  }


def _chain(
  steps: Steps, group: Group, places: Mapping[int, Place]
) -> list[int] | None:
  """Indices of a layer's steps, if these are linear and nobody else's."""
  first = steps.steps[group.steps[0]]
  start, *others = (n for n in first.reads if n in places)
  chain = steps.between(start, group.output, places)
  own = all(
    index in group.steps or steps.steps[index].operation in LAYOUT | _FREE
    for index in chain
    if any(n in places for n in steps.steps[index].reads)
  )
  linear = all(_is_affine(steps.steps[index], places) for index in chain)
  fits = own and linear and not others and _is_closed(steps, chain)
  return chain if fits and chain else None


def _factor(steps: Steps, chain: Sequence[int]) -> int:
  """Position in a chain of what is no weight and no bias; its length if none.

  A chain without a product has no weights, and stays as it is.
  """
  operations = [steps.steps[index].operation for index in chain]
  if not set(PRODUCTS).intersection(operations):
    return len(chain)
  added = False
  for at, operation in enumerate(operations):
    if operation in MULTIPLIES or operation in ('sub', 'neg'):
      return at
    if operation in ADDS:
      if added:
        return at
      added = True
  return len(chain)


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
    elif step.operation in ADDS | MULTIPLIES:
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
