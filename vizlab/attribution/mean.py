"""Means over many samples, in memory independent of the number of samples."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vizlab.attribution.base import at_once, vary_with
from vizlab.types import Array, whole

__all__ = ['mean_over']


def mean_over(
  fn: Callable[[Array], Array],
  samples: int,
  x: Array,
  chunk: int,
  reads: Any = (),
) -> Array:
  """Computes ``mean_i fn(i)`` for ``i`` from 0 to ``samples - 1``.

  Args:
    fn: Maps the index of a sample, an int32 ``[]``, to an array.
    samples: Number of samples.
    x: The batch of images ``[..., H, W, C]`` that each sample evaluates.
    chunk: Images evaluated at once, but at least one sample for the whole
      batch.
    reads: A pytree of the other arrays that ``fn`` depends on, such as a score.

  Returns:
    The mean, an array of the shape that ``fn`` returns.
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
  return total / samples
