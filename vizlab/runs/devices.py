"""Data parallelism: batches sharded over all devices of this machine."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vizlab.types import Array

__all__ = ['on_every_device', 'replicate', 'shard', 'spread']

_WHOLE, _SPLIT = PartitionSpec(), PartitionSpec('batch')


def _mesh() -> Mesh:
  return Mesh(np.array(jax.local_devices()), ('batch',))


def shard(batch: np.ndarray, rows: int) -> Array:
  """Shards a batch over all devices, with an equal part on each.

  Args:
    batch: ``[B, ...]``.
    rows: Size to which the batch is padded, at least ``B``, so that a smaller
      last batch runs the same program. Rounded up to a multiple of the number
      of devices.

  Returns:
    ``[R, ...]``, sharded along its first axis and padded with zeros.
  """
  count = jax.local_device_count()
  pad = -(-rows // count) * count - len(batch)
  padded = np.pad(batch, [(0, pad)] + [(0, 0)] * (batch.ndim - 1))
  return jax.device_put(padded, NamedSharding(_mesh(), _SPLIT))


def replicate(tree: Any) -> Any:
  """Replicates a pytree, such as a network, on every device."""
  return jax.device_put(tree, NamedSharding(_mesh(), _WHOLE))


def spread(tree: Any) -> Any:
  """Spreads the arrays of a batch over all devices.

  Each array is sharded along its first axis if the devices divide it evenly,
  and replicated otherwise. Where an array lies does not change what a jitted
  function computes, but for rounding.

  Args:
    tree: Pytree of arrays; on one device it is returned as it is.
  """
  count = jax.local_device_count()
  if count == 1:
    return tree
  mesh = _mesh()

  def place(leaf: Array) -> Array:
    even = np.ndim(leaf) and not len(leaf) % count
    return jax.device_put(leaf, NamedSharding(mesh, _SPLIT if even else _WHOLE))

  return jax.tree.map(place, tree)


def on_every_device(fn: Callable[..., Any]) -> Callable[..., Any]:
  """Jits ``fn`` so that each device computes its own part of the batch.

  With automatic sharding the compiler gathers the whole batch on every device
  if several classes are explained at once (classes and images become one axis).
  Here devices do not communicate.

  Args:
    fn: Function ``(replicated, *batches) -> batches``. A row of a result must
      depend only on the same row of each batch.

  Returns:
    The same function of a pytree from `replicate` and arrays from `shard`; its
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
    # Traced outside of shard_map. Inside, a gradient with respect to a constant
    # (as in Grad-CAM) would be summed over the devices, and a convolution that
    # is batched twice (SmoothGrad of several classes) has no rule.
    traced, consts = jax.closure_convert(fn, whole, *parts)
    each = jax.shard_map(
      traced,
      mesh=_mesh(),
      in_specs=(_WHOLE, *[_SPLIT] * len(batches), *[_WHOLE] * len(consts)),
      out_specs=_SPLIT,
      check_vma=False,  # the traced function lacks its casts
    )
    return each(replicated, *batches, *consts)

  return jax.jit(call)
