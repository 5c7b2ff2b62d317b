"""Checks and helpers that attribution methods share."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.objectives import Score
from vizlab.objectives.base import activation, check_score
from vizlab.types import Acts, Array

__all__ = [
  'as_image',
  'at_once',
  'check_images',
  'check_score',
  'nan_where_undefined',
  'need_map',
  'need_score',
  'unit_range',
  'vary_with',
]


def check_images(x: Array) -> None:
  """Raises a `ValueError` unless ``x`` holds images ``[..., H, W, C]``."""
  if not hasattr(x, 'shape'):
    raise ValueError(f'x: got a {type(x).__name__}, expected an array')
  shape, dtype = jnp.shape(x), jnp.result_type(x)
  if len(shape) < 3:
    raise ValueError(f'x: got shape {shape}, expected [..., H, W, C]')
  if dtype not in (jnp.float32, jnp.float64):
    raise ValueError(f'x: got {dtype}, expected float32 in [0, 1]')
  if math.prod(shape) == 0:
    raise ValueError(f'x: got shape {shape}, expected at least one image')


def at_once(x: Array, chunk: int) -> int:
  """Number of variants of a batch ``[..., H, W, C]`` that fit in ``chunk``.

  At least one. Raises a `ValueError` if ``chunk`` is less than 1.
  """
  if chunk < 1:
    raise ValueError(f'chunk: got {chunk}, expected at least 1 image')
  return max(1, chunk // math.prod(x.shape[:-3]))


def as_image(value: float | Array, x: Array, name: str) -> Array:
  """Reshapes a number, a colour or an image to broadcast with ``x``.

  Args:
    value: ``[]``, ``[C]``, ``[H, W, C]`` or of the shape of ``x``.
    x: Images ``[..., H, W, C]``.
    name: Name of the argument in error messages.

  Returns:
    An array of the rank of ``x``.
  """
  value = jnp.asarray(value, x.dtype)
  if value.shape not in ((), x.shape[-1:], x.shape[-3:], x.shape):
    raise ValueError(
      f'{name}: got shape {value.shape}, expected a number, a colour '
      f'{x.shape[-1:]} or an image {x.shape}'
    )
  return value.reshape((1,) * (x.ndim - value.ndim) + value.shape)


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


def unit_range(values: Array, axes: tuple[int, ...]) -> Array:
  """Scales values to [0, 1] over some axes; constant values become 0."""
  low = extrema.min_over(values, axes, keepdims=True)
  span = extrema.max_over(values, axes, keepdims=True) - low
  return (values - low) / jnp.where(span == 0, 1, span)


def vary_with(tree: Any, value: Array) -> Array:
  """Gives a float array the device-varying type of the arrays in a pytree.

  Under `jax.shard_map` a constant is replicated: a loop cannot accumulate
  device-varying values in it, and a gradient with respect to it is summed over
  the devices. A zero computed from an array varies like that array; the
  compiler removes it.

  Args:
    tree: A pytree of arrays that vary over devices, such as a score.
    value: The array to convert.
  """
  never = jnp.zeros((), bool)
  for leaf in jax.tree.leaves(tree):
    if isinstance(leaf, jax.Array) and leaf.size:
      if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
      never |= (leaf.reshape(-1)[0] != 0) & False
  return value + never.astype(value.dtype)


def need_map(acts: Acts, layer: str, x: Array) -> Array:
  """Returns a layer's map; raises `ValueError` for a vector or unknown name."""
  a = activation(acts, layer)
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
