"""Balls about an image: distances, projections, steepest directions.

A norm is named ``'linf'``, ``'l2'`` or ``'l1'``. Perturbations are
``[..., H, W, C]`` in intensities of [0, 1], and distances ``[...]``.
"""

import jax
import jax.numpy as jnp

from vizlab.types import Array

__all__ = [
  'NORMS',
  'distance',
  'per_image',
  'project',
  'random_point',
  'random_start',
  'steepest',
  'within',
]

NORMS = ('linf', 'l2', 'l1')
_AXES = (-3, -2, -1)
# Share of the coordinates that a step of L1 changes: one would need too many
# steps (Tramer & Boneh 2019).
_L1_SHARE = 0.01


def per_image(v: Array) -> Array:
  """Appends axes of an image to one number per image."""
  return v[..., None, None, None]


def distance(delta: Array, norm: str) -> Array:
  """Length of perturbations: ``[..., H, W, C] -> [...]``."""
  if norm == 'linf':
    return jnp.abs(delta).max(_AXES)
  if norm == 'l1':
    return jnp.abs(delta).sum(_AXES)
  # Scaled, so that squares of small gradients are not rounded to 0.
  peak = jnp.abs(delta).max(_AXES)
  scaled = delta / per_image(_nonzero(peak))
  return peak * jnp.sqrt(jnp.square(scaled).sum(_AXES))


def project(delta: Array, epsilon: Array, norm: str) -> Array:
  """Nearest perturbations in the ball of radius ``epsilon``.

  Args:
    delta: ``[..., H, W, C]``.
    epsilon: Radius, one number or one per image ``[...]``.
    norm: Norm of the ball. In L1 by the method of Duchi et al. 2008.
  """
  epsilon = per_image(jnp.broadcast_to(epsilon, delta.shape[:-3]))
  if norm == 'linf':
    return jnp.clip(delta, -epsilon, epsilon)
  length = per_image(distance(delta, norm))
  outside = length > epsilon
  if norm == 'l2':
    return jnp.where(outside, delta * (epsilon / _nonzero(length)), delta)
  flat = jnp.abs(delta).reshape(*delta.shape[:-3], -1)
  large = -jnp.sort(-flat, axis=-1)
  excess = jnp.cumsum(large, -1) - epsilon[..., 0, 0]
  rank = jnp.arange(1, flat.shape[-1] + 1, dtype=flat.dtype)
  rank = jnp.broadcast_to(rank, flat.shape)
  count = (large * rank > excess).sum(-1, keepdims=True)
  taken = jnp.take_along_axis(excess, jnp.maximum(count - 1, 0), -1)
  taken = per_image((taken / jnp.maximum(count, 1).astype(flat.dtype))[..., 0])
  nearer = jnp.sign(delta) * jnp.maximum(jnp.abs(delta) - taken, 0)
  return jnp.where(outside, nearer, delta)


def within(x: Array, moved: Array, epsilon: Array, norm: str) -> Array:
  """Images in the ball about ``x`` and in [0, 1], from ``moved``."""
  # Images lie in [0, 1], so that clipping shortens every perturbation.
  return jnp.clip(x + project(moved - x, epsilon, norm), 0, 1)


def steepest(gradient: Array, norm: str, x: Array) -> Array:
  """Perturbation of length 1 that raises a linear score most.

  In L1 it is spread over the hundredth of the coordinates with the largest
  slopes that do not lead out of [0, 1]. Where the gradient is zero, it is zero.

  Args:
    gradient: ``[..., H, W, C]``.
    norm: Norm of the length.
    x: Images ``[..., H, W, C]`` where the gradient is taken.
  """
  if norm == 'linf':
    return jnp.sign(gradient)
  if norm == 'l2':
    return gradient / _nonzero(per_image(distance(gradient, 'l2')))
  blocked = ((x <= 0) & (gradient < 0)) | ((x >= 1) & (gradient > 0))
  gradient = jnp.where(blocked, 0, gradient)
  flat = jnp.abs(gradient).reshape(*gradient.shape[:-3], -1)
  count = max(1, round(_L1_SHARE * flat.shape[-1]))
  least = jax.lax.top_k(flat, count)[0][..., -1]
  large = jnp.abs(gradient) >= per_image(least)
  chosen = jnp.where(large, jnp.sign(gradient), 0)
  return chosen / _nonzero(per_image(jnp.abs(chosen).sum(_AXES)))


def random_point(
  key: Array, shape: tuple[int, ...], epsilon: Array, norm: str
) -> Array:
  """Uniform random perturbation in the ball, ``[H, W, C]``.

  Args:
    key: A JAX random key.
    shape: ``(H, W, C)``.
    epsilon: Radius, one number.
    norm: Norm of the ball.
  """
  # Explicit float32, so that the same key draws the same with x64.
  if norm == 'linf':
    unit = jax.random.uniform(key, shape, jnp.float32, -1, 1)
  else:
    one, other = jax.random.split(key)
    if norm == 'l2':
      unit = jax.random.normal(one, shape, jnp.float32)
      unit /= jnp.sqrt(jnp.square(unit).sum())
      unit *= jax.random.uniform(other, (), jnp.float32) ** (1 / unit.size)
    else:
      unit = jax.random.laplace(one, shape, jnp.float32)
      rest = jax.random.exponential(other, (), jnp.float32)
      unit /= jnp.abs(unit).sum() + rest
  return epsilon * unit.astype(jnp.result_type(epsilon))


def random_start(x: Array, key: Array, epsilon: Array, norm: str) -> Array:
  """Images moved to one random point of the ball, clipped to [0, 1].

  Args:
    x: Images ``[..., H, W, C]``, all of which are moved alike.
    key: A JAX random key.
    epsilon: Radius, one number.
    norm: Norm of the ball.
  """
  delta = random_point(key, x.shape[-3:], epsilon, norm)
  return jnp.clip(x + jnp.broadcast_to(delta, x.shape), 0, 1)


def _nonzero(length: Array) -> Array:
  return jnp.where(length > 0, length, 1)
