"""Scaling of values over axes: to [0, 1], or by the maximum absolute value."""

import jax.numpy as jnp

from vizlab import extrema
from vizlab.types import Array

__all__ = ['max_abs_scale', 'minmax_scale']


def minmax_scale(values: Array, axes: tuple[int, ...]) -> Array:
  """Scales values to [0, 1] over some axes; constant values become 0."""
  low = extrema.min_over(values, axes, keepdims=True)
  span = extrema.max_over(values, axes, keepdims=True) - low
  return (values - low) / jnp.where(span == 0, 1, span)


def max_abs_scale(values: Array, axes: int | tuple[int, ...]) -> Array:
  """Divides values by their maximum absolute value; zeros stay zeros."""
  top = extrema.max_over(jnp.abs(values), axes, keepdims=True)
  return values / jnp.where(top == 0, 1, top)
