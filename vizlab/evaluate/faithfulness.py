"""Faithfulness and robustness of maps: infidelity, sensitivity, sparseness."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.batching import at_once, mean_over
from vizlab.image.checks import as_image, check_images
from vizlab.image.scaling import max_abs_scale
from vizlab.objectives.base import check_score
from vizlab.types import Array, ScoreFn

__all__ = ['infidelity', 'max_sensitivity', 'sparseness']


def infidelity(
  score: ScoreFn,
  x: Array,
  attribution: Array,
  key: Array,
  *,
  sigma: float = 0.2,
  samples: int = 64,
  scale: bool = True,
  chunk: int = 16,
) -> Array:
  """Infidelity: error of a map in predicting the effect of perturbations.

  ``E_I (b I.a - (y(x) - y(x - I)))^2`` over Gaussian ``I``.

  Args:
    score: ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    attribution: ``[..., H, W, C]``, or ``[..., H, W]`` for the same value in
      every channel.
    key: A JAX random key. All images of a batch get the same perturbations.
    sigma: Standard deviation of ``I``, in units of intensity.
    samples: Number of perturbations.
    scale: Whether to multiply each map by the factor ``b`` that minimises its
      infidelity, so that maps of different units can be compared; otherwise
      ``b`` is 1.
    chunk: Images evaluated at once, but at least one sample for the whole
      batch.

  Returns:
    ``[...]``, in squared score units; 0 is best. A map of zeros gets the mean
    squared change of the score.

  Raises:
    ValueError: The attribution is neither ``[..., H, W]`` nor
      ``[..., H, W, C]``, ``sigma`` is not positive, or ``samples`` is less than
      1.

  Reference:
    Yeh, Hsieh, Suggala, Inouye & Ravikumar 2019, definition 2.1.
  """
  check_images(x)
  if jnp.shape(attribution) not in (x.shape, x.shape[:-1]):
    raise ValueError(
      f'attribution: got shape {jnp.shape(attribution)}, expected '
      f'{x.shape[:-1]} or {x.shape}'
    )
  if not sigma > 0 or samples < 1:
    raise ValueError(
      f'sigma, samples: got {sigma}, {samples}, expected more than 0'
    )
  a = attribution.reshape(*x.shape[:-1], -1)
  if scale:  # the optimal b is applied below; this avoids over- and underflow
    a = max_abs_scale(a, (-3, -2, -1))
  y = score(x)
  check_score(y, x)

  def one(i: Array) -> Array:
    change = sigma * jax.random.normal(
      jax.random.fold_in(key, i), x.shape[-3:], x.dtype
    )
    change = as_image(change, x, 'change')
    predicted = (change * a).sum((-3, -2, -1))
    actual = y - score(x - change)
    error = predicted - actual
    return jnp.stack(
      [predicted * predicted, predicted * actual, actual**2, error**2]
    )

  predicted2, cross, actual2, error2 = mean_over(
    one, samples, x, chunk, (score, attribution, key)
  )
  if not scale:
    return error2
  rest = actual2 - cross * (cross / jnp.where(predicted2 > 0, predicted2, 1))
  return jnp.where(
    rest < 0, 0, rest
  )  # rounding; the optimal b is cross / predicted2


def max_sensitivity(
  explain: Callable[[Array], Array],
  x: Array,
  key: Array,
  *,
  radius: float = 0.02,
  samples: int = 10,
  chunk: int = 1,
) -> Array:
  """Max-sensitivity: greatest change of a map under small image changes.

  ``max_d ||a(x + d) - a(x)|| / ||a(x)||`` over random ``|d| <= radius``.

  Args:
    explain: Function ``[..., H, W, C] -> [..., H, W]`` or
      ``-> [..., H, W, C]``: an attribution method applied to its score.
    x: Images ``[..., H, W, C]`` in [0, 1].
    key: A JAX random key. All images of a batch get the same changes.
    radius: Largest change of a pixel, in units of intensity.
    samples: Number of changes.
    chunk: Images explained at once, but at least one change of the whole batch.
      A method with a ``chunk`` argument evaluates that many for each of them.

  Returns:
    ``[...]``, not negative; 0 is best. A map of zeros gives 0.

  Raises:
    ValueError: ``x`` is not a batch of images, ``radius`` is not positive, or
      ``samples`` is less than 1.

  Reference:
    Yeh et al. 2019, definition 3.1, divided by the norm of the map.
  """
  check_images(x)
  if not radius > 0 or samples < 1:
    raise ValueError(
      f'radius, samples: got {radius}, {samples}, expected more than 0'
    )
  map_ = explain(x)
  axes = tuple(range(x.ndim - 3, map_.ndim))

  def norm(values: Array) -> Array:
    return jnp.sqrt(jnp.square(values).sum(axes))

  def one(i: Array) -> Array:
    change = jax.random.uniform(
      jax.random.fold_in(key, i), x.shape[-3:], x.dtype, -radius, radius
    )
    change = as_image(change, x, 'change')
    return norm(explain(x + change) - map_)

  changes = jax.lax.map(one, jnp.arange(samples), batch_size=at_once(x, chunk))
  size = norm(map_)
  return extrema.max_over(changes, 0) / jnp.where(size == 0, 1, size)


def sparseness(attribution: Array) -> Array:
  """Sparseness: the Gini index of the absolute values of a map.

  Args:
    attribution: Maps ``[..., H, W]``.

  Returns:
    ``[...]`` in [0, 1): 0 for a constant map, and ``1 - 1 / (H W)`` for a
    single nonzero pixel.

  Raises:
    ValueError: The attribution has fewer than two axes.

  Reference:
    Chalasani et al. 2020.

  >>> import jax.numpy as jnp
  >>> float(sparseness(jnp.array([[0.0, 0.0], [0.0, -2.0]])))
  0.75
  """
  if jnp.ndim(attribution) < 2:
    raise ValueError(
      f'attribution: got shape {jnp.shape(attribution)}, expected [..., H, W]'
    )
  flat = jnp.abs(attribution.reshape(*attribution.shape[:-2], -1))
  flat = max_abs_scale(flat, -1)
  rising = jnp.sort(flat, -1)
  n = flat.shape[-1]
  weight = 2 * jnp.arange(1, n + 1, dtype=flat.dtype) - n - 1
  weight = weight.reshape((1,) * (flat.ndim - 1) + (n,))
  total = flat.sum(-1)
  gini = (weight * rising).sum(-1) / (n * jnp.where(total > 0, total, 1))
  return extrema.positive(gini)
