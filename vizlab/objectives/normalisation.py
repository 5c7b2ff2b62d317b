"""Objectives with normalised gradients."""

import jax
import jax.numpy as jnp

from vizlab.objectives.base import (
  Objective,
  activation,
  batch_rank,
  objective,
)
from vizlab.types import Acts, Array

__all__ = ['normalised']


@objective
def _normalised(
  logits: Array | None, acts: Acts, layer: str, inner: Objective
) -> Array:
  """The value of an objective of one layer, with a gradient of L1 norm 1."""
  a = activation(acts, layer)
  constant = jax.lax.stop_gradient(a)

  def read(a: Array) -> Array:
    return inner(logits, {**acts, layer: a})

  y, pull = jax.vjp(read, constant)
  (slope,) = pull(jnp.ones_like(y))
  axes = tuple(range(batch_rank(a, logits, layer), a.ndim))
  size = jnp.abs(slope).sum(axes, keepdims=True)
  slope /= jnp.where(size > 0, size, 1)
  along = (a * slope).sum(axes)
  # The difference is 0, and has the slope.
  return jax.lax.stop_gradient(y) + (along - jax.lax.stop_gradient(along))


def normalised(term: Objective) -> Objective:
  """The same value, with the gradient of each term normalised: ``g / ||g||_1``.

  ``g`` is the gradient of a term in the activation that it reads; its L1 norm
  is taken per image. Weights of terms multiply the normalised gradients, so the
  same weights suit any layers, sizes and networks. The result is not the
  gradient of the value, which may therefore rise while it is followed: Adam
  suits it, line searches do not. Only that activation receives a gradient:
  targets, logits and other layers that a term reads do not, and second
  derivatives are 0.

  Args:
    term: An objective that reads one layer, such as `content` or `grams` of one
      layer, or a weighted sum of such terms, as the losses of style are.

  Raises:
    ValueError: An objective does not name one layer.

  Reference:
    Johnson 2015 (neural-style): normalised gradients.
  """
  if isinstance(term, Objective.Sum):
    return normalised(term.first) + normalised(term.second)
  if isinstance(term, Objective.Scaled):
    return term.weight * normalised(term.inner)
  layer = getattr(term, 'layer', None)
  if layer is None:
    raise ValueError(
      f'term: got {term!r}, expected a weighted sum of '
      'objectives that read one layer each'
    )
  return _normalised(layer, term)
