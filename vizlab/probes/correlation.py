"""Correlation of channels with those of another network, over many images."""

from typing import NamedTuple

import jax.numpy as jnp

from vizlab.types import Array, whole

__all__ = ['Products', 'correlation', 'no_products', 'products']

_FLAT = 1e-6  # share of the mean square below which a variance is rounding


class Products(NamedTuple):
  """Sums over the positions of images; those of two parts are added.

  Attributes:
    count: ``[]``, number of positions.
    sums: ``[2, C]``, sums of the activations of each side.
    squares: ``[2, C]``, sums of their squares.
    products: ``[C]``, sums of the products of both sides.
  """

  count: Array
  sums: Array
  squares: Array
  products: Array


def no_products(channels: int) -> Products:
  """Sums over no image."""
  zeros = jnp.zeros(whole(channels, 'channels'), jnp.float32)
  both = jnp.stack([zeros, zeros])
  return Products(jnp.float32(0), both, both, zeros)


def products(acts: Array, others: Array) -> Products:
  """Sums for activations of the same images in two networks.

  Args:
    acts: Activations ``[B, H, W, C]`` or ``[B, C]``.
    others: Those of the other network, of the same shape; channel ``i`` is
      compared with channel ``i``.
  """
  if acts.shape != others.shape or acts.ndim < 2:
    raise ValueError(
      f'acts, others: got {acts.shape} and {others.shape}, expected one shape '
      '[B, ..., C]'
    )
  both = jnp.stack(
    [v.reshape(-1, v.shape[-1]).astype(jnp.float32) for v in (acts, others)]
  )
  return Products(
    jnp.float32(both.shape[1]),
    both.sum(1),
    jnp.square(both).sum(1),
    (both[0] * both[1]).sum(0),
  )


def correlation(sums: Products) -> Array:
  """Pearson correlation of each channel with its counterpart.

  Returns:
    ``[C]`` in [-1, 1]; 0 where one of the two does not vary.

  >>> import jax.numpy as jnp
  >>> acts = jnp.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
  >>> correlation(products(acts, 5 - 2 * acts)).tolist()
  [-1.0, 0.0]
  """
  count = jnp.maximum(sums.count, 1)
  mean, square = sums.sums / count, sums.squares / count
  variance = square - jnp.square(mean)
  covariance = sums.products / count - mean[0] * mean[1]
  varies = (variance > _FLAT * square).all(0)
  scale = jnp.sqrt(jnp.where(varies, variance[0] * variance[1], 1))
  known = jnp.isfinite(sums.products)
  inside = jnp.clip(covariance / scale, -1, 1)
  return jnp.where(known & ~varies, 0, inside)
