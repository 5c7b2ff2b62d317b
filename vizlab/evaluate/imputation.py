"""Pixels filled in from their neighbours."""

import jax
import jax.numpy as jnp

from vizlab.evaluate.base import check_on_image
from vizlab.types import Array

__all__ = ['impute']

# The weight of a pixel's neighbours: those beside it, those at its corners.
_BESIDE, _CORNER = 1 / 6, 1 / 12


def impute(x: Array, gone: Array, *, tolerance: float = 1e-4) -> Array:
  """Replaces pixels by the weighted mean of their eight neighbours.

  Neighbours that are gone themselves are unknowns, so this solves a linear
  system, ``sum_j w_ij (u_i - u_j) = 0`` at every pixel that is gone (a membrane
  over the hole). The system is symmetric; conjugate gradients solve it for all
  images at once.

  Args:
    x: Images ``[..., H, W, C]``.
    gone: bool ``[..., H, W]``, the pixels to fill in. Where all are gone there
      is nothing to fill in from, and the image becomes its mean colour.
    tolerance: Of the solution, relative to the image's own size.

  Returns:
    ``[..., H, W, C]``, with the other pixels as they are.

  Raises:
    ValueError: ``gone`` is not one number a pixel.

  Reference:
    Rong et al. 2022 (ROAD), section 4.2 and appendix: noisy linear imputation.
  """
  check_on_image(gone, x)
  hole = gone[..., None].astype(x.dtype)
  weight = _neighbours(jnp.ones((1, *x.shape[-3:-1], 1), x.dtype))
  weight = weight.reshape((1,) * (x.ndim - 3) + weight.shape[1:])

  def operator(u: Array) -> Array:
    u = hole * u
    return hole * (weight * u - _neighbours(u))

  kept = (1 - hole).sum((-3, -2), keepdims=True)
  mean = jnp.where(
    kept > 0,
    ((1 - hole) * x).sum((-3, -2), keepdims=True) / jnp.maximum(kept, 1),
    x.mean((-3, -2), keepdims=True),
  )
  # Unknowns are the differences to the mean colour, a good first guess.
  right = hole * _neighbours((1 - hole) * (x - mean))
  u, _ = jax.scipy.sparse.linalg.cg(
    operator, right, tol=tolerance, maxiter=4 * sum(x.shape[-3:-1])
  )
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
