"""Similarity of maps: SSIM, rank correlation, correlation of HOG features."""

import dm_pix as pix
import jax
import jax.numpy as jnp
import jax.scipy.stats as stats

from vizlab.evaluate.checks import check_map
from vizlab.image.descriptors import hog
from vizlab.image.scaling import minmax_scale
from vizlab.types import Array

__all__ = ['hog_correlation', 'spearman', 'ssim']


def ssim(a: Array, b: Array, *, scaled: bool = True) -> Array:
  """Structural similarity of maps, or of the brightness of images.

  Args:
    a: Maps ``[..., H, W]`` of at least 11 pixels per side.
    b: Maps of the same shape.
    scaled: Whether each map is scaled to [0, 1] first. For images in [0, 1],
      whose brightness counts, it is not.

  Returns:
    ``[...]`` in [-1, 1]; 1 for equal maps. Constant maps that are scaled count
    as zeros.

  Raises:
    ValueError: The maps have different shapes, or are too small.

  Reference:
    Wang, Bovik, Sheikh & Simoncelli 2004; Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  if min(a.shape[-2:]) < 11:
    raise ValueError(f'a: got shape {a.shape}, expected at least 11 pixels')
  if scaled:
    a, b = (minmax_scale(v, (-2, -1)) for v in (a, b))
  flat = (v.reshape(-1, *v.shape[-2:], 1) for v in (a, b))
  with jax.numpy_dtype_promotion('standard'):  # dm-pix needs it
    return pix.ssim(*flat).reshape(a.shape[:-2])


def spearman(a: Array, b: Array) -> Array:
  """Spearman's rank correlation of the pixels of maps.

  Args:
    a: Maps ``[..., H, W]``.
    b: Maps of the same shape.

  Returns:
    ``[...]`` in [-1, 1]. Equal pixels get their mean rank, and the correlation
    with a constant map is 0.

  Raises:
    ValueError: The maps have different shapes.

  Reference:
    Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  n = a.shape[-2] * a.shape[-1]

  def ranks(v: Array) -> Array:
    # Scaled and centred by the known mean: sums of millions of ranks would lose
    # precision, and their products overflow.
    rank = stats.rankdata(_flat(v), axis=-1, method='average')
    return rank.astype(v.dtype) / n - (n + 1) / (2 * n)

  return _correlation(ranks(a), ranks(b))


def hog_correlation(a: Array, b: Array, *, cell: int = 8) -> Array:
  """Pearson correlation of the HOG features of maps.

  Args:
    a: Maps ``[..., H, W]``; each is scaled to [0, 1] first.
    b: Maps of the same shape.
    cell: Side of a cell in pixels.

  Returns:
    ``[...]`` in [-1, 1]; 0 if one of the maps is constant.

  Raises:
    ValueError: The maps have different shapes, or are too small.

  Reference:
    Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  lead = a.shape[:-2]
  return _correlation(
    *(
      hog(minmax_scale(v, (-2, -1)), cell=cell).reshape(*lead, -1)
      for v in (a, b)
    )
  )


def _flat(values: Array) -> Array:
  return values.reshape(*values.shape[:-2], -1)


def _correlation(a: Array, b: Array) -> Array:
  a, b = (v - v.mean(-1, keepdims=True) for v in (a, b))
  size = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
  return (a * b).sum(-1) / jnp.where(size == 0, 1, size)
