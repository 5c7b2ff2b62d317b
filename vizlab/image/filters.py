"""Filters of images: blur, resizing, spectra, pyramids, bilateral, median.

Images are ``[..., H, W, C]``. Filter strengths may be traced.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, whole

__all__ = [
  'bands',
  'bicubic',
  'bilateral',
  'blur',
  'fewer_bits',
  'frequencies',
  'median',
  'resize',
  'rescale',
  'sum_of_bands',
  'tilt',
]


def blur(x: Array, sigma: float | Array) -> Array:
  """Gaussian blur with mirrored borders.

  Args:
    x: Images ``[..., H, W, C]``.
    sigma: Standard deviation in pixels, truncated at three standard deviations;
      0 leaves the image unchanged.

  Returns:
    ``[..., H, W, C]``.
  """
  rows, columns = (_blurring(n, sigma, x.dtype) for n in x.shape[-3:-1])
  return jnp.einsum(
    'ih,jw,...hwc->...ijc', rows, columns, x, precision='highest'
  )


def _blurring(n: int, sigma: float | Array, dtype: jnp.dtype) -> Array:
  """Blur along an axis of ``n`` pixels, as a matrix ``[n, n]``."""
  sigma = jnp.asarray(sigma, dtype)
  reach = jnp.ceil(3 * sigma)
  scale = jnp.where(sigma > 0, sigma, 1)
  at = jnp.arange(n, dtype=dtype)
  # Each pixel and its mirror image, in the image and its periodic copies.
  images = [
    2 * n * k + place for k in (-1, 0, 1) for place in (at, 2 * n - 1 - at)
  ]
  matrix = jnp.zeros((n, n), dtype)
  for place in images:
    far = at[:, None] - place[None]
    weight = jnp.exp(-jnp.square(far / scale) / 2)
    matrix += jnp.where(jnp.abs(far) <= reach, weight, 0)
  return matrix / matrix.sum(1, keepdims=True)


def resize(x: Array, size: Sequence[int]) -> Array:
  """Linear interpolation to ``(H', W')``, with antialiasing."""
  shape = (*x.shape[:-3], *size, x.shape[-1])
  return jax.image.resize(x, shape, 'linear')


def bicubic(x: Array, size: Sequence[int]) -> Array:
  """Cubic interpolation to ``(H', W')`` as of MATLAB's ``imresize``.

  Keys' kernel with a = -1/2, widened by the factor where the image shrinks; the
  image is continued by its mirror image. Published results of super-resolution
  are for images that were shrunk like this.

  Args:
    x: Images ``[..., H, W, C]``.
    size: Height and width of the result.

  Returns:
    ``[..., H', W', C]``; near edges a little below or above the range of ``x``.

  References:
    Keys 1981, equation 15.
  """
  rows, columns = (
    jnp.asarray(_interpolating(n, m), x.dtype)
    for n, m in zip(x.shape[-3:-1], size, strict=True)
  )
  tall = jnp.einsum('ih,...hwc->...iwc', rows, x, precision='highest')
  return jnp.einsum('jw,...iwc->...ijc', columns, tall, precision='highest')


def _interpolating(n: int, m: int) -> np.ndarray:
  """Cubic interpolation of an axis of ``n`` pixels to ``m``: ``[m, n]``."""
  scale = m / n
  shrink = min(scale, 1)
  at = (np.arange(m) + 0.5) / scale - 0.5
  first = np.floor(at - 2 / shrink)
  near = first[:, None] + np.arange(int(np.ceil(4 / shrink)) + 2)
  away = np.abs(at[:, None] - near) * shrink
  weights = np.where(
    away <= 1,
    1.5 * away**3 - 2.5 * away**2 + 1,
    np.where(away < 2, -0.5 * away**3 + 2.5 * away**2 - 4 * away + 2, 0),
  )
  weights /= weights.sum(1, keepdims=True)
  mirrored = np.concatenate([np.arange(n), np.arange(n)[::-1]])
  matrix = np.zeros((m, n))
  places = mirrored[near.astype(int) % (2 * n)]
  np.add.at(matrix, (np.arange(m)[:, None], places), weights)
  return matrix


def rescale(x: Array, factor: float | Array, kind: str = 'linear') -> Array:
  """Scales images about their centre; their size in pixels stays the same.

  Args:
    x: Images ``[..., H, W, C]``, padded with zeros.
    factor: Scale factor, more than 1 to enlarge; may be traced.
    kind: Interpolation, ``'linear'`` or ``'cubic'``.
  """
  size = jnp.asarray(x.shape[-3:-1], x.dtype)
  return jax.image.scale_and_translate(
    x,
    x.shape,
    (x.ndim - 3, x.ndim - 2),
    jnp.broadcast_to(jnp.asarray(factor, x.dtype), (2,)),
    (1 - factor) * size / 2,
    kind,
  )


def frequencies(height: int, width: int) -> np.ndarray:
  """Radial frequencies ``[H, W / 2 + 1]`` of `jax.numpy.fft.rfft2`.

  In cycles per longer side; the constant component counts as 1.
  """
  rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
  f = max(height, width) * np.hypot(rows[:, None], columns[None])
  return np.maximum(f, 1.0).astype(np.float32)


def tilt(x: Array, power: float | Array) -> Array:
  """Multiplies spectra by ``f^power``; a negative power smooths.

  Args:
    x: Images ``[..., H, W, C]``, treated as periodic.
    power: Exponent of the frequencies ``f``; the opposite sign is the inverse.
  """
  size = x.shape[-3:-1]
  f = frequencies(*size)
  f = f.reshape((1,) * (x.ndim - 3) + (*f.shape, 1))
  scale = f ** jnp.asarray(power, jnp.float32)
  spectrum = jnp.fft.rfft2(x, axes=(-3, -2))
  spectrum = spectrum * scale.astype(spectrum.dtype)
  return jnp.fft.irfft2(spectrum, s=size, axes=(-3, -2))


def bands(x: Array, levels: int) -> list[Array]:
  """Splits images into frequency bands, the finest first.

  Args:
    x: Images ``[..., H, W, C]``.
    levels: Number of bands. Each has half the resolution of the previous one,
      and the last holds the residual. Small images give fewer bands.

  Returns:
    Bands at their own resolutions; `sum_of_bands` is the inverse.

  Reference:
    Burt & Adelson 1983: the Laplacian pyramid.
  """
  parts = []
  for _ in range(levels - 1):
    h, w = x.shape[-3:-1]
    if min(h, w) < 4:
      break
    low = resize(x, (-(-h // 2), -(-w // 2)))
    parts.append(x - resize(low, (h, w)))
    x = low
  return [*parts, x]


def sum_of_bands(parts: Sequence[Array]) -> Array:
  """Reconstructs images from their `bands`."""
  *fine, x = parts
  for part in fine[::-1]:
    x = part + resize(x, part.shape[-3:-1])
  return x


def bilateral(
  x: Array,
  *,
  space: float | Array = 1.5,
  colour: float | Array = 0.2,
  radius: int = 2,
) -> Array:
  """Bilateral filter: smooths images but preserves edges.

  Args:
    x: Images ``[..., H, W, C]``.
    space: Standard deviation of the spatial distance, in pixels.
    colour: Standard deviation of the colour difference, in units of intensity.
    radius: Radius of the square neighbourhood, in pixels.

  Returns:
    ``[..., H, W, C]``.

  Reference:
    Tomasi & Manduchi 1998.
  """
  h, w = x.shape[-3:-1]
  edges = [(0, 0)] * (x.ndim - 3) + [(radius, radius)] * 2 + [(0, 0)]
  padded = jnp.pad(x, edges, mode='edge')
  total, weights = jnp.zeros_like(x), jnp.zeros_like(x[..., :1])
  for i in range(2 * radius + 1):
    for j in range(2 * radius + 1):
      other = padded[..., i : i + h, j : j + w, :]
      apart = jnp.square(other - x).sum(-1, keepdims=True)
      far = (i - radius) ** 2 + (j - radius) ** 2
      weight = jnp.exp(-far / (2 * space**2) - apart / (2 * colour**2))
      total, weights = total + weight * other, weights + weight
  return total / weights


def median(x: Array, size: int = 3) -> Array:
  """Median of each channel in a square about every pixel, borders mirrored.

  Args:
    x: Images ``[..., H, W, C]``.
    size: Side of the square in pixels, odd.

  Returns:
    ``[..., H, W, C]``.

  Reference:
    Xu, Evans & Qi 2018, section III.C.
  """
  size = whole(size, 'size')
  h, w = x.shape[-3:-1]
  reach = size // 2
  if size % 2 == 0 or reach >= min(h, w):
    raise ValueError(
      f'size: got {size}, expected an odd number, below twice the {h} x {w} '
      'pixels'
    )
  edges = [(0, 0)] * (x.ndim - 3) + [(reach, reach)] * 2 + [(0, 0)]
  padded = jnp.pad(x, edges, mode='reflect')
  near = [
    padded[..., i : i + h, j : j + w, :] for i, j in np.ndindex(size, size)
  ]
  return jnp.median(jnp.stack(near), 0)


def fewer_bits(x: Array, bits: int) -> Array:
  """Images with fewer grey values in each channel.

  Its gradient is that of the identity, as the true one is zero nearly
  everywhere and would only hide what an attack needs (Athalye et al. 2018,
  section 4.1).

  Args:
    x: Images ``[..., H, W, C]`` in [0, 1].
    bits: Bits of a value, 1 to 8.

  Returns:
    ``[..., H, W, C]``.

  Reference:
    Xu, Evans & Qi 2018, section III.B.
  """
  if not 1 <= whole(bits, 'bits') <= 8:
    raise ValueError(f'bits: got {bits}, expected 1 to 8')
  most = np.asarray(2**bits - 1, x.dtype)
  return x + jax.lax.stop_gradient(jnp.round(x * most) / most - x)
