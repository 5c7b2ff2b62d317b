"""One batch on all devices of this machine, each computing its share."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vizlab.types import Array

__all__ = ['on_every_device', 'replicate', 'shard']

_WHOLE, _SPLIT = PartitionSpec(), PartitionSpec('batch')


def _mesh() -> Mesh:
  return Mesh(np.array(jax.local_devices()), ('batch',))


def shard(batch: np.ndarray, rows: int) -> Array:
  """Spreads a batch over the devices, an equal part on each.

  Args:
    batch: ``[B, ...]``.
    rows: The size that every batch gets, so that a ragged one runs the same
      program; at least ``B``. It is rounded up to a multiple of the number of
      devices.

  Returns:
    ``[R, ...]``, sharded along its first axis; zeros follow the batch.
  """
  count = jax.local_device_count()
  pad = -(-rows // count) * count - len(batch)
  padded = np.pad(batch, [(0, pad)] + [(0, 0)] * (batch.ndim - 1))
  return jax.device_put(padded, NamedSharding(_mesh(), _SPLIT))


def replicate(tree: Any) -> Any:
  """Puts a copy of a pytree, such as a net, on every device."""
  return jax.device_put(tree, NamedSharding(_mesh(), _WHOLE))


def on_every_device(fn: Callable[..., Any]) -> Callable[..., Any]:
  """A jitted ``fn`` of which each device computes its own part of the batch.

  Left to itself, the compiler gathers the whole batch on every device where
  several classes are explained at once (they and the images become one axis).
  Here no device hears of another.

  Args:
    fn: ``(replicated, *batches) -> batches``, where a row of a result depends
      only on the same row of each batch.

  Returns:
    The same function, of a `replicate`-d pytree and `shard`-ed arrays; its
    results are sharded.
  """

  def call(replicated: Any, *batches: Array) -> Any:
    count = jax.local_device_count()
    whole = jax.tree.map(
      lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), replicated
    )
    parts = [
      jax.ShapeDtypeStruct((len(b) // count, *b.shape[1:]), b.dtype)
      for b in batches
    ]
    # Traced before it is split. Inside, a gradient with respect to a constant
    # would be summed over the devices (that of Grad-CAM), and a convolution
    # that is mapped twice has no rule (SmoothGrad of several classes).
    traced, consts = jax.closure_convert(fn, whole, *parts)
    each = jax.shard_map(
      traced,
      mesh=_mesh(),
      in_specs=(_WHOLE, *[_SPLIT] * len(batches), *[_WHOLE] * len(consts)),
      out_specs=_SPLIT,
      check_vma=False,  # what was traced before lacks the casts it asks for
    )
    return each(replicated, *batches, *consts)

  return jax.jit(call)
