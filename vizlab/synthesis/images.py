"""How images are parameterised: ``init(key) -> z``, ``decode(z) -> image``.

All but `pixels` decode to [0, 1] through a sigmoid, and with ``decorrelated``
colours. A shape is that of the images, ``(..., H, W, 3)``; with 4 channels the
last one is opacity (see `vizlab.synthesis.on_noise`).
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.filters import frequencies, resize
from vizlab.synthesis.colours import from_rgb, to_rgb
from vizlab.types import Array, check_image, number, value, whole

__all__ = [
  'Fourier',
  'Maco',
  'Pixels',
  'Pyramid',
  'check_shape',
  'fourier',
  'maco',
  'magnitude_of',
  'pixels',
  'pyramid',
]

Shape = tuple[int, ...]


@value()
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


@value('shape', 'decorrelated')
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

  def decode(self, z: Array) -> Array:
    """``sigmoid(axes irfft2(scale z))``."""
    z = z * self._scale()[..., None]
    values = _inverse(jax.lax.complex(z[..., 0], z[..., 1]), self.shape)
    return to_rgb(values, decorrelated=self.decorrelated)

  def _scale(self) -> Array:
    # As in lucid, so that its learning rates hold: 0.05 moves the image by a
    # few percent a step, whatever its size.
    h, w = self.shape[-3:-1]
    return math.sqrt(h * w) / 4 * _by_frequency(self.shape, self.decay)


@value('shape', 'levels', 'decorrelated')
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

  def decode(self, z: tuple[Array, ...]) -> Array:
    """``sigmoid(axes sum_l enlarged z_l)``; a coarse level counts 2^l times."""
    size = self.shape[-3:-1]
    total = sum(2.0**level * resize(each, size) for level, each in enumerate(z))
    return to_rgb(total, decorrelated=self.decorrelated)


@value('shape')
class Maco:
  """See `maco`."""

  shape: Shape
  magnitude: Array

  def init(self, key: Array) -> Array:
    """Phases ``[..., H, W / 2 + 1, 3]``, uniform."""
    *lead, h, w, c = self.shape
    size = (*lead, h, w // 2 + 1, c)
    return jax.random.uniform(key, size, jnp.float32, -math.pi, math.pi)

  def decode(self, z: Array) -> Array:
    """``sigmoid(axes irfft2(magnitude e^(i z)))``."""
    magnitude = jnp.asarray(self.magnitude)
    magnitude = magnitude.reshape((1,) * (z.ndim - 3) + magnitude.shape)
    spectrum = jax.lax.complex(magnitude * jnp.cos(z), magnitude * jnp.sin(z))
    return to_rgb(_inverse(spectrum, self.shape))


def pixels(start: Array, *, noise: float = 0.0) -> Pixels:
  """The image itself; nothing keeps it in [0, 1] but a step rule or a penalty.

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
  decay: float = 1.0,
  noise: float = 0.01,
  start: Array | None = None,
  decorrelated: bool = True,
) -> Fourier:
  """Spectra scaled by ``1 / f^decay``, as those of photos are.

  A step then changes all frequencies by what they usually hold, where steps in
  pixels would be nearly all high frequency.

  Args:
    shape: ``(..., H, W, C)``, C 3, or 4 with opacity.
    decay: The exponent; 0 is white.
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


def maco(shape: Shape, *, magnitude: Array | None = None) -> Maco:
  """Spectra whose magnitudes are fixed; only the phases are optimised.

  In the first column of the half spectrum, and in the last one of an even
  width, rows are each other's mirror images: there magnitudes are at most those
  given, as two phases make one number.

  Args:
    shape: ``(..., H, W, 3)``.
    magnitude: ``[H, W / 2 + 1, 3]``, as `magnitude_of` gives for photos; by
      default ``1 / f``, scaled to a standard deviation of 1.

  Raises:
    ValueError: Not the shape of images, or a magnitude of another shape.

  Reference:
    Fel et al. 2023 (MACO), section 3.
  """
  shape = check_shape(shape)
  h, w, c = shape[-3:]
  if min(h, w) < 2:
    raise ValueError(f'shape: got {shape}, expected at least 2x2 pixels')
  size = h, w // 2 + 1, c
  if magnitude is None:
    magnitude = _by_frequency(shape[-3:], 1.0).at[0, 0].set(0)
    # Half of the spectrum is given; the other half is its mirror image, but
    # for the first column and, of an even width, the last.
    own = (np.arange(size[1]) == 0) | (2 * np.arange(size[1]) == w)
    weight = np.where(own, 1, 2)[None].astype(np.float32)
    power = (jnp.square(magnitude)[..., 0] * weight).sum()
    magnitude = jnp.broadcast_to(magnitude * jnp.sqrt(h * w / power), size)
  if jnp.shape(magnitude) != size:
    raise ValueError(
      f'magnitude: got shape {jnp.shape(magnitude)}, expected {size}'
    )
  return Maco(shape, jnp.asarray(magnitude, jnp.float32))


def magnitude_of(images: Array) -> Array:
  """The mean magnitude of the spectra of photos, along the colour axes.

  Args:
    images: ``[N, H, W, 3]`` in [0, 1].

  Returns:
    ``[H, W / 2 + 1, 3]``, for `maco`.
  """
  if jnp.ndim(images) != 4 or not len(images):
    raise ValueError(
      f'images: got shape {jnp.shape(images)}, expected [N, H, W, 3]'
    )
  spectrum = jnp.fft.rfft2(from_rgb(images), axes=(-3, -2), norm='ortho')
  return jnp.abs(spectrum).mean(0)


def _by_frequency(shape: Shape, decay: float | Array) -> Array:
  """``1 / f^decay`` ``[..., H, W / 2 + 1, 1]`` of the shape's rank."""
  *lead, h, w, _ = shape
  f = frequencies(h, w)
  f = f.reshape((1,) * len(lead) + (*f.shape, 1))
  return jnp.asarray(f) ** -jnp.asarray(decay, jnp.float32)


def _inverse(spectrum: Array, shape: Shape) -> Array:
  """Images of half spectra, unitary: ``[..., H, W, C]``."""
  return jnp.fft.irfft2(spectrum, s=shape[-3:-1], axes=(-3, -2), norm='ortho')


def check_shape(shape: Any) -> Shape:
  """The shape of images, or a `ValueError`."""
  shape = tuple(whole(n, 'shape') for n in shape)
  if len(shape) < 3 or shape[-1] not in (3, 4):
    raise ValueError(f'shape: got {shape}, expected (..., H, W, 3 or 4)')
  return shape
