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

from vizlab.image.filters import rescale
from vizlab.synthesis.intensities import noise
from vizlab.types import Array, Augment, number, value, whole

__all__ = [
  'Compose',
  'Crop',
  'Jitter',
  'Pad',
  'ResizedCrop',
  'Rotate',
  'Scale',
  'compose',
  'crop',
  'jitter',
  'noisy_crops',
  'pad',
  'resized_crop',
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
class ResizedCrop:
  """See `resized_crop`."""

  low: Array
  high: Array

  def __call__(self, key: Array, image: Array) -> Array:
    """Cuts a part and enlarges it."""
    side, place = jax.random.split(key)
    share = jax.random.uniform(side, (), image.dtype, self.low, self.high)
    size = jnp.asarray(image.shape[-3:-1], image.dtype)
    corner = (1 - share) * size * jax.random.uniform(place, (2,), image.dtype)
    return jax.image.scale_and_translate(
      image,
      image.shape,
      (image.ndim - 3, image.ndim - 2),
      jnp.full(2, 1 / share, image.dtype),
      -corner / share,
      'linear',
    )


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
  return Crop(tuple(whole(n, 'height, width') for n in size))


def pad(pixels: int, *, fill: float = 0.5) -> Pad:
  """A border of so many pixels on each side, grey by default."""
  return Pad(whole(pixels, 'pixels', 0), number(fill, 'fill'))


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


def resized_crop(low: float = 0.25, high: float = 1.0) -> ResizedCrop:
  """A random part of the image, enlarged to the image's size.

  Args:
    low: Smallest side of the part, as a share of the image's, above 0.
    high: Largest one, at most 1. The share is uniform between the two, and so
      is the position of the part within the image.
  """
  low, high = number(low, 'low', 0.0), number(high, 'high', 0.0)
  known = not isinstance(low, jax.Array) and not isinstance(high, jax.Array)
  if known and not 0 < low <= high <= 1:
    raise ValueError(
      f'low, high: got {low}, {high}, expected 0 < low <= high <= 1'
    )
  return ResizedCrop(low, high)


def noisy_crops(
  low: float = 0.5, high: float = 1.0, deviation: float = 0.05
) -> Compose:
  """`resized_crop` and `noise`: the augment of `vizlab.synthesis.maco`.

  Reference:
    Fel et al. 2023 (MACO), section 3: crops of random size, and noise.
  """
  return compose(resized_crop(low, high), noise(deviation))


def robust(
  size: int,
  *,
  fill: float = 0.5,
  degrees: float = 15.0,
  spread: float = 0.25,
  border: float = 1 / 8,
  shift: float = 1 / 14,
) -> Compose:
  """Padding, jitter, scale, rotation and crop, for images of ``size`` pixels.

  Args:
    size: Side that the net sees.
    fill: Intensity of the border.
    degrees: Rotation to either side.
    spread: Largest change of the scale, about 1; below 1.
    border: Width of the padding as a share of ``size``. The crop then shifts
      the image by as much to either side.
    shift: Jitter as a share of ``size``.

  Raises:
    ValueError: A size of no pixel, or a share or an angle out of its range.

  Reference:
    Olah, Mordvintsev & Schubert 2017: transformation robustness.
  """
  size = whole(size, 'size')
  for name, share in (('border', border), ('shift', shift)):
    number(share, name, 0.0)
  if not isinstance(spread, jax.Array) and not 0 <= spread < 1:
    raise ValueError(f'spread: got {spread}, expected 0 to below 1')
  return compose(
    pad(round(border * size), fill=fill),
    jitter(round(shift * size)),
    scale(1 - spread, 1 + spread, fill=fill),
    rotate(degrees, fill=fill),
    crop(size),
  )
