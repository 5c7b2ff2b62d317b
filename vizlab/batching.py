"""Batched evaluation of many variants of images, with bounded memory."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vizlab.types import Array, whole

__all__ = ['at_once', 'mean_over', 'sum_over', 'vary_with']


def at_once(x: Array, chunk: int) -> int:
  """Number of variants of a batch ``[..., H, W, C]`` that fit in ``chunk``.

  At least one. Raises a `ValueError` if ``chunk`` is less than 1.
  """
  if chunk < 1:
    raise ValueError(f'chunk: got {chunk}, expected at least 1 image')
  return max(1, chunk // math.prod(x.shape[:-3]))


def vary_with(tree: Any, value: Array) -> Array:
  """Gives an array the device-varying type of the arrays in a pytree.

  Under `jax.shard_map` a constant is replicated: a loop cannot accumulate
  device-varying values in it, and a gradient with respect to it is summed over
  the devices. A zero computed from an array varies like that array; the
  compiler removes it.

  Args:
    tree: A pytree of arrays that vary over devices, such as a score.
    value: The array to convert.
  """
  never = jnp.zeros((), bool)
  for leaf in jax.tree.leaves(tree):
    if isinstance(leaf, jax.Array) and leaf.size:
      if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
      never |= (leaf.reshape(-1)[0] != 0) & False
  return value + never.astype(value.dtype)


def sum_over(
  fn: Callable[[Array], Array],
  samples: int,
  x: Array,
  chunk: int,
  reads: Any = (),
) -> Array:
  """Computes ``sum_i fn(i)`` for ``i`` from 0 to ``samples - 1``.

  Args:
    fn: Maps the index of a sample, an int32 ``[]``, to an array.
    samples: Number of samples.
    x: The batch of images ``[..., H, W, C]`` that each sample evaluates.
    chunk: Images evaluated at once, but at least one sample for the whole
      batch.
    reads: A pytree of the other arrays that ``fn`` depends on, such as a score.

  Returns:
    The sum, an array of the shape that ``fn`` returns.
  """
  samples = whole(samples, 'samples')
  most = min(samples, at_once(x, chunk))
  chunks = math.ceil(samples / most)
  size = math.ceil(samples / chunks)  # equal chunks, so one program
  places = jnp.arange(chunks * size).reshape(chunks, size)

  def add(total: Array, some: Array) -> tuple[Array, None]:
    values = jax.vmap(fn)(some)
    counts = (some < samples).reshape(-1, *(1,) * (values.ndim - 1))
    return total + jnp.where(counts, values, 0).sum(0), None

  shape = jax.eval_shape(fn, jax.ShapeDtypeStruct((), jnp.int32))
  zeros = vary_with((x, reads), jnp.zeros(shape.shape, shape.dtype))
  total, _ = jax.lax.scan(add, zeros, places)
  return total


def mean_over(
  fn: Callable[[Array], Array],
  samples: int,
  x: Array,
  chunk: int,
  reads: Any = (),
) -> Array:
  """Computes ``mean_i fn(i)``; see `sum_over` for the arguments."""
  return sum_over(fn, samples, x, chunk, reads) / samples
