"""Winograd convolution: 3x3 kernels with 2.25 times fewer multiplications.

``F(2x2, 3x3)`` of Lavin & Gray 2016: a tile of 2x2 outputs from 4x4 inputs
takes 16 multiplications per pair of channels instead of 36. The cost is memory
traffic: the transformed input and the products have four times the size of the
input. With many channels the products dominate, and on the CPU the layers of a
VGG with 256 or more channels run 1.4 to 2 times faster than a direct
convolution; those from 64 on do on maps that stay in the cache.

In one dimension, with input ``d`` (4), kernel ``g`` (3) and output ``y`` (2):

  spread  (d0 - d2, d1 + d2, d2 - d1, d1 - d3)
  kernel  (g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2)
  gather  y = (m0 + m1 + m2, m1 - m2 - m3),  m = their products

In two dimensions the transforms are applied along rows, then columns.
"""

import jax.numpy as jnp
from jax import lax

from vizlab.types import Array

__all__ = ['pays', 'winograd']

_FLIP = (3, 1, 2, 0)  # reversing g permutes the transformed kernel
# Layers with fewer channels pay where inputs and outputs have so many numbers:
# enough for the products to take most of the time, few enough for the cache.
_FEW, _MANY = 400_000, 3_400_000


def pays(shape: tuple[int, ...], features: int, padding: int) -> bool:
  """Returns True if Winograd is faster for a 3x3 layer on a CPU.

  Args:
    shape: ``[N, H, W, C]`` of the input.
    features: Channels of the output.
    padding: Zeros on each side; without, other ways are slow on small maps.
  """
  n, h, w, c = shape
  low, high = sorted((c, features))
  least = _FEW if padding else 0
  fits = least <= n * h * w * (c + features) <= _MANY
  return (low >= 128 and high >= 256) or (low >= 64 and fits)


def winograd(
  x: Array, kernel: Array, padding: int, *, transposed: bool = False
) -> Array:
  """Computes a 3x3 convolution of stride 1.

  Args:
    x: ``[N, H, W, C]``.
    kernel: ``[3, 3, C, D]``, or ``[3, 3, D, C]`` if transposed.
    padding: Zeros added on each side; 1 keeps the size of the map.
    transposed: Whether to use the flipped kernel with exchanged channels, for
      the gradient with respect to the input of a convolution with padding
      ``2 - padding``.

  Returns:
    ``[N, H + 2 padding - 2, W + 2 padding - 2, D]``; equal to the direct
    convolution up to rounding.
  """
  n, p = len(x), padding
  h, w = (side + 2 * p - 2 for side in x.shape[1:3])
  rows, columns = -(-h // 2), -(-w // 2)
  last = 2 * rows - h, 2 * columns - w  # odd sides: one more row of zeros
  padded = jnp.pad(x, ((0, 0), (p, p + last[0]), (p, p + last[1]), (0, 0)))
  tiles = [v for row in _spread(padded, 1) for v in _spread(row, 2)]
  kernels = [u for row in _kernel(kernel) for u in _kernel(row)]
  if transposed:
    kernels = [kernels[4 * i + j].T for i in _FLIP for j in _FLIP]
  products = [v @ u for v, u in zip(tiles, kernels, strict=True)]
  by_column = [_gather(*products[j::4]) for j in range(4)]
  y = [_gather(*(column[i] for column in by_column)) for i in range(2)]
  # [n, rows, 2, columns, 2, d]: the tiles next to each other
  joined = jnp.stack([jnp.stack(row, 3) for row in y], 2)
  return joined.reshape(n, 2 * rows, 2 * columns, -1)[:, :h, :w]


def _spread(d: Array, axis: int) -> list[Array]:
  n = d.shape[axis]
  d0, d1, d2, d3 = (
    lax.slice_in_dim(d, i, n - 3 + i, 2, axis) for i in range(4)
  )
  return [d0 - d2, d1 + d2, d2 - d1, d1 - d3]


def _kernel(g: Array) -> list[Array]:
  outer, inner = (g[0] + g[2]) / 2, g[1] / 2
  return [g[0], outer + inner, outer - inner, g[2]]


def _gather(m0: Array, m1: Array, m2: Array, m3: Array) -> tuple[Array, Array]:
  return m0 + m1 + m2, m1 - m2 - m3
