"""Measures of filters that stand for one part of an object."""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, widened

__all__ = ['location_instability', 'part_interpretability', 'peaks']


def peaks(maps: Array) -> Array:
  """Positions of the highest activations.

  Args:
    maps: Activations ``[N, H, W, C]``.

  Returns:
    ``[N, C, 2]``, row and column in units of the image's side: the centre of
    the highest activation, the first of several; NaN where a map is zero
    everywhere or holds NaN.
  """
  _check_maps(maps)
  n, height, width, channels = maps.shape
  flat = maps.reshape(n, height * width, channels)
  best = flat.argmax(1)
  index = jnp.stack([best // width, best % width], -1).astype(jnp.float32)
  centre = (index + 0.5) / np.array([[[height, width]]], np.float32)
  defined = (flat != 0).any(1) & ~jnp.isnan(flat).any(1)
  return jnp.where(defined[..., None], centre, jnp.nan)


def location_instability(
  positions: Array, parts: Array, members: Array
) -> Array:
  r"""Deviation of the distances from a filter's peaks to parts of objects.

  .. math::
    D = \operatorname{mean}_k \sqrt{\operatorname{var}_n
    \frac{\|p_n - q_{n,k}\|}{d}}

  A filter that stands for one part of rigid objects of one size is always as
  far from each other part, and its instability is zero. The distance to a part
  of several positions is that to the nearest one.

  Args:
    positions: Peaks of the filters ``[N, C, 2]`` in units of the image's side,
      such as those of `peaks`; an image where one is NaN does not count.
    parts: Positions of the parts in each image, ``[N, P, M, 2]``; NaN for
      missing ones. A part counts in the images that show it.
    members: ``[N, C]``, True for the images by which a filter is judged: those
      of its category, in the paper the hundred of them that excite it most.

  Returns:
    ``[C]`` in units of the diagonal ``d`` of a square image; NaN for a filter
    that no part has two images for.

  Raises:
    ValueError: The shapes do not fit.

  Reference:
    Zhang et al. 2018, section 5.2.2; the sample variance, as in its code.
  """
  n, channels, _ = positions.shape
  if parts.ndim != 4 or len(parts) != n or members.shape != (n, channels):
    raise ValueError(
      f'parts, members: got {parts.shape} and {members.shape}, expected '
      f'[{n}, P, M, 2] and [{n}, {channels}]'
    )
  squares = 0.0  # [N, C, P, M]
  for axis in range(2):
    away = positions[:, :, None, None, axis] - parts[:, None, ..., axis]
    squares = squares + jnp.square(away)
  squares = jnp.where(jnp.isnan(squares), jnp.inf, squares).min(-1)
  length = jnp.sqrt(squares / 2)  # [N, C, P], the diagonal is sqrt(2)
  kept = members[..., None] & jnp.isfinite(length)
  count = kept.sum(0).astype(length.dtype)  # [C, P]
  mean = jnp.where(kept, length, 0).sum(0) / jnp.maximum(count, 1)
  away = jnp.where(kept, length - mean[None], 0)
  var = jnp.square(away).sum(0) / jnp.maximum(count - 1, 1)
  return jnp.nanmean(jnp.where(count > 1, jnp.sqrt(var), jnp.nan), -1)


def part_interpretability(
  maps: Array,
  masks: Array,
  thresholds: Array,
  members: Array,
  *,
  least: float | Array = 0.2,
) -> Array:
  """Share of images in which the region of a filter is that of a part.

  The maps are enlarged to the masks, linearly between the centres of their
  positions; the region of a filter is where its map exceeds its threshold. It
  is that of a part where their intersection over union exceeds ``least``.

  Args:
    maps: Activations ``[N, h, w, C]``.
    masks: Masks of the parts, ``[N, P, H, W]`` in [0, 1], such as those of
      `vizlab.data.part_masks`; empty for parts that an image does not show,
      which do not count.
    thresholds: ``[C]``; in the paper the 99.5 % `quantile` of each filter over
      all positions of all images.
    members: ``[N, C]``, True for the images of the filter's category.
    least: Intersection over union that a filter must exceed.

  Returns:
    ``[C, P]`` in [0, 1]; NaN for a part that no image of the filter shows, and
    for a filter with NaN in such an image.

  Raises:
    ValueError: The shapes do not fit.

  Reference:
    Zhang et al. 2018, section 5.2.1.
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

  def shows(item: tuple[Array, Array]) -> Array:
    act, mask = item
    large = jax.image.resize(widened(act), (*mask.shape[1:], c), 'linear')
    active = large > thresholds[None, None]
    region = active.reshape(-1, c).astype(jnp.float32)
    flat = mask.reshape(len(mask), -1).astype(jnp.float32)
    both = jnp.matmul(flat, region, precision='highest').T  # [C, P]
    union = region.sum(0)[:, None] + flat.sum(1)[None] - both
    exceeds = (both > least * union).astype(jnp.float32)
    undefined = jnp.isnan(act).any((0, 1)) | jnp.isnan(thresholds)
    return jnp.where(undefined[:, None], jnp.nan, exceeds)

  # One by one: enlarged maps are as large as the images, of many channels.
  shown = jax.lax.map(shows, (maps, masks))  # [N, C, P]
  counted = members[..., None] & masks.astype(bool).any((2, 3))[:, None]
  count = counted.sum(0).astype(jnp.float32)
  share = jnp.where(counted, shown, 0).sum(0) / jnp.maximum(count, 1)
  return jnp.where(count > 0, share, jnp.nan)


def _check_maps(maps: Array) -> None:
  if maps.ndim != 4 or not maps.size:
    raise ValueError(f'maps: got shape {maps.shape}, expected [N, H, W, C]')
