"""ReLUs with different backward rules."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.types import Array

__all__ = ['deconv_relu', 'guided_relu', 'redirected_relu', 'relu']


def _relu_rule(name: str, doc: str, backward: Callable) -> Callable:
  """Builds a ReLU whose gradient is ``backward(mask, g)``."""

  def forward(x: Array) -> Array:
    return extrema.positive(x)

  forward.__name__ = forward.__qualname__ = name
  forward.__doc__ = doc
  rule = jax.custom_vjp(forward)
  rule.defvjp(
    lambda x: (forward(x), x > 0),
    lambda mask, g: (backward(mask, g),),
  )
  return rule


relu = _relu_rule(
  'relu',
  """ReLU with its true gradient: ``g`` where ``x > 0`` (0 at ``x = 0``).""",
  lambda mask, g: jnp.where(mask, g, 0),
)
deconv_relu = _relu_rule(
  'deconv_relu',
  """ReLU whose gradient is ``max(g, 0)``: the deconvnet's (Zeiler 2014).""",
  lambda mask, g: extrema.positive(g),
)
guided_relu = _relu_rule(
  'guided_relu',
  """ReLU whose gradient is ``max(g, 0)`` where ``x > 0``: the guided one.""",
  lambda mask, g: jnp.where(mask, extrema.positive(g), 0),
)


def _redirect(mask: Array, g: Array) -> Array:
  plain = jnp.where(mask, g, 0)
  axes = tuple(range(-3, 0)) if g.ndim >= 3 else (-1,)
  dead = (plain == 0).all(axes, keepdims=True)
  return jnp.where(dead, -extrema.positive(-g), plain)


redirected_relu = _relu_rule(
  'redirected_relu',
  """ReLU that passes a gradient to inactive units.

  Its gradient is the true one, except for an image (a map ``[..., H, W, C]`` or
  a vector ``[N, C]``) whose true gradient is zero everywhere: there it is
  ``min(g, 0)``, which raises the units that would lower the loss. Once a unit
  is active the rule equals the true ReLU, so no schedule is needed (Olah,
  Mordvintsev & Schubert 2017; lucid's redirected ReLU).
  """,
  _redirect,
)
