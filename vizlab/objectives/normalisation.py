"""Objectives with normalised gradients."""

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
    """The value of the inner objective, with a gradient of L1 norm 1."""
    a = activation(acts, self.layer)
    constant = jax.lax.stop_gradient(a)

    def read(a: Array) -> Array:
      return self.inner(logits, {**acts, self.layer: a})

    y, pull = jax.vjp(read, constant)
    (slope,) = pull(jnp.ones_like(y))
    axes = tuple(range(batch_rank(a, logits, self.layer), a.ndim))
    size = jnp.abs(slope).sum(axes, keepdims=True)
    slope /= jnp.where(size > 0, size, 1)
    along = (a * slope).sum(axes)
    # The difference is 0, and has the slope.
    return jax.lax.stop_gradient(y) + (along - jax.lax.stop_gradient(along))


def normalised(objective: Objective) -> Objective:
  """The same value, with the gradient of each term normalised: ``g / ||g||_1``.

  ``g`` is the gradient of a term in the activation that it reads; its L1 norm
  is taken per image. Weights of terms multiply the normalised gradients, so the
  same weights suit any layers, sizes and networks. The result is not the
  gradient of the value, which may therefore rise while it is followed: Adam
  suits it, line searches do not. Only that activation receives a gradient:
  targets, logits and other layers that a term reads do not, and second
  derivatives are 0.

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
