"""Pixel-removal metrics: deletion, insertion, ROAD, average drop."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.batching import at_once
from vizlab.evaluate.checks import check_on_image, nan_where_nan
from vizlab.evaluate.imputation import impute
from vizlab.image.checks import as_image, check_images
from vizlab.image.filters import blur
from vizlab.image.scaling import max_abs_scale
from vizlab.objectives.base import check_score
from vizlab.types import Array, ScoreFn

__all__ = [
  'Curve',
  'DropIncrease',
  'deletion',
  'drop_increase',
  'insertion',
  'removal_curve',
  'road',
]

_BLUR = 8.0  # pixels: standard deviation of the baseline of insertion


class Curve(NamedTuple):
  """Scores at increasing fractions of removed pixels.

  Attributes:
    shares: ``[S]``, fraction of pixels that are removed.
    scores: ``[..., S]``, the score at each fraction.
    area: ``[...]``, area under the curve (trapezoidal rule) divided by the
      range of the fractions: the mean score along the curve.
  """

  shares: Array
  scores: Array
  area: Array


class DropIncrease(NamedTuple):
  """Output of `drop_increase`, ``[...]`` each.

  Attributes:
    drop: Fraction of the score that is lost, in [0, 1].
    increase: 1 where the score increased, otherwise 0.
  """

  drop: Array
  increase: Array


def _ranks(attribution: Array) -> Array:
  """Rank of every pixel in descending order: int ``[..., H, W]``.

  Equal pixels are ranked in row-major order.
  """
  flat = attribution.reshape(*attribution.shape[:-2], -1)
  order = jnp.argsort(flat, -1, stable=True, descending=True)
  return jnp.argsort(order, -1).reshape(attribution.shape)


def removal_curve(
  score: ScoreFn,
  x: Array,
  attribution: Array,
  remove: Callable[[Array, Array], Array],
  *,
  shares: Sequence[float],
  chunk: int = 16,
) -> Curve:
  """Score as a function of the fraction of the strongest pixels removed.

  Args:
    score: ``[..., H, W, C] -> [...]``, usually a probability.
    x: Images ``[..., H, W, C]`` in [0, 1].
    attribution: ``[..., H, W]``; negate it to remove the weakest first.
    remove: Function ``(images, removed) -> images`` that replaces the pixels
      where the bool mask ``removed`` ``[..., H, W]`` is true.
    shares: Fractions of pixels to remove, increasing, in [0, 1].
    chunk: Images evaluated at once, but at least one fraction for the whole
      batch.

  Returns:
    A `Curve`.

  Raises:
    ValueError: ``attribution`` does not have one number per pixel, or
      ``shares`` do not increase within [0, 1].
  """
  check_images(x)
  check_on_image(attribution, x, 'attribution')
  at = np.asarray(shares, np.float32)
  if at.ndim != 1 or len(at) < 2 or not (np.diff(at) > 0).all():
    raise ValueError(f'shares: got {shares}, expected two or more, rising')
  if not 0 <= at[0] <= at[-1] <= 1:
    raise ValueError(f'shares: got {shares}, expected in [0, 1]')
  place = _ranks(attribution)
  pixels = attribution.shape[-2] * attribution.shape[-1]

  def one(count: Array) -> Array:
    y = score(remove(x, place < count))
    check_score(y, x)
    return y

  counts = jnp.asarray(np.round(at * pixels).astype(np.int32))
  scores = jax.lax.map(one, counts, batch_size=at_once(x, chunk))
  scores = jnp.moveaxis(nan_where_nan(scores, attribution), 0, -1)
  widths = jnp.asarray(np.diff(at)).reshape((1,) * (scores.ndim - 1) + (-1,))
  area = ((scores[..., 1:] + scores[..., :-1]) / 2 * widths).sum(-1)
  return Curve(jnp.asarray(at), scores, area / (at[-1] - at[0]))


def deletion(
  score: ScoreFn,
  x: Array,
  attribution: Array,
  *,
  baseline: float | Array = 0.5,
  steps: int = 32,
  chunk: int = 16,
) -> Curve:
  """Deletion: the score while the strongest pixels are covered; low is good.

  Args:
    score: ``[..., H, W, C] -> [...]``, usually a probability.
    x: Images ``[..., H, W, C]`` in [0, 1].
    attribution: ``[..., H, W]``.
    baseline: Value of covered pixels: a grey value, a colour ``[C]`` or an
      image ``[..., H, W, C]``.
    steps: Number of steps from the whole image to the baseline.
    chunk: Images evaluated at once, but at least one step for the whole batch.

  Returns:
    A `Curve` of ``steps + 1`` scores.

  Raises:
    ValueError: ``attribution`` does not have one number per pixel, or the
      number of steps or the shares are out of range.

  Reference:
    Petsiuk, Das & Saenko 2018 (RISE): the causal metrics.
  """
  check_images(x)
  x0 = as_image(baseline, x, 'baseline')
  return removal_curve(
    score,
    x,
    attribution,
    lambda x, gone: jnp.where(gone[..., None], x0, x),
    shares=_even(steps),
    chunk=chunk,
  )


def insertion(
  score: ScoreFn,
  x: Array,
  attribution: Array,
  *,
  baseline: float | Array | None = None,
  steps: int = 32,
  chunk: int = 16,
) -> Curve:
  """Insertion: the score while the strongest pixels appear; high is good.

  Args:
    score: ``[..., H, W, C] -> [...]``, usually a probability.
    x: Images ``[..., H, W, C]`` in [0, 1].
    attribution: ``[..., H, W]``.
    baseline: Initial value of the pixels: a grey value, a colour ``[C]`` or an
      image ``[..., H, W, C]``; ``None`` for the blurred image, as in the paper.
    steps: Number of steps from the baseline to the whole image.
    chunk: Images evaluated at once, but at least one step for the whole batch.

  Returns:
    A `Curve` of ``steps + 1`` scores; its ``shares`` are the fractions of
    inserted pixels.

  Raises:
    ValueError: ``attribution`` does not have one number per pixel, or the
      number of steps or the shares are out of range.

  Reference:
    Petsiuk, Das & Saenko 2018 (RISE): the causal metrics.
  """
  check_images(x)
  x0 = blur(x, _BLUR) if baseline is None else as_image(baseline, x, 'baseline')
  return removal_curve(
    score,
    x,
    attribution,
    lambda x, inserted: jnp.where(inserted[..., None], x, x0),
    shares=_even(steps),
    chunk=chunk,
  )


def road(
  score: ScoreFn,
  x: Array,
  attribution: Array,
  key: Array,
  *,
  shares: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
  noise: float = 0.01,
  chunk: int = 16,
) -> Array:
  """ROAD: removal of the least minus the most relevant pixels, with imputation.

  Removed pixels are imputed from their neighbours. Unlike a grey hole, this
  hardly reveals which pixels were removed.

  Args:
    score: ``[..., H, W, C] -> [...]``, usually a probability.
    x: Images ``[..., H, W, C]`` in [0, 1].
    attribution: ``[..., H, W]``.
    key: A JAX random key for the noise on imputed pixels; all images and both
      orders get the same noise.
    shares: Fractions of pixels to remove, increasing, in [0, 1].
    noise: Standard deviation of the noise, in units of intensity.
    chunk: Images evaluated at once, but at least one fraction for the whole
      batch.

  Returns:
    ``[...]``: half the mean over the fractions of the score with the least
      relevant pixels removed, minus that with the most relevant removed. Higher
      is better.

  Raises:
    ValueError: ``attribution`` does not have one number per pixel, or the
      number of steps or the shares are out of range.

  Reference:
    Rong, Leemann, Borisov, Kasneci & Kasneci 2022; the two orders combined as
    in pytorch-grad-cam.
  """
  check_images(x)
  grain = noise * jax.random.normal(key, x.shape[-3:], x.dtype)
  grain = as_image(grain, x, 'noise')

  def fill(x: Array, gone: Array) -> Array:
    return jnp.where(gone[..., None], impute(x, gone) + grain, x)

  curve = functools.partial(
    removal_curve, score, x, remove=fill, shares=shares, chunk=chunk
  )
  least, most = curve(-attribution).scores, curve(attribution).scores
  return (least - most).mean(-1) / 2


def drop_increase(
  score: ScoreFn,
  x: Array,
  attribution: Array,
  *,
  baseline: float | Array = 0.0,
) -> DropIncrease:
  """Average drop and increase of the score under the mask of a map.

  The image is multiplied by the map's positive part, scaled to a maximum of 1.

  Args:
    score: ``[..., H, W, C] -> [...]``, a probability.
    x: Images ``[..., H, W, C]`` in [0, 1].
    attribution: ``[..., H, W]``.
    baseline: Value of pixels where the map is 0: a grey value, a colour ``[C]``
      or an image ``[..., H, W, C]``.

  Returns:
    A `DropIncrease`; the paper's *average drop* and *increase in confidence*
    are the means over many images.

  Raises:
    ValueError: The attribution does not have one number per pixel.

  Reference:
    Chattopadhay et al. 2018 (Grad-CAM++), section 4.1.
  """
  check_images(x)
  check_on_image(attribution, x, 'attribution')
  x0 = as_image(baseline, x, 'baseline')
  mask = max_abs_scale(extrema.positive(attribution), (-2, -1))
  before, after = score(x), score(x0 + mask[..., None] * (x - x0))
  check_score(before, x)
  drop = extrema.positive(before - after) / jnp.where(before > 0, before, 1)
  increase = (after > before).astype(x.dtype)
  wrong = jnp.isnan(before) | jnp.isnan(after)
  wrong |= jnp.isnan(attribution).any((-2, -1))
  return DropIncrease(*(jnp.where(wrong, jnp.nan, v) for v in (drop, increase)))


def _even(steps: int) -> np.ndarray:
  if steps < 1:
    raise ValueError(f'steps: got {steps}, expected at least 1')
  return np.linspace(0, 1, steps + 1)
