"""Spatial statistics of feature maps: Gram matrices, moments, covariances.

A map is ``[..., H, W, C]``: C features at H x W positions. A mask
``[..., H, W]`` holds nonnegative weights of the positions. Every statistic is a
weighted mean over positions, so maps of different sizes are comparable and
permuting positions changes nothing.
"""

from typing import NamedTuple

import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['Moments', 'covariance', 'gram', 'mean', 'moments']


class Moments(NamedTuple):
  """Mean and standard deviation of each feature: ``[..., C]`` each."""

  mean: Array
  std: Array


def gram(a: Array, mask: Array | None = None) -> Array:
  """Gram matrix, the mean products of features: ``G_kl = mean_ij A_ijk A_ijl``.

  Args:
    a: Maps ``[..., H, W, C]``.
    mask: Weights of the positions ``[..., H, W]``; equal weights by default.

  Returns:
    ``[..., C, C]``: the Gram matrix divided by the number of positions.

  Raises:
    ValueError: The shape of the mask is not that of the map.

  Reference:
    Gatys, Ecker & Bethge 2015, equation 1, with a mean in place of the sum.
  """
  a, weighed = _places(a, mask)
  return jnp.einsum('...pk,...pl->...kl', weighed, a)


def mean(a: Array, mask: Array | None = None) -> Array:
  """Mean of each feature.

  Args:
    a: Maps ``[..., H, W, C]``.
    mask: Weights of the positions ``[..., H, W]``; equal weights by default.

  Returns:
    ``[..., C]``.

  Raises:
    ValueError: The shape of the mask is not that of the map.
  """
  return _places(a, mask)[1].sum(-2)


def moments(a: Array, mask: Array | None = None) -> Moments:
  """Mean and standard deviation of each feature.

  Args:
    a: Maps ``[..., H, W, C]``.
    mask: Weights of the positions ``[..., H, W]``; equal weights by default.

  Returns:
    A `Moments`, ``[..., C]`` each.

  Raises:
    ValueError: The shape of the mask is not that of the map.

  Reference:
    Huang & Belongie 2017 (AdaIN), equations 5 and 6.
  """
  middle = mean(a, mask)
  a, weighed = _places(a - middle[..., None, None, :], mask)
  # The square root is not differentiable at 0, for a feature that is absent.
  return Moments(middle, jnp.sqrt((weighed * a).sum(-2) + 1e-8))


def covariance(a: Array, mask: Array | None = None) -> tuple[Array, Array]:
  """Mean and covariance of the features.

  Args:
    a: Maps ``[..., H, W, C]``.
    mask: Weights of the positions ``[..., H, W]``; equal weights by default.

  Returns:
    The mean ``[..., C]`` and the covariance ``[..., C, C]``.

  Raises:
    ValueError: The shape of the mask is not that of the map.
  """
  middle = mean(a, mask)
  return middle, gram(a - middle[..., None, None, :], mask)


def _places(a: Array, mask: Array | None) -> tuple[Array, Array]:
  """Flattens a map to ``[..., P, C]``, without and with weights of sum 1."""
  flat = a.reshape(*a.shape[:-3], -1, a.shape[-1])
  if mask is None:
    return flat, flat / flat.shape[-2]
  lead = mask.ndim - 2
  if mask.shape[-2:] != a.shape[-3:-1] or (
    lead and mask.shape[:-2] != a.shape[:-3]
  ):
    raise ValueError(
      f'mask: got shape {mask.shape}, expected that of the map without its '
      f'channels, {a.shape[:-1]}'
    )
  weights = mask.reshape((1,) * (a.ndim - 3 - lead) + (*mask.shape[:-2], -1, 1))
  weights = weights.astype(a.dtype)
  total = weights.sum(-2, keepdims=True)
  return flat, flat * (weights / jnp.where(total > 0, total, 1))
