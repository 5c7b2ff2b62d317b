"""Measures of filters that stand for one part of an object."""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array

__all__ = ['location_instability', 'part_interpretability', 'peaks']


def peaks(maps: Array) -> Array:
  """Places of the highest activations.

  Args:
    maps: Activations ``[N, H, W, C]``.

  Returns:
    ``[N, C, 2]``, row and column in units of the image's side: the centres of
    the positions; NaN where a map is zero everywhere.
  """
  _check_maps(maps)
  n, height, width, channels = maps.shape
  flat = maps.reshape(n, height * width, channels)
  best = flat.argmax(1)
  at = jnp.stack([best // width, best % width], -1).astype(jnp.float32)
  places = (at + 0.5) / np.array([[[height, width]]], np.float32)
  return jnp.where((flat != 0).any(1)[..., None], places, jnp.nan)


def location_instability(places: Array, parts: Array, members: Array) -> Array:
  r"""Deviation of the distances from a filter's peaks to parts of objects.

  .. math::
    \operatorname{mean}_k \sqrt{\operatorname{var}_n
    \frac{\|p_{n} - q_{n,k}\|}{d}}

  A filter that stands for one part is always as far from each other part of a
  rigid object, and its instability is low. The distance to a part of several
  equal places is that to the nearest one.

  Args:
    places: Peaks of the filters ``[N, C, 2]``, such as those of `peaks`; an
      image where one is NaN does not count.
    parts: Places of the parts in each image, ``[N, P, M, 2]``; NaN for missing
      ones. Only parts that are in all images of a filter count.
    members: ``[N, C]``, True for images of the filter's category.

  Returns:
    ``[C]`` in units of the diagonal ``d`` of a square image; NaN for a filter
    with less than two images.

  Raises:
    ValueError: The shapes do not fit.

  Reference:
    Zhang et al. 2018, section 4.2; the sample variance, as in its code.
  """
  n, channels, _ = places.shape
  if parts.ndim != 4 or len(parts) != n or members.shape != (n, channels):
    raise ValueError(
      f'parts, members: got {parts.shape} and {members.shape}, expected '
      f'[{n}, P, M, 2] and [{n}, {channels}]'
    )
  away = places[:, :, None, None] - parts[:, None]  # [N, C, P, M, 2]
  length = jnp.sqrt(jnp.square(away).sum(-1))
  length = jnp.where(jnp.isnan(length), jnp.inf, length).min(-1)  # [N, C, P]
  length = length / np.float32(np.sqrt(2))
  used = members & ~jnp.isnan(places).any(-1)
  everywhere = (jnp.isfinite(length) | ~used[..., None]).all(0)  # [C, P]
  count = used.sum(0).astype(length.dtype)[:, None]  # [C, 1]
  kept = used[..., None] & everywhere[None]
  mean = jnp.where(kept, length, 0).sum(0) / jnp.maximum(count, 1)
  apart = jnp.where(kept, length - mean[None], 0)
  var = jnp.square(apart).sum(0) / jnp.maximum(count - 1, 1)
  deviation = jnp.where(everywhere & (count > 1), jnp.sqrt(var), jnp.nan)
  return jnp.nanmean(deviation, -1)


def part_interpretability(
  maps: Array,
  masks: Array,
  thresholds: Array,
  members: Array,
  *,
  least: float | Array = 0.2,
) -> Array:
  """Share of images in which a filter's region is that of a part.

  The maps are enlarged to the masks, linearly between the centres of their
  positions; the region of a filter is where its map is above its threshold. It
  is a part's where the area of both over that of either is above ``least``.

  Args:
    maps: Activations ``[N, h, w, C]``.
    masks: Masks of the parts, ``[N, P, H, W]`` in [0, 1], such as those of
      `vizlab.data.part_masks`.
    thresholds: ``[C]``; in the paper the 99.5 % `quantile` of each filter over
      all places of all images.
    members: ``[N, C]``, True for images of the filter's category.
    least: Intersection over union above which a filter shows a part.

  Returns:
    ``[C, P]`` in [0, 1]; NaN for a filter without an image.

  Raises:
    ValueError: The shapes do not fit.

  Reference:
    Zhang et al. 2018, section 4.1.
  """
  _check_maps(maps)
  n, *_, c = maps.shape
  if masks.ndim != 4 or len(masks) != n:
    raise ValueError(f'masks: got {masks.shape}, expected [{n}, P, H, W]')
  if thresholds.shape != (c,) or members.shape != (n, c):
    raise ValueError(
      f'thresholds, members: got {thresholds.shape} and {members.shape}, '
      f'expected [{c}] and [{n}, {c}]'
    )

  def shown(item: tuple[Array, Array]) -> Array:
    act, mask = item
    large = jax.image.resize(act, (*mask.shape[1:], c), 'linear')
    region = (large > thresholds[None, None]).reshape(-1, c).astype(mask.dtype)
    flat = mask.reshape(len(mask), -1)
    both = jnp.matmul(flat, region, precision='highest').T  # [C, P]
    union = region.sum(0)[:, None] + flat.sum(1)[None] - both
    return both > least * union

  # One by one: enlarged maps are as large as the images, of many channels.
  found = jax.lax.map(shown, (maps, masks)) & members[..., None]
  count = members.sum(0).astype(jnp.float32)[:, None]
  share = found.sum(0).astype(jnp.float32) / jnp.maximum(count, 1)
  return jnp.where(count > 0, share, jnp.nan)


def _check_maps(maps: Array) -> None:
  if maps.ndim != 4 or not maps.size:
    raise ValueError(f'maps: got shape {maps.shape}, expected [N, H, W, C]')
