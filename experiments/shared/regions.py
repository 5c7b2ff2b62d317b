"""Regions of an image in which a unit is active, as pictures."""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import render

__all__ = ['lit']


def lit(image: np.ndarray, act: np.ndarray, threshold: float) -> np.ndarray:
  """An image that is dark where a unit is not active.

  Args:
    image: ``[H, W, 3]`` in [0, 1].
    act: The unit's map ``[h, w]``.
    threshold: Activation above which it is active.
  """
  large = jax.image.resize(jnp.asarray(act), image.shape[:2], 'linear')
  active = np.asarray(large > threshold)[..., None]
  return render.to_uint8(np.where(active, image, 0.25 * image))
