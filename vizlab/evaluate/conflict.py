"""Shape bias: decisions on images whose shape and texture disagree."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array

__all__ = ['Bias', 'decide', 'shape_bias']


class Bias(NamedTuple):
  """Fractions of a network's decisions on cue-conflict images.

  Attributes:
    shape: ``[]``, fraction of decisions for the shape.
    texture: ``[]``, fraction of decisions for the texture.
    bias: ``[]``, ``shape / (shape + texture)``; NaN if both are 0.
  """

  shape: Array
  texture: Array
  bias: Array


def decide(logits: Array, groups: Sequence[Sequence[int]]) -> Array:
  """Most probable category of logits.

  The probability of a category is the mean over its classes.

  Args:
    logits: ``[..., K]``.
    groups: The classes of each category, each from 0 to K - 1.

  Returns:
    int32 ``[...]``: the index of the category among the groups; -1 where the
    logits have a NaN.

  Raises:
    ValueError: A category has no classes, or a class is not in the logits.

  Reference:
    Geirhos et al. 2019 (ImageNet-trained CNNs are biased towards texture),
    appendix A.
  """
  count = logits.shape[-1]
  mean = np.zeros((count, len(groups)), np.float32)
  for i, group in enumerate(groups):
    if not group or not 0 <= min(group) <= max(group) < count:
      raise ValueError(
        f'groups: got {[*group]}, expected classes from 0 to {count - 1}'
      )
    mean[list(group), i] = 1 / len(group)
  means = jax.nn.softmax(logits) @ mean
  category = jax.lax.argmax(means, means.ndim - 1, jnp.int32)
  return jnp.where(jnp.isnan(means).any(-1), -1, category)


def shape_bias(decisions: Array, shapes: Array, textures: Array) -> Bias:
  """Shape bias of decisions on images whose shape and texture disagree.

  Args:
    decisions: int ``[N]``, the decided categories, from `decide`.
    shapes: int ``[N]``, the category of the shape.
    textures: int ``[N]``, the category of the texture. Images whose shape and
      texture have the same category are left out.

  Raises:
    ValueError: The three arrays have different shapes.

  Reference:
    Geirhos et al. 2019, section 2.2.
  """
  if not decisions.shape == shapes.shape == textures.shape:
    raise ValueError(
      f'decisions, shapes, textures: got shapes {decisions.shape}, '
      f'{shapes.shape}, {textures.shape}, expected equal shapes'
    )
  conflict = shapes != textures
  by_shape = (conflict & (decisions == shapes)).sum()
  by_texture = (conflict & (decisions == textures)).sum()
  return Bias(
    by_shape / conflict.sum(),
    by_texture / conflict.sum(),
    by_shape / (by_shape + by_texture),
  )
