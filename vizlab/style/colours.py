"""Keeping the colours of the content, or matching those of the style to it."""

import jax.numpy as jnp

from vizlab import stats
from vizlab.descriptors import grey
from vizlab.types import Array

__all__ = ['luminance', 'match_colours', 'match_luminance', 'with_colours_of']


def luminance(image: Array) -> Array:
  """Images ``[..., H, W, 3]`` in grey, with three equal channels."""
  return jnp.broadcast_to(grey(image)[..., None], image.shape)


def with_colours_of(image: Array, other: Array) -> Array:
  """The luminance of one image with the colours of another.

  Grey is added: a colour of YIQ's other two coordinates has no luminance.

  Args:
    image: ``[..., H, W, 3]`` in [0, 1].
    other: The same shape.

  Returns:
    ``[..., H, W, 3]``, clipped to [0, 1].

  Raises:
    ValueError: Other shapes.

  Reference:
    Gatys et al. 2016 (Preserving color in neural artistic style transfer),
    section 3.2.
  """
  if image.shape != other.shape:
    raise ValueError(f'other: got shape {other.shape}, expected {image.shape}')
  return jnp.clip(other + luminance(image) - luminance(other), 0, 1)


def match_colours(style: Array, content: Array) -> Array:
  """A style whose colours have the mean and covariance of the content's.

  ``x -> A (x - mean_s) + mean_c`` with ``A = C_c^1/2 C_s^-1/2``.

  Args:
    style: ``[H, W, 3]`` in [0, 1].
    content: ``[H', W', 3]``.

  Returns:
    ``[H, W, 3]``; not clipped, as that would change its colours again.

  Reference:
    Gatys et al. 2016 (Preserving color), section 3.1, after Hertzmann et al.
    2001 (Image analogies), appendix B.
  """
  (mean_s, cov_s), (mean_c, cov_c) = map(stats.covariance, (style, content))
  change = _power(cov_c, 0.5) @ _power(cov_s, -0.5)
  centred = style - mean_s.reshape(1, 1, 3)
  return centred @ change.T + mean_c.reshape(1, 1, 3)


def match_luminance(style: Array, content: Array) -> Array:
  """A style in grey, with the mean and deviation of the content's luminance.

  ``L -> (sigma_c / sigma_s) (L - mu_s) + mu_c``. Without it a dark painting
  darkens a photo whose luminance alone is painted.

  Args:
    style: ``[H, W, 3]`` in [0, 1].
    content: ``[H', W', 3]``.

  Returns:
    ``[H, W, 3]`` with three equal channels; not clipped.

  Reference:
    Gatys et al. 2016 (Preserving color), section 3.2, equation 10.
  """
  light, wanted = (grey(image) for image in (style, content))
  spread = light.std()
  # A flat style has no contrast but rounding, which is not stretched.
  ratio = jnp.where(spread > 1e-5, wanted.std() / spread, 1)
  light = ratio * (light - light.mean()) + wanted.mean()
  return jnp.broadcast_to(light[..., None], style.shape)


def _power(cov: Array, power: float) -> Array:
  values, vectors = jnp.linalg.eigh(cov)
  # A grey image has no spread in colour, which cannot be blown up.
  return (vectors * jnp.maximum(values, 1e-6)[None] ** power) @ vectors.T
