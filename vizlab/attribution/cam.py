"""Grad-CAM and Guided Grad-CAM."""

import math

import jax
import jax.numpy as jnp

from vizlab.attribution.base import (
  check_images,
  check_score,
  nan_where_nan,
  need_score,
)
from vizlab.attribution.gradient import guided_backprop
from vizlab.objectives import Score
from vizlab.types import Array

__all__ = ['activation_and_gradient', 'grad_cam', 'guided_grad_cam', 'upsample']


def activation_and_gradient(
  score: Score, x: Array, layer: str
) -> tuple[Array, Array]:
  """A layer's activation and the gradient of the score with respect to it.

  ``A`` and ``dy / dA``; the gradient is taken with respect to an offset that is
  added to the layer, at zero.

  Args:
    score: A `Score`.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of a layer that gives a map.

  Returns:
    Two maps ``[..., H', W', C']``.

  Raises:
    ValueError: An unknown layer, or one that gives a vector.
  """
  score = need_score(score, 'grad_cam')
  check_images(x)
  acts = jax.eval_shape(lambda x: score.net(x, {layer: lambda a: a})[1], x)
  if layer not in acts:
    raise ValueError(f'layer: got {layer!r}, expected one of {list(acts)}')
  shape = acts[layer].shape
  if len(shape) != x.ndim:
    raise ValueError(f'layer: {layer!r} gives a vector {shape}, expected a map')

  def total(offset: Array) -> tuple[Array, tuple[Array, Array]]:
    seen = []

    def edit(a: Array) -> Array:
      seen.append(a)
      return a + offset

    y = score(x, {layer: edit})
    check_score(y, x)
    if len(seen) != 1:
      raise ValueError(
        f'score: its net applied the edit of {layer!r} {len(seen)} times, '
        'expected once'
      )
    return y.sum(), (y, jax.lax.stop_gradient(seen[0]))

  zero = jnp.zeros(shape, acts[layer].dtype)
  gradient, (y, a) = jax.grad(total, has_aux=True)(zero)
  return a, nan_where_nan(gradient, y)


def upsample(cam: Array, size: tuple[int, int]) -> Array:
  """Resizes maps ``[..., h, w]`` to ``size`` by bilinear interpolation."""
  flat = cam.reshape(math.prod(cam.shape[:-2]), *cam.shape[-2:])
  full = jax.image.resize(flat, (flat.shape[0], *size), 'bilinear')
  return full.reshape(*cam.shape[:-2], *size)


def grad_cam(
  score: Score,
  x: Array,
  *,
  layer: str,
  rectify: bool = True,
  resize: bool = True,
) -> Array:
  """Gradient-weighted class activation map.

  ``a_k = mean_ij dy / dA_ijk``, ``map = ReLU(sum_k a_k A_k)``.

  Args:
    score: A `Score`; the paper explains a logit.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: The layer whose maps are weighted, by custom the last convolutional
      one after its ReLU.
    rectify: Whether only what speaks for the score is kept.
    resize: Whether the map is upsampled to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., H', W']`` of the layer without ``resize``; in
    score units.

  Raises:
    ValueError: As in `activation_and_gradient`.

  Reference:
    Selvaraju et al. 2017, equations 1 and 2.
  """
  a, g = activation_and_gradient(score, x, layer)
  cam = (g.mean((-3, -2), keepdims=True) * a).sum(-1)
  cam = jnp.maximum(cam, 0) if rectify else cam
  return upsample(cam, x.shape[-3:-1]) if resize else cam


def guided_grad_cam(score: Score, x: Array, *, layer: str) -> Array:
  """Guided backprop times Grad-CAM, upsampled.

  Args:
    score: A `Score` whose net has rules.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: As in `grad_cam`.

  Returns:
    ``[..., H, W, C]``.

  Raises:
    ValueError: As in `grad_cam` and `vizlab.attribution.guided_backprop`.

  Reference:
    Selvaraju et al. 2017, section 3.2.
  """
  cam = grad_cam(score, x, layer=layer)
  return guided_backprop(score, x) * cam[..., None]
