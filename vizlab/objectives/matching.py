"""Objectives that compare activations with wanted ones; to be minimised."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.image import statistics
from vizlab.objectives.base import (
  Objective,
  activation,
  batch_rank,
  beside,
  feature_map,
)
from vizlab.types import Acts, Array, number, value

__all__ = [
  'Features',
  'Matching',
  'content',
  'covariances',
  'features',
  'grams',
  'moments',
  'wasserstein',
]

Targets = Mapping[str, Any]
Weights = Mapping[str, float] | None
Masks = Mapping[str, Array] | None


@value('layer', 'scale')
class Features(Objective):
  """See `features` and `content`."""

  layer: str
  target: Array
  scale: str

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``||A - A_0||^2``, divided by ``||A_0||^2``, by 2, or by 2 H W."""
    a, target = activation(acts, self.layer), self.target
    lead = batch_rank(a, logits, self.layer)
    if target.shape not in (a.shape, a.shape[lead:]):
      raise ValueError(
        f'target: got shape {target.shape}, expected that of {self.layer!r}, '
        f'{a.shape[lead:]}'
      )
    axes = tuple(range(lead, a.ndim))
    target = beside(target, a)
    apart = jnp.square(a - target).sum(axes)
    if self.scale == 'sum':
      return apart / 2
    if self.scale == 'mean':
      return apart / (2 * math.prod(a.shape[lead:-1]))
    size = jnp.square(target).sum(axes)
    return apart / jnp.where(size > 0, size, 1)


def features(layer: str, target: Array) -> Objective:
  """The squared distance of an activation, ``||A - A_0||^2 / ||A_0||^2``.

  Args:
    layer: Name of a layer, a map or a vector.
    target: ``A_0``: ``[..., H', W', C]`` or ``[..., C]``, with the batch of the
      images or without.

  Raises:
    ValueError: The target is not finite, or not of the layer's shape (when it
      is read).

  Reference:
    Mahendran & Vedaldi 2015, equation 2.
  """
  return Features(layer, number(target, 'target'), 'relative')


def content(layer: str, target: Array, *, mean: bool = False) -> Objective:
  """The content loss ``||F - P||^2 / 2``.

  Args:
    layer: Name of a layer, a map or a vector.
    target: ``P``: ``[..., H', W', C]`` or ``[..., C]``, with the batch of the
      images or without.
    mean: Divides by the number of positions of a map, so that the loss does not
      grow with the image.

  Raises:
    ValueError: The target is not finite, or not of the layer's shape (when it
      is read).

  Reference:
    Gatys, Ecker & Bethge 2016, equation 1.
  """
  scale = 'mean' if mean else 'sum'
  return Features(layer, number(target, 'target'), scale)


@value('layer', 'statistic', 'distance')
class Matching(Objective):
  """The distance of a layer's statistic from a wanted one."""

  layer: str
  statistic: Callable[..., Any]
  distance: Callable[[Any, Any], Array]
  target: Any
  mask: Array | None

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``distance(statistic(A, mask), target)``."""
    got = self.statistic(feature_map(acts, self.layer), self.mask)

    def fit(target: Array, value: Array) -> Array:
      if target.shape != value.shape[value.ndim - target.ndim :]:
        raise ValueError(
          f'targets: got shape {target.shape} for {self.layer!r}, expected '
          f'{value.shape}'
        )
      return beside(target, value)

    return self.distance(got, jax.tree.map(fit, self.target, got))


def grams(
  targets: Targets, *, weights: Weights = None, masks: Masks = None
) -> Objective:
  """The style loss ``sum_l w_l ||G_l - A_l||^2 / (4 N_l^2)``.

  The Gram matrices are means over places, so it is the paper's, which divides
  by the places of sums, ``1 / (4 N^2 M^2)``; and maps of other sizes compare.

  Args:
    targets: ``{layer: A}``, each ``[C, C]`` by `statistics.gram`, with the
      batch of the images or without.
    weights: ``{layer: w}``; else 1 over the number of layers each.
    masks: ``{layer: [..., H', W']}``, the places that count, for some layers.

  Raises:
    ValueError: No layer; weights or masks of others; numbers that are not
      finite; targets of other shapes than a layer gives (when it is read).

  Reference:
    Gatys, Ecker & Bethge 2016, equations 3 to 5.
  """
  return _total(statistics.gram, _gram_distance, targets, weights, masks)


def moments(
  targets: Targets, *, weights: Weights = None, masks: Masks = None
) -> Objective:
  """``sum_l w_l (||mean - mean_0||^2 + ||std - std_0||^2)``; as `grams`.

  Args:
    targets: ``{layer: Moments}`` by `statistics.moments`.
    weights: As of `grams`.
    masks: As of `grams`.

  Reference:
    Huang & Belongie 2017, equation 13; Li et al. 2017 (batch normalisation
    statistics).
  """
  return _total(statistics.moments, _square_distance, targets, weights, masks)


def covariances(
  targets: Targets, *, weights: Weights = None, masks: Masks = None
) -> Objective:
  """``sum_l w_l (||mean - mean_0||^2 / N + ||C - C_0||^2 / (4 N^2))``.

  Weighed and added as by `grams`.

  Args:
    targets: ``{layer: (mean, covariance)}`` by `statistics.covariance`.
    weights: As of `grams`.
    masks: As of `grams`.
  """
  return _total(
    statistics.covariance, _covariance_distance, targets, weights, masks
  )


def wasserstein(
  targets: Targets, *, weights: Weights = None, masks: Masks = None
) -> Objective:
  """``sum_l w_l W^2``, of normal distributions of features; as `grams`.

  ``W^2 = ||m - m_0||^2 + tr(C + C_0 - 2 (C_0^1/2 C C_0^1/2)^1/2)``.

  Args:
    targets: ``{layer: (mean, covariance)}`` by `statistics.covariance`.
    weights: As of `grams`.
    masks: As of `grams`.

  Reference:
    Dowson & Landau 1982; Vacher et al. 2020 (texture interpolation).
  """
  return _total(statistics.covariance, _wasserstein, targets, weights, masks)


def _total(
  statistic: Callable[..., Any],
  distance: Callable[[Any, Any], Array],
  targets: Targets,
  weights: Weights,
  masks: Masks,
) -> Objective:
  if not targets:
    raise ValueError('targets: got no layer, expected {layer: statistic}')
  if weights is None:
    weights = dict.fromkeys(targets, 1 / len(targets))
  for name, some in (('weights', weights), ('masks', masks or {})):
    if unknown := set(some) - set(targets):
      raise ValueError(
        f'{name}: got {sorted(unknown)}, expected some of {[*targets]}'
      )
  parts = [
    weights.get(layer, 0.0)
    * Matching(
      layer,
      statistic,
      distance,
      jax.tree.map(lambda v: number(v, 'targets'), target),
      (masks or {}).get(layer),
    )
    for layer, target in targets.items()
  ]
  return sum(parts[1:], parts[0])


def _gram_distance(got: Array, target: Array) -> Array:
  n = got.shape[-1]
  return jnp.square(got - target).sum((-2, -1)) / (4 * n**2)


def _square_distance(got: Any, target: Any) -> Array:
  apart = jax.tree.map(lambda a, b: jnp.square(a - b).sum(-1), got, target)
  return sum(jax.tree.leaves(apart))


def _covariance_distance(got: Any, target: Any) -> Array:
  n = got[0].shape[-1]
  apart = jnp.square(got[0] - target[0]).sum(-1) / n
  return apart + _gram_distance(got[1], target[1])


def _wasserstein(got: Any, target: Any) -> Array:
  (mean, cov), (mean_0, cov_0) = got, target
  root = _root(cov_0)
  inner = root @ cov @ root
  inner = (inner + jnp.swapaxes(inner, -1, -2)) / 2
  # Of an eigenvalue of 0 the root has no slope.
  least = 1e-6 * jnp.trace(cov_0, axis1=-2, axis2=-1)[..., None]
  values = extrema.maximum(jnp.linalg.eigvalsh(inner), least**2)
  trace = jnp.trace(cov + cov_0, axis1=-2, axis2=-1)
  apart = jnp.square(mean - mean_0).sum(-1)
  return apart + trace - 2 * jnp.sqrt(values).sum(-1)


def _root(cov: Array) -> Array:
  """The symmetric root of a covariance."""
  values, vectors = jnp.linalg.eigh(cov)
  scaled = vectors * jnp.sqrt(extrema.positive(values))[..., None, :]
  return scaled @ jnp.swapaxes(vectors, -1, -2)
