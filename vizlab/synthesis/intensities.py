"""Random changes of intensities: colour, noise, a background for opacity.

``augment(key, image [..., H, W, C]) -> image``, one draw for all images of a
batch, as in `vizlab.synthesis.augment`.
"""

import jax
import jax.numpy as jnp

from vizlab.types import Array, number, value

__all__ = [
  'Colour',
  'Noise',
  'OnNoise',
  'colour',
  'noise',
  'on_noise',
]


@value()
class Colour:
  """See `colour`."""

  gain: Array
  offset: Array

  def __call__(self, key: Array, image: Array) -> Array:
    """Changes each channel."""
    c = image.shape[-1]
    draw = jax.random.uniform(key, (2, c), image.dtype, -1.0)
    draw = draw.reshape(2, *(1,) * (image.ndim - 1), c)
    return image * (1 + self.gain * draw[0]) + self.offset * draw[1]


@value()
class Noise:
  """See `noise`."""

  deviation: Array

  def __call__(self, key: Array, image: Array) -> Array:
    """Adds the noise."""
    size = (1,) * (image.ndim - 3) + image.shape[-3:]
    draw = jax.random.normal(key, size, image.dtype)
    return image + self.deviation * draw


@value()
class OnNoise:
  """See `on_noise`."""

  noise: Array

  def __call__(self, key: Array, image: Array) -> Array:
    """Lays the image over the background."""
    if image.shape[-1] != 4:
      raise ValueError(
        f'image: got shape {image.shape}, expected 4 channels, the last one '
        'opacity'
      )
    shade, grain = jax.random.split(key)
    size = (1,) * (image.ndim - 3) + (*image.shape[-3:-1], 3)
    tint = (1,) * (image.ndim - 1) + (3,)
    back = jax.random.uniform(shade, tint, image.dtype)
    back = back + self.noise * jax.random.normal(grain, size, image.dtype)
    opacity = image[..., 3:]
    return opacity * image[..., :3] + (1 - opacity) * jnp.clip(back, 0, 1)


def colour(gain: float = 0.1, offset: float = 0.1) -> Colour:
  """Each channel times ``1 +- gain``, plus ``+- offset``."""
  return Colour(number(gain, 'gain', 0.0), number(offset, 'offset', 0.0))


def noise(deviation: float = 0.05) -> Noise:
  """Gaussian noise of a standard deviation, independent in every number.

  Reference:
    Bishop 1995: a penalty on the slope of the score.
  """
  return Noise(number(deviation, 'deviation', 0.0))


def on_noise(noise: float = 0.2) -> OnNoise:
  """Lays an image with opacity over a random colour with noise."""
  return OnNoise(number(noise, 'noise', 0.0))
