"""A traced function: its activations have names, its ReLUs have rules."""

import dataclasses
import functools
from collections.abc import Collection, Sequence

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from vizlab.nets.functions.axes import (
  IN_PLACE,
  Place,
  layout,
  places,
)
from vizlab.nets.functions.linear import (
  LAYOUT,
  LINEAR,
  Part,
  find_chains,
  linear_parts,
)
from vizlab.nets.functions.naming import (
  PRODUCTS,
  Group,
  Named,
  groups,
  name_all,
  scopes,
)
from vizlab.nets.functions.pointwise import AFFINE, GUARD, OTHER, Unit, units
from vizlab.nets.functions.steps import (
  TAKES,
  Step,
  Steps,
  inner_jaxprs,
  steps_of,
)

__all__ = ['Program', 'analyse']

# Operations with a function for two numbers, of a sum or a maximum.
_COMBINING = ('scatter', 'reduce', 'select_and', 'sort', 'arg')
_RANDOM = ('random_', 'threefry')
_RESHAPING = IN_PLACE | {'stop_gradient'}
_SIZE = _RESHAPING | {'abs'}  # on the way from a sum to its logarithm


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
  """A function, its activations and what it is made of.

  Attributes:
    steps: The function.
    places: Axes of the values that depend on the image.
    units: Functions of single numbers.
    modules: Layers with weights.
    parts: Parts that are linear but for constants, by the index of their last
      step.
    named: Activations with names that can be shown as maps or vectors.
  """

  steps: Steps
  places: dict[int, Place]
  units: tuple[Unit, ...]
  modules: tuple[Group, ...]
  parts: dict[int, Part]
  named: tuple[Named, ...]

  @functools.cached_property
  def relus(self) -> dict[int, Unit]:
    """ReLUs by the index of their last step."""
    return {unit.steps[-1]: unit for unit in self.units if unit.kind == 'relu'}

  @functools.cached_property
  def unit_ends(self) -> dict[int, Unit]:
    """Functions of single numbers by the index of their last step."""
    return {unit.steps[-1]: unit for unit in self.units}

  @functools.cached_property
  def inner(self) -> frozenset[int]:
    """Indices of the steps within functions of single numbers and parts."""
    chains = [unit.steps for unit in self.units]
    chains += [part.indices for part in self.parts.values()]
    return frozenset(index for chain in chains for index in chain[:-1])

  @functools.cached_property
  def others(self) -> tuple[str, ...]:
    """Names of other activation functions, without those of probabilities."""
    found = []
    for unit in self.units:
      operation = self.steps.steps[unit.steps[-1]].operation
      statistic = (
        operation == 'rsqrt'
        or (unit.kind == 'square' and self._is_statistic(unit.output))
        or (unit.kind == 'exp' and self._is_probability(unit.output))
      )
      if unit.kind not in ('relu', AFFINE, GUARD) and not statistic:
        name = operation if unit.kind == OTHER else unit.kind
        found.append((name, unit.output))
    for index, step in enumerate(self.steps.steps):
      reads = [number for number in step.reads if number in self.places]
      several = len(reads) > 1 and not self._is_maximum(step)
      if reads and not several and not self._is_known(index, step):
        found.append((step.operation, step.writes[0]))
    names = [name for name, n in found if self._is_activation(n)]
    for each in self.bodies.values():
      names += [name for body in each for name in body.others]
    return tuple(dict.fromkeys(names))

  def _is_activation(self, number: int) -> bool:
    """Tells if a value has channels or positions; a statistic has none."""
    if number not in self.places:  # in a body, whose axes are unknown
      return True
    labels = self.places[number].labels
    return 'c' in labels or {'h', 'w'} <= {*labels}

  def _is_statistic(self, number: int) -> bool:
    """Tells if a value is averaged, or taken from an average: a variance."""
    readers = [
      self.steps.steps[index] if index >= 0 else None
      for index in self.steps.readers.get(number, [])
    ]
    return all(
      step is not None
      and (
        step.operation in ('reduce_sum', 'sub')
        or (step.operation in LAYOUT and self._is_statistic(step.writes[0]))
      )
      for step in readers
    )

  def _is_probability(self, number: int) -> bool:
    """Tells if a value is divided by its sum, or the sum goes into a log."""
    readers = self._reading(number)
    sums = [step for step in readers if step.operation == 'reduce_sum']
    after = [
      step for each in sums for step in self._reading(each.writes[0], _SIZE)
    ]
    divided = any(step.operation == 'div' for step in readers)
    logged = any(step.operation == 'log' for step in after)
    return bool(sums) and (divided or logged)

  def _is_maximum(self, step: Step) -> bool:
    """Tells if it is a maximum of two values, and no pooling by hand."""
    makers = [self.steps.makers.get(number) for number in step.reads]
    taken = {
      self.steps.steps[i].reads[0]
      if i is not None and self.steps.steps[i].operation in TAKES
      else None
      for i in makers
    }
    pooling = len(taken) == 1 and None not in taken
    return step.operation in ('max', 'min') and not pooling

  def _reading(
    self, number: int, through: Collection[str] = _RESHAPING
  ) -> list[Step]:
    """Steps that read a value, as it is or through some operations."""
    found = []
    for index in self.steps.readers.get(number, []):
      step = self.steps.steps[index] if index >= 0 else None
      if step is not None and step.operation in through:
        found += self._reading(step.writes[0], through)
      elif step is not None:
        found.append(step)
    return found

  def _is_known(self, index: int, step: Step) -> bool:
    """Tells if a step is linear, or is looked at elsewhere."""
    return (
      index in self.inner
      or index in self.unit_ends
      or index in self.parts
      or index in self.bodies
      or any(index in group.steps for group in self.modules)
      or step.operation in LAYOUT
      or step.operation in LINEAR
      or step.operation in ('mul', 'div', 'reduce_window_max')
    )

  @functools.cached_property
  def bodies(self) -> dict[int, list['Program']]:
    """Functions that steps call, by the index of the step."""
    pointwise = {index for unit in self.units for index in unit.steps}
    each = {
      index: [_inner(inner) for inner in inner_jaxprs(step.eqn)]
      for index, step in enumerate(self.steps.steps)
      if index not in pointwise and not step.operation.startswith(_COMBINING)
    }
    return {index: bodies for index, bodies in each.items() if bodies}

  def has_relu(self) -> bool:
    """Tells if there is a ReLU, in any function that it calls."""
    return bool(self.relus) or any(
      body.has_relu() for each in self.bodies.values() for body in each
    )

  def has_rules(self) -> bool:
    """Tells if there is what has rules: a ReLU, or max pooling."""
    pools = any(
      step.operation == 'reduce_window_max' for step in self.steps.steps
    )
    return (
      self.has_relu()
      or pools
      or any(body.has_rules() for each in self.bodies.values() for body in each)
    )

  @functools.cached_property
  def preprocessing(self) -> frozenset[int]:
    """Indices of the steps from the image to layers with weights."""
    return frozenset(
      index
      for part in self.parts.values()
      if part.before is not None and part.kind in PRODUCTS.values()
      for index in part.before
    )


def analyse(closed: ClosedJaxpr, paths: Sequence[str]) -> Program:
  """Names the activations of a function of parameters and images.

  Args:
    closed: The function; its last argument is a batch of images.
    paths: Path of each parameter.

  Raises:
    ValueError: It has side effects, draws random numbers, mixes the images of
      a batch, or returns what is no float number or no function of them.
  """
  if closed.effects:
    raise ValueError(
      f'fn: got side effects ({", ".join(map(str, closed.effects))}), expected '
      'a pure function'
    )
  steps = steps_of(closed)
  image = steps.inputs[-1]
  data = steps.depending_on([image])
  result = steps.avals[steps.outputs[0]]
  if not jnp.issubdtype(result.dtype, jnp.floating):
    raise ValueError(
      f'fn: returned {result.dtype}, expected logits or other float numbers'
    )
  if steps.outputs[0] not in data:
    raise ValueError(
      'fn: returned what does not depend on the images, expected a function of '
      'them'
    )
  for step in steps.steps:
    if step.operation.startswith(_RANDOM):
      where = f' in {step.scope!r}' if step.scope else ''
      raise ValueError(
        f'fn: got random numbers{where}, expected a model in evaluation mode, '
        'such as model.eval() or train=False'
      )
  where = places(steps, image)
  scoped = scopes(steps, paths)
  scalar = units(steps, [image])
  modules = groups(steps, data, scalar, paths, scoped)
  find_chains(steps, where, modules)
  inside = {index for group in modules for index in group.chain}
  scalar = [each for each in scalar if not inside.issuperset(each.steps)]
  named = name_all(steps, where, scalar, modules, scoped)
  batch = steps.avals[image].shape[0]
  shown = tuple(
    each for each in named if _showable(steps, where, each.number, batch)
  )
  parts = linear_parts(steps, where, scalar, modules, shown)
  return Program(steps, where, tuple(scalar), tuple(modules), parts, shown)


def _inner(closed: ClosedJaxpr) -> Program:
  """A function that another one calls: activations in it have no names."""
  steps = steps_of(closed)
  parts = tuple(units(steps, steps.inputs))
  return Program(steps, {}, parts, (), {}, ())


def _showable(
  steps: Steps, places: dict[int, Place], number: int, batch: int
) -> bool:
  """Tells if a value is a map or vector of numbers, one for each image."""
  labels, aval = places[number].labels, steps.avals[number]
  return (
    layout(aval.shape, labels) is not None
    and jnp.issubdtype(aval.dtype, jnp.floating)
    and aval.shape[labels.index('n')] == batch
  )
