"""Objectives that read a unit: a logit, a probability, a neuron, a channel.

``target``, ``channel`` and the rest are one number for all images, or an array
with one number an image.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.objectives.base import (
  Objective,
  activation,
  at_position,
  batch_rank,
  feature_map,
  for_each,
  index,
  pick,
)
from vizlab.types import Acts, Array, number, value

__all__ = [
  'Channel',
  'LayerEnergy',
  'Logit',
  'Margin',
  'Neuron',
  'Peak',
  'Probability',
  'TopLabel',
  'Total',
  'channel',
  'layer_energy',
  'logit',
  'margin',
  'neuron',
  'peak',
  'probability',
  'top_label',
  'total',
]


@value()
class Logit(Objective):
  """See `logit`."""

  target: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``logits[target]``."""
    return pick(_present(logits), self.target, 'target')


@value()
class Probability(Objective):
  """See `probability`."""

  target: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``softmax(logits)[target]``."""
    return pick(jax.nn.softmax(_present(logits)), self.target, 'target')


@value()
class Margin(Objective):
  """See `margin`."""

  target: Array
  enough: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``min(logits[target] - max of the others, enough)``."""
    logits = _present(logits)
    mine = pick(logits, self.target, 'target')
    target = jnp.broadcast_to(self.target, logits.shape[:-1])
    own = jax.nn.one_hot(target, logits.shape[-1], dtype=bool)
    others = extrema.max_over(jnp.where(own, -jnp.inf, logits), -1)
    return extrema.minimum(mine - others, self.enough)


@value()
class TopLabel(Objective):
  """See `top_label`."""

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``argmax(logits)``."""
    logits = _present(logits)
    label = jax.lax.argmax(logits, logits.ndim - 1, jnp.int32)
    return jnp.where(jnp.isnan(logits).any(-1), -1, label)


@value('layer')
class Neuron(Objective):
  """See `neuron`."""

  layer: str
  channel: Array
  row: Array | None
  column: Array | None

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``A[row, column, channel]``."""
    a = activation(acts, self.layer)
    if self.row is None:
      if a.ndim >= 3 and (logits is None or a.ndim == logits.ndim + 2):
        raise ValueError(
          f'position: got None, expected a row and a column: {self.layer!r} '
          'gives a map'
        )
      return pick(a, self.channel, 'channel')
    a = at_position(feature_map(acts, self.layer), self.row, self.column)
    return pick(a, self.channel, 'channel')


@value('layer')
class Channel(Objective):
  """See `channel`."""

  layer: str
  channel: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``mean A[:, :, channel]``."""
    a = feature_map(acts, self.layer)
    return pick(a.mean((-3, -2)), self.channel, 'channel')


@value('layer')
class Total(Objective):
  """See `total`."""

  layer: str
  channel: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``sum A[:, :, channel]``."""
    a = feature_map(acts, self.layer)
    return pick(a.sum((-3, -2)), self.channel, 'channel')


@value('layer')
class Peak(Objective):
  """See `peak`."""

  layer: str
  channel: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``max A[:, :, channel]``, through the first place that has it."""
    a = feature_map(acts, self.layer)
    flat = a.reshape(*a.shape[:-3], -1, a.shape[-1])
    values = pick(flat, for_each(self.channel, 1), 'channel')
    return pick(values, jax.lax.stop_gradient(values).argmax(-1), 'position')


@value('layer')
class LayerEnergy(Objective):
  """See `layer_energy`."""

  layer: str
  power: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``mean |A|^power``."""
    a = activation(acts, self.layer)
    axes = tuple(range(batch_rank(a, logits, self.layer), a.ndim))
    return (jnp.abs(a) ** jnp.asarray(self.power, a.dtype)).mean(axes)


def logit(target: int | Array) -> Objective:
  """The score of a class before the softmax: ``logits[target]``.

  Args:
    target: Class, 0 to K - 1.

  Raises:
    ValueError: The class is out of range, or the net has no classifier (both
      when the objective is read).
  """
  return Logit(index(target, 'target'))


def probability(target: int | Array) -> Objective:
  """The probability of a class: ``softmax(logits)[target]``, in [0, 1]."""
  return Probability(index(target, 'target'))


def margin(target: int | Array, enough: float = jnp.inf) -> Objective:
  """Margin of a class over all others, in logits.

  Args:
    target: Class, 0 to K - 1.
    enough: Where it stops to count, so that it has no slope any more.

  Raises:
    ValueError: As in `logit`.

  Reference:
    Carlini & Wagner 2017, their function f6, of the opposite sign.
  """
  # Infinity is a number here: it never stops to count.
  known = not isinstance(enough, jax.Array)
  if known and not np.float32(enough) > -np.inf:
    raise ValueError(f'enough: got {enough}, expected a number')
  return Margin(
    index(target, 'target'), np.float32(enough) if known else enough
  )


def top_label() -> Objective:
  """The most probable class; to be recorded, not differentiated.

  An int32 for each image; -1 where its logits have a NaN.
  """
  return TopLabel()


def neuron(
  layer: str,
  channel: int | Array,
  position: tuple[int | Array, int | Array] | None = None,
) -> Objective:
  """One unit: ``A[row, column, channel]``.

  Args:
    layer: Name of a layer.
    channel: Channel, 0 to C - 1.
    position: Row and column in the layer's map; ``None`` for a layer whose
      activation is a vector.
  """
  row, column = (None, None) if position is None else position
  return Neuron(
    layer,
    index(channel, 'channel'),
    None if row is None else index(row, 'row'),
    None if column is None else index(column, 'column'),
  )


def channel(layer: str, channel: int | Array) -> Objective:
  """The mean of a feature map: ``mean_ij A[i, j, channel]``."""
  return Channel(layer, index(channel, 'channel'))


def total(layer: str, channel: int | Array) -> Objective:
  """The sum of a feature map (Zeiler & Fergus 2014, figure 6b)."""
  return Total(layer, index(channel, 'channel'))


def peak(layer: str, channel: int | Array) -> Objective:
  """The strongest unit of a feature map: ``max_ij A[i, j, channel]``.

  Its gradient goes to one unit, the first in row-major order on a tie: this is
  what the deconvnet explains.
  """
  return Peak(layer, index(channel, 'channel'))


def layer_energy(layer: str, power: float | Array = 2.0) -> Objective:
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
  if jnp.ndim(power):
    raise ValueError(f'power: got shape {jnp.shape(power)}, expected a number')
  return LayerEnergy(layer, number(power, 'power', 1.0))


def _present(logits: Array | None) -> Array:
  if logits is None:
    raise ValueError('target: this net has no classifier, so it has no logits')
  return logits
