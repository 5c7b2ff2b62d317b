"""Rules as values: those that a net holds, and a copy with others."""

import collections
import copy
import dataclasses
import types
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from vizlab.rules.pooling import Window, max_pool
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
      the net does not call them.
  """

  relu: Callable[[Array], Array] = relu
  pool: Callable[[Array, Window], Array] = max_pool
  required: frozenset[str] = frozenset()


_NAMES = ('relu', 'pool')


def with_rules(net: _Net, **rules: Callable) -> _Net:
  """Returns a copy of ``net`` with other rules; the weights are shared.

  The rules go into every `Rules` that the net holds: its own and those of the
  modules, lists, tuples and dicts in it.

  Args:
    net: A net that holds `Rules`: every net of `vizlab.nets`, or a module of
      your own that calls ``self.rules.relu``.
    **rules: ``relu=`` and ``pool=``; see `Rules`.

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
    lambda old: dataclasses.replace(
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
  """Calls a net, and checks that it calls the rules that were put into it.

  The calls are counted while the net is traced (or run eagerly), so that a
  compiled program has no trace of them.

  Args:
    net: A net, perhaps by `with_rules`.
    *args: Its arguments.

  Returns:
    What the net returns.

  Raises:
    ValueError: A required rule was not called.
  """
  calls = collections.Counter()

  def counting(rules: Rules) -> Rules:
    return dataclasses.replace(
      rules,
      **{n: _counted(n, getattr(rules, n), calls) for n in rules.required},
    )

  counted, found = _replaced(net, counting)
  result = counted(*args)
  for name in sorted(set().union(*(rules.required for rules in found))):
    if not calls[name]:
      raise ValueError(
        f'{name}: {type(net).__name__} holds rules but never calls '
        f'`rules.{name}`, so its backward would stay as it is; expected '
        f'`self.rules.{name}` where the net computes it'
      )
  return result


def _counted(name: str, rule: Callable, calls: collections.Counter) -> Callable:
  def call(*args: Any) -> Array:
    calls[name] += 1
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
  root: Any, change: Callable[[Rules], Rules]
) -> tuple[Any, list[Rules]]:
  """A copy of ``root`` with every `Rules` in it changed, and those it held.

  Only what holds `Rules` is copied; all else, such as weights, is shared. What
  occurs twice in ``root`` occurs twice in the copy.
  """
  copies: dict[int, Any] = {}
  found: list[Rules] = []

  def visit(node: Any) -> Any:
    if id(node) in copies:
      return copies[id(node)]
    copies[id(node)] = node  # also ends a cycle
    if isinstance(node, Rules):
      found.append(node)
      copies[id(node)] = change(node)
    elif isinstance(node, list | tuple | dict):
      copies[id(node)] = _container(node, visit)
    elif hasattr(node, '__dict__') and not isinstance(node, _LEAVES):
      old = vars(node)
      new = {key: visit(child) for key, child in old.items()}
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
