"""Means over many samples in memory that does not grow with their number."""

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
  """``mean_i fn(i)`` for ``i`` from 0 to ``samples - 1``.

  Args:
    fn: Gives an array for the number of a sample, an int32 ``[]``.
    samples: How many.
    x: The images ``[..., H, W, C]`` that one sample evaluates.
    chunk: Images evaluated at once, but at least one sample.
    reads: A pytree with the other arrays that ``fn`` reads, such as a score.

  Returns:
    An array like one that ``fn`` gives.
  """
  samples = whole(samples, 'samples')
  most = min(samples, at_once(x, chunk))
  chunks = math.ceil(samples / most)
  size = math.ceil(samples / chunks)  # of equal size, so one program
  places = jnp.arange(chunks * size).reshape(chunks, size)

  def add(total: Array, some: Array) -> tuple[Array, None]:
    values = jax.vmap(fn)(some)
    counts = (some < samples).reshape(-1, *(1,) * (values.ndim - 1))
    return total + jnp.where(counts, values, 0).sum(0), None

  shape = jax.eval_shape(fn, jax.ShapeDtypeStruct((), jnp.int32))
  zeros = vary_with((x, reads), jnp.zeros(shape.shape, shape.dtype))
  total, _ = jax.lax.scan(add, zeros, places)
  return total / samples
