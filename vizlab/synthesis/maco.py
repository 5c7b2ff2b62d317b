"""MACO: images with the magnitudes of photos, of which the phases are free.

>>> import jax
>>> from vizlab import synthesis
>>> image = synthesis.maco((2, 32, 32, 3))
>>> image.decode(image.init(jax.random.key(0))).shape
(2, 32, 32, 3)
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vizlab.image.colour import to_rgb
from vizlab.synthesis.images import Shape, check_shape, inverse_spectrum
from vizlab.synthesis.magnitudes import photo_magnitude
from vizlab.types import Array, ImageParam, pytree_dataclass

__all__ = [
  'Maco',
  'Tracked',
  'maco',
  'opacity_of',
  'track',
  'tracked',
]


@pytree_dataclass(static=('shape',))
class Maco:
  """See `maco`."""

  shape: Shape
  magnitude: Array

  def init(self, key: Array) -> Array:
    """Phases ``[..., H, W / 2 + 1, 3]``, uniform."""
    *lead, h, w, c = self.shape
    size = (*lead, h, w // 2 + 1, c)
    return jax.random.uniform(key, size, jnp.float32, -math.pi, math.pi)

  def spectrum(self, z: Array) -> Array:
    """``magnitude e^(i phase)``, of which the image is real."""
    h, w = self.shape[-3:-1]
    # In columns that are their own mirror image, rows k and -k are each
    # other's: one phase for both, or half of the magnitude would be lost.
    columns, rows = np.arange(w // 2 + 1), np.arange(h)
    pairs = (2 * columns % w == 0) & (2 * rows % h != 0)[:, None]
    mirrored = jnp.roll(jnp.flip(z, -3), 1, -3)
    phase = jnp.where(pairs[..., None], z - mirrored, z)
    magnitude = jnp.asarray(self.magnitude)
    magnitude = magnitude.reshape((1,) * (z.ndim - 3) + magnitude.shape)
    parts = magnitude * jnp.cos(phase), magnitude * jnp.sin(phase)
    return jax.lax.complex(*parts)

  def decode(self, z: Array) -> Array:
    """``sigmoid(axes irfft2(magnitude e^(i phase)))``."""
    return to_rgb(inverse_spectrum(self.spectrum(z), self.shape))


class _Followed(NamedTuple):
  """Parameters of a `tracked` image.

  Attributes:
    z: Those of the image.
    total: ``[..., H, W, C]``, the sum over steps of the absolute gradient.
  """

  z: Any
  total: Array


@pytree_dataclass
class Tracked:
  """See `tracked`."""

  image: ImageParam

  def init(self, key: Array) -> _Followed:
    """The image's parameters, and zeros."""
    z = self.image.init(key)
    shape = jax.eval_shape(self.image.decode, z)
    return _Followed(z, jnp.zeros(shape.shape, shape.dtype))

  def decode(self, z: _Followed) -> Array:
    """The image; its gradient goes to ``total`` too, which adds nothing."""
    nothing = z.total - jax.lax.stop_gradient(z.total)
    return self.image.decode(z.z) + nothing


def maco(shape: Shape, *, magnitude: Array | None = None) -> Maco:
  """Spectra whose magnitudes are fixed; only the phases are optimized.

  The magnitudes are those of the image's values along the colour axes, before
  the sigmoid. Where a coefficient is its own mirror image (the mean and, of
  even sides, the finest stripes) it is real: there the magnitude is at most the
  one given, times the cosine of the phase. Everywhere else it is exact.

  Maximise it with `noisy_crops`; see `tracked` for its transparency.

  Args:
    shape: ``(..., H, W, 3)``.
    magnitude: ``[H, W / 2 + 1, 3]``, such as `magnitude_of` gives for photos;
      by default `photo_magnitude`.

  Raises:
    ValueError: Not the shape of images, or a magnitude of another shape.

  Reference:
    Fel et al. 2023 (MACO), section 3.
  """
  shape = check_shape(shape)
  h, w, c = shape[-3:]
  if c != 3 or min(h, w) < 2:
    raise ValueError(f'shape: got {shape}, expected (..., H, W, 3), H, W >= 2')
  size = h, w // 2 + 1, c
  if magnitude is None:
    magnitude = photo_magnitude(h, w)
  if jnp.shape(magnitude) != size:
    raise ValueError(
      f'magnitude: got shape {jnp.shape(magnitude)}, expected {size}'
    )
  return Maco(shape, jnp.asarray(magnitude, jnp.float32))


def tracked(image: ImageParam) -> Tracked:
  """Images that add up their absolute gradients, step by step.

  Their parameters are a pair: those of ``image`` and ``total``, in which the
  optimizer of `track` sums the absolute gradient of the loss with respect to
  the image, the mean over draws. Use both together:

    progress = optimize.run(
      score, tracked(maco(shape)), key, optimizer=track(optax.adam(0.2)), ...
    )
    alpha = opacity_of(optimize.final(progress).state.z.total)

  Args:
    image: Any parameterization.

  Reference:
    Fel et al. 2023, section 3: transparency.
  """
  return Tracked(image)


def track(
  optimizer: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
  """Optimizer of a `tracked` image: the given one, and the sum of gradients.

  Args:
    optimizer: Takes the step of the image's own parameters; not with a line
      search.
  """
  inner = optax.with_extra_args_support(optimizer)

  def init(z: _Followed) -> optax.OptState:
    return inner.init(z.z)

  def update(
    updates: _Followed,
    state: optax.OptState,
    z: _Followed | None = None,
    *,
    value: Array | None = None,
    **_: Any,
  ) -> tuple[_Followed, optax.OptState]:
    own = None if z is None else z.z
    step, state = inner.update(
      updates.z, state, own, value=value, grad=updates.z
    )
    return _Followed(step, jnp.abs(updates.total)), state

  return optax.GradientTransformationExtraArgs(init, update)


def opacity_of(total: Array, *, percentile: float = 80.0) -> Array:
  """Opacity from accumulated gradients: where the score looked is opaque.

  Args:
    total: ``[..., H, W, C]``, as `tracked` sums it.
    percentile: Of an image's gradients, above 0, at most 100; from there on it
      is opaque.

  Returns:
    ``[..., H, W, 1]`` in [0, 1]: the mean over channels divided by its
    percentile, at most 1. Where all gradients are zero, it is transparent.

  Reference:
    Fel et al. 2023, section 3: transparency.
  """
  if not 0 < percentile <= 100:
    raise ValueError(f'percentile: got {percentile}, expected 0 < p <= 100')
  mean = total.mean(-1, keepdims=True)
  most = jnp.percentile(mean, percentile, axis=(-3, -2), keepdims=True)
  # A sparse map may have a percentile of 0.
  most = jnp.where(most > 0, most, mean.max((-3, -2), keepdims=True))
  return jnp.clip(mean / jnp.where(most > 0, most, 1), 0, 1)
