"""Layer-wise relevance propagation, as the backward pass of a network.

Where a gradient goes back through a network, relevance goes: each layer gives
that of its outputs to its inputs, so that the sum stays the same but for what a
rule takes away. A composite says which layer has which rule, and
`with_relevance` puts it into a network.

References:
  Bach et al. 2015, section 3; Montavon et al. 2019 (composites).
"""

import dataclasses
import fnmatch
import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.rules.pooling import PoolWindow, avg_pool
from vizlab.rules.redistribution import Part, Redistribution, epsilon
from vizlab.rules.substitution import Rules, replaced
from vizlab.types import Array, widened

__all__ = ['Composite', 'Linear', 'composite', 'with_relevance']

_Net = TypeVar('_Net')
Params = dict[str, Array]


class Linear(Protocol):
  """A layer that is linear in its inputs, but for a bias.

  Attributes:
    name: Its name.
    kind: Its kind, such as ``'Conv'``.
  """

  name: str
  kind: str

  def linear(self, params: Params, *xs: Array) -> Array:
    """The output, linear in the inputs and in the parameters."""


@dataclasses.dataclass(frozen=True)
class Composite:
  """Rules by layer; made by `composite`.

  Attributes:
    table: Pairs of a pattern and a rule; the first pattern that fits decides.
  """

  table: tuple[tuple[str, Redistribution], ...]

  def patterns(self, layer: Any, first: bool) -> tuple[str, ...]:
    """The patterns that fit a layer, which may be one that reads the image."""
    names = [layer.name, layer.kind, *(['first'] if first else [])]
    return tuple(
      pattern
      for pattern, _ in self.table
      if any(fnmatch.fnmatchcase(name, pattern) for name in names)
    )

  def rule(self, layer: Any, first: bool) -> Redistribution:
    """The rule of a layer, which may be one that reads the image."""
    fitting = self.patterns(layer, first)
    return dict(self.table)[fitting[0]] if fitting else epsilon()

  def check(self, layers: Collection[tuple[Any, bool]]) -> None:
    """Raises a `ValueError` for the name of a layer that fits none.

    Kinds of layers, in capitals, and ``'first'`` may fit other networks only.

    Args:
      layers: The linear layers, and whether each reads the image.
    """
    fitting = {p for layer in layers for p in self.patterns(*layer)}
    for pattern, _ in self.table:
      if pattern not in fitting and pattern.islower() and pattern != 'first':
        names = [layer.name for layer, _ in layers]
        raise ValueError(
          f'composite: {pattern!r} is no linear layer, expected kinds such as '
          f"'Conv', or some of {names}"
        )

  def __call__(
    self,
    layer: Linear,
    params: Params,
    xs: tuple[Array, ...],
    first: Callable[[Array], Array] | None,
  ) -> Array:
    """The output of a layer, which passes relevance back by its rule."""
    rule = self.rule(layer, first is not None)
    _check_weights(rule, layer, params)
    return _relevant(rule, layer, first, params, xs)


def composite(table: Mapping[str, Redistribution]) -> Composite:
  """Rules by layer.

  Args:
    table: Rules by pattern, of which the first that fits decides: the name of a
      layer such as ``'conv1_*'``, its kind (``'Conv'``, ``'Dense'``,
      ``'Add'``, ``'GlobalPool'``), or ``'first'`` for the layers that read the
      image. Where none fits it is the epsilon rule with 1e-6.

  Raises:
    ValueError: A value is no rule.

  >>> from vizlab import rules
  >>> mine = rules.composite({
  ...   'first': rules.z_box(), 'Conv': rules.gamma(0.1)
  ... })
  """
  for pattern, rule in table.items():
    if not isinstance(rule, Redistribution):
      raise ValueError(
        f'table: got {rule!r} for {pattern!r}, expected a rule such as '
        'rules.epsilon()'
      )
  return Composite(tuple(table.items()))


def with_relevance(net: _Net, rule: Callable[..., Array]) -> _Net:
  """Returns a copy of a network whose backward pass propagates relevance.

  The cotangent of its outputs is their relevance, and so is that of its image:
  ReLUs and normalisation pass it on, max pooling gives it to the winner,
  average pooling and linear layers share it by their rules.

  Args:
    net: A network that holds `Rules`.
    rule: The rule ``linear`` of `Rules`, such as a `Composite`.

  Raises:
    ValueError: The network holds no `Rules`.
  """

  def change(old: Rules, holder: str) -> Rules:
    del holder
    pool = _shared_pool if old.pool is avg_pool else old.pool
    return dataclasses.replace(
      old,
      relu=_passing_relu,
      lrn=_passing_lrn,
      pool=pool,
      linear=rule,
      image=_passing_image,
      relevance=True,
      required=old.required | {'linear'},
    )

  return replaced(net, change)


def _check_weights(rule: Redistribution, layer: Linear, params: Params) -> None:
  """Raises a `ValueError` for a rule of weights where there are no such."""
  plain = all(
    part.weights == 'all' for group in rule.groups for part in group.parts
  )
  if not plain and 'kernel' not in params:
    raise ValueError(
      f'composite: {layer.name!r} ({layer.kind}) has no kernel, '
      'expected the epsilon rule or to pass relevance on; '
      'nets.merge_batch_norm merges normalisation'
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _relevant(
  rule: Redistribution,
  layer: Linear,
  first: Callable[[Array], Array] | None,
  params: Params,
  xs: tuple[Array, ...],
) -> Array:
  return layer.linear(params, *xs)


def _relevant_fwd(
  rule: Redistribution,
  layer: Linear,
  first: Callable[[Array], Array] | None,
  params: Params,
  xs: tuple[Array, ...],
) -> tuple[Array, Any]:
  y = layer.linear(params, *xs)
  return y, (params, xs, y)


def _relevant_bwd(
  rule: Redistribution,
  layer: Linear,
  first: Callable[[Array], Array] | None,
  saved: Any,
  relevance: Array,
) -> tuple[Params, tuple[Array, ...]]:
  dtypes = [x.dtype for x in saved[1]]
  none = jax.tree.map(jnp.zeros_like, saved[0])
  # Shares of half precision would overflow where a sum is small.
  params, xs, y = jax.tree.map(widened, saved)
  relevance = widened(relevance)
  if not rule.groups:
    if any(x.shape != relevance.shape for x in xs):
      raise ValueError(
        f'composite: {layer.name!r} changes the shape of its input, expected '
        'another rule than to pass relevance on'
      )
    shares = (relevance / len(xs) for _ in xs)
    return none, _as(shares, dtypes)
  total = [jnp.zeros_like(x) for x in xs]
  for group in rule.groups:
    values, pulls = [], []
    for part in group.parts:
      inputs = tuple(_changed(x, part.inputs, first) for x in xs)
      changed = _weights(params, part)
      value, pull = jax.vjp(
        lambda *xs, changed=changed: layer.linear(changed, *xs), *inputs
      )
      values.append(part.sign * value)
      pulls.append((part.sign, inputs, pull))
    z = sum(values)
    given = relevance if not group.side else _on_side(relevance, y, group.side)
    shared = group.factor * given / _stabilised(z, rule.stabiliser)
    for sign, inputs, pull in pulls:
      slopes = pull(shared)
      total = [
        t + sign * x * slope
        for t, x, slope in zip(total, inputs, slopes, strict=True)
      ]
  return none, _as(total, dtypes)


_relevant.defvjp(_relevant_fwd, _relevant_bwd)


def _as(arrays: Iterable[Array], dtypes: Iterable[Any]) -> tuple[Array, ...]:
  return tuple(a.astype(dtype) for a, dtype in zip(arrays, dtypes, strict=True))


def _on_side(relevance: Array, y: Array, side: int) -> Array:
  return jnp.where(y > 0 if side > 0 else y < 0, relevance, 0)


def _stabilised(z: Array, amount: float) -> Array:
  return z + jnp.where(z >= 0, amount, -amount).astype(z.dtype)


def _changed(
  x: Array, kind: str, first: Callable[[Array], Array] | None
) -> Array:
  if kind in ('low', 'high'):
    if first is None:
      raise ValueError(
        'composite: got the z-box rule for a layer that does not read the '
        "image, expected it for 'first' only"
      )
    end = jnp.zeros_like(x) if kind == 'low' else jnp.ones_like(x)
    return first(end)
  return {
    'all': lambda v: v,
    'positive': extrema.positive,
    'negative': _negative,
    'ones': jnp.ones_like,
  }[kind](x)


def _negative(x: Array) -> Array:
  return -extrema.positive(-x)


def _weights(params: Params, part: Part) -> Params:
  """The parameters of a part of the output."""
  change = {
    'all': lambda w: w,
    'positive': extrema.positive,
    'negative': _negative,
    'square': jnp.square,
    'ones': jnp.ones_like,
  }[part.weights]
  changed = {
    name: change(w) if part.share is None else w + part.share * change(w)
    for name, w in params.items()
  }
  if 'bias' in changed and not part.bias:
    changed['bias'] = jnp.zeros_like(changed['bias'])
  return changed


def _passing(forward: Callable[..., Array]) -> Callable[..., Array]:
  """A function of ``x`` and static settings that passes relevance on."""

  @functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
  def pass_on(x: Array, setting: Any) -> Array:
    return forward(x, setting)

  pass_on.defvjp(
    lambda x, setting: (forward(x, setting), None),
    lambda setting, saved, relevance: (relevance,),
  )
  return pass_on


_relu = _passing(lambda x, setting: extrema.positive(x))
_normalise = _passing(lambda x, normalise: normalise(x))


def _passing_relu(x: Array) -> Array:
  return _relu(x, None)


def _passing_lrn(x: Array, normalise: Callable[[Array], Array]) -> Array:
  return _normalise(x, normalise)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _passing_image(spec: Any, x: Array) -> Array:
  return spec(x)


def _image_bwd(spec: Any, saved: None, relevance: Array) -> tuple[Array]:
  return (relevance if spec.order == 'rgb' else relevance[..., ::-1],)


_passing_image.defvjp(lambda spec, x: (spec(x), None), _image_bwd)


@dataclasses.dataclass(frozen=True)
class _AvgPool:
  """Average pooling as a linear layer."""

  window: PoolWindow
  name: str = 'pool'
  kind: str = 'AvgPool'

  def linear(self, params: Params, *xs: Array) -> Array:
    """Averages every window."""
    return avg_pool(xs[0], self.window)


def _shared_pool(x: Array, window: PoolWindow) -> Array:
  return _relevant(epsilon(), _AvgPool(window), None, {}, (x,))
