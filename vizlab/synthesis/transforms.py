"""Optax transformations with image priors, for `vizlab.optimize.run`.

They are chained like any other: what changes the gradient comes before the
optimizer that scales it, what changes the image after it (so it sees the
step)::

    optax.chain(blur_gradient(1.0), normalise(), optax.sgd(0.02), project())

All but `normalise` need parameters that are pixels ``[H, W, C]``. They see one
image at a time: `vizlab.optimize.run` maps them over a batch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from vizlab.image.filters import bands, bilateral, blur, sum_of_bands
from vizlab.types import Array, whole

__all__ = [
  'Count',
  'ascent',
  'bilateral_every',
  'blur_every',
  'blur_gradient',
  'clip_small_contribution',
  'clip_small_norm',
  'decay',
  'laplacian_normalise',
  'normalise',
  'project',
]

Transform = optax.GradientTransformation
_TINY = 1e-12


class Count(NamedTuple):
  """The state of a transformation that acts every ``n`` steps: int32 ``[]``."""

  count: Array


def ascent(rate: float | Array = 0.006, *, levels: int = 1) -> Transform:
  """Steps along the normalised gradient, within [0, 1]: DeepDream's.

  Args:
    rate: How much a pixel changes in a step, in the mean.
    levels: Frequency bands of the gradient that get the same strength, by
      `laplacian_normalise`; 1 for its mean size alone.
  """
  if whole(levels, 'levels') == 1:
    return optax.chain(normalise(), optax.sgd(rate), project())
  return optax.chain(laplacian_normalise(levels), optax.sgd(rate), project())


def blur_gradient(sigma: float | Array = 1.0) -> Transform:
  """Blurs the gradient, so that coarse structure grows first.

  Args:
    sigma: Standard deviation in pixels.

  Reference:
    Oygard 2015: visualizing GoogLeNet classes.
  """
  return _on_updates(lambda g: blur(_pixels(g), sigma))


def normalise(power: float = 1.0) -> Transform:
  """Divides each array of the gradient by its mean absolute value.

  Args:
    power: Of the mean: 1 normalises fully, 0 not at all.

  Reference:
    Mordvintsev, Olah & Tyka 2015 (DeepDream).
  """

  def apply(g: Array) -> Array:
    size = jnp.abs(g).mean()
    return g / jnp.where(size > _TINY, size, 1) ** power

  return _on_updates(apply)


def laplacian_normalise(levels: int = 4) -> Transform:
  """Gives every frequency band of the gradient the same strength.

  Args:
    levels: Number of bands.

  Raises:
    ValueError: Fewer than one.

  Reference:
    Mordvintsev 2015 (DeepDream with TensorFlow): Laplacian-pyramid gradient
    normalisation.
  """
  if levels < 1:
    raise ValueError(f'levels: got {levels}, expected at least 1')

  def apply(g: Array) -> Array:
    # A band of rounding alone stays as it is.
    least = jnp.maximum(1e-6 * _rms(g), _TINY)
    sizes = [(band, _rms(band)) for band in bands(_pixels(g), levels)]
    return sum_of_bands(
      [band / jnp.where(size > least, size, 1) for band, size in sizes]
    )

  return _on_updates(apply)


def blur_every(n: int = 4, sigma: float | Array = 0.5) -> Transform:
  """Blurs the image after every ``n``-th step.

  Args:
    n: Steps between two blurs.
    sigma: Standard deviation in pixels.

  Reference:
    Yosinski et al. 2015, section 3: Gaussian blur.
  """
  return _every(n, lambda image: blur(image, sigma))


def decay(
  share: float | Array = 0.01, *, centre: float | Array = 0.5
) -> Transform:
  """Draws the image towards grey by a share of its distance, each step.

  Args:
    share: In [0, 1].
    centre: Grey.

  Reference:
    Yosinski et al. 2015, section 3: L2 decay.
  """
  return _on_image(lambda image, grad: image - share * (image - centre))


def bilateral_every(
  n: int = 4, *, space: float | Array = 1.5, colour: float | Array = 0.2
) -> Transform:
  """Smooths all but edges after every ``n``-th step.

  Args:
    n: Steps between two.
    space: As in `vizlab.image.filters.bilateral`.
    colour: As there.

  Reference:
    Tyka 2016: class visualization with bilateral filters.
  """
  return _every(n, lambda image: bilateral(image, space=space, colour=colour))


def clip_small_norm(
  share: float | Array = 0.1, *, centre: float | Array = 0.5
) -> Transform:
  """Sets the pixels that are nearest to grey to grey, after each step.

  Args:
    share: Share of the pixels, in [0, 1].
    centre: Grey.

  Reference:
    Yosinski et al. 2015, section 3: clipping pixels with small norm.
  """

  def apply(image: Array) -> Array:
    norm = jnp.sqrt(jnp.square(image - centre).sum(-1, keepdims=True))
    return jnp.where(norm < jnp.quantile(norm, share), centre, image)

  return _on_image(lambda image, grad: apply(image))


def clip_small_contribution(
  share: float | Array = 0.1, *, centre: float | Array = 0.5
) -> Transform:
  """Sets the pixels that matter least to grey, after each step.

  What matters is ``|sum_c (x_c - centre) g_c|``, what the score would lose.

  Args:
    share: Share of the pixels, in [0, 1].
    centre: Grey.

  Reference:
    Yosinski et al. 2015, section 3: clipping pixels with small contribution.
  """

  def apply(image: Array, grad: Array) -> Array:
    much = jnp.abs(((image - centre) * grad).sum(-1, keepdims=True))
    return jnp.where(much < jnp.quantile(much, share), centre, image)

  return _on_image(apply, reads=True)


def project(low: float | Array = 0.0, high: float | Array = 1.0) -> Transform:
  """Keeps the image in ``[low, high]`` (to the rounding of a sum)."""
  return _on_image(lambda image, grad: jnp.clip(image, low, high))


def _rms(x: Array) -> Array:
  return jnp.sqrt(jnp.square(x).mean())


def _on_updates(apply: Callable[[Array], Array]) -> Transform:
  """A transformation that changes each array of the gradient."""
  return optax.stateless(lambda updates, params: jax.tree.map(apply, updates))


def _on_image(
  apply: Callable[[Array, Array], Array], reads: bool = False
) -> Transform:
  """Changes the image a step has led to; ``reads`` whether by the gradient."""

  def update(
    updates: Any, state: Any, params: Any = None, *, grad: Any = None, **_: Any
  ) -> tuple[Any, Any]:
    grads = updates if grad is None and not reads else grad
    if grads is None or params is None:
      raise ValueError(
        'grad, params: got none, expected them as extra arguments of update; '
        'vizlab.optimize.run gives them'
      )

    def one(u: Array, z: Array, g: Array) -> Array:
      return apply(_pixels(z) + u, g) - z

    return jax.tree.map(one, updates, params, grads), state

  return optax.GradientTransformationExtraArgs(
    lambda params: optax.EmptyState(), update
  )


def _pixels(z: Array) -> Array:
  """The array itself, if it is an image."""
  if z.ndim != 3:
    raise ValueError(
      f'image: its parameters have shape {z.shape}, expected pixels [H, W, C]; '
      'this transformation is for vizlab.synthesis.pixels'
    )
  return z


def _every(n: int, apply: Callable[[Array], Array]) -> Transform:
  """A transformation that changes the image after each ``n``-th step."""
  if n < 1:
    raise ValueError(f'n: got {n}, expected at least 1')

  def update(
    updates: Any, state: Count, params: Any = None, **_: Any
  ) -> tuple[Any, Count]:
    count = state.count + 1

    def one(u: Array, z: Array) -> Array:
      return jnp.where(count % n == 0, apply(_pixels(z) + u) - z, u)

    return jax.tree.map(one, updates, params), Count(count)

  return optax.GradientTransformationExtraArgs(
    lambda params: Count(jnp.int32(0)), update
  )
