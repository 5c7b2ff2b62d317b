"""Random transformations, so that an image excites a network in many views.

``augment(key, image [..., H, W, C]) -> image``: one draw for all images of a
batch; ``vmap`` over keys and images gives each its own. All are pytrees whose
strengths are leaves.

>>> import jax
>>> from vizlab import synthesis
>>> transform = synthesis.compose(synthesis.pad(8), synthesis.jitter(8))
>>> transform(jax.random.key(0), jax.numpy.ones((2, 32, 32, 3))).shape
(2, 48, 48, 3)
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.image.filters import rescale
from vizlab.image.motion import turned
from vizlab.synthesis.augmentation import Augmentation, augment
from vizlab.synthesis.intensities import noise
from vizlab.terms import at_least
from vizlab.types import Array, Augment, number, whole

__all__ = [
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


def compose(*parts: Augment) -> Augmentation:
  """Applies one transformation after the other, each with a key of its own."""
  return _in_turn(parts)


@augment
def _in_turn(key: Array, image: Array, parts: tuple[Augment, ...]) -> Array:
  for i, part in enumerate(parts):
    image = part(jax.random.fold_in(key, i), image)
  return image


def _pixels(value: Any, name: str) -> Array:
  most = at_least(0.0)(value, name)
  if not isinstance(most, jax.Array) and most != np.floor(most):
    raise ValueError(f'{name}: got {value}, expected a whole number')
  return most.astype(np.int32)


@augment(pixels=_pixels)
def jitter(key: Array, image: Array, pixels: int) -> Array:
  """Shifts by up to so many pixels; what leaves comes in on the other side.

  Reference:
    Mordvintsev, Olah & Tyka 2015 (DeepDream).
  """
  by = jax.random.randint(key, (2,), -pixels, pixels + 1, jnp.int32)
  return jnp.roll(image, by, (-3, -2))


def crop(height: int, width: int | None = None) -> Augmentation:
  """A random part of ``height`` by ``width`` pixels (by default a square)."""
  size = height, height if width is None else width
  return _crop(tuple(whole(n, 'height, width') for n in size))


@augment
def _crop(key: Array, image: Array, size: tuple[int, int]) -> Array:
  free = [n - m for n, m in zip(image.shape[-3:-1], size, strict=True)]
  if min(free) < 0:
    raise ValueError(
      f'size: got {size} for images {image.shape}, expected at most their size'
    )
  most = jnp.asarray(free, jnp.int32) + 1
  at = jax.random.randint(key, (2,), 0, most, jnp.int32)
  for i, axis in enumerate((-3, -2)):
    image = jax.lax.dynamic_slice_in_dim(
      image, at[i], size[i], image.ndim + axis
    )
  return image


def _border(value: Any, name: str) -> int:
  return whole(value, name, 0)


@augment(pixels=_border)
def pad(key: Array, image: Array, pixels: int, *, fill: float = 0.5) -> Array:
  """A border of so many pixels on each side, grey by default."""
  edges = [(0, 0)] * (image.ndim - 3) + [(pixels,) * 2] * 2 + [(0, 0)]
  return jnp.pad(image - fill, edges) + fill


def _check_factors(low: Any, high: Any, fill: Any) -> None:
  known = not isinstance(low, jax.Array) and not isinstance(high, jax.Array)
  if known and not 0 < low <= high:
    raise ValueError(f'low, high: got {low}, {high}, expected 0 < low <= high')


@augment(low=at_least(0.0), high=at_least(0.0), check=_check_factors)
def scale(
  key: Array,
  image: Array,
  low: float = 0.9,
  high: float = 1.1,
  *,
  fill: float = 0.5,
) -> Array:
  """Enlarges by a factor between two; the size in pixels stays the same."""
  factor = jax.random.uniform(key, (), image.dtype, low, high)
  return rescale(image - fill, factor) + fill


@augment(degrees=at_least(0.0))
def rotate(
  key: Array, image: Array, degrees: float = 10.0, *, fill: float = 0.5
) -> Array:
  """Turns by up to so many degrees to either side."""
  draw = jax.random.uniform(key, (), image.dtype, -1.0)
  turn = jnp.deg2rad(degrees) * draw
  return turned(image - fill, turn) + fill


def _check_shares(low: Any, high: Any) -> None:
  known = not isinstance(low, jax.Array) and not isinstance(high, jax.Array)
  if known and not 0 < low <= high <= 1:
    raise ValueError(
      f'low, high: got {low}, {high}, expected 0 < low <= high <= 1'
    )


@augment(low=at_least(0.0), high=at_least(0.0), check=_check_shares)
def resized_crop(
  key: Array, image: Array, low: float = 0.25, high: float = 1.0
) -> Array:
  """A random part of the image, enlarged to the image's size.

  Args:
    low: Smallest side of the part, as a share of the image's, above 0.
    high: Largest one, at most 1. The share is uniform between the two, and so
      is the position of the part within the image.
  """
  side, place = jax.random.split(key)
  share = jax.random.uniform(side, (), image.dtype, low, high)
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


def noisy_crops(
  low: float = 0.5, high: float = 1.0, deviation: float = 0.05
) -> Augmentation:
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
) -> Augmentation:
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
