"""Checks that attribution methods share."""

from typing import Any

import jax.numpy as jnp

from vizlab.objectives import Score
from vizlab.objectives.base import activation
from vizlab.types import Acts, Array

__all__ = [
  'nan_where_undefined',
  'need_map',
  'need_score',
]


def nan_where_undefined(gradient: Array, y: Array) -> Array:
  """Makes a gradient NaN where the score is NaN or infinite.

  The mask of a ReLU is false where its input is NaN, so without this the
  gradient there would be a plausible zero.

  Args:
    gradient: ``[..., H, W, C]`` or ``[..., C]``.
    y: The score ``[...]``.
  """
  wrong = ~jnp.isfinite(y).reshape(*y.shape, *(1,) * (gradient.ndim - y.ndim))
  return jnp.where(wrong, jnp.nan, gradient)


def need_map(net: Any, acts: Acts, layer: str, x: Array) -> Array:
  """Returns a layer's map; raises `ValueError` for anything else."""
  a = activation(acts, layer)
  if layer in getattr(net, 'token_layers', ()):
    raise ValueError(
      f'layer: {layer!r} gives tokens, expected a map of the image'
    )
  if a.ndim != x.ndim:
    raise ValueError(
      f'layer: {layer!r} gives a vector {a.shape}, expected a map'
    )
  return a


def need_score(score: Any, method: str) -> Score:
  """Returns a `Score`; raises a `ValueError` for any other function."""
  if not isinstance(score, Score):
    raise ValueError(
      f'score: got {type(score).__name__}, expected a '
      f'vizlab.objectives.score(net, objective): {method} reads layers of the '
      'network'
    )
  return score
