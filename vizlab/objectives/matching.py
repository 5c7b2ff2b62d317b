"""Objectives that compare activations with wanted ones; to be minimised."""

import jax.numpy as jnp

from vizlab.objectives.base import Objective, activation, batch_rank, number
from vizlab.types import Acts, Array, value

__all__ = ['Features', 'features']


@value('layer')
class Features(Objective):
  """See `features`."""

  layer: str
  target: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``||A - A_0||^2 / ||A_0||^2``."""
    a, target = activation(acts, self.layer), self.target
    if target.shape != a.shape[a.ndim - target.ndim :] or not target.ndim:
      raise ValueError(
        f'target: got shape {target.shape}, expected that of {self.layer!r}, '
        f'{a.shape}'
      )
    axes = tuple(range(batch_rank(a, logits, self.layer), a.ndim))
    target = target.reshape((1,) * (a.ndim - target.ndim) + target.shape)
    size = jnp.square(target).sum(axes)
    return jnp.square(a - target).sum(axes) / jnp.where(size > 0, size, 1)


def features(layer: str, target: Array) -> Objective:
  """The squared distance of an activation, ``||A - A_0||^2 / ||A_0||^2``.

  Args:
    layer: Name of a layer, a map or a vector.
    target: ``A_0``: ``[..., H', W', C]`` or ``[..., C]``, with the batch of the
      images or without.

  Raises:
    ValueError: The target is not finite, or not of the layer's shape (when it
      is read).

  Reference:
    Mahendran & Vedaldi 2015, equation 2.
  """
  return Features(layer, number(target, 'target'))
