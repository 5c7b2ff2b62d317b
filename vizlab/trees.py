"""Functions as pytrees, and per-image selection in pytrees of arrays."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vizlab.types import Array

__all__ = ['as_pytree', 'finite', 'where']


def as_pytree(value: Any) -> Any:
  """A plain function as a pytree, so that `jax.jit` takes it as an argument.

  Args:
    value: A function, or a pytree, which is returned as it is.
  """
  leaf = jax.tree.structure(value) == jax.tree.structure(0)
  return Partial(value) if leaf and callable(value) else value


def finite(tree: Any, lead: tuple[int, ...]) -> Array:
  """Checks for each image that all its numbers are finite: bool ``[...]``.

  Args:
    tree: A pytree of arrays ``[..., *rest]``; ``rest`` may differ.
    lead: Shape of the leading batch axes.
  """
  good = jnp.ones(lead, bool)
  for leaf in jax.tree.leaves(tree):
    axes = tuple(range(len(lead), leaf.ndim))
    good &= jnp.isfinite(leaf).all(axes)
  return good


def where(good: Array, new: Any, old: Any) -> Any:
  """Selects the new arrays where ``good`` is true, otherwise the old ones."""

  def choose(new: Array, old: Array) -> Array:
    mask = jnp.expand_dims(good, range(good.ndim, new.ndim))
    return jnp.where(mask, new, old)

  return jax.tree.map(choose, new, old)
