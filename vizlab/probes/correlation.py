"""Correlation of channels with those of another network, over many images."""

from typing import NamedTuple

import jax.numpy as jnp

from vizlab.types import Array, whole

__all__ = [
  'Products',
  'combined_products',
  'correlation',
  'no_products',
  'products',
]

_FLAT = 1e-12  # share of the squared mean below which a variance is rounding


class Products(NamedTuple):
  """Moments of pairs of activations over the positions of images.

  Attributes:
    count: ``[]``, number of positions.
    mean: ``[2, C]``, mean activation of each side.
    square: ``[2, C]``, sum of the squared distances from it.
    product: ``[C]``, sum of the products of both distances.
  """

  count: Array
  mean: Array
  square: Array
  product: Array


def no_products(channels: int) -> Products:
  """Moments over no image."""
  zeros = jnp.zeros(whole(channels, 'channels'), jnp.float32)
  both = jnp.stack([zeros, zeros])
  return Products(jnp.float32(0), both, both, zeros)


def products(acts: Array, others: Array) -> Products:
  """Moments for activations of the same images in two networks.

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
  mean = both.mean(1)
  away = both - mean[:, None]
  return Products(
    jnp.float32(both.shape[1]),
    mean,
    jnp.square(away).sum(1),
    (away[0] * away[1]).sum(0),
  )


def combined_products(one: Products, other: Products) -> Products:
  """Moments over the images of both (Chan, Golub & LeVeque 1979)."""
  count = one.count + other.count
  share = other.count / jnp.maximum(count, 1)
  apart = other.mean - one.mean
  weight = one.count * share
  return Products(
    count,
    one.mean + apart * share,
    one.square + other.square + jnp.square(apart) * weight,
    one.product + other.product + apart[0] * apart[1] * weight,
  )


def correlation(moments: Products) -> Array:
  """Pearson correlation of each channel with its counterpart.

  Returns:
    ``[C]`` in [-1, 1]; 0 where one of the two does not vary.

  >>> import jax.numpy as jnp
  >>> acts = jnp.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
  >>> correlation(products(acts, 5 - 2 * acts)).tolist()
  [-1.0, 0.0]
  """
  count, mean, square, product = moments
  varies = (square > _FLAT * count * jnp.square(mean)).all(0)
  scale = jnp.sqrt(jnp.where(varies[None], square, 1)).prod(0)
  inside = jnp.clip(product / scale, -1, 1)
  return jnp.where(jnp.isfinite(product) & ~varies, 0, inside)
