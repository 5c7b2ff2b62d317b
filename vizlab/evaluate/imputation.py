"""Imputation of pixels from their neighbours."""

import jax
import jax.numpy as jnp

from vizlab.evaluate.checks import check_on_image
from vizlab.types import Array

__all__ = ['impute']

# Weights of a pixel's neighbours: adjacent, diagonal.
_BESIDE, _CORNER = 1 / 6, 1 / 12


def impute(x: Array, gone: Array, *, tolerance: float = 1e-5) -> Array:
  """Replaces pixels by the weighted mean of their eight neighbours.

  Removed neighbours are unknowns too, so this solves the linear system
  ``sum_j w_ij (u_i - u_j) = 0`` over all removed pixels (a membrane over the
  hole). The system is symmetric and is solved by conjugate gradients,
  separately for each image.

  Args:
    x: Images ``[..., H, W, C]``.
    gone: bool ``[..., H, W]``, the pixels to fill in. An image without any
      other pixel becomes its mean colour.
    tolerance: Relative tolerance of the solver: the norm of the residual
      divided by the norm of the right-hand side.

  Returns:
    ``[..., H, W, C]``, with all other pixels unchanged.

  Raises:
    ValueError: ``gone`` does not have one value per pixel.

  Reference:
    Rong et al. 2022 (ROAD): noisy linear imputation.
  """
  check_on_image(gone, x, 'gone')
  hole = gone[..., None].astype(x.dtype)
  weight = _neighbours(jnp.ones((*x.shape[-3:-1], 1), x.dtype))
  count = (1 - hole).sum((-3, -2), keepdims=True)
  mean = jnp.where(
    count > 0,
    ((1 - hole) * x).sum((-3, -2), keepdims=True) / jnp.maximum(count, 1),
    x.mean((-3, -2), keepdims=True),
  )
  # The unknowns are differences from the mean colour, a good initial guess.
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
  """Weighted sum of the eight neighbours that lie inside the image."""
  h, w = u.shape[-3:-1]
  padded = jnp.pad(u, [(0, 0)] * (u.ndim - 3) + [(1, 1), (1, 1), (0, 0)])
  total = 0.0
  for i in range(3):
    for j in range(3):
      if (i, j) != (1, 1):
        share = _BESIDE if 1 in (i, j) else _CORNER
        total += share * padded[..., i : i + h, j : j + w, :]
  return total
