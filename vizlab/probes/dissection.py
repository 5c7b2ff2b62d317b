"""Dissection: the concepts on whose masks units are active."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, whole

__all__ = ['Overlap', 'no_overlap', 'overlap', 'quantile']


class Overlap(NamedTuple):
  """Areas of units, concepts and their intersections, summed over images.

  Areas are shares of an image. `iou` gives the ratio that names units.

  Attributes:
    both: ``[C, K]``, where the unit is active and the concept is.
    units: ``[C]``, where the unit is active.
    concepts: ``[K]``, where the concept is.
  """

  both: Array
  units: Array
  concepts: Array

  @property
  def iou(self) -> Array:
    """Intersection over union of each unit and concept, ``[C, K]`` in [0, 1].

    0 where neither is in any image.
    """
    union = self.units[:, None] + self.concepts[None] - self.both
    return self.both / jnp.where(union > 0, union, 1)


def no_overlap(channels: int, concepts: int) -> Overlap:
  """Overlap over no image."""
  c, k = whole(channels, 'channels'), whole(concepts, 'concepts')
  return Overlap(jnp.zeros((c, k)), jnp.zeros(c), jnp.zeros(k))


def overlap(
  before: Overlap, acts: Array, thresholds: Array, masks: Array
) -> Overlap:
  """Overlap of units and concepts in earlier batches and in another batch.

  The maps are enlarged to the masks, linearly between the centres of their
  positions; a unit is active where its map is above its threshold.

  Args:
    before: Overlap in the batches before, `no_overlap` for none.
    acts: Maps of a layer, ``[B, h, w, C]``.
    thresholds: ``[C]``; in the paper the 99.5 % `quantile` of each unit over
      all places of all images.
    masks: Places of each concept, ``[B, H, W, K]``, bool or 0 and 1.

  References:
    Bau et al. 2017, "Network Dissection", equation 1; a unit detects the
    concept of its largest ratio if that is above 0.04.
  """
  c, k = before.both.shape
  if acts.ndim != 4 or acts.shape[-1] != c or thresholds.shape != (c,):
    raise ValueError(
      f'acts, thresholds: got {acts.shape} and {thresholds.shape}, expected '
      f'[B, h, w, {c}] and [{c}]'
    )
  if masks.ndim != 4 or len(masks) != len(acts) or masks.shape[-1] != k:
    raise ValueError(
      f'masks: got {masks.shape}, expected [{len(acts)}, H, W, {k}]'
    )
  pixels = np.float32(masks.shape[1] * masks.shape[2])

  def add(state: Overlap, item: tuple[Array, Array]) -> tuple[Overlap, None]:
    act, mask = item
    shape = (*mask.shape[:2], c)
    large = jax.image.resize(act.astype(jnp.float32), shape, 'linear')
    active = (large > thresholds[None, None]).reshape(-1, c).astype(jnp.float32)
    mask = mask.reshape(-1, k).astype(jnp.float32)
    both = jnp.matmul(active.T, mask, precision='highest')
    areas = both, active.sum(0), mask.sum(0)
    new = (old + area / pixels for old, area in zip(state, areas, strict=True))
    return Overlap(*new), None

  # One by one: enlarged maps are as large as the images, of many channels.
  return jax.lax.scan(add, before, (jnp.asarray(acts), jnp.asarray(masks)))[0]


def quantile(shares: Array, edges: Array, q: float | Array) -> Array:
  """Quantile of values that are known by a histogram.

  Linear within its bin, so it is off by less than the width of the bin, unless
  it lies in one of the open bins at the ends, which count as their edges.

  Args:
    shares: Shares of the values in each bin, ``[..., bins]``, such as the
      histogram of `Activity`.
    edges: The edges between the bins, ``[bins - 1]``, rising.
    q: Quantile in [0, 1].

  Returns:
    ``[...]``.

  >>> import jax.numpy as jnp
  >>> float(quantile(jnp.array([0.0, 0.5, 0.5, 0.0]), jnp.arange(3.0), 0.75))
  1.5
  """
  edges = jnp.asarray(edges, jnp.float32)
  if shares.shape[-1] != len(edges) + 1:
    raise ValueError(
      f'shares, edges: got {shares.shape} and {edges.shape}, expected one bin '
      'more than edges'
    )
  total = jnp.cumsum(shares, -1)
  wanted = jnp.maximum(q * total[..., -1:], jnp.finfo(total.dtype).tiny)
  bin_ = (total < wanted).sum(-1, keepdims=True)
  bin_ = jnp.minimum(bin_, len(edges))
  ends = jnp.concatenate([edges[:1], edges, edges[-1:]])
  low, high = ends[bin_], ends[bin_ + 1]
  share = jnp.take_along_axis(shares, bin_, -1)
  before = jnp.take_along_axis(total, bin_, -1) - share
  along = (wanted - before) / jnp.where(share > 0, share, 1)
  return (low + (high - low) * along)[..., 0]
