"""Angles."""

import jax.numpy as jnp
import numpy as np

from vizlab.types import Array

__all__ = ['modulo']


def modulo(angle: Array, period: float) -> Array:
  """Angle in [0, period); a hair below 0, which rounds to the period, is 0."""
  turned = angle % period
  return jnp.where(turned < np.float32(period) - 1e-5, turned, 0)
