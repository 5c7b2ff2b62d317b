"""Objectives whose slopes are of one size, whatever their values."""

import jax
import jax.numpy as jnp

from vizlab.objectives.base import (
  Objective,
  Scaled,
  Sum,
  activation,
  batch_rank,
)
from vizlab.types import Acts, Array, value

__all__ = ['Normalised', 'normalised']


@value('layer')
class Normalised(Objective):
  """See `normalised`; of one layer."""

  layer: str
  inner: Objective

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """The value of the inner objective, with a slope of length 1."""
    a = activation(acts, self.layer)

    def read(a: Array) -> Array:
      return self.inner(logits, {**acts, self.layer: a})

    y, pull = jax.vjp(read, a)
    (slope,) = pull(jnp.ones_like(y))
    axes = tuple(range(batch_rank(a, logits, self.layer), a.ndim))
    size = jnp.abs(slope).sum(axes, keepdims=True)
    slope = jax.lax.stop_gradient(slope / jnp.where(size > 0, size, 1))
    along = (a * slope).sum(axes)
    # The difference is 0, and has the slope.
    return jax.lax.stop_gradient(y) + (along - jax.lax.stop_gradient(along))


def normalised(objective: Objective) -> Objective:
  """The same values, with slopes of one size in each layer: ``g / ||g||_1``.

  Every term of a sum is normalised by itself, by the sum of the absolute values
  of its gradient in the activation that it reads, of each image. The weights of
  the terms multiply that: they are shares of the gradient, and the same ones
  suit any layers, sizes and nets. What is followed is no gradient of the value
  any more, so Adam suits it, and rules that compare the two do not.

  Args:
    objective: A term that reads one layer, such as `content` or `grams` of one
      layer, or a weighted sum of such terms, as the losses of style are.

  Raises:
    ValueError: A term does not name one layer.

  Reference:
    Johnson 2015 (neural-style): normalised gradients.
  """
  if isinstance(objective, Sum):
    return normalised(objective.first) + normalised(objective.second)
  if isinstance(objective, Scaled):
    return objective.weight * normalised(objective.inner)
  layer = getattr(objective, 'layer', None)
  if layer is None:
    raise ValueError(
      f'objective: got {type(objective).__name__}, expected a weighted sum of '
      'objectives that read one layer each'
    )
  return Normalised(layer, objective)
