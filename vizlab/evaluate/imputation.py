"""Pixels filled in from their neighbours."""

import jax
import jax.numpy as jnp

from vizlab.evaluate.base import check_on_image
from vizlab.types import Array

__all__ = ['impute']

# The weight of a pixel's neighbours: those beside it, those at its corners.
_BESIDE, _CORNER = 1 / 6, 1 / 12


def impute(x: Array, gone: Array, *, tolerance: float = 1e-5) -> Array:
  """Replaces pixels by the weighted mean of their eight neighbours.

  Neighbours that are gone themselves are unknowns, so this solves a linear
  system, ``sum_j w_ij (u_i - u_j) = 0`` at every pixel that is gone (a membrane
  over the hole). The system is symmetric; conjugate gradients solve it, each
  image for itself.

  Args:
    x: Images ``[..., H, W, C]``.
    gone: bool ``[..., H, W]``, the pixels to fill in. Where all are gone there
      is nothing to fill in from, and the image becomes its mean colour.
    tolerance: At which the solution of an image is good enough: its residual
      relative to the system's right-hand side, by their norms.

  Returns:
    ``[..., H, W, C]``, with the other pixels as they are.

  Raises:
    ValueError: ``gone`` is not one number a pixel.

  Reference:
    Rong et al. 2022 (ROAD): noisy linear imputation.
  """
  check_on_image(gone, x, 'gone')
  hole = gone[..., None].astype(x.dtype)
  weight = _neighbours(jnp.ones((*x.shape[-3:-1], 1), x.dtype))
  kept = (1 - hole).sum((-3, -2), keepdims=True)
  mean = jnp.where(
    kept > 0,
    ((1 - hole) * x).sum((-3, -2), keepdims=True) / jnp.maximum(kept, 1),
    x.mean((-3, -2), keepdims=True),
  )
  # Unknowns are the differences to the mean colour, a good first guess.
  right = hole * _neighbours((1 - hole) * (x - mean))

  def solve(hole: Array, right: Array) -> Array:
    u, _ = jax.scipy.sparse.linalg.cg(
      lambda u: hole * (weight * (hole * u) - _neighbours(hole * u)),
      right,
      tol=tolerance,
      maxiter=4 * sum(x.shape[-3:-1]),
    )
    return u

  each = (v.reshape(-1, *v.shape[-3:]) for v in (hole, right))
  u = jax.vmap(solve)(*each).reshape(x.shape)
  return jnp.where(gone[..., None], mean + u, x)


def _neighbours(u: Array) -> Array:
  """The weighted sum of the eight neighbours inside the image."""
  h, w = u.shape[-3:-1]
  padded = jnp.pad(u, [(0, 0)] * (u.ndim - 3) + [(1, 1), (1, 1), (0, 0)])
  total = 0.0
  for i in range(3):
    for j in range(3):
      if (i, j) != (1, 1):
        share = _BESIDE if 1 in (i, j) else _CORNER
        total += share * padded[..., i : i + h, j : j + w, :]
  return total
