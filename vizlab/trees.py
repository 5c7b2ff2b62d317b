"""Selections of the images of a batch in pytrees of arrays."""

from typing import Any

import jax
import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['finite', 'where']


def finite(tree: Any, lead: tuple[int, ...]) -> Array:
  """Tells if all numbers of each image are finite: bool ``[...]``.

  Args:
    tree: Arrays ``[..., *rest]``, each with a rest of its own.
    lead: The shape of the batch.
  """
  good = jnp.ones(lead, bool)
  for leaf in jax.tree.leaves(tree):
    axes = tuple(range(len(lead), leaf.ndim))
    good &= jnp.isfinite(leaf).all(axes)
  return good


def where(good: Array, new: Any, old: Any) -> Any:
  """The new arrays of the good images, the old ones of the others."""

  def choose(new: Array, old: Array) -> Array:
    mask = jnp.expand_dims(good, range(good.ndim, new.ndim))
    return jnp.where(mask, new, old)

  return jax.tree.map(choose, new, old)
