"""Objectives that compare activations with targets; to be minimised."""

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
  objective,
)
from vizlab.terms import numbers
from vizlab.types import Acts, Array, number

__all__ = [
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


@objective(target=number)
def features(
  logits: Array | None, acts: Acts, layer: str, target: Array
) -> Array:
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
  apart, target, lead = _differences(logits, acts, layer, target)
  axes = tuple(range(lead, apart.ndim))
  size = jnp.square(target).sum(axes)
  return jnp.square(apart).sum(axes) / jnp.where(size > 0, size, 1)


@objective(target=number)
def content(
  logits: Array | None,
  acts: Acts,
  layer: str,
  target: Array,
  *,
  mean: bool = False,
) -> Array:
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
  apart, _, lead = _differences(logits, acts, layer, target)
  square = jnp.square(apart).sum(tuple(range(lead, apart.ndim)))
  positions = math.prod(apart.shape[lead:-1]) if mean else 1
  return square / (2 * positions)


def _differences(
  logits: Array | None, acts: Acts, layer: str, target: Array
) -> tuple[Array, Array, int]:
  """Activation minus target, the target, and the number of batch axes."""
  a = activation(acts, layer)
  lead = batch_rank(a, logits, layer)
  if target.shape not in (a.shape, a.shape[lead:]):
    raise ValueError(
      f'target: got shape {target.shape}, expected that of {layer!r}, '
      f'{a.shape[lead:]}'
    )
  target = beside(target, a)
  return a - target, target, lead


@objective(target=numbers)
def _matching(
  logits: Array | None,
  acts: Acts,
  layer: str,
  statistic: Callable[..., Any],
  distance: Callable[[Any, Any], Array],
  target: Any,
  mask: Array | None,
) -> Array:
  """Distance of a layer's statistic: ``d(S(A, mask), target)``."""
  got = statistic(feature_map(acts, layer), mask)

  def fit(target: Array, value: Array) -> Array:
    if target.shape != value.shape[value.ndim - target.ndim :]:
      raise ValueError(
        f'targets: got shape {target.shape} for {layer!r}, expected '
        f'{value.shape}'
      )
    return beside(target, value)

  return distance(got, jax.tree.map(fit, target, got))


def grams(
  targets: Targets, *, weights: Weights = None, masks: Masks = None
) -> Objective:
  """The style loss ``sum_l w_l ||G_l - A_l||^2 / (4 N_l^2)``.

  The Gram matrices are means over positions, so that maps of different sizes
  compare; the paper divides sums by the positions, ``1 / (4 N^2 M^2)``, which
  is the same.

  Args:
    targets: ``{layer: A}``, each ``[C, C]`` by `statistics.gram`, with the
      batch of the images or without.
    weights: ``{layer: w}``; 1 over the number of layers each if ``None``.
    masks: ``{layer: [..., H', W']}``, weights of the positions, for some
      layers; all count if a layer has none.

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
  """``sum_l w_l (||mean - mean_0||^2 + ||std - std_0||^2)``.

  Args:
    targets: ``{layer: Moments}`` by `statistics.moments`.
    weights: ``{layer: w}``; 1 over the number of layers each if ``None``.
    masks: ``{layer: [..., H', W']}``, weights of the positions, for some
      layers; all count if a layer has none.

  Reference:
    Huang & Belongie 2017, equation 13; Li et al. 2017 (batch normalisation
    statistics).
  """
  return _total(statistics.moments, _square_distance, targets, weights, masks)


def covariances(
  targets: Targets, *, weights: Weights = None, masks: Masks = None
) -> Objective:
  """``sum_l w_l (||mean - mean_0||^2 / N + ||C - C_0||^2 / (4 N^2))``.

  Args:
    targets: ``{layer: (mean, covariance)}`` by `statistics.covariance`.
    weights: ``{layer: w}``; 1 over the number of layers each if ``None``.
    masks: ``{layer: [..., H', W']}``, weights of the positions, for some
      layers; all count if a layer has none.
  """
  return _total(
    statistics.covariance, _covariance_distance, targets, weights, masks
  )


def wasserstein(
  targets: Targets, *, weights: Weights = None, masks: Masks = None
) -> Objective:
  """``sum_l w_l W^2``, of normal distributions of features.

  ``W^2 = ||m - m_0||^2 + tr(C + C_0 - 2 (C_0^1/2 C C_0^1/2)^1/2)``.

  Args:
    targets: ``{layer: (mean, covariance)}`` by `statistics.covariance`.
    weights: ``{layer: w}``; 1 over the number of layers each if ``None``.
    masks: ``{layer: [..., H', W']}``, weights of the positions, for some
      layers; all count if a layer has none.

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
    * _matching(
      layer,
      statistic,
      distance,
      numbers(target, 'targets'),
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
