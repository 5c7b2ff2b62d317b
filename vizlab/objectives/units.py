"""Objectives that read a unit: a logit, a probability, a neuron, a channel.

Each takes its settings alone and returns a function of ``(logits, acts)``.
``target``, ``channel`` and the rest are one number for all images, or an array
with one number per image.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.objectives.base import (
  activation,
  at_position,
  batch_rank,
  feature_map,
  for_each,
  index,
  objective,
  pick,
)
from vizlab.terms import at_least
from vizlab.types import Acts, Array

__all__ = [
  'channel',
  'layer_energy',
  'logit',
  'margin',
  'neuron',
  'peak',
  'position_index',
  'present',
  'probability',
  'top_label',
  'total',
]


@objective(target=index)
def logit(logits: Array | None, acts: Acts, target: int | Array) -> Array:
  """The score of a class before the softmax: ``logits[target]``.

  Args:
    target: Class, 0 to K - 1.

  Raises:
    ValueError: The class is out of range, or the net has no classifier (both
      when the objective is read).
  """
  return pick(present(logits), target, 'target')


@objective(target=index)
def probability(logits: Array | None, acts: Acts, target: int | Array) -> Array:
  """The probability of a class: ``softmax(logits)[target]``, in [0, 1].

  Args:
    target: Class, 0 to K - 1.

  Raises:
    ValueError: The class is out of range, or the net has no classifier (both
      when the objective is read).
  """
  return pick(jax.nn.softmax(present(logits)), target, 'target')


def _enough(value: Any, name: str) -> np.ndarray | Array:
  if isinstance(value, jax.Array):
    return value
  # Infinity is a number here: the margin never stops to count.
  if not np.float32(value) > -np.inf:
    raise ValueError(f'{name}: got {value}, expected a number')
  return np.float32(value)


@objective(target=index, enough=_enough)
def margin(
  logits: Array | None,
  acts: Acts,
  target: int | Array,
  enough: float = jnp.inf,
) -> Array:
  """Margin of a class over all others, in logits.

  ``min(logits[target] - max of the others, enough)``

  Args:
    target: Class, 0 to K - 1.
    enough: Margin from which on there is no slope.

  Raises:
    ValueError: The class is out of range, or the net has no classifier (both
      when the objective is read).

  Reference:
    Carlini & Wagner 2017, their function f6, of the opposite sign.
  """
  logits = present(logits)
  own_logit = pick(logits, target, 'target')
  classes = jnp.broadcast_to(target, logits.shape[:-1])
  own = jax.nn.one_hot(classes, logits.shape[-1], dtype=bool)
  others = extrema.max_over(jnp.where(own, -jnp.inf, logits), -1)
  return extrema.minimum(own_logit - others, jnp.asarray(enough, logits.dtype))


@objective
def top_label(logits: Array | None, acts: Acts) -> Array:
  """The most probable class; to be recorded, not differentiated.

  An int32 for each image; -1 where its logits have a NaN.
  """
  logits = present(logits)
  label = jax.lax.argmax(logits, logits.ndim - 1, jnp.int32)
  return jnp.where(jnp.isnan(logits).any(-1), -1, label)


def position_index(value: Any, name: str) -> Any:
  """Row and column as int32 leaves, or ``None``."""
  if value is None:
    return None
  row, column = value
  return index(row, 'row'), index(column, 'column')


@objective(channel=index, position=position_index)
def neuron(
  logits: Array | None,
  acts: Acts,
  layer: str,
  channel: int | Array,
  position: tuple[int | Array, int | Array] | None = None,
) -> Array:
  """One unit: ``A[row, column, channel]``.

  Args:
    layer: Name of a layer.
    channel: Channel, 0 to C - 1.
    position: Row and column in the layer's map; ``None`` for a layer whose
      activation is a vector.

  Raises:
    ValueError: The unit is out of range, or a map without a position (both when
      the objective is read).
  """
  a = activation(acts, layer)
  if position is not None:
    a = at_position(feature_map(acts, layer), *position)
  elif a.ndim >= 3 and (logits is None or a.ndim == logits.ndim + 2):
    raise ValueError(
      f'position: got None, expected a row and a column: {layer!r} gives a map'
    )
  return pick(a, channel, 'channel')


@objective(channel=index)
def channel(
  logits: Array | None, acts: Acts, layer: str, channel: int | Array
) -> Array:
  """The mean of a feature map: ``mean_ij A[i, j, channel]``.

  Args:
    layer: Name of a layer that gives a map.
    channel: Channel, 0 to C - 1.
  """
  return pick(feature_map(acts, layer).mean((-3, -2)), channel, 'channel')


@objective(channel=index)
def total(
  logits: Array | None, acts: Acts, layer: str, channel: int | Array
) -> Array:
  """The sum of a feature map (Zeiler & Fergus 2014, figure 6b).

  Args:
    layer: Name of a layer that gives a map.
    channel: Channel, 0 to C - 1.
  """
  return pick(feature_map(acts, layer).sum((-3, -2)), channel, 'channel')


@objective(channel=index)
def peak(
  logits: Array | None, acts: Acts, layer: str, channel: int | Array
) -> Array:
  """The strongest unit of a feature map: ``max_ij A[i, j, channel]``.

  Its gradient goes to one unit, the first in row-major order on a tie: this is
  what the deconvnet explains.

  Args:
    layer: Name of a layer that gives a map.
    channel: Channel, 0 to C - 1.
  """
  a = feature_map(acts, layer)
  flat = a.reshape(*a.shape[:-3], -1, a.shape[-1])
  values = pick(flat, for_each(channel, 1), 'channel')
  return pick(values, jax.lax.stop_gradient(values).argmax(-1), 'position')


def _power(value: Any, name: str) -> np.ndarray | Array:
  if jnp.ndim(value):
    raise ValueError(f'{name}: got shape {jnp.shape(value)}, expected a number')
  return at_least(1.0)(value, name)


@objective(power=_power)
def layer_energy(
  logits: Array | None, acts: Acts, layer: str, power: float | Array = 2.0
) -> Array:
  """The energy of a layer: ``mean |A|^power``.

  Its slope in a unit grows by ``|A|^(power - 1)``: a larger power raises what
  is seen already and leaves the rest of the picture alone.

  Args:
    layer: Name of a layer.
    power: A number, at least 1. DeepDream's is 2; with 3 a smooth sky stays
      free of stripes.

  Raises:
    ValueError: The power is below 1, or not one number.

  Reference:
    Mordvintsev, Olah & Tyka 2015 (DeepDream).
  """
  a = activation(acts, layer)
  axes = tuple(range(batch_rank(a, logits, layer), a.ndim))
  return (jnp.abs(a) ** jnp.asarray(power, a.dtype)).mean(axes)


def present(logits: Array | None) -> Array:
  """The logits, or a `ValueError` for a net without a classifier."""
  if logits is None:
    raise ValueError('target: this net has no classifier, so it has no logits')
  return logits
