"""Distributions of activations over many images, in constant memory."""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, pytree_dataclass

__all__ = ['Activity', 'activity', 'combined', 'histogram', 'log_edges']


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
    histogram: ``[bins]``, share of the activations in each bin, of all
      channels.
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
  axes = tuple(range(acts.ndim - 1))
  return Activity(
    jnp.float32(len(acts)),
    jnp.where(jnp.isnan(acts), acts, (acts > 0).astype(acts.dtype)).mean(axes),
    acts.mean(axes),
    jnp.square(acts).mean(axes),
    acts.min(axes),
    acts.max(axes),
    histogram(acts, edges).astype(acts.dtype) / acts.size,
  )


def combined(one: Activity, other: Activity) -> Activity:
  """Statistics over the images of both."""
  count = one.count + other.count
  share = other.count / count

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
    edges: ``[n]``, rising.
  """
  # Counts above each edge, one by one: a scatter is slower on every device.
  flat = values.reshape(-1)
  above = jax.lax.map(
    lambda edge: (flat >= edge).sum(dtype=jnp.int32), jnp.asarray(edges)
  )
  known = (flat == flat).sum(dtype=jnp.int32)
  bounds = jnp.concatenate([known[None], above, jnp.zeros(1, jnp.int32)])
  return bounds[:-1] - bounds[1:]
