"""Distances of textures without a network: co-occurrence and spectrum.

Inputs are grey maps ``[..., H, W]`` in [0, 1]. Only spatial statistics matter,
not positions.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array

__all__ = [
  'CoOccurrence',
  'co_occurrence',
  'co_occurrence_distance',
  'radial_spectrum',
  'spectrum_distance',
]

_TURNS = ((0, 1), (1, 1), (1, 0), (1, -1))
_DISTANCES = (1, 2, 4, 8)


class CoOccurrence(NamedTuple):
  """Haralick features, ``[..., D]`` each, one per pixel distance.

  With ``p_ij`` the fraction of pixel pairs with grey levels i and j:

  Attributes:
    contrast: ``sum p_ij (i - j)^2``.
    homogeneity: ``sum p_ij / (1 + (i - j)^2)``.
    energy: ``sqrt(sum p_ij^2)``.
    correlation: ``sum p_ij (i - m) (j - m) / s^2``; 1 for a constant map.
  """

  contrast: Array
  homogeneity: Array
  energy: Array
  correlation: Array


def co_occurrence(
  grey: Array, *, levels: int = 16, distances: Sequence[int] = _DISTANCES
) -> CoOccurrence:
  """Features of the grey-level co-occurrence matrices of a map.

  Pairs are counted in both orders, and averaged over the directions 0, 45, 90
  and 135 degrees. Along a diagonal the distance applies to rows and to columns.

  Args:
    grey: Maps ``[..., H, W]`` in [0, 1], larger than the distances.
    levels: Number of grey levels to quantise to.
    distances: Distances between the two pixels of a pair, in pixels.

  Returns:
    A `CoOccurrence`; each feature is ``[..., D]``.

  Raises:
    ValueError: A map is not larger than the largest distance.

  Reference:
    Haralick, Shanmugam & Dinstein 1973.
  """
  if min(grey.shape[-2:]) <= max(distances):
    raise ValueError(
      f'grey: got shape {grey.shape}, expected more than {max(distances)} '
      'pixels per side'
    )
  return _features(grey, int(levels), tuple(map(int, distances)))


@functools.partial(jax.jit, static_argnames=('levels', 'distances'))
def _features(
  grey: Array, levels: int, distances: tuple[int, ...]
) -> CoOccurrence:
  shade = jnp.clip(jnp.floor(grey * levels), 0, levels - 1).astype(jnp.int32)
  each = [
    [_pairs(shade, levels, distance * y, distance * x) for y, x in _TURNS]
    for distance in distances
  ]
  p = jnp.stack([jnp.stack(turns, -3) for turns in each], -4)
  # A NaN pixel has no grey level, so the features are undefined.
  wrong = jnp.isnan(grey).any((-2, -1))[..., None, None, None, None]
  p = jnp.where(wrong, jnp.nan, p)
  i = np.arange(levels, dtype=np.float32)
  apart = np.square(i[:, None] - i)
  mean = jnp.einsum('...ij,i->...', p, i)
  variance = jnp.einsum('...ij,i->...', p, i**2) - mean**2
  shared = jnp.einsum('...ij,i,j->...', p, i, i) - mean**2
  flat = variance < 1e-4
  features = (
    jnp.einsum('...ij,ij->...', p, apart),
    jnp.einsum('...ij,ij->...', p, 1 / (1 + apart)),
    jnp.sqrt(jnp.square(p).sum((-2, -1))),
    jnp.where(flat, 1, shared / jnp.where(flat, 1, variance)),
  )
  return CoOccurrence(*(feature.mean(-1) for feature in features))


def co_occurrence_distance(a: Array, b: Array) -> Array:
  """Distance between the `co_occurrence` features of two images.

  Args:
    a: Maps ``[..., H, W]`` in [0, 1].
    b: Maps ``[..., H', W']`` in [0, 1], of any size.

  Returns:
    ``[...]`` in [0, 1]: the mean over features and distances of
    ``|f_a - f_b| / (f_a + f_b)``, or of ``|f_a - f_b| / 2`` for the
    correlation, which is about 0 for noise.
  """
  got, want = co_occurrence(a), co_occurrence(b)
  sizes = [f + g for f, g in zip(got[:3], want[:3], strict=True)]
  sizes.append(jnp.full_like(got.correlation, 2))
  parts = [
    (jnp.abs(f - g) / jnp.where(size > 0, size, 1)).mean(-1)
    for f, g, size in zip(got, want, sizes, strict=True)
  ]
  return sum(parts) / len(parts)


def radial_spectrum(grey: Array, *, bins: int = 12) -> Array:
  """Radially averaged power spectrum of a map.

  Args:
    grey: Maps ``[..., H, W]``.
    bins: Number of rings of equal width from 0 to 0.5 cycles per pixel.

  Returns:
    The mean power in each ring ``[..., bins]``, after the mean is subtracted
    and a Hann window is applied to suppress the edges.

  Raises:
    ValueError: A map has fewer than two pixels per side for each ring.

  Reference:
    Field 1987 (the spectra of natural images).
  """
  h, w = grey.shape[-2:]
  if min(h, w) < 2 * bins:
    raise ValueError(
      f'grey: got shape {grey.shape}, expected at least {2 * bins} pixels per '
      f'side for {bins} rings'
    )
  return _power(grey, int(bins))


@functools.partial(jax.jit, static_argnames='bins')
def _power(grey: Array, bins: int) -> Array:
  h, w = grey.shape[-2:]
  # A window of two more samples, without its zeros at both ends.
  rows, columns = (np.hanning(n + 2)[1:-1] for n in (h, w))
  window = rows[:, None] * columns
  window = (window / np.sqrt((window**2).mean())).astype(np.float32)
  window = window.reshape((1,) * (grey.ndim - 2) + window.shape)
  mean = grey.mean((-2, -1), keepdims=True)
  power = jnp.square(jnp.abs(jnp.fft.fft2((grey - mean) * window))) / (h * w)
  y, x = np.fft.fftfreq(h), np.fft.fftfreq(w)
  ring = np.floor(np.hypot(y[:, None], x) * 2 * bins).ravel().astype(int)
  flat = power.reshape(*power.shape[:-2], -1)
  rings = [np.flatnonzero(ring == i) for i in range(bins)]
  return jnp.stack([flat[..., own].mean(-1) for own in rings], -1)


def spectrum_distance(a: Array, b: Array) -> Array:
  """Distance between the radial power spectra of two images, in decibels.

  Args:
    a: Maps ``[..., H, W]``.
    b: Maps ``[..., H', W']``, of any size.

  Returns:
    ``[...]``: the mean over the rings of ``|10 log10(power_a / power_b)|``.
  """
  # Power below this is rounding error.
  got, want = (jnp.log10(radial_spectrum(v) + 1e-8) for v in (a, b))
  return 10 * jnp.abs(got - want).mean(-1)


def _pairs(shade: Array, levels: int, down: int, right: int) -> Array:
  """Joint distribution ``[..., L, L]`` of grey levels at an offset.

  Each pair is encoded as one integer: one-hot vectors would take 16 times the
  memory.
  """
  h, w = shade.shape[-2:]
  first = shade[..., : h - down, max(0, -right) : w - max(0, right)]
  second = shade[..., down:, max(0, right) : w - max(0, -right)]
  pairs = (first * levels + second).reshape(
    -1, first.shape[-2] * first.shape[-1]
  )
  count = jax.vmap(lambda v: jnp.bincount(v, length=levels**2))(pairs)
  p = count.astype(jnp.float32).reshape(*shade.shape[:-2], levels, levels)
  return (p + jnp.swapaxes(p, -1, -2)) / (2 * pairs.shape[-1])
