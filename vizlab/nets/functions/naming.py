"""Names of a function's activations: layers with weights, and operations.

A layer with weights is a convolution or matrix product with the additions and
multiplications by parameters of the same module behind it. Its name is the path
of that module: from the name stack, which Linen and Haiku write, or from the
path of its parameters. Operations without parameters have the path of the
module around them, the name of the operation, and a number from the second on.
"""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from vizlab.nets.functions.axes import Place, windows
from vizlab.nets.functions.pointwise import AFFINE, GUARD, OTHER, Unit
from vizlab.nets.functions.steps import ADDS, MULTIPLIES, Step, Steps

__all__ = [
  'PRODUCTS',
  'Group',
  'Named',
  'groups',
  'mean_of',
  'name_all',
  'scopes',
]

PRODUCTS = {'conv_general_dilated': 'Conv', 'dot_general': 'Dense'}
# Operations by which parameters have a part in a layer, and that end a layer.
_WEIGHTED = ADDS | MULTIPLIES | {*PRODUCTS}
_ENDS = ('reduce_window', 'scan', 'while', 'cond')
_JOINS = ADDS | {'concatenate'}  # of two values
_POOLING = {
  'reduce_window_max': ('max_pool', 'Pool'),
  'reduce_window_sum': ('avg_pool', 'Pool'),
}
# Operations that are parts of a layer with weights, such as a normalisation.
_WITHIN = frozenset(('add', 'mul', 'mean', 'square', 'rsqrt', 'sqrt', 'sub'))
_KINDS = {'relu': 'ReLU', 'add': 'Add', 'concatenate': 'Concat'}


@dataclasses.dataclass(frozen=True)
class Named:
  """An activation with a name.

  Attributes:
    name: Its name.
    kind: Kind of layer: ``'Conv'``, ``'Dense'``, ``'BatchNorm'``, ``'ReLU'``,
      ``'Pool'``, ``'GlobalPool'``, ``'Add'``, ``'Concat'``, ``'Affine'``, or
      the name of the operation.
    number: Number of its value.
  """

  name: str
  kind: str
  number: int


@dataclasses.dataclass
class Group:
  """Steps that parameters of one module have a part in.

  Attributes:
    name: Its name: the path of the module, or of its first parameter.
    owner: Path of the module; may be empty.
    kind: ``'Conv'``, ``'Dense'``, ``'BatchNorm'`` or ``'Affine'``.
    params: Indices of its parameters; of arrays without a path beyond those.
    steps: Indices of its steps.
    output: Number of the value that the last one computes.
    chain: Indices of these steps and of those between them, if all are linear
      but for constants.
  """

  name: str
  owner: str
  kind: str
  params: set[int]
  steps: list[int]
  output: int
  chain: tuple[int, ...] = ()


def _owners(steps: Steps, paths: Sequence[str]) -> dict[int, frozenset[int]]:
  """Indices of the parameters that each constant is computed from."""
  count = len(paths)
  found = {n: frozenset([i]) for i, n in enumerate(steps.inputs[:count])}
  for index, (number, value) in enumerate(steps.constants.items(), count):
    if np.ndim(value):  # an array that the function closes over
      found[number] = frozenset([index])
  for step in steps.steps:
    params = frozenset().union(*(found.get(n, ()) for n in step.reads))
    if params:
      found.update(dict.fromkeys(step.writes, params))
  return found


def groups(
  steps: Steps,
  data: set[int],
  units: Sequence[Unit],
  paths: Sequence[str],
  scoped: dict[int, str],
) -> list[Group]:
  """Gathers the steps of each module with parameters.

  Args:
    steps: The function, with the parameters as its first arguments.
    data: Numbers of the values that depend on the image.
    units: Its functions of single numbers.
    paths: Path of each parameter.
    scoped: Path of the modules around each step.
  """
  owns = _owners(steps, paths)
  modules: list[Group] = []
  origin: dict[int, Group] = {}  # the layer that a value comes from
  ends = {unit.output for unit in units if unit.kind not in (AFFINE, GUARD)}
  for index, step in enumerate(steps.steps):
    read = [n for n in step.reads if n in data]
    params = set().union(
      *(owns.get(n, ()) for n in step.reads if n not in data)
    )
    sources = [origin[n] for n in read if n in origin]
    group = sources[0] if sources else None
    if read and params and step.operation in _WEIGHTED:
      known = [paths[i] for i in sorted(params) if i < len(paths)]
      owner = scoped[index] or _module(known)
      product = step.operation in PRODUCTS and len(read) == 1
      # Each parameter has one part in a call of its module.
      same = [
        origin[n]
        for n in read
        if n in origin
        and origin[n].owner == owner
        and not params & origin[n].params
        and len(steps.readers[n]) == 1  # nobody else reads the layer so far
      ]
      if same and not product:
        group = same[0]
      else:
        kind = 'BatchNorm' if owner or known else 'Affine'
        kind = PRODUCTS.get(step.operation, kind)
        leaf = known[0].split('/')[-1] if known else kind.lower()
        group = Group(owner or leaf, owner, kind, set(), [], -1)
        modules.append(group)
      group.params |= params
      group.steps.append(index)
      group.output = step.writes[0]
    elif (
      ends.intersection(step.writes)
      or step.operation.startswith(_ENDS)
      or (len(read) > 1 and step.operation in _JOINS)
    ):
      group = None
    if group is not None:
      origin.update(dict.fromkeys(step.writes, group))
  return modules


def scopes(steps: Steps, paths: Sequence[str]) -> dict[int, str]:
  """Path of the modules around each step, without the model's own name.

  Linen writes the name of the model's class before all others; the paths of
  its parameters do not begin with it.
  """
  written = [step.scope for step in steps.steps]
  roots = {scope.split('/')[0] for scope in written if scope}
  named = {part for path in paths for part in path.split('/')[:1]}
  if len(roots) == 1 and not roots & named and paths:
    written = ['/'.join(scope.split('/')[1:]) for scope in written]
  return dict(enumerate(written))


def _module(paths: Sequence[str]) -> str:
  """Path of the module that parameters belong to."""
  modules = [path.split('/')[:-1] for path in paths]
  shared = []
  for parts in zip(*modules, strict=False):
    if len(set(parts)) > 1:
      break
    shared.append(parts[0])
  return '/'.join(shared)


def name_all(
  steps: Steps,
  places: dict[int, Place],
  units: Sequence[Unit],
  modules: Sequence[Group],
  scoped: dict[int, str],
) -> list[Named]:
  """Names activations, in the order they are computed.

  Args:
    steps: The function.
    places: Axes of the values that depend on the image.
    units: Its functions of single numbers.
    modules: Its layers with weights.
    scoped: Path of the modules around each step.
  """
  names = _Names(steps, modules, scoped)
  ends = {group.output: group for group in modules}
  of_unit = {unit.output: unit for unit in units}
  parts = {index for group in modules for index in group.steps}
  parts.update(index for unit in units for index in unit.steps)
  means = set()
  for index, step in enumerate(steps.steps):
    number = step.writes[0] if step.writes else -1
    if number not in places:
      continue
    if number in ends:
      names.add(ends[number].name, ends[number].kind, number)
    elif step.operation == 'name':  # jax.ad_checkpoint.checkpoint_name
      names.add(step.eqn.params['name'], 'Name', number)
    elif number in of_unit and number not in means:
      names.add_unit(index, of_unit[number])
    elif index not in parts and (found := _operation(step, places)):
      name, kind = found
      if 'sum' in step.operation:
        mean = mean_of(steps, number, places, ends)
        means.add(mean)
        name = 'mean' if name == 'sum' and mean != number else name
        number = mean
      names.add_operation(index, name, kind, number)
  makers = steps.makers
  return sorted(names.named, key=lambda each: makers[each.number])


class _Names:
  """The names so far, each of them once."""

  def __init__(
    self, steps: Steps, modules: Sequence[Group], scoped: dict[int, str]
  ) -> None:
    self.steps = steps
    self.owners = {group.owner for group in modules} - {''}
    self.scopes = _scope_of_operations(steps, modules, scoped)
    self.named: list[Named] = []

  def add(self, name: str, kind: str, number: int) -> None:
    """Names a value, with a number behind a name that is taken."""
    taken, base, count = {each.name for each in self.named}, name, 0
    while name in taken:
      count += 1
      name = f'{base}_{count}'
    self.named.append(Named(name, kind, number))

  def add_operation(
    self, index: int, name: str, kind: str, number: int
  ) -> None:
    """Names the result of a step by the operation and the module around it."""
    scope = self.scopes[index]
    if scope in self.owners and name in _WITHIN:
      return
    if scope.split('/')[-1] == name:  # a module that is one operation
      self.add(scope, kind, number)
    else:
      self.add(f'{scope}/{name}' if scope else name, kind, number)

  def add_unit(self, index: int, unit: Unit) -> None:
    """Names the result of a function of single numbers."""
    if unit.kind == OTHER:
      operation = self.steps.steps[index].operation
      self.add_operation(index, operation, operation, unit.output)
    elif unit.kind != GUARD and (
      unit.kind != AFFINE or _adds(self.steps, unit.steps)
    ):
      kind = _KINDS.get(unit.kind, unit.kind.capitalize())
      self.add_operation(index, unit.kind, kind, unit.output)


def _scope_of_operations(
  steps: Steps, modules: Sequence[Group], scoped: dict[int, str]
) -> dict[int, str]:
  """Path of the module around each step.

  If none is written, it is that around the last layer with weights before.
  """
  if any(scoped.values()):
    return scoped
  before = {index: group.owner for group in modules for index in group.steps}
  inside, owner = {}, ''
  for index in range(len(steps.steps)):
    owner = before.get(index, owner)
    inside[index] = '/'.join(owner.split('/')[:-1])
  return inside


def _operation(step: Step, places: dict[int, Place]) -> tuple[str, str] | None:
  """Name and kind of an operation without parameters; ``None`` for others."""
  read = [n for n in step.reads if n in places]
  labels = places[read[0]].labels
  if step.operation in _POOLING and windows(step, labels):
    return _POOLING[step.operation]
  if step.operation == 'reduce_sum':
    gone = {labels[axis] for axis in step.eqn.params['axes']}
    return ('sum', 'GlobalPool') if gone == {'h', 'w'} else None
  if step.operation == 'reduce_max':
    gone = {labels[axis] for axis in step.eqn.params['axes']}
    return ('max', 'max') if gone == {'h', 'w'} else None
  if step.operation in ('add', 'add_any', 'mul') and len(read) == 2:
    name = step.operation.removesuffix('_any')
    return name, _KINDS.get(name, name)
  if step.operation == 'concatenate' and len(read) > 1:
    return step.operation, _KINDS[step.operation]
  return None


def mean_of(
  steps: Steps, number: int, known: Collection[int], ends: Collection[int]
) -> int:
  """The mean that a sum is divided for; the sum itself without a division.

  Args:
    steps: The function.
    number: Number of the sum.
    known: Numbers of the values that depend on the image.
    ends: Numbers of the outputs of layers with weights.
  """
  after = steps.readers.get(number, [])
  if len(after) == 1 and after[0] >= 0:
    step = steps.steps[after[0]]
    alone = [n for n in step.reads if n in known] == [number]
    divides = step.operation == 'mul' or (
      step.operation == 'div' and step.reads[0] == number
    )
    if divides and alone and step.writes[0] not in ends:
      return step.writes[0]
  return number


def _adds(steps: Steps, indices: Sequence[int]) -> bool:
  """Tells if steps add a number, and do not only multiply by one."""
  return any(steps.steps[index].operation in ADDS for index in indices)
