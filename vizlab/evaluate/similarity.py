"""Similarity of maps: SSIM, rank correlation, correlation of HOGs."""

import dm_pix as pix
import jax
import jax.numpy as jnp
import jax.scipy.stats as stats

from vizlab.attribution.base import unit_range
from vizlab.evaluate.base import check_map
from vizlab.image.descriptors import hog
from vizlab.types import Array

__all__ = ['hog_correlation', 'spearman', 'ssim']


def ssim(a: Array, b: Array) -> Array:
  """The structural similarity of maps, each scaled to [0, 1] first.

  Args:
    a: Maps ``[..., H, W]``, at least 11 pixels a side.
    b: The same shape.

  Returns:
    ``[...]`` in [-1, 1]; 1 for equal maps. Flat maps are zeros.

  Raises:
    ValueError: The two have different shapes, or are too small.

  Reference:
    Wang, Bovik, Sheikh & Simoncelli 2004; Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  if min(a.shape[-2:]) < 11:
    raise ValueError(f'a: got shape {a.shape}, expected at least 11 pixels')
  flat = (unit_range(v, (-2, -1)).reshape(-1, *v.shape[-2:], 1) for v in (a, b))
  with jax.numpy_dtype_promotion('standard'):  # dm-pix is not made for strict
    return pix.ssim(*flat).reshape(a.shape[:-2])


def spearman(a: Array, b: Array) -> Array:
  """Spearman's rank correlation of the pixels of maps.

  Args:
    a: Maps ``[..., H, W]``.
    b: The same shape.

  Returns:
    ``[...]`` in [-1, 1]. Equal pixels share the mean of their ranks, and a flat
    map correlates with nothing: 0.

  Raises:
    ValueError: The two have different shapes.

  Reference:
    Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  n = a.shape[-2] * a.shape[-1]

  def ranks(v: Array) -> Array:
    # Divided by their number and without their mean, which is known: sums of
    # millions of ranks would round, and their products overflow.
    rank = stats.rankdata(_flat(v), axis=-1, method='average')
    return rank.astype(v.dtype) / n - (n + 1) / (2 * n)

  return _correlation(ranks(a), ranks(b))


def hog_correlation(a: Array, b: Array, *, cell: int = 8) -> Array:
  """Pearson's correlation of the HOGs of maps.

  Args:
    a: Maps ``[..., H, W]``; each is scaled to [0, 1] first.
    b: The same shape.
    cell: Side of a cell in pixels.

  Returns:
    ``[...]`` in [-1, 1]; 0 where one of them is flat.

  Raises:
    ValueError: The two have different shapes, or are too small.

  Reference:
    Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  lead = a.shape[:-2]
  return _correlation(
    *(
      hog(unit_range(v, (-2, -1)), cell=cell).reshape(*lead, -1) for v in (a, b)
    )
  )


def _flat(values: Array) -> Array:
  return values.reshape(*values.shape[:-2], -1)


def _correlation(a: Array, b: Array) -> Array:
  a, b = (v - v.mean(-1, keepdims=True) for v in (a, b))
  size = jnp.linalg.norm(a, axis=-1) * jnp.linalg.norm(b, axis=-1)
  return (a * b).sum(-1) / jnp.where(size == 0, 1, size)
