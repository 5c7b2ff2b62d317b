"""Random transformations, so that an image excites however it is looked at.

``augment(key, image [..., H, W, C]) -> image``: one draw for all images of a
batch; ``vmap`` over keys and images gives each its own. All are pytrees whose
strengths are leaves.

>>> import jax
>>> from vizlab import synthesis
>>> seen = synthesis.compose(synthesis.pad(8), synthesis.jitter(8))
>>> seen(jax.random.key(0), jax.numpy.ones((2, 32, 32, 3))).shape
(2, 48, 48, 3)
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from vizlab.filters import rescale
from vizlab.types import Array, Augment, number, value

__all__ = [
  'Colour',
  'Compose',
  'Crop',
  'Jitter',
  'OnNoise',
  'Pad',
  'Rotate',
  'Scale',
  'colour',
  'compose',
  'crop',
  'jitter',
  'on_noise',
  'pad',
  'robust',
  'rotate',
  'scale',
]


@value()
class Compose:
  """See `compose`."""

  parts: tuple[Augment, ...]

  def __call__(self, key: Array, image: Array) -> Array:
    """Applies one after the other, each with a key of its own."""
    for i, part in enumerate(self.parts):
      image = part(jax.random.fold_in(key, i), image)
    return image


@value()
class Jitter:
  """See `jitter`."""

  pixels: Array

  def __call__(self, key: Array, image: Array) -> Array:
    """Rolls rows and columns."""
    by = jax.random.randint(key, (2,), -self.pixels, self.pixels + 1, jnp.int32)
    return jnp.roll(image, by, (-3, -2))


@value('size')
class Crop:
  """See `crop`."""

  size: tuple[int, int]

  def __call__(self, key: Array, image: Array) -> Array:
    """Cuts a part."""
    free = [n - m for n, m in zip(image.shape[-3:-1], self.size, strict=True)]
    if min(free) < 0:
      raise ValueError(
        f'size: got {self.size} for images {image.shape}, expected at most '
        'their size'
      )
    most = jnp.asarray(free, jnp.int32) + 1
    at = jax.random.randint(key, (2,), 0, most, jnp.int32)
    for i, axis in enumerate((-3, -2)):
      image = jax.lax.dynamic_slice_in_dim(
        image, at[i], self.size[i], image.ndim + axis
      )
    return image


@value('pixels')
class Pad:
  """See `pad`."""

  pixels: int
  fill: Array

  def __call__(self, key: Array, image: Array) -> Array:
    """Adds a border."""
    edges = [(0, 0)] * (image.ndim - 3) + [(self.pixels,) * 2] * 2 + [(0, 0)]
    return jnp.pad(image - self.fill, edges) + self.fill


@value()
class Scale:
  """See `scale`."""

  low: Array
  high: Array
  fill: Array

  def __call__(self, key: Array, image: Array) -> Array:
    """Enlarges or shrinks about the centre."""
    factor = jax.random.uniform(key, (), image.dtype, self.low, self.high)
    return rescale(image - self.fill, factor) + self.fill


@value()
class Rotate:
  """See `rotate`."""

  degrees: Array
  fill: Array

  def __call__(self, key: Array, image: Array) -> Array:
    """Turns about the centre, with linear interpolation."""
    draw = jax.random.uniform(key, (), image.dtype, -1.0)
    turn = jnp.deg2rad(self.degrees) * draw
    h, w, c = image.shape[-3:]
    y, x = jnp.meshgrid(
      *(np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in (h, w)),
      indexing='ij',
    )
    sine, cosine = jnp.sin(turn), jnp.cos(turn)
    at = [
      cosine * y + sine * x + (h - 1) / 2,
      cosine * x - sine * y + (w - 1) / 2,
    ]

    def one(plane: Array) -> Array:
      return map_coordinates(plane, at, order=1, mode='constant')

    flat = jnp.moveaxis(image - self.fill, -1, -3).reshape(-1, h, w)
    turned = jax.vmap(one)(flat).reshape(*image.shape[:-3], c, h, w)
    return jnp.moveaxis(turned, -3, -1) + self.fill


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


def compose(*parts: Augment) -> Compose:
  """One transformation after the other."""
  return Compose(parts)


def jitter(pixels: int) -> Jitter:
  """Shifts by up to so many pixels; what leaves comes in on the other side.

  Reference:
    Mordvintsev, Olah & Tyka 2015 (DeepDream).
  """
  most = number(pixels, 'pixels', 0.0)
  if not isinstance(most, jax.Array) and most != np.floor(most):
    raise ValueError(f'pixels: got {pixels}, expected a whole number')
  return Jitter(most.astype(np.int32))


def crop(height: int, width: int | None = None) -> Crop:
  """A random part of ``height`` by ``width`` pixels (by default a square)."""
  size = height, height if width is None else width
  if min(size) < 1:
    raise ValueError(f'height, width: got {size}, expected at least 1')
  return Crop(size)


def pad(pixels: int, *, fill: float = 0.5) -> Pad:
  """A border of so many pixels on each side, grey by default."""
  if pixels < 0:
    raise ValueError(f'pixels: got {pixels}, expected 0 or more')
  return Pad(pixels, np.float32(fill))


def scale(low: float = 0.9, high: float = 1.1, *, fill: float = 0.5) -> Scale:
  """Enlarges by a factor between two; the size in pixels stays the same."""
  low, high = number(low, 'low', 0.0), number(high, 'high', 0.0)
  known = not isinstance(low, jax.Array) and not isinstance(high, jax.Array)
  if known and not 0 < low <= high:
    raise ValueError(f'low, high: got {low}, {high}, expected 0 < low <= high')
  return Scale(low, high, np.float32(fill))


def rotate(degrees: float = 10.0, *, fill: float = 0.5) -> Rotate:
  """Turns by up to so many degrees to either side."""
  return Rotate(number(degrees, 'degrees', 0.0), np.float32(fill))


def colour(gain: float = 0.1, offset: float = 0.1) -> Colour:
  """Each channel times ``1 +- gain``, plus ``+- offset``."""
  return Colour(number(gain, 'gain', 0.0), number(offset, 'offset', 0.0))


def on_noise(noise: float = 0.2) -> OnNoise:
  """Lays an image with opacity over a random colour with noise."""
  return OnNoise(number(noise, 'noise', 0.0))


def robust(
  size: int, *, fill: float = 0.5, degrees: float = 5.0, spread: float = 0.1
) -> Compose:
  """Padding, scale, rotation and crop, for images of ``size`` pixels.

  Args:
    size: Side that the net sees.
    fill: Of the border.
    degrees: Rotation to either side.
    spread: Of the scale about 1.

  Reference:
    Olah, Mordvintsev & Schubert 2017: transformation robustness.
  """
  border = max(1, size // 18)
  return compose(
    pad(border, fill=fill),
    scale(1 - spread, 1 + spread, fill=fill),
    rotate(degrees, fill=fill),
    crop(size),
  )
