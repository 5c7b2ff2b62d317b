"""Sixteen procedural textures, functions from points to grey values.

Each function takes points ``[..., 2]`` in units of the texture's period and a
seed, and returns values ``[...]`` in [0, 1]. Edges are softened over about a
tenth of a period, so that a texture does not alias at 8 pixels per period.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from vizlab.types import Array

__all__ = ['TEXTURES', 'grey']

_TAU = 2 * jnp.pi


def _soft(x: Array, width: float = 0.1) -> Array:
  """Step at 0 that rises over ``width``."""
  return jnp.clip(x / width + 0.5, 0, 1)


def _saw(x: Array) -> Array:
  """Distance to the nearest integer, 0 to 0.5."""
  return jnp.abs(x - jnp.round(x))


def _hash(ix: Array, iy: Array, seed: Array) -> Array:
  """Hashes every lattice point to a number in [0, 1)."""
  h = ix.astype(jnp.int32).astype(jnp.uint32) * jnp.uint32(0x9E3779B1)
  h = h ^ (iy.astype(jnp.int32).astype(jnp.uint32) * jnp.uint32(0x85EBCA77))
  h = h ^ seed.astype(jnp.uint32)
  for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
    h = (h ^ (h >> shift)) * jnp.uint32(factor)
  return (h >> 8).astype(jnp.float32) / 2**24


def _noise(p: Array, seed: Array) -> Array:
  """Smooth noise: random values on a lattice, interpolated."""
  x, y = p[..., 0], p[..., 1]
  ix, iy = jnp.floor(x), jnp.floor(y)
  u, v = x - ix, y - iy
  u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
  top = _hash(ix, iy, seed) * (1 - u) + _hash(ix + 1, iy, seed) * u
  low = _hash(ix, iy + 1, seed) * (1 - u) + _hash(ix + 1, iy + 1, seed) * u
  return top * (1 - v) + low * v


def _stretch(p: Array, x: float, y: float) -> Array:
  return jnp.stack([p[..., 0] * x, p[..., 1] * y], -1)


def _octaves(p: Array, seed: Array) -> Array:
  total = sum(_noise(p * 2.0**i, seed + i) / 2.0**i for i in range(3)) / 1.75
  return jnp.clip(1.6 * total - 0.3, 0, 1)


def _stripes(p: Array, seed: Array) -> Array:
  return _soft(_saw(p[..., 0]) - 0.25)


def _checks(p: Array, seed: Array) -> Array:
  sign = (_saw(p[..., 0] / 1.5) - 0.25) * (_saw(p[..., 1] / 1.5) - 0.25)
  return _soft(sign, 0.03)


def _dots(p: Array, seed: Array) -> Array:
  return _soft(0.3 - jnp.hypot(_saw(p[..., 0]), _saw(p[..., 1])))


def _waves(p: Array, seed: Array) -> Array:
  bent = p[..., 0] + 0.3 * jnp.sin(_TAU * p[..., 1] / 2)
  return _soft(_saw(bent) - 0.25)


def _zigzag(p: Array, seed: Array) -> Array:
  return _soft(_saw(p[..., 0] + _saw(p[..., 1] / 1.5) * 1.5) - 0.25)


def _grid(p: Array, seed: Array) -> Array:
  near = jnp.minimum(_saw(p[..., 0]), _saw(p[..., 1]))
  return _soft(near - 0.12)


def _bricks(p: Array, seed: Array) -> Array:
  row = jnp.floor(p[..., 1] * 1.3)
  x = p[..., 0] * 0.6 + 0.5 * (row % 2)
  joint = jnp.minimum(_saw(x) / 0.6, _saw(p[..., 1] * 1.3) / 1.3)
  return _soft(joint - 0.1) * (0.7 + 0.3 * _hash(jnp.round(x + 0.5), row, seed))


def _weave(p: Array, seed: Array) -> Array:
  even = (jnp.floor(p[..., 0]) + jnp.floor(p[..., 1])) % 2
  u = p[..., 0] - jnp.floor(p[..., 0])
  v = p[..., 1] - jnp.floor(p[..., 1])
  across = jnp.sin(jnp.pi * u) * _soft(0.38 - jnp.abs(v - 0.5))
  along = jnp.sin(jnp.pi * v) * _soft(0.38 - jnp.abs(u - 0.5))
  return jnp.where(even > 0, across, along)


def _scales(p: Array, seed: Array) -> Array:
  row = jnp.floor(p[..., 1] * 1.6)
  u = p[..., 0] + 0.5 * (row % 2)
  v = p[..., 1] * 1.6 - row
  r = jnp.hypot(_saw(u), v * 0.6)
  return _soft(jnp.abs(r - 0.48) - 0.07)


def _rings(p: Array, seed: Array) -> Array:
  return _soft(_saw(jnp.hypot(p[..., 0], p[..., 1])) - 0.25)


def _cells(p: Array, seed: Array) -> Array:
  ix, iy = jnp.floor(p[..., 0]), jnp.floor(p[..., 1])
  first = second = jnp.full(ix.shape, 9.0)
  for dx in (-1, 0, 1):
    for dy in (-1, 0, 1):
      cx, cy = ix + dx, iy + dy
      x = cx + _hash(cx, cy, seed) - p[..., 0]
      y = cy + _hash(cx, cy, seed + 1) - p[..., 1]
      d = jnp.hypot(x, y)
      second = jnp.minimum(second, jnp.maximum(first, d))
      first = jnp.minimum(first, d)
  return _soft(second - first - 0.13)


def _clouds(p: Array, seed: Array) -> Array:
  return _octaves(p * 0.7, seed)


def _grain(p: Array, seed: Array) -> Array:
  return _noise(p * 4.0, seed)


def _marble(p: Array, seed: Array) -> Array:
  return 0.5 + 0.5 * jnp.sin(
    _TAU * (0.5 * p[..., 0] + 1.3 * _octaves(p * 0.5, seed))
  )


def _wood(p: Array, seed: Array) -> Array:
  r = 1.8 * p[..., 0] + 2 * _noise(_stretch(p, 0.6, 0.15), seed)
  fibre = _noise(_stretch(p, 8.0, 1.0), seed + 1)
  return 0.8 * (r - jnp.floor(r)) ** 2 + 0.2 * fibre


def _plaid(p: Array, seed: Array) -> Array:
  def band(x: Array) -> Array:
    return _soft(_saw(x / 2) - 0.25) + _soft(0.04 - _saw(x / 2), 0.05)

  return (band(p[..., 0]) + band(p[..., 1])) / 2


TEXTURES: dict[str, Callable[[Array, Array], Array]] = {
  'stripes': _stripes,
  'checks': _checks,
  'dots': _dots,
  'waves': _waves,
  'zigzag': _zigzag,
  'grid': _grid,
  'bricks': _bricks,
  'weave': _weave,
  'scales': _scales,
  'rings': _rings,
  'cells': _cells,
  'clouds': _clouds,
  'grain': _grain,
  'marble': _marble,
  'wood': _wood,
  'plaid': _plaid,
}


def grey(texture: Array, p: Array, seed: Array) -> Array:
  """Grey values of points under the texture with a given index.

  Args:
    texture: Integer ``[]``, an index into `TEXTURES`.
    p: Points ``[..., 2]`` in periods.
    seed: uint32 ``[]``, selects the sample of a random texture.

  Returns:
    ``[...]`` in [0, 1].
  """
  return jnp.clip(lax.switch(texture, list(TEXTURES.values()), p, seed), 0, 1)
