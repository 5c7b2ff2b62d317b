"""Magnitudes of the spectra of photos, for `vizlab.synthesis.maco`."""

import functools
import importlib.resources
import math

import jax.numpy as jnp
import numpy as np

from vizlab.image.colour import from_rgb
from vizlab.image.filters import frequencies
from vizlab.types import Array

__all__ = ['magnitude_of', 'photo_magnitude', 'whitened']

_TABLE = 'magnitude.npz'


def magnitude_of(images: Array, *, periodic: bool = False) -> Array:
  """The mean magnitude of the spectra of photos, along the colour axes.

  Args:
    images: ``[N, H, W, 3]`` in [0, 1].
    periodic: Whether to leave out what the jump from one border to the
      opposite one adds: a cross along the axes of the spectrum, and a weave in
      the images that are made of it (Moisan 2011: Periodic plus smooth image
      decomposition).

  Returns:
    ``[H, W / 2 + 1, 3]``, for `maco`, of a unitary transform.
  """
  if jnp.ndim(images) != 4 or not len(images):
    raise ValueError(
      f'images: got shape {jnp.shape(images)}, expected [N, H, W, 3]'
    )
  values = from_rgb(images)
  spectrum = jnp.fft.rfft2(values, axes=(-3, -2), norm='ortho')
  if periodic:
    spectrum = spectrum - _smooth_part(values)
  return jnp.abs(spectrum).mean(0)


def _smooth_part(values: Array) -> Array:
  """The spectrum of the smooth image that has the jumps at the borders."""
  h, w = values.shape[-3:-1]
  rows, columns = (
    values[:, -1] - values[:, 0],
    values[:, :, -1] - values[:, :, 0],
  )
  jumps = jnp.zeros_like(values)
  jumps = jumps.at[:, 0].add(rows).at[:, -1].add(-rows)
  jumps = jumps.at[:, :, 0].add(columns).at[:, :, -1].add(-columns)
  turns = np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)
  laplacian = 2 * sum(np.cos(2 * np.pi * turn) for turn in turns) - 4
  laplacian[0, 0] = np.inf  # the mean belongs to the periodic part
  inverse = np.complex64(1 / laplacian)[None, ..., None]
  return jnp.fft.rfft2(jumps, axes=(-3, -2), norm='ortho') * inverse


def photo_magnitude(height: int, width: int) -> np.ndarray:
  """Mean magnitude of the spectra of 309 photos, for images of any size.

  Those of the centre squares of 300 photos of 300 ImageNet classes and of 9
  others (people, animals, streets, stars), resized to 224 pixels:

    whitened(np.asarray(magnitude_of(photos, periodic=True)))

  Magnitude times frequency over side is nearly the same at all resolutions, so
  that is what is kept, up to 31 cycles per image. Between, it is interpolated;
  beyond, it goes on as it ends.

  Args:
    height: Of the images, in pixels.
    width: Likewise.

  Returns:
    ``[H, W / 2 + 1, 3]``, for `maco`.

  Reference:
    Fel et al. 2023, section 3: the magnitude of a dataset; Torralba & Oliva
    2003: the spectra of photos.
  """
  table = _table()
  limit = table.shape[1] - 2  # the next one is there, too
  rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
  far = np.maximum(np.abs(rows), columns) * max(height, width)
  inside = max(height, width) * np.minimum(1, limit / np.maximum(far, 1))
  level = _interpolated(table, rows * inside, columns * inside)
  level = level / frequencies(height, width)[..., None]
  return (level * math.sqrt(height * width)).astype(np.float32)


def _interpolated(
  table: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
  """Linear interpolation ``[..., 3]``; rows below zero count from the end."""
  top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
  total = 0.0
  for i in (0, 1):
    for j in (0, 1):
      weight = np.abs(1 - i - rows + top) * np.abs(1 - j - columns + left)
      total = (
        total + weight[..., None] * table[(top + i) % len(table), left + j]
      )
  return total


@functools.cache
def _table() -> np.ndarray:
  """Whitened magnitudes ``[64, 33, 3]``, see `whitened`."""
  path = importlib.resources.files('vizlab.synthesis') / 'data' / _TABLE
  with path.open('rb') as file, np.load(file) as found:
    return found['level'].astype(np.float32)


def whitened(magnitude: np.ndarray, rows: int = 64) -> np.ndarray:
  """The table of `photo_magnitude` from the magnitudes of square photos.

  Args:
    magnitude: ``[N, N / 2 + 1, 3]``, as `magnitude_of` gives it.
    rows: Of the table, an even number, at most N.

  Returns:
    float16 ``[rows, rows / 2 + 1, 3]``: magnitude times frequency over N.
  """
  n = len(magnitude)
  level = np.asarray(magnitude) * frequencies(n, n)[..., None] / n
  indices = np.fft.fftfreq(rows, 1 / rows).astype(int)
  return level[indices, : rows // 2 + 1].astype(np.float16)
