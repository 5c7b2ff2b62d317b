"""Colour: luminance, decorrelated colour, colour transfer."""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.image import statistics
from vizlab.types import Array

__all__ = [
  'AXES',
  'colour_axes',
  'from_rgb',
  'grey',
  'luminance',
  'match_colours',
  'match_luminance',
  'to_rgb',
  'video_luma',
  'with_colours_of',
]

# Weights of red, green and blue in luma: ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)
# `colour_axes` of 28 photos. The columns are luminance, red against blue, and
# green against magenta; their standard deviations are as 1 : 0.26 : 0.11.
AXES = np.array(
  [
    [-0.5597, -0.1961, 0.0359],
    [-0.5917, 0.0254, -0.0901],
    [-0.5802, 0.1633, 0.0572],
  ],
  np.float32,
)


def grey(image: Array) -> Array:
  """Luma ``[..., H, W]`` of images ``[..., H, W, 3]`` or ``[..., H, W, 1]``.

  Raises:
    ValueError: The number of channels is neither 3 nor 1.
  """
  if image.shape[-1] == 1:
    return image[..., 0]
  if image.shape[-1] != 3:
    raise ValueError(
      f'image: got shape {image.shape}, expected 3 channels or 1 at the end'
    )
  return sum(w * image[..., k] for k, w in enumerate(_LUMA))


def video_luma(image: Array) -> Array:
  """Luma ``[..., H, W]`` as in video: from 16 / 255 to 235 / 255.

  ``Y`` of ITU-R BT.601, as MATLAB's ``rgb2ycbcr``; the measures of
  super-resolution are of it.

  Args:
    image: ``[..., H, W, 3]`` in [0, 1].
  """
  if image.shape[-1] != 3:
    raise ValueError(
      f'image: got shape {image.shape}, expected 3 channels at the end'
    )
  parts = (65.481, 128.553, 24.966)
  return (sum(w * image[..., k] for k, w in enumerate(parts)) + 16) / 255


def colour_axes(images: list[np.ndarray]) -> np.ndarray:
  """Principal axes of the colours of photos.

  Args:
    images: Photos ``[H, W, 3]`` in [0, 1], of any sizes.

  Returns:
    ``[3, 3]``: each column is an axis of the mean covariance of the images,
      scaled by its standard deviation; the longest has length 1.
  """
  covariance = np.mean(
    [np.cov(np.asarray(x, np.float64).reshape(-1, 3).T) for x in images], 0
  )
  variance, axes = np.linalg.eigh(covariance)
  axes = axes[:, ::-1] * np.sqrt(np.maximum(variance[::-1], 0))
  axes *= np.where(axes[1] > 0, -1, 1) * np.array([1, -1, 1])
  return (axes / np.linalg.norm(axes, axis=0).max()).astype(np.float32)


def to_rgb(values: Array, *, decorrelated: bool = True) -> Array:
  """Maps unbounded values to intensities: ``sigmoid(axes v)``.

  Args:
    values: ``[..., 3]`` along the `AXES`, or ``[..., 4]`` with opacity.
    decorrelated: Whether the values are coordinates along the axes; otherwise
      they are colours.

  Returns:
    The same shape, in (0, 1).

  Reference:
    Olah, Mordvintsev & Schubert 2017: decorrelated colour.
  """
  return jax.nn.sigmoid(_turn(values, AXES.T) if decorrelated else values)


def from_rgb(image: Array, *, decorrelated: bool = True) -> Array:
  """Inverse of `to_rgb`; intensities are clipped to [0.001, 0.999]."""
  image = jnp.clip(image, 1e-3, 1 - 1e-3)
  values = jnp.log(image) - jnp.log1p(-image)
  inverse = np.linalg.inv(AXES.T.astype(np.float64)).astype(np.float32)
  return _turn(values, inverse) if decorrelated else values


def luminance(image: Array) -> Array:
  """Grey version of images ``[..., H, W, 3]``, with three equal channels."""
  return jnp.broadcast_to(grey(image)[..., None], image.shape)


def with_colours_of(image: Array, other: Array) -> Array:
  """Combines the luminance of one image with the colours of another.

  The difference in luminance is added to all channels, which leaves the other
  two coordinates of YIQ unchanged.

  Args:
    image: Image that gives the luminance, ``[..., H, W, 3]`` in [0, 1].
    other: Image that gives the colours, of the same shape.

  Returns:
    ``[..., H, W, 3]``, clipped to [0, 1].

  Raises:
    ValueError: The shapes differ.

  Reference:
    Gatys et al. 2016 (Preserving color in neural artistic style transfer),
    section 3.2.
  """
  if image.shape != other.shape:
    raise ValueError(f'other: got shape {other.shape}, expected {image.shape}')
  return jnp.clip(other + luminance(image) - luminance(other), 0, 1)


def match_colours(style: Array, content: Array) -> Array:
  """Matches the mean and covariance of a style's colours to the content's.

  ``x -> A (x - mean_s) + mean_c`` with ``A = C_c^1/2 C_s^-1/2``.

  Args:
    style: Style image ``[H, W, 3]`` in [0, 1].
    content: Content image ``[H', W', 3]`` in [0, 1].

  Returns:
    ``[H, W, 3]``; not clipped, which would change the statistics again.

  Reference:
    Gatys et al. 2016 (Preserving color), section 3.1, after Hertzmann et al.
    2001 (Image analogies), appendix B.
  """
  (mean_s, cov_s), (mean_c, cov_c) = map(
    statistics.covariance, (style, content)
  )
  change = _power(cov_c, 0.5) @ _power(cov_s, -0.5)
  centred = style - mean_s.reshape(1, 1, 3)
  return centred @ change.T + mean_c.reshape(1, 1, 3)


def match_luminance(style: Array, content: Array) -> Array:
  """Grey style with the luminance mean and deviation of the content.

  ``L -> (sigma_c / sigma_s) (L - mu_s) + mu_c``. Without it a dark painting
  darkens a photo when only luminance is transferred.

  Args:
    style: Style image ``[H, W, 3]`` in [0, 1].
    content: Content image ``[H', W', 3]`` in [0, 1].

  Returns:
    ``[H, W, 3]`` with three equal channels; not clipped.

  Reference:
    Gatys et al. 2016 (Preserving color), section 3.2, equation 10.
  """
  light, wanted = (grey(image) for image in (style, content))
  spread = light.std()
  # A constant style has only rounding noise, which must not be amplified.
  ratio = jnp.where(spread > 1e-5, wanted.std() / spread, 1)
  light = ratio * (light - light.mean()) + wanted.mean()
  return jnp.broadcast_to(light[..., None], style.shape)


def _turn(values: Array, matrix: np.ndarray) -> Array:
  colour = jnp.einsum(
    '...c,cd->...d', values[..., :3], matrix, precision='highest'
  )
  return jnp.concatenate([colour, values[..., 3:]], -1)


def _power(cov: Array, power: float) -> Array:
  values, vectors = jnp.linalg.eigh(cov)
  # A grey image has no variance in colour, which cannot be inverted.
  return (vectors * jnp.maximum(values, 1e-6)[None] ** power) @ vectors.T
