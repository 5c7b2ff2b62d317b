"""Backward rules as values: the rules of a network and their replacement."""

import copy
import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from vizlab.rules.pooling import PoolWindow, avg_pool, max_pool
from vizlab.rules.rectifiers import (
  deconv_relu,
  guided_relu,
  redirected_relu,
  relu,
)
from vizlab.types import Array

__all__ = ['Rules', 'replaced', 'run', 'with_rules']

_Net = TypeVar('_Net')


def _normalized(x: Array, normalise: Callable[[Array], Array]) -> Array:
  """Local response normalisation itself."""
  return normalise(x)


def _applied(
  layer: Any, params: dict[str, Array], xs: tuple[Array, ...], first: Any
) -> Array:
  """The output of a linear layer itself."""
  del first
  return layer.linear(params, *xs)


def _preprocessed(spec: Callable[[Array], Array], x: Array) -> Array:
  """The preprocessed image itself."""
  return spec(x)


@dataclasses.dataclass(frozen=True)
class Rules:
  """Backward rules of a network.

  Attributes:
    relu: Function ``x -> y`` of arrays of any shape.
    pool: Function ``([N, H, W, C], PoolWindow) -> [N, H', W', C]``.
    lrn: Function ``(x, normalise) -> y`` of a map and the function that
      normalises its local responses.
    linear: Function ``(layer, params, xs, first) -> y`` of a layer that has a
      method ``linear(params, *xs)``, its parameters and inputs; called by
      `apply`.
    image: Function ``(preprocess, x) -> y`` of a function and an image.
    first: The preprocessing, for a layer that reads the image.
    relevance: Whether the backward pass propagates relevance, not gradients.
    required: Names of the rules that `with_rules` has replaced. `run` raises a
      `ValueError` if the module that holds them does not call them.
  """

  relu: Callable[[Array], Array] = relu
  pool: Callable[[Array, PoolWindow], Array] = max_pool
  lrn: Callable[[Array, Callable[[Array], Array]], Array] = _normalized
  linear: Callable[..., Array] = _applied
  image: Callable[[Callable[[Array], Array], Array], Array] = _preprocessed
  first: Callable[[Array], Array] | None = None
  relevance: bool = False
  required: frozenset[str] = frozenset()

  @property
  def are_fixed(self) -> bool:
    """True if all are functions of vizlab, which do the same at each call."""
    return all(getattr(self, name) in _FIXED for name in _NAMES)

  def apply(self, layer: Any, params: dict[str, Array], *xs: Array) -> Array:
    """The output of a linear layer, by the rule ``linear``."""
    return self.linear(layer, params, xs, self.first)

  def refuse_relevance(self, layer: Any) -> None:
    """Raises a `ValueError` if relevance reaches a layer without a rule for it.

    Called by such layers, which would mix relevance with gradients.
    """
    if self.relevance:
      raise ValueError(
        f'net: {layer.name!r} ({layer.kind}) has no rule for relevance'
      )


_NAMES = ('relu', 'pool', 'lrn', 'linear', 'image')
_CALLS = {'linear': 'apply'}  # what a network calls for a rule
_FIXED = (
  *(relu, deconv_relu, guided_relu, redirected_relu, max_pool, avg_pool),
  *(_normalized, _applied, _preprocessed),
)


def with_rules(net: _Net, **rules: Callable) -> _Net:
  """Returns a copy of ``net`` with other rules; the weights are shared.

  Every `Rules` in the network is replaced: its own and those of the modules,
  lists, tuples and dicts in it.

  Args:
    net: A network that holds `Rules`: any network of `vizlab.nets`, or a module
      of your own that calls ``self.rules.relu``.
    **rules: ``relu=``, a function ``x -> y``; ``pool=``, a function ``([N, H,
      W, C], PoolWindow) -> [N, H', W', C]``; ``lrn=``, a function ``(x,
      normalise) -> y``; ``linear=`` and ``image=``, see `Rules`.

  Returns:
    The copy. A `vizlab.objectives.Score` of it raises a `ValueError` if the
    network does not call a replaced rule, for example because it calls
    ``jax.nn.relu``.

  Raises:
    ValueError: The network holds no `Rules`, or a keyword is not the name of a
      rule.
  """
  if wrong := sorted(set(rules) - set(_NAMES)):
    raise ValueError(f'rules: got {wrong}, expected some of {[*_NAMES]}')
  for name, rule in rules.items():
    if not callable(rule):
      raise ValueError(f'{name}: got {rule!r}, expected a function')
  return replaced(
    net,
    lambda old, holder: dataclasses.replace(
      old, **rules, required=old.required | set(rules)
    ),
  )


def replaced(net: _Net, change: Callable[[Rules, str], Rules]) -> _Net:
  """Returns a copy of ``net`` with every `Rules` in it changed.

  Args:
    net: A network that holds `Rules`.
    change: Function ``(rules, name of the class that holds them) -> rules``.

  Raises:
    ValueError: The network holds no `Rules`.
  """
  new, count = _replaced(net, change)
  if not count:
    raise ValueError(
      f'net: {type(net).__name__} has no attribute `rules`, expected '
      '`rules = vizlab.rules.Rules()` and calls of `self.rules.relu` instead '
      'of jax.nn.relu, or vizlab.nets.from_function'
    )
  return new


def run(net: Callable, *args: Any) -> Any:
  """Calls a network and checks that its modules call their replaced rules.

  A network of vizlab's layers knows which it calls (``called_rules``). Calls of
  others are recorded while they are traced (or run eagerly), so the compiled
  program is unaffected. Every module that holds `Rules` must call each
  replaced rule; otherwise a gradient would mix backward rules.

  Args:
    net: A network, usually a copy from `with_rules`.
    *args: Arguments of the network.

  Returns:
    The output of the network.

  Raises:
    ValueError: A module that holds a replaced rule did not call it.
  """
  # Of its class: a module may pass on the attributes of a network within.
  knows = hasattr(type(net), 'called_rules')
  called = net.called_rules if knows else None
  if called is not None:
    for name in sorted(net.rules.required - called):
      raise ValueError(_uncalled(name, type(net).__name__))
    return net(*args)
  missing: dict[tuple[int, str], str] = {}

  def reporting(rules: Rules, holder: str) -> Rules:
    number, changes = len(missing), {}
    for name in rules.required:
      missing[number, name] = holder
      report = functools.partial(missing.pop, (number, name), None)
      changes[name] = _called(getattr(rules, name), report)
    return dataclasses.replace(rules, **changes) if changes else rules

  watched, _ = _replaced(net, reporting)
  result = watched(*args)
  for (_, name), holder in missing.items():
    raise ValueError(_uncalled(name, holder))
  return result


def _uncalled(name: str, holder: str) -> str:
  """Text of the error for a rule that is never called."""
  return (
    f'{name}: {holder} holds rules but never calls `rules.{name}`, so its '
    'gradient would not change; expected calls of '
    f'`self.rules.{_CALLS.get(name, name)}`'
  )


def _called(rule: Callable, report: Callable[[], Any]) -> Callable:
  """Wraps a rule so that it reports its calls."""

  def call(*args: Any) -> Array:
    report()
    return rule(*args)

  return call


# Types that cannot hold rules and are not searched.
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
  """Copies ``root`` with every `Rules` in it changed; returns their number too.

  Only objects that hold `Rules` are copied; everything else, such as weights,
  is shared. An object that occurs twice in ``root`` occurs twice in the copy.
  `Rules` that several modules share count once per module.

  Args:
    root: A network.
    change: Function ``(rules, name of the class that holds them) -> rules``.
  """
  copies: dict[int, Any] = {}
  count = 0

  def visit(node: Any, holder: str = type(root).__name__) -> Any:
    nonlocal count
    if isinstance(node, Rules):
      count += 1
      return change(node, holder)
    if id(node) in copies:
      return copies[id(node)]
    copies[id(node)] = node  # also ends a cycle
    if isinstance(node, list | tuple | dict):
      copies[id(node)] = _container(node, lambda child: visit(child, holder))
    elif hasattr(node, '__dict__') and not isinstance(node, _LEAVES):
      old = vars(node)
      shared = getattr(type(node), 'rules', None)  # a class attribute
      if isinstance(shared, Rules) and 'rules' not in old:
        old = {**old, 'rules': shared}
      name = type(node).__name__
      new = {key: visit(child, name) for key, child in old.items()}
      if any(new[key] is not old[key] for key in old):
        copies[id(node)] = clone = copy.copy(node)
        for key, child in new.items():
          # Bypasses __setattr__: a frozen dataclass rejects all changes, an NNX
          # module those within a trace in which it was not created.
          object.__setattr__(clone, key, child)
    return copies[id(node)]

  return visit(root), count


def _container(
  node: list | tuple | dict, visit: Callable[[Any], Any]
) -> list | tuple | dict:
  """Applies ``visit`` to a container's items; keeps it if nothing changes."""
  items = node.items() if isinstance(node, dict) else enumerate(node)
  old = dict(items)
  new = {key: visit(child) for key, child in old.items()}
  if all(new[key] is old[key] for key in old):
    return node
  if isinstance(node, dict):
    clone = copy.copy(node)  # keeps the subclass
    clone.update(new)
    return clone
  if hasattr(node, '_fields'):  # a named tuple
    return type(node)(*new.values())
  return type(node)(new.values())
