"""Objectives that grow as a class loses: losses of classification."""

from typing import Any

import jax
import jax.numpy as jnp

from vizlab.objectives.base import index, objective, pick
from vizlab.objectives.units import margin, present
from vizlab.types import Acts, Array

__all__ = ['cross_entropy', 'dlr']


@objective(target=index)
def cross_entropy(
  logits: Array | None, acts: Acts, target: int | Array
) -> Array:
  """Cross entropy of a class: ``-log softmax(logits)[target]``.

  Args:
    target: Class, 0 to K - 1.

  Raises:
    ValueError: The class is out of range, or the net has no classifier (both
      when the objective is read).
  """
  return -pick(jax.nn.log_softmax(present(logits)), target, 'target')


def _optional(value: Any, name: str) -> Any:
  return None if value is None else index(value, name)


@objective(target=index, other=_optional)
def dlr(
  logits: Array | None,
  acts: Acts,
  target: int | Array,
  other: int | Array | None = None,
) -> Array:
  r"""Difference of logits ratio; it ignores shifts and scales of all logits.

  .. math::
    -\frac{z_y - \max_{k \ne y} z_k}{z_{(1)} - z_{(3)}}
    \quad\text{or}\quad
    -\frac{z_y - z_t}{z_{(1)} - (z_{(3)} + z_{(4)})/2}

  Args:
    target: Class ``y``, 0 to K - 1.
    other: Class ``t`` that it must lose to, the second form; any by default.

  Raises:
    ValueError: A class is out of range, the net has no classifier, or fewer
      classes than the 3 or 4 that are sorted (when the objective is read).

  Reference:
    Croce & Hein 2020, equations 6 and 7.
  """
  logits = present(logits)
  needed = 3 if other is None else 4
  if logits.shape[-1] < needed:
    raise ValueError(
      f'dlr: got {logits.shape[-1]} classes, expected {needed} or more'
    )
  top = jax.lax.top_k(logits, needed)[0]
  if other is None:
    lost, scale = -margin(target)(logits, acts), top[..., 0] - top[..., 2]
  else:
    own, given = (
      pick(logits, jnp.asarray(i), name)
      for i, name in ((target, 'target'), (other, 'other'))
    )
    lost = given - own
    scale = top[..., 0] - (top[..., 2] + top[..., 3]) / 2
  return lost / (scale + 1e-12)
