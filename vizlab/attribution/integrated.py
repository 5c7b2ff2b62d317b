"""Integrated Gradients and its baselines."""

import jax
import jax.numpy as jnp

from vizlab.attribution.gradient import gradient
from vizlab.batching import mean_over
from vizlab.image.checks import as_image, check_images
from vizlab.image.filters import blur
from vizlab.types import Array, ScoreFn, whole

__all__ = ['blurred', 'integrated_gradients', 'random_baselines']


def integrated_gradients(
  score: ScoreFn,
  x: Array,
  *,
  baseline: float | Array = 0.0,
  steps: int = 50,
  chunk: int = 16,
) -> Array:
  r"""Integrated Gradients: the mean gradient along a path from a baseline.

  .. math::
    (x - x_0) \odot \int_0^1
    \frac{\partial y}{\partial x}(x_0 + a (x - x_0)) \, da

  The integral is a mean over the midpoints of ``steps`` equal parts of [0, 1].
  The map sums to ``y(x) - y(x0)``, up to the error of the midpoint rule.

  Args:
    score: ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    baseline: ``x0``: a number (0 is black, the paper's choice; 0.5 is grey), a
      colour ``[C]``, an image (`blurred`), or several baselines per image
      ``[N, ..., H, W, C]`` (`random_baselines`), over which the result is
      averaged.
    steps: Number of points on the path from each baseline.
    chunk: Images evaluated at once, but at least one point for the whole batch.
      Memory grows with ``chunk``, not with ``steps``.

  Returns:
    ``[..., H, W, C]``, in score units.

  Raises:
    ValueError: ``x`` is not a batch of float images, ``score`` does not give
      one number per image, or ``steps`` is less than 1.

  Reference:
    Sundararajan, Taly & Yan 2017, equations 1 and 3; the mean over baselines is
    that of Erion et al. 2021 (expected gradients).

  >>> import jax.numpy as jnp
  >>> x = jnp.full((2, 2, 3), 0.5)
  >>> y = integrated_gradients(lambda x: (x**2).sum((-3, -2, -1)), x)
  >>> round(float(y.sum()), 4)  # y(x) - y(black)
  3.0
  """
  check_images(x)
  whole(steps, 'steps')
  if jnp.ndim(baseline) == x.ndim + 1:
    several = jnp.asarray(baseline, x.dtype)
    if several.shape[1:] != x.shape or not len(several):
      raise ValueError(
        f'baseline: got shape {several.shape}, expected [N, ...] of {x.shape}'
      )
  else:
    several = as_image(baseline, x, 'baseline')[None]

  def one(i: Array) -> Array:
    x0 = several[i // steps % len(several)]
    a = ((i % steps).astype(x.dtype) + 0.5) / steps
    return (x - x0) * gradient(score, x0 + a * (x - x0))

  return mean_over(one, steps * len(several), x, chunk, (score, baseline))


def blurred(x: Array, sigma: float = 8.0) -> Array:
  """Blurred images as baselines for `integrated_gradients`.

  Args:
    x: Images ``[..., H, W, C]``.
    sigma: Standard deviation of the Gaussian in pixels, truncated at three
      standard deviations. The image is mirrored at its border.

  Returns:
    ``[..., H, W, C]``.

  Raises:
    ValueError: ``sigma`` is not positive.
  """
  if not sigma > 0:
    raise ValueError(f'sigma: got {sigma}, expected more than 0 pixels')
  return blur(x, sigma)


def random_baselines(key: Array, x: Array, n: int = 8) -> Array:
  """Uniform noise as baselines for `integrated_gradients`.

  Args:
    key: A JAX random key. All images of a batch get the same baselines.
    x: Images ``[..., H, W, C]`` in [0, 1].
    n: Number of baselines.

  Returns:
    ``[n, ..., H, W, C]`` in [0, 1].

  Raises:
    ValueError: ``n`` is less than 1.
  """
  noise = jax.random.uniform(
    key, (whole(n, 'n'), *x.shape[-3:]), jnp.float32
  ).astype(x.dtype)
  noise = noise.reshape(n, *(1,) * (x.ndim - 3), *x.shape[-3:])
  return jnp.broadcast_to(noise, (n, *x.shape))
