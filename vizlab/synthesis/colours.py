"""Colours without their correlation in photos."""

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array

__all__ = ['AXES', 'colour_axes', 'from_rgb', 'to_rgb']

# What `colour_axes` gives for 28 photos: columns for luminance, red against
# blue, and green against magenta. Their spreads go as 1 : 0.26 : 0.11.
AXES = np.array(
  [
    [-0.5597, -0.1961, 0.0359],
    [-0.5917, 0.0254, -0.0901],
    [-0.5802, 0.1633, 0.0572],
  ],
  np.float32,
)


def colour_axes(images: list[np.ndarray]) -> np.ndarray:
  """The axes along which the colours of photos vary independently.

  Args:
    images: Photos ``[H, W, 3]`` in [0, 1], of any sizes.

  Returns:
    ``[3, 3]``: each column is an axis times its standard deviation, the mean
    over the images' covariances; the largest has length 1.
  """
  covariance = np.mean(
    [np.cov(np.asarray(x, np.float64).reshape(-1, 3).T) for x in images], 0
  )
  variance, axes = np.linalg.eigh(covariance)
  axes = axes[:, ::-1] * np.sqrt(np.maximum(variance[::-1], 0))
  axes *= np.where(axes[1] > 0, -1, 1) * np.array([1, -1, 1])
  return (axes / np.linalg.norm(axes, axis=0).max()).astype(np.float32)


def to_rgb(values: Array, *, decorrelated: bool = True) -> Array:
  """Free numbers to intensities: ``sigmoid(axes v)``.

  Args:
    values: ``[..., 3]`` along the `AXES`; with a fourth one, it is opacity.
    decorrelated: Whether values lie along the axes, or are colours already.

  Returns:
    The same shape, in (0, 1).

  Reference:
    Olah, Mordvintsev & Schubert 2017: decorrelated colour.
  """
  return jax.nn.sigmoid(_turn(values, AXES.T) if decorrelated else values)


def from_rgb(image: Array, *, decorrelated: bool = True) -> Array:
  """The inverse of `to_rgb`; black and white are taken as nearly so."""
  image = jnp.clip(image, 1e-3, 1 - 1e-3)
  values = jnp.log(image) - jnp.log1p(-image)
  inverse = np.linalg.inv(AXES.T.astype(np.float64)).astype(np.float32)
  return _turn(values, inverse) if decorrelated else values


def _turn(values: Array, matrix: np.ndarray) -> Array:
  colour = jnp.einsum(
    '...c,cd->...d', values[..., :3], matrix, precision='highest'
  )
  return jnp.concatenate([colour, values[..., 3:]], -1)
