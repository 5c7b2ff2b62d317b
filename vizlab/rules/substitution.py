"""Rules as values: those that a net holds, and a copy with others."""

import copy
import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from vizlab.rules.pooling import PoolWindow, max_pool
from vizlab.rules.rectifiers import relu
from vizlab.types import Array

__all__ = ['Rules', 'run', 'with_rules']

_Net = TypeVar('_Net')


@dataclasses.dataclass(frozen=True)
class Rules:
  """Rules that a net computes with.

  Attributes:
    relu: ``x -> y``, of any shape.
    pool: ``([N, H, W, C], window) -> [N, H', W', C]``.
    required: Names of the rules that `with_rules` has put in. `run` raises if
      what holds them does not call them.
  """

  relu: Callable[[Array], Array] = relu
  pool: Callable[[Array, PoolWindow], Array] = max_pool
  required: frozenset[str] = frozenset()


_NAMES = ('relu', 'pool')


def with_rules(net: _Net, **rules: Callable) -> _Net:
  """Returns a copy of ``net`` with other rules; the weights are shared.

  The rules go into every `Rules` that the net holds: its own and those of the
  modules, lists, tuples and dicts in it.

  Args:
    net: A net that holds `Rules`: every net of `vizlab.nets`, or a module of
      your own that calls ``self.rules.relu``.
    **rules: ``relu=``, a function ``x -> y``, and ``pool=``, a function ``([N,
      H, W, C], PoolWindow) -> [N, H', W', C]``.

  Returns:
    The copy. A `vizlab.objectives.Score` of it raises if the net does not call
    a rule that was put in, for example because it calls ``jax.nn.relu``.

  Raises:
    ValueError: The net holds no `Rules`, or a keyword is not a rule.
  """
  if wrong := sorted(set(rules) - set(_NAMES)):
    raise ValueError(f'rules: got {wrong}, expected some of {[*_NAMES]}')
  for name, rule in rules.items():
    if not callable(rule):
      raise ValueError(f'{name}: got {rule!r}, expected a function')
  new, found = _replaced(
    net,
    lambda old, holder: dataclasses.replace(
      old, **rules, required=old.required | set(rules)
    ),
  )
  if not found:
    raise ValueError(
      f'net: {type(net).__name__} has no attribute `rules`, so no backward '
      'rule can be put in; give it `rules = vizlab.rules.Rules()` and call '
      '`self.rules.relu` where it calls jax.nn.relu'
    )
  return new


def run(net: Callable, *args: Any) -> Any:
  """Calls a net, and checks that all in it call the rules put into them.

  Calls are seen while the net is traced (or run eagerly), so that a compiled
  program has nothing of it. Every module that holds `Rules` has to call each
  rule that was put in: with one that does not, a gradient would be half true.

  Args:
    net: A net, perhaps by `with_rules`.
    *args: Its arguments.

  Returns:
    What the net returns.

  Raises:
    ValueError: A module that holds a required rule did not call it.
  """
  missing: dict[tuple[int, str], str] = {}

  def reporting(rules: Rules, holder: str) -> Rules:
    number, changes = len(missing), {}
    for name in rules.required:
      missing[number, name] = holder
      tell = functools.partial(missing.pop, (number, name), None)
      changes[name] = _called(getattr(rules, name), tell)
    return dataclasses.replace(rules, **changes) if changes else rules

  watched, _ = _replaced(net, reporting)
  result = watched(*args)
  for (_, name), holder in missing.items():
    raise ValueError(
      f'{name}: {holder} holds rules but never calls `rules.{name}`, so its '
      f'backward would stay as it is; expected `self.rules.{name}` where '
      f'{holder} computes it'
    )
  return result


def _called(rule: Callable, tell: Callable[[], Any]) -> Callable:
  """A rule that reports its calls."""

  def call(*args: Any) -> Array:
    tell()
    return rule(*args)

  return call


# Leaves of an object that can hold no rules: they are not searched.
_LEAVES = (
  str,
  bytes,
  np.ndarray,
  jax.Array,
  type,
  types.ModuleType,
  types.FunctionType,
)


def _replaced(
  root: Any, change: Callable[[Rules, str], Rules]
) -> tuple[Any, int]:
  """A copy of ``root`` with every `Rules` in it changed, and their number.

  Only what holds `Rules` is copied; all else, such as weights, is shared. What
  occurs twice in ``root`` occurs twice in the copy; `Rules` that several
  modules share, as their default, count for each of them.

  Args:
    root: A net.
    change: ``(rules, name of the class that holds them) -> rules``.
  """
  copies: dict[int, Any] = {}
  found = 0

  def visit(node: Any, holder: str = type(root).__name__) -> Any:
    nonlocal found
    if isinstance(node, Rules):
      found += 1
      return change(node, holder)
    if id(node) in copies:
      return copies[id(node)]
    copies[id(node)] = node  # also ends a cycle
    if isinstance(node, list | tuple | dict):
      copies[id(node)] = _container(node, lambda child: visit(child, holder))
    elif hasattr(node, '__dict__') and not isinstance(node, _LEAVES):
      old = vars(node)
      shared = getattr(type(node), 'rules', None)  # of the whole class
      if isinstance(shared, Rules) and 'rules' not in old:
        old = {**old, 'rules': shared}
      name = type(node).__name__
      new = {key: visit(child, name) for key, child in old.items()}
      if any(new[key] is not old[key] for key in old):
        copies[id(node)] = made = copy.copy(node)
        for key, child in new.items():
          # Past the module's own __setattr__: a frozen dataclass refuses all
          # changes, an NNX module those inside a trace that it was not made in.
          object.__setattr__(made, key, child)
    return copies[id(node)]

  return visit(root), found


def _container(
  node: list | tuple | dict, visit: Callable[[Any], Any]
) -> list | tuple | dict:
  """A container of what ``visit`` returns; itself where nothing changes."""
  items = node.items() if isinstance(node, dict) else enumerate(node)
  old = dict(items)
  new = {key: visit(child) for key, child in old.items()}
  if all(new[key] is old[key] for key in old):
    return node
  if isinstance(node, dict):
    made = copy.copy(node)  # a subclass stays one
    made.update(new)
    return made
  if hasattr(node, '_fields'):  # a named tuple
    return type(node)(*new.values())
  return type(node)(new.values())
