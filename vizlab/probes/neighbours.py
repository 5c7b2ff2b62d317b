"""Nearest neighbours in a feature space: exact, batch by batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab.lookup import check_name
from vizlab.types import Array, whole

__all__ = ['Neighbours', 'nearest', 'no_neighbours']

METRICS = ('cosine', 'euclidean')


class Neighbours(NamedTuple):
  """Nearest neighbours of queries, the nearest first.

  Attributes:
    distances: ``[Q, k]``; infinity where there are fewer than ``k``.
    indices: int32 ``[Q, k]``; -1 where there are fewer.
  """

  distances: Array
  indices: Array


def no_neighbours(queries: int, k: int) -> Neighbours:
  """Start of a search for ``k`` neighbours of each query."""
  shape = whole(queries, 'queries'), whole(k, 'k')
  return Neighbours(
    jnp.full(shape, jnp.inf, jnp.float32), jnp.full(shape, -1, jnp.int32)
  )


def nearest(
  before: Neighbours,
  queries: Array,
  features: Array,
  first: int | Array = 0,
  *,
  metric: str = 'cosine',
  exclude: Array | None = None,
) -> Neighbours:
  """Nearest neighbours among those of earlier batches and of another batch.

  Args:
    before: Neighbours in the batches before, `no_neighbours` for none.
    queries: Features of the queries, ``[Q, D]``.
    features: Features of the batch, ``[N, D]``. One that is not finite is
      nobody's neighbour.
    first: Index of the batch's first image among all images.
    metric: ``'cosine'``, one minus the cosine (1 for a vector of zeros), or
      ``'euclidean'``.
    exclude: int ``[Q]``, the index of an image that is no neighbour of each
      query, such as itself; -1 for none.

  Returns:
    The neighbours in all batches. Of equally distant ones the first is nearest.

  >>> import jax.numpy as jnp
  >>> points = jnp.array([[0.0], [1.0], [5.0]])
  >>> start = no_neighbours(1, 2)
  >>> nearest(start, points[:1], points, metric='euclidean').indices.tolist()
  [[0, 1]]
  """
  check_name('metric', metric, METRICS)
  if queries.ndim != 2 or queries.shape[1:] != features.shape[1:]:
    raise ValueError(
      f'queries, features: got {queries.shape} and {features.shape}, expected '
      '[Q, D] and [N, D]'
    )
  if metric == 'cosine':
    distances = 1 - jnp.matmul(
      _unit(queries), _unit(features).T, precision='highest'
    )
  else:  # one query at a time: differences, as equal vectors are 0 apart
    distances = jax.lax.map(
      lambda query: jnp.sqrt(jnp.square(features - query[None]).sum(-1)),
      queries,
    )
  indices = jnp.arange(len(features), dtype=jnp.int32) + jnp.int32(first)
  indices = jnp.broadcast_to(indices, distances.shape)
  excluded = ~jnp.isfinite(distances)
  if exclude is not None:
    excluded |= indices == jnp.asarray(exclude, jnp.int32)[:, None]
  distances = jnp.where(excluded, jnp.inf, distances)
  indices = jnp.where(excluded, -1, indices)
  together = Neighbours(
    jnp.concatenate([before.distances, distances], 1),
    jnp.concatenate([before.indices, indices], 1),
  )
  low, at = jax.lax.top_k(-together.distances, before.indices.shape[1])
  return Neighbours(-low, jnp.take_along_axis(together.indices, at, 1))


def _unit(x: Array) -> Array:
  norm = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
  return x / jnp.where(norm > 0, norm, 1)
