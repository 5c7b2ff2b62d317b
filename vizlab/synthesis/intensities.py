"""Random changes of intensities: colour, noise, a background for opacity.

``augment(key, image [..., H, W, C]) -> image``, one draw for all images of a
batch.
"""

import jax
import jax.numpy as jnp

from vizlab.synthesis.augmentation import augment
from vizlab.terms import at_least
from vizlab.types import Array

__all__ = ['colour', 'noise', 'on_noise']


@augment(gain=at_least(0.0), offset=at_least(0.0))
def colour(
  key: Array, image: Array, gain: float = 0.1, offset: float = 0.1
) -> Array:
  """Each channel times ``1 +- gain``, plus ``+- offset``."""
  c = image.shape[-1]
  draw = jax.random.uniform(key, (2, c), image.dtype, -1.0)
  draw = draw.reshape(2, *(1,) * (image.ndim - 1), c)
  return image * (1 + gain * draw[0]) + offset * draw[1]


@augment(deviation=at_least(0.0))
def noise(key: Array, image: Array, deviation: float = 0.05) -> Array:
  """Gaussian noise of a standard deviation, independent in every number.

  Reference:
    Bishop 1995: a penalty on the slope of the score.
  """
  size = (1,) * (image.ndim - 3) + image.shape[-3:]
  draw = jax.random.normal(key, size, image.dtype)
  return image + deviation * draw


@augment(noise=at_least(0.0))
def on_noise(key: Array, image: Array, noise: float = 0.2) -> Array:
  """Lays an image with opacity over a random colour with noise."""
  if image.shape[-1] != 4:
    raise ValueError(
      f'image: got shape {image.shape}, expected 4 channels, the last one '
      'opacity'
    )
  shade, grain = jax.random.split(key)
  size = (1,) * (image.ndim - 3) + (*image.shape[-3:-1], 3)
  tint = (1,) * (image.ndim - 1) + (3,)
  back = jax.random.uniform(shade, tint, image.dtype)
  back = back + noise * jax.random.normal(grain, size, image.dtype)
  opacity = image[..., 3:]
  return opacity * image[..., :3] + (1 - opacity) * jnp.clip(back, 0, 1)
