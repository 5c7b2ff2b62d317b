"""The grand tour: smooth projections of many dimensions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, whole

__all__ = ['grand_tour']


def grand_tour(
  key: Array, dimensions: int, *, onto: int = 2, turns: int = 8, steps: int = 30
) -> np.ndarray:
  """Orthonormal frames along geodesics between random planes.

  The plane turns from each random frame to the next along the shortest way, by
  the principal angles between them, so that the motion is smooth and shows
  nothing but the data.

  Args:
    key: A JAX random key.
    dimensions: ``D`` of the data, more than ``onto``.
    onto: ``d``, dimensions of the pictures, 2 or 3.
    turns: Number of random planes after the first one.
    steps: Frames from one of them to the next.

  Returns:
    float64 ``[turns * steps + 1, D, d]``; the columns of each are orthonormal.
    ``x @ frames[t]`` is the picture at time ``t``.

  References:
    Asimov 1985, "The grand tour"; Buja et al. 2005, section 2.2: geodesics. Li,
    Zhao & Scheidegger 2020, "Visualizing Neural Networks with the Grand Tour".
  """
  for name, value in (('turns', turns), ('steps', steps)):
    whole(value, name)
  if onto not in (2, 3) or dimensions <= onto:
    raise ValueError(
      f'dimensions, onto: got {dimensions} and {onto}, expected 2 or 3 of more '
      'dimensions'
    )
  draws = jax.random.normal(key, (turns + 1, dimensions, onto), jnp.float32)
  planes = [np.linalg.qr(np.asarray(v, np.float64))[0] for v in draws]
  frames, current = [], planes[0]
  for target in planes[1:]:
    way = _geodesic(current, target)
    frames += [way(t / steps) for t in range(steps)]
    current = way(1.0)
  return np.stack([*frames, current])


def _geodesic(
  start: np.ndarray, end: np.ndarray
) -> Callable[[float], np.ndarray]:
  """Function of [0, 1]: from a frame to one that spans the plane of another."""
  left, cosines, right = np.linalg.svd(start.T @ end)
  angles = np.arccos(np.clip(cosines, -1, 1))
  a, b = start @ left, end @ right.T
  # What of each axis is new in the other plane; none for one that stays.
  new = b - a * np.cos(angles)
  size = np.linalg.norm(new, axis=0)
  new = np.where(size > 1e-9, new / np.where(size > 1e-9, size, 1), 0)

  def at(t: float) -> np.ndarray:
    turned = a * np.cos(t * angles) + new * np.sin(t * angles)
    # The axes within the plane stay where they were: no spin.
    return _orthonormal(turned @ left.T)

  return at


def _orthonormal(frame: np.ndarray) -> np.ndarray:
  """The nearest frame with orthonormal columns, against rounding."""
  u, _, v = np.linalg.svd(frame, full_matrices=False)
  return u @ v
