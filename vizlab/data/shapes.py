"""Sixteen planar shapes as signed distance functions.

Each function takes points ``[..., 2]`` (x to the right, y down) in units of the
shape's radius, and returns a signed distance ``[...]``, negative inside. Every
shape fits into the unit circle. Unions and intersections of exact distances are
bounds, exact near the edge, which suffices for antialiasing.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from vizlab.types import Array

__all__ = ['SHAPES', 'signed_distance']


def _disc(p: Array, x: float = 0.0, y: float = 0.0, r: float = 1.0) -> Array:
  return jnp.hypot(p[..., 0] - x, p[..., 1] - y) - r


def _box(p: Array, x: float, y: float, half_w: float, half_h: float) -> Array:
  qx = jnp.abs(p[..., 0] - x) - half_w
  qy = jnp.abs(p[..., 1] - y) - half_h
  outside = jnp.hypot(jnp.maximum(qx, 0), jnp.maximum(qy, 0))
  return outside + jnp.minimum(jnp.maximum(qx, qy), 0)


def _side(p: Array, a: tuple, b: tuple) -> Array:
  """Distance to the line from ``a`` to ``b``, negative on its left (y down)."""
  dx, dy = b[0] - a[0], b[1] - a[1]
  length = (dx * dx + dy * dy) ** 0.5
  return (dy * (p[..., 0] - a[0]) - dx * (p[..., 1] - a[1])) / length


def _fold(p: Array, n: int) -> Array:
  """Folds the plane into half of the first of ``n`` equal sectors around +x."""
  sector = 2 * jnp.pi / n
  angle = jnp.arctan2(p[..., 1], p[..., 0])
  angle = jnp.abs(angle - sector * jnp.round(angle / sector))
  r = jnp.hypot(p[..., 0], p[..., 1])
  return jnp.stack([r * jnp.cos(angle), r * jnp.sin(angle)], -1)


def _regular(p: Array, n: int) -> Array:
  return _fold(p, n)[..., 0] - math.cos(math.pi / n)


def _ring(p: Array) -> Array:
  return jnp.abs(_disc(p, r=0.74)) - 0.24


def _crescent(p: Array) -> Array:
  return jnp.maximum(_disc(p), -_disc(p, x=0.5, r=0.8))


def _semicircle(p: Array) -> Array:
  return jnp.maximum(_disc(p, y=0.4, r=0.9), p[..., 1] - 0.4)


def _drop(p: Array) -> Array:
  # A disc and the cone that is tangent to it, with its tip at (0, -1).
  q = jnp.stack([jnp.abs(p[..., 0]), p[..., 1]], -1)
  r, y = 0.58, 0.42
  sine = r / (1 + y)
  touch = (r * (1 - sine**2) ** 0.5, y - r * sine)
  cone = jnp.maximum(_side(q, (0.0, -1.0), touch), q[..., 1] - touch[1])
  return jnp.minimum(_disc(q, y=y, r=r), cone)


def _heart(p: Array) -> Array:
  # A square on its corner with a half disc on each of its upper sides.
  half, root = 0.5, 0.5**0.5
  x, y = p[..., 0], p[..., 1] - 0.17
  turned = jnp.stack([(x + y) * root, (y - x) * root], -1)
  body = _box(turned, 0.0, 0.0, half, half)
  lobes = jnp.minimum(
    _disc(turned, -half, 0.0, half), _disc(turned, 0.0, -half, half)
  )
  return jnp.minimum(body, lobes)


def _frame(p: Array) -> Array:
  return jnp.abs(_box(p, 0.0, 0.0, 0.52, 0.52)) - 0.17


def _bar(p: Array) -> Array:
  return _box(p, 0.0, 0.0, 0.95, 0.28)


def _cross(p: Array) -> Array:
  return jnp.minimum(_box(p, 0.0, 0.0, 0.94, 0.3), _box(p, 0.0, 0.0, 0.3, 0.94))


def _ell(p: Array) -> Array:
  return jnp.minimum(
    _box(p, -0.35, 0.0, 0.27, 0.78), _box(p, 0.0, 0.51, 0.62, 0.27)
  )


def _tee(p: Array) -> Array:
  return jnp.minimum(
    _box(p, 0.0, -0.45, 0.72, 0.24), _box(p, 0.0, 0.1, 0.26, 0.86)
  )


def _star(p: Array) -> Array:
  inner = 0.42
  angle = math.pi / 5
  valley = (inner * math.cos(angle), inner * math.sin(angle))
  return _side(_fold(p, 5), (1.0, 0.0), valley)


def _flower(p: Array) -> Array:
  r = jnp.hypot(p[..., 0], p[..., 1])
  angle = jnp.arctan2(p[..., 1], p[..., 0])
  edge = 0.72 + 0.27 * jnp.cos(6 * angle)
  slope = 6 * 0.27 * jnp.sin(6 * angle) / jnp.maximum(r, 0.3)
  return (r - edge) / jnp.sqrt(1 + slope**2)


def _hourglass(p: Array) -> Array:
  x, y = jnp.abs(p[..., 0]), jnp.abs(p[..., 1])
  waist = (x - 0.72 * y - 0.07) / (1 + 0.72**2) ** 0.5
  return jnp.maximum(waist, y - 0.77)


SHAPES: dict[str, Callable[[Array], Array]] = {
  'disc': _disc,
  'ring': _ring,
  'crescent': _crescent,
  'semicircle': _semicircle,
  'drop': _drop,
  'heart': _heart,
  'triangle': lambda p: _regular(p, 3),
  'square': lambda p: _regular(p, 4),
  'frame': _frame,
  'bar': _bar,
  'cross': _cross,
  'ell': _ell,
  'tee': _tee,
  'star': _star,
  'flower': _flower,
  'hourglass': _hourglass,
}


def signed_distance(label: Array, p: Array) -> Array:
  """Signed distance of points to the shape with a given index.

  Args:
    label: Integer ``[]``, an index into `SHAPES`.
    p: Points ``[..., 2]`` in units of the shape's radius.

  Returns:
    ``[...]``, negative inside.
  """
  return lax.switch(label, list(SHAPES.values()), p)
