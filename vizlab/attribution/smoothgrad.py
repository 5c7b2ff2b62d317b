"""SmoothGrad: the mean of an attribution over noisy copies of the image."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.attribution.base import as_image, check_images
from vizlab.attribution.gradient import gradient
from vizlab.attribution.mean import mean_over
from vizlab.types import Array, ScoreFn, whole

__all__ = ['smoothgrad']


def smoothgrad(
  score: ScoreFn,
  x: Array,
  key: Array,
  *,
  samples: int = 50,
  sigma: float | Array = 0.15,
  squared: bool = False,
  method: Callable[[ScoreFn, Array], Array] = gradient,
  chunk: int = 16,
) -> Array:
  r"""The mean attribution of noisy images.

  .. math::
    \frac{1}{n} \sum_{i=1}^n \frac{\partial y}{\partial x}(x + \varepsilon_i),
    \quad \varepsilon_i \sim
    \mathcal{N}\bigl(0, \sigma^2 (\max x - \min x)^2\bigr)

  Args:
    score: ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    key: A JAX random key. All images of a batch get the same noise, so that a
      map does not depend on what else is in the batch.
    samples: Number of noisy copies of an image.
    sigma: Standard deviation of the noise as a share of the image's range,
      ``max x - min x``; one number, or one an image ``[...]``.
    squared: Whether attributions are squared before the mean: SmoothGrad-
      Squared (Hooker et al. 2019).
    method: The attribution that is averaged: a function ``(score, images)``
      such as `gradient` or `guided_backprop`.
    chunk: Images at once, but at least one copy of the whole batch. Memory
      grows with it, and not with the number of samples.

  Returns:
    What ``method`` gives; for the gradient ``[..., H, W, C]``.

  Raises:
    ValueError: ``x`` is not a batch of float images, ``score`` does not give
      one number per image, ``samples`` is less than 1, or ``sigma`` is
      negative.

  Reference:
    Smilkov, Thorat, Kim, Viegas & Wattenberg 2017, section 2.
  """
  check_images(x)
  whole(samples, 'samples')
  if jnp.shape(sigma) not in ((), x.shape[:-3]):
    raise ValueError(
      f'sigma: got shape {jnp.shape(sigma)}, expected one number, or one an '
      f'image {x.shape[:-3]}'
    )
  if not isinstance(sigma, jax.Array) and not (np.asarray(sigma) >= 0).all():
    raise ValueError(f'sigma: got {sigma}, expected 0 or more')
  axes = (-3, -2, -1)
  sigma = jnp.asarray(sigma, x.dtype)[..., None, None, None]
  if sigma.ndim < x.ndim:
    sigma = sigma.reshape((1,) * x.ndim)
  high, low = (
    f(x, axes, keepdims=True) for f in (extrema.max_over, extrema.min_over)
  )
  sigma = sigma * (high - low)

  def one(i: Array) -> Array:
    # In float32 by name: with x64 the same key draws the same noise.
    noise = jax.random.normal(
      jax.random.fold_in(key, i), x.shape[-3:], jnp.float32
    )
    map_ = method(score, x + sigma * as_image(noise, x, 'noise'))
    return jnp.square(map_) if squared else map_

  return mean_over(one, samples, x, chunk, (score, key))
