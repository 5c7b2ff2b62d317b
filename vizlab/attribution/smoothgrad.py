"""SmoothGrad: the mean of an attribution over noisy copies of the image."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.attribution.gradient import gradient
from vizlab.batching import mean_over
from vizlab.image.checks import as_image, check_images
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
  r"""SmoothGrad: mean attribution of noisy images.

  .. math::
    \frac{1}{n} \sum_{i=1}^n \frac{\partial y}{\partial x}(x + \varepsilon_i),
    \quad \varepsilon_i \sim
    \mathcal{N}\bigl(0, \sigma^2 (\max x - \min x)^2\bigr)

  Args:
    score: ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    key: A JAX random key. All images of a batch get the same noise, so that a
      map does not depend on the rest of the batch.
    samples: Number of noisy copies per image.
    sigma: Standard deviation of the noise as a fraction of the image's range,
      ``max x - min x``: one number, or one per image ``[...]``.
    squared: Whether to square attributions before averaging
      (SmoothGrad-Squared, Hooker et al. 2019).
    method: The attribution to average: a function ``(score, images)`` such as
      `gradient` or `guided_backprop`.
    chunk: Images evaluated at once, but at least one copy of the whole batch.
      Memory grows with ``chunk``, not with ``samples``.

  Returns:
    Attributions of the shape that ``method`` returns; for the gradient
    ``[..., H, W, C]``.

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
      f'sigma: got shape {jnp.shape(sigma)}, expected one number or one per '
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
    # Explicit float32, so that the same key draws the same noise with x64.
    noise = jax.random.normal(
      jax.random.fold_in(key, i), x.shape[-3:], jnp.float32
    )
    map_ = method(score, x + sigma * as_image(noise, x, 'noise'))
    return jnp.square(map_) if squared else map_

  return mean_over(one, samples, x, chunk, (score, key))
