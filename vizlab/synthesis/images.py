"""Parameterizations of images: ``init(key) -> z``, ``decode(z) -> image``.

All but `pixels` decode to [0, 1] through a sigmoid, and with ``decorrelated``
colours. A shape is that of the images, ``(..., H, W, 3)``; with 4 channels the
last one is opacity (see `vizlab.synthesis.on_noise`).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from vizlab.image.colour import from_rgb, to_rgb
from vizlab.image.filters import frequencies, resize
from vizlab.types import Array, check_image, number, pytree_dataclass, whole

__all__ = [
  'Fourier',
  'Pixels',
  'Pyramid',
  'Shared',
  'by_frequency',
  'check_shape',
  'fourier',
  'inverse_spectrum',
  'pixels',
  'pyramid',
  'shared',
]

Shape = tuple[int, ...]


@pytree_dataclass
class Pixels:
  """See `pixels`."""

  start: Array
  noise: Array

  def init(self, key: Array) -> Array:
    """The start and its noise: ``[..., H, W, C]``."""
    draw = jax.random.normal(key, self.start.shape, jnp.float32)
    return jnp.asarray(self.start) + self.noise * draw

  def decode(self, z: Array) -> Array:
    """``z`` itself."""
    return z


@pytree_dataclass(static=('shape', 'decorrelated'))
class Fourier:
  """See `fourier`."""

  shape: Shape
  decay: Array
  noise: Array
  start: Array | None
  decorrelated: bool

  def init(self, key: Array) -> Array:
    """``[..., H, W / 2 + 1, C, 2]``: real and imaginary parts."""
    *lead, h, w, c = self.shape
    size = (*lead, h, w // 2 + 1, c, 2)
    z = self.noise * jax.random.normal(key, size, jnp.float32)
    if self.start is None:
      return z
    wanted = from_rgb(self.start, decorrelated=self.decorrelated)
    spectrum = jnp.fft.rfft2(wanted, axes=(-3, -2), norm='ortho')
    parts = jnp.stack([spectrum.real, spectrum.imag], -1)
    return z + parts / self._scale()[..., None]

  def values(self, z: Array) -> Array:
    """``irfft2(scale z)``, before colours and sigmoid."""
    real, imaginary = z[..., 0] * self._scale(), z[..., 1] * self._scale()
    return inverse_spectrum(jax.lax.complex(real, imaginary), self.shape)

  def decode(self, z: Array) -> Array:
    """``sigmoid(axes irfft2(scale z))``."""
    return to_rgb(self.values(z), decorrelated=self.decorrelated)

  def _scale(self) -> Array:
    # As in lucid, so that its learning rates hold: 0.05 moves the image by a
    # few percent a step, whatever its size.
    h, w = self.shape[-3:-1]
    return math.sqrt(h * w) / 4 * by_frequency(self.shape, self.decay)


@pytree_dataclass(static=('shape', 'levels', 'decorrelated'))
class Pyramid:
  """See `pyramid`."""

  shape: Shape
  levels: int
  noise: Array
  decorrelated: bool

  def init(self, key: Array) -> tuple[Array, ...]:
    """One array ``[..., H / 2^l, W / 2^l, C]`` a level, the finest first."""
    *lead, h, w, c = self.shape
    found = []
    for level in range(self.levels):
      size = (*lead, -(-h // 2**level), -(-w // 2**level), c)
      level_key = jax.random.fold_in(key, level)
      draw = jax.random.normal(level_key, size, jnp.float32)
      found.append(self.noise * draw)
    return tuple(found)

  def values(self, z: tuple[Array, ...]) -> Array:
    """``sum_l 2^l enlarged z_l``, before colours and sigmoid."""
    size = self.shape[-3:-1]
    return sum(2.0**level * resize(each, size) for level, each in enumerate(z))

  def decode(self, z: tuple[Array, ...]) -> Array:
    """``sigmoid(axes sum_l enlarged z_l)``; a coarse level counts 2^l times."""
    return to_rgb(self.values(z), decorrelated=self.decorrelated)


@pytree_dataclass(static=('sides',))
class Shared:
  """See `shared`."""

  own: Fourier | Pyramid
  sides: tuple[int, ...]
  noise: Array
  reach: Array | None

  def init(self, key: Array) -> tuple[Any, tuple[Array, ...]]:
    """Parameters of each image, and equal copies ``[..., s, s, C]``."""
    *lead, _, _, c = self.own.shape
    copies = []
    for i, side in enumerate(self.sides):
      draw = jax.random.normal(
        jax.random.fold_in(key, i), (side, side, c), jnp.float32
      )
      copies.append(jnp.broadcast_to(self.noise * draw, (*lead, side, side, c)))
    return self.own.init(jax.random.fold_in(key, len(copies))), tuple(copies)

  def decode(self, z: tuple[Any, tuple[Array, ...]]) -> Array:
    """``sigmoid(axes (own values + sum_l enlarged mean of the copies))``."""
    own, copies = z
    values = self.own.values(own)
    size = self.own.shape[-3:-1]
    for each in copies:
      values = values + resize(self._common(each), size)
    return to_rgb(values, decorrelated=self.own.decorrelated)

  def _common(self, copies: Array) -> Array:
    lead = tuple(range(copies.ndim - 3))
    if self.reach is None:
      return copies.mean(lead, keepdims=True)
    for axis in lead:
      at = jnp.arange(copies.shape[axis], dtype=jnp.float32)
      near = jax.nn.softmax(
        -0.5 * jnp.square((at[:, None] - at[None]) / self.reach)
      )
      copies = jnp.moveaxis(jnp.tensordot(near, copies, (1, axis)), 0, axis)
    return copies


def pixels(start: Array, *, noise: float = 0.0) -> Pixels:
  """The image itself; nothing keeps it in [0, 1] but an optimizer or a penalty.

  Args:
    start: Images ``[..., H, W, C]``.
    noise: Standard deviation of what is added to it.

  Raises:
    ValueError: Not images.
  """
  check_image(start, 'start')
  return Pixels(jnp.asarray(start, jnp.float32), number(noise, 'noise', 0.0))


def fourier(
  shape: Shape,
  *,
  decay: float = 1.5,
  noise: float = 0.01,
  start: Array | None = None,
  decorrelated: bool = True,
) -> Fourier:
  """Spectra scaled by ``1 / f^decay``, as those of photos are.

  A step then changes all frequencies by what they usually hold, or low ones by
  more, where steps in pixels would be nearly all high frequency.

  Args:
    shape: ``(..., H, W, C)``, C 3, or 4 with opacity.
    decay: The exponent; 0 is white, 1 that of photos. Above it, images stay
      smooth over hundreds of steps; 2 is blurred.
    noise: Standard deviation of the spectrum at the start.
    start: Images of the shape to start from; by default grey.
    decorrelated: Whether colours lie along the axes of photos.

  Raises:
    ValueError: Not the shape of images, or ``start`` has another one.

  Reference:
    Olah, Mordvintsev & Schubert 2017: preconditioning; Mordvintsev et al. 2018.
  """
  shape = check_shape(shape)
  if start is not None:
    if jnp.shape(start) != shape:
      raise ValueError(f'start: got shape {jnp.shape(start)}, expected {shape}')
    check_image(start, 'start')
    start = jnp.asarray(start, jnp.float32)
  decay, noise = number(decay, 'decay'), number(noise, 'noise', 0.0)
  return Fourier(shape, decay, noise, start, decorrelated)


def pyramid(
  shape: Shape,
  *,
  levels: int = 5,
  noise: float = 0.01,
  decorrelated: bool = True,
) -> Pyramid:
  """Images as sums of ever coarser ones.

  Args:
    shape: ``(..., H, W, C)``.
    levels: How many; each has half the resolution of the one before.
    noise: Standard deviation of every level at the start.
    decorrelated: Whether colours lie along the axes of photos.

  Raises:
    ValueError: Not the shape of images, or a level of less than one pixel.

  Reference:
    Burt & Adelson 1983; lucid's ``lowres`` and ``laplacian`` images.
  """
  shape = check_shape(shape)
  if 2 ** (whole(levels, 'levels') - 1) > min(shape[-3:-1]):
    raise ValueError(
      f'levels: got {levels} for images {shape}, expected no level of less '
      'than a pixel'
    )
  return Pyramid(shape, levels, number(noise, 'noise', 0.0), decorrelated)


def shared(
  own: Fourier | Pyramid,
  *,
  sides: tuple[int, ...] = (2, 4, 8),
  noise: float = 0.01,
  reach: float | None = None,
) -> Shared:
  """Images that have their coarse structure in common.

  To the values of each image, before the sigmoid, are added grids of a low
  resolution that all images of the batch share, so that what they show comes to
  lie at the same position, facing the same way. Every image has a copy of the
  grids, and reads their mean: the copies stay equal, and the gradient of each
  is the mean over the batch. With ``reach``, images share with their neighbours
  along the leading axes only, so that a row or a sheet of images changes
  smoothly from one end to the other.

  Args:
    own: The images' own part: `fourier` or `pyramid`, with a batch.
    sides: Pixels of the shared grids, enlarged to the images' size.
    noise: Standard deviation of the grids at the start.
    reach: Standard deviation, in images, of a Gaussian that weighs the copies
      of neighbours, at least 0.01; by default all copies count the same.

  Raises:
    ValueError: A part without values before the sigmoid, no grid, or a reach
      that is too small.

  Reference:
    Mordvintsev, Pezzotti, Schubert & Olah 2018 (Differentiable image
    parameterizations): aligned interpolation by a shared parameterization.
  """
  if not isinstance(own, Fourier | Pyramid):
    raise ValueError(
      f'own: got {type(own).__name__}, expected fourier or pyramid'
    )
  sides = tuple(whole(side, 'sides') for side in sides)
  if not sides:
    raise ValueError('sides: got none, expected one or more')
  if reach is not None:
    reach = number(reach, 'reach', 0.01)
  return Shared(own, sides, number(noise, 'noise', 0.0), reach)


def by_frequency(shape: Shape, decay: float | Array) -> Array:
  """``1 / f^decay`` ``[..., H, W / 2 + 1, 1]`` of the shape's rank."""
  *lead, h, w, _ = shape
  f = frequencies(h, w)
  f = f.reshape((1,) * len(lead) + (*f.shape, 1))
  return jnp.asarray(f) ** -jnp.asarray(decay, jnp.float32)


def inverse_spectrum(spectrum: Array, shape: Shape) -> Array:
  """Images of half spectra, unitary: ``[..., H, W, C]``."""
  return jnp.fft.irfft2(spectrum, s=shape[-3:-1], axes=(-3, -2), norm='ortho')


def check_shape(shape: Any) -> Shape:
  """The shape of images, or a `ValueError`."""
  shape = tuple(whole(n, 'shape') for n in shape)
  if len(shape) < 3 or shape[-1] not in (3, 4):
    raise ValueError(f'shape: got {shape}, expected (..., H, W, 3 or 4)')
  return shape
