"""Maxima and minima that propagate NaN.

XLA's CPU backend compiles ``max`` and ``min`` to instructions that may drop
NaN, in fused loops and in reductions over 16x16 elements and more. A NaN in an
image would then become a plausible number. These functions behave as
`jax.numpy` documents, under every compiler setting.
"""

from collections.abc import Sequence

import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['max_over', 'maximum', 'min_over', 'minimum', 'positive']

Axes = int | Sequence[int] | None


def maximum(a: Array, b: Array) -> Array:
  """Elementwise maximum; NaN where either is NaN.

  Args:
    a: Any shape; on a tie it receives the gradient.
    b: A shape that broadcasts with it.
  """
  return jnp.where((a < b) | jnp.isnan(b), b, a)


def minimum(a: Array, b: Array) -> Array:
  """Elementwise minimum; NaN where either is NaN.

  Args:
    a: Any shape; on a tie it receives the gradient.
    b: A shape that broadcasts with it.
  """
  return jnp.where((a > b) | jnp.isnan(b), b, a)


def positive(x: Array) -> Array:
  """Positive part ``max(x, 0)``; NaN where ``x`` is NaN."""
  return jnp.where(x < 0, jnp.zeros((), x.dtype), x)


def max_over(x: Array, axes: Axes = None, *, keepdims: bool = False) -> Array:
  """Maximum over axes; NaN if an element is NaN.

  Args:
    x: Any shape.
    axes: Axes to reduce; all by default.
    keepdims: Whether reduced axes stay, with length 1.
  """
  return _reduced(jnp.max, x, axes, keepdims)


def min_over(x: Array, axes: Axes = None, *, keepdims: bool = False) -> Array:
  """Minimum over axes; NaN if an element is NaN.

  Args:
    x: Any shape.
    axes: Axes to reduce; all by default.
    keepdims: Whether reduced axes stay, with length 1.
  """
  return _reduced(jnp.min, x, axes, keepdims)


def _reduced(reduce, x: Array, axes: Axes, keepdims: bool) -> Array:
  axes = tuple(axes) if isinstance(axes, Sequence) else axes
  undefined = jnp.isnan(x).any(axes, keepdims=keepdims)
  return jnp.where(undefined, jnp.nan, reduce(x, axes, keepdims=keepdims))
