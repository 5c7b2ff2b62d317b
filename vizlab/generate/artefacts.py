"""Artefacts of networks that make images: grids, and borders."""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, check_image

__all__ = ['border_contrast', 'grid_energy']


_FLAT = 1e-10  # variance of the rounding of one colour


def grid_energy(image: Array, period: int) -> Array:
  """Energy of a grid in an image, over that of the frequencies around it.

  A transposed convolution of stride s repeats its pattern every s pixels, and
  several of them every product: a checkerboard. Such a grid has the frequencies
  ``k / period``; the mean energy there, along both axes, is divided by that of
  the next frequencies on both sides. An image without a grid has about 1.

  Args:
    image: ``[..., H, W, 3]``; cropped to multiples of the period.
    period: Of the grid, in pixels; at least 2.

  Returns:
    ``[...]``; 0 for an image of one colour.

  Raises:
    ValueError: The period is below 2, or the image holds less than six.

  References:
    Odena, Dumoulin & Olah 2016, "Deconvolution and Checkerboard Artifacts".
  """
  check_image(image, 'image')
  height, width = (n - n % period if period else n for n in image.shape[-3:-1])
  if period < 2 or min(height, width) < 6 * period:
    raise ValueError(
      f'period: got {period} for an image of {image.shape[-3]} x '
      f'{image.shape[-2]} pixels, expected 2 to a sixth of its sides'
    )
  grey = image[..., :height, :width, :].mean(-1)
  ratios = []
  for length, signal in ((width, grey), (height, jnp.swapaxes(grey, -1, -2))):
    # A window, so that the jump between two borders has no energy.
    window = jnp.asarray(np.hanning(length), signal.dtype)
    away = signal - signal.mean(-1, keepdims=True)
    lead = (1,) * (signal.ndim - 1)
    spectrum = jnp.fft.rfft(away * window.reshape(*lead, -1), axis=-1)
    energy = jnp.square(jnp.abs(spectrum)).mean(-2)
    at = np.arange(1, period // 2 + 1) * (length // period)
    # The window spreads a frequency over its next neighbours.
    near = np.concatenate([at - 3, at - 2, at + 2, at + 3])
    near = near[near < energy.shape[-1]]
    around = energy[..., near].mean(-1)
    here = energy[..., at].mean(-1)
    # What is left of one colour is rounding.
    flat = jnp.square(away).mean((-1, -2)) < _FLAT
    here = jnp.where(flat, 0, here)
    ratios.append(here / jnp.where(around > 0, around, 1))
  return (ratios[0] + ratios[1]) / 2


def border_contrast(image: Array, reference: Array, width: int = 8) -> Array:
  """Difference of two images at their border, over that inside of it.

  With a network's result and that of an image continued beyond its border (see
  `vizlab.generate.transformed`) it tells how far what a network makes depends
  on the border: about 1 where the difference is the same everywhere.

  Args:
    image: ``[..., H, W, 3]``.
    reference: ``[..., H, W, 3]``.
    width: Width of the border in pixels, below half of the sides.

  Returns:
    ``[...]``: root mean square difference of the border over that of the rest;
    0 for images that are the same, infinite if only the border differs.
  """
  check_image(image, 'image')
  height, across = image.shape[-3:-1]
  if image.shape != reference.shape or not 0 < width < min(height, across) / 2:
    raise ValueError(
      f'reference, width: got shape {reference.shape} and {width}, expected '
      f'{image.shape} and 1 to less than half of the sides'
    )
  square = jnp.square(image - reference).mean(-1)
  inner = square[..., width : height - width, width : across - width]
  inside = inner.sum((-1, -2))
  count = inner.shape[-1] * inner.shape[-2]
  outside = (square.sum((-1, -2)) - inside) / (height * across - count)
  inside = inside / count
  outside = jax.nn.relu(outside)  # rounding
  ratio = outside / jnp.where(inside > 0, inside, 1)
  alone = jnp.where(outside > 0, jnp.inf, 0)
  return jnp.sqrt(jnp.where(inside > 0, ratio, alone))
