"""Distributions of activations over many images, in constant memory."""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, pytree_dataclass, whole

__all__ = [
  'Activity',
  'activity',
  'combined',
  'histogram',
  'log_edges',
  'no_activity',
]


@pytree_dataclass
class Activity:
  """Statistics of a layer's channels over images.

  Attributes:
    count: ``[]``, number of images.
    active: ``[C]``, share of positions that are above zero.
    mean: ``[C]``, mean activation.
    square: ``[C]``, mean squared activation.
    low: ``[C]``, smallest activation.
    high: ``[C]``, largest activation. A unit behind a ReLU is dead on these
      images where it is 0.
    histogram: ``[C, bins]``, share of the channel's activations in each bin.
  """

  count: Array
  active: Array
  mean: Array
  square: Array
  low: Array
  high: Array
  histogram: Array


def log_edges(
  bins: int = 24, low: float = 1e-3, high: float = 1e3
) -> np.ndarray:
  """Edges ``[bins - 1]`` of bins, from below 0 over 0 to logarithmic ones.

  The first bin holds what is negative, the second what is 0, the last what is
  above ``high``. Together with the smallest one, which ends at ``low``, the
  others divide what is positive.
  """
  smallest = np.finfo(np.float32).tiny
  if bins < 5 or not smallest < low < high < np.inf:
    raise ValueError(
      f'bins, low, high: got {bins}, {low}, {high}, expected at least 5 bins '
      f'and {smallest:.3g} < low < high'
    )
  edges = [0, smallest, *np.geomspace(low, high, bins - 3)]
  return np.asarray(edges, np.float32)


def no_activity(channels: int, bins: int = 24) -> Activity:
  """Statistics of no image, of as many bins as `log_edges` divides."""
  zeros = jnp.zeros(whole(channels, 'channels'), jnp.float32)
  return Activity(
    jnp.float32(0),
    zeros,
    zeros,
    zeros,
    zeros + jnp.inf,
    zeros - jnp.inf,
    jnp.zeros((channels, bins), jnp.float32),
  )


def activity(acts: Array, edges: Array | None = None) -> Activity:
  """Statistics of activations ``[B, H, W, C]`` or ``[B, C]`` of a layer.

  A channel with NaN has NaN in all but the histogram.

  Args:
    acts: The activations; computed in float32 or float64.
    edges: Edges of the bins of the histogram, rising; `log_edges` by default.

  >>> import jax.numpy as jnp
  >>> stats = activity(jnp.array([[0.0, 2.0], [1.0, 4.0]]))
  >>> stats.active.tolist(), stats.mean.tolist()
  ([0.5, 1.0], [0.5, 3.0])
  """
  if acts.ndim < 2 or not acts.size:
    raise ValueError(f'acts: got {acts.shape}, expected [B, ..., C]')
  edges = log_edges() if edges is None else edges
  if acts.dtype not in (jnp.float32, jnp.float64):
    acts = acts.astype(jnp.float32)
  flat = acts.reshape(-1, acts.shape[-1])
  return Activity(
    jnp.float32(len(acts)),
    jnp.where(jnp.isnan(flat), flat, (flat > 0).astype(flat.dtype)).mean(0),
    flat.mean(0),
    jnp.square(flat).mean(0),
    flat.min(0),
    flat.max(0),
    _histograms(flat, edges).astype(acts.dtype) / len(flat),
  )


def combined(one: Activity, other: Activity) -> Activity:
  """Statistics over the images of both."""
  count = one.count + other.count
  share = other.count / jnp.where(count > 0, count, 1)

  def mean(a: Array, b: Array) -> Array:
    return a + (b - a) * share

  return Activity(
    count,
    *map(
      mean,
      (one.active, one.mean, one.square),
      (other.active, other.mean, other.square),
    ),
    jnp.minimum(one.low, other.low),
    jnp.maximum(one.high, other.high),
    mean(one.histogram, other.histogram),
  )


def histogram(values: Array, edges: Array) -> Array:
  """Number of values in each bin, int32 ``[len(edges) + 1]``.

  Bin ``i`` holds ``edges[i - 1] <= value < edges[i]``; the first and the last
  one are open. NaN is in no bin.

  Args:
    values: Any shape.
    edges: ``[n]``, rising, at most 254.
  """
  flat = values.reshape(-1)
  rows = jnp.pad(flat, (0, -flat.size % 128), constant_values=jnp.nan)
  return _histograms(rows.reshape(-1, 128), edges).sum(0)


def _histograms(rows: Array, edges: Array) -> Array:
  """Histogram of each column of ``[N, C]``, int32 ``[C, bins]``."""
  if len(edges) > 254:
    raise ValueError(f'edges: got {len(edges)}, expected at most 254')
  # Bins as bytes, counted in bytes over blocks that cannot overflow: six times
  # as fast on a CPU as to compare the values with each edge. No scatter.
  size = min(128, len(rows))
  above = rows[..., None] >= jnp.asarray(edges)[None, None]
  bins = above.sum(-1, dtype=jnp.uint8)
  bins = jnp.where(jnp.isnan(rows), np.uint8(255), bins)
  bins = jnp.pad(
    bins, ((0, -len(rows) % size), (0, 0)), constant_values=np.uint8(255)
  )
  blocks = bins.reshape(-1, size, rows.shape[-1])

  def count(k: Array) -> Array:
    each = (blocks == k).astype(jnp.uint8).sum(1, dtype=jnp.uint8)
    return each.sum(0, dtype=jnp.int32)

  return jax.lax.map(count, jnp.arange(len(edges) + 1, dtype=jnp.uint8)).T
