"""Tuning of units to the direction and curvature of lines."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.probes.angles import modulo
from vizlab.types import Array

__all__ = ['Tuning', 'in_one_frame', 'tuning']

_CANCELLED = 1e-5  # selectivity that is none


class Tuning(NamedTuple):
  """Tuning of channels to curves, at the curvature that each likes best.

  Attributes:
    curvature: int32 ``[C]``, index of that curvature.
    direction: ``[C]`` in [0, 2 pi), the direction that it prefers; 0 if it
      prefers none.
    directed: ``[C]`` in [0, 1], selectivity for a direction: 1 if it responds
      to one only, 0 if opposite ones are alike, as for a line.
    orientation: ``[C]`` in [0, pi), the orientation that it prefers; 0 if it
      prefers none.
    oriented: ``[C]`` in [0, 1], selectivity for an orientation.
  """

  curvature: Array
  direction: Array
  directed: Array
  orientation: Array
  oriented: Array


def tuning(responses: Array, angles: Array) -> Tuning:
  """Tuning from responses to curves of all directions.

  Selectivity is the length of the mean vector, ``|sum_a r_a e^(i n a)| /
  sum_a r_a`` over the positive responses, with ``n`` = 1 for directions and 2
  for orientations; the preference is its angle. A unit that is selective for a
  direction at a curvature above 0 is a curve detector.

  Args:
    responses: Activations ``[A, K, C]`` to curves of ``A`` directions and ``K``
      curvatures, such as those of `vizlab.data.curves`.
    angles: ``[A]``, evenly spaced over the circle, in radians.

  References:
    Mazurek, Kager & Van Hooser 2014: selectivity by vector sums. Cammarata et
    al. 2020, "Curve Detectors".
  """
  if responses.ndim != 3 or np.shape(angles) != responses.shape[:1]:
    raise ValueError(
      f'responses, angles: got {responses.shape} and {np.shape(angles)}, '
      'expected [A, K, C] and [A]'
    )
  positive = jnp.where(responses < 0, 0, responses)
  best = positive.max(0).argmax(0).astype(jnp.int32)  # [C]
  own = jnp.take_along_axis(positive, best[None, None], 1)[:, 0]  # [A, C]
  total = own.sum(0)

  def mean(turns: int) -> tuple[Array, Array]:
    phase = turns * jnp.asarray(angles, own.dtype)[:, None]
    x, y = (own * jnp.cos(phase)).sum(0), (own * jnp.sin(phase)).sum(0)
    length = jnp.hypot(x, y) / jnp.where(total > 0, total, 1)
    angle = modulo(jnp.arctan2(y, x) / turns, 2 * np.pi / turns)
    # Of responses that cancel the angle is that of their rounding errors.
    return jnp.where(length > _CANCELLED, angle, 0), length

  return Tuning(best, *mean(1), *mean(2))


def in_one_frame(weights: Array, angles: Array) -> Array:
  """Turns spatial weights so that the direction of each unit points right.

  Args:
    weights: ``[N, h, w]``.
    angles: ``[N]``, direction of each unit in radians, clockwise.

  Returns:
    ``[N, h, w]``, with zeros from outside.
  """
  weights = jnp.asarray(weights)
  height, width = weights.shape[1:]
  middle = (height - 1) / 2, (width - 1) / 2
  y, x = np.mgrid[:height, :width].astype(weights.dtype)
  y, x = y - middle[0], x - middle[1]

  def turn(weight: Array, angle: Array) -> Array:
    c, s = jnp.cos(angle), jnp.sin(angle)
    places = [s * x + c * y + middle[0], c * x - s * y + middle[1]]
    return jax.scipy.ndimage.map_coordinates(weight, places, 1)

  return jax.vmap(turn)(weights, jnp.asarray(angles, weights.dtype))
