"""Class activation maps: a layer's maps, weighted and summed.

All of them are ``sum_k w_k A_k`` for the maps ``A_k`` of one layer and differ
in the weights:

================  ==========================================================
`cam`             the linear classifier's weights behind global pooling
`grad_cam`        the mean gradient of a map
`grad_cam_pp`     a weighted mean of its positive gradients
`hires_cam`       the gradient at each place, instead of a weight
`layer_cam`       the positive gradient at each place
`score_cam`       how much the score rises when only that map is left to see
================  ==========================================================
"""

import math

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.attribution.base import need_map
from vizlab.attribution.gradient import guided_backprop
from vizlab.attribution.taps import activation_and_gradient, taps
from vizlab.objectives import Score
from vizlab.types import Array

__all__ = [
  'cam',
  'grad_cam',
  'grad_cam_pp',
  'guided_grad_cam',
  'hires_cam',
  'layer_cam',
  'upsample',
  'weigh',
]


def weigh(
  a: Array, weight: Array, x: Array, rectify: bool, resize: bool
) -> Array:
  """``sum_k w_k A_k``, rectified and upsampled to the images if so wished.

  Args:
    a: Maps ``[..., H', W', C']``.
    weight: Weights that broadcast to them.
    x: The images ``[..., H, W, C]``.
    rectify: Whether only what is positive is kept.
    resize: Whether the sum is upsampled.
  """
  summed = (weight * a).sum(-1)
  summed = extrema.positive(summed) if rectify else summed
  return upsample(summed, x.shape[-3:-1]) if resize else summed


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
  r"""Gradient-weighted class activation map.

  .. math::
    M = \mathrm{ReLU}\Bigl( \sum_k \alpha_k A_k \Bigr), \quad
    \alpha_k = \frac{1}{H' W'} \sum_{ij}
    \frac{\partial y}{\partial A_{ijk}}

  Args:
    score: A `Score`; the paper explains a logit.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the layer whose maps are weighted, usually the last
      convolutional layer after its ReLU.
    rectify: Whether to set negative values of the map to 0.
    resize: Whether to upsample the map to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., H', W']`` of the layer without ``resize``; in
    score units.

  Raises:
    ValueError: ``score`` is not a `Score`, or ``layer`` is unknown or gives a
      vector instead of a map.

  Reference:
    Selvaraju et al. 2017, equations 1 and 2.
  """
  a, g = activation_and_gradient(score, x, layer)
  return weigh(a, g.mean((-3, -2), keepdims=True), x, rectify, resize)


def grad_cam_pp(
  score: Score,
  x: Array,
  *,
  layer: str,
  rectify: bool = True,
  resize: bool = True,
) -> Array:
  r"""Grad-CAM++: positive gradients, weighted so that small objects count.

  .. math::
    w_k = \sum_{ij} \alpha_{ijk} \, \mathrm{ReLU}(g_{ijk}), \quad
    \alpha_{ijk} = \frac{g_{ijk}^2}
    {2 g_{ijk}^2 + g_{ijk}^3 \sum_{ab} A_{abk}}, \quad
    g = \frac{\partial y}{\partial A}

  The paper derives it for ``exp(y)``, whose factor cancels in alpha; the one
  left before the weights, the same for the whole image, is dropped.

  Args:
    score: A `Score`; the paper explains a logit.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the layer whose maps are weighted, such as ``'relu5_3'``.
    rectify: Whether to set negative values of the map to 0.
    resize: Whether to upsample the map to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., H', W']`` of the layer without ``resize``.

  Raises:
    ValueError: ``score`` is not a `Score`, or ``layer`` is unknown or gives a
      vector instead of a map.

  Reference:
    Chattopadhay, Sarkar, Howlader & Balasubramanian 2018, equations 7 and 19.
  """
  a, g = activation_and_gradient(score, x, layer)
  # Only positive g is left by the ReLU, and there alpha is 1 / (2 + sum A g):
  # no squares and cubes that over- or underflow.
  g = extrema.positive(g)
  below = 2 + a.sum((-3, -2), keepdims=True) * g
  # It vanishes for negative activations only: there the paper has no value.
  alpha = jnp.where(below == 0, 0, 1 / jnp.where(below == 0, 1, below))
  weight = (alpha * g).sum((-3, -2), keepdims=True)
  return weigh(a, weight, x, rectify, resize)


def hires_cam(
  score: Score,
  x: Array,
  *,
  layer: str,
  rectify: bool = True,
  resize: bool = True,
) -> Array:
  """HiResCAM: every place with its own gradient, ``sum_k dy / dA_k * A_k``.

  On a net that is linear behind the layer it is the exact share of every place,
  which the mean of Grad-CAM is not.

  Args:
    score: A `Score`.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the layer whose maps are weighted, such as ``'relu5_3'``.
    rectify: Whether to set negative values of the map to 0.
    resize: Whether to upsample the map to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., H', W']`` of the layer without ``resize``; in
    score units.

  Raises:
    ValueError: ``score`` is not a `Score`, or ``layer`` is unknown or gives a
      vector instead of a map.

  Reference:
    Draelos & Carin 2020, equation 4.
  """
  a, g = activation_and_gradient(score, x, layer)
  return weigh(a, g, x, rectify, resize)


def layer_cam(
  score: Score,
  x: Array,
  *,
  layer: str,
  rectify: bool = True,
  resize: bool = True,
) -> Array:
  """LayerCAM: every place with its positive gradient, for any layer.

  ``map = ReLU(sum_k ReLU(dy / dA_k) * A_k)``. Shallow layers give fine maps.

  Args:
    score: A `Score`.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the layer whose maps are weighted, such as ``'relu5_3'``.
    rectify: Whether to set negative values of the map to 0.
    resize: Whether to upsample the map to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., H', W']`` of the layer without ``resize``; in
    score units.

  Raises:
    ValueError: ``score`` is not a `Score`, or ``layer`` is unknown or gives a
      vector instead of a map.

  Reference:
    Jiang, Zhang, Hou, Cheng & Wei 2021, equations 4 to 6.
  """
  a, g = activation_and_gradient(score, x, layer)
  return weigh(a, extrema.positive(g), x, rectify, resize)


def cam(
  score: Score, x: Array, *, layer: str, pooled: str, resize: bool = True
) -> Array:
  r"""The class activation map of a net with global average pooling.

  .. math::
    M = \sum_k w_k A_k, \quad
    w_k = \frac{\partial y}{\partial p_k}

  ``p_k`` is the pooled map, so that ``w_k`` is its weight in the classifier.
  This is Grad-CAM before its ReLU, times the number of positions that are
  pooled.

  Args:
    score: A `Score` that is linear in the pooled vector, such as a logit.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: The last map, which is pooled.
    pooled: The layer that is its mean over all places, a vector.
    resize: Whether to upsample the map to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., H', W']`` of the layer without ``resize``; in
    score units, with a sign.

  Raises:
    ValueError: An unknown layer; or ``pooled`` is not a vector with one number
      for each map of ``layer``.

  Reference:
    Zhou, Khosla, Lapedriza, Oliva & Torralba 2016, equation 2.
  """
  acts, gradients, _ = taps(score, x, [layer, pooled])
  a, weight = need_map(acts, layer, x), gradients[pooled]
  if weight.shape != (*x.shape[:-3], a.shape[-1]):
    raise ValueError(
      f'pooled: {pooled!r} gives {weight.shape}, expected a vector with one '
      f'number for each map of {layer!r}, {a.shape}'
    )
  return weigh(a, weight[..., None, None, :], x, False, resize)


def guided_grad_cam(score: Score, x: Array, *, layer: str) -> Array:
  """Guided backprop times Grad-CAM, upsampled.

  Args:
    score: A `Score` whose net has rules.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the layer whose maps are weighted, such as ``'relu5_3'``.

  Returns:
    ``[..., H, W, C]``.

  Raises:
    ValueError: ``score`` is not a `Score`, its network has no rules, or
      ``layer`` is unknown or gives a vector instead of a map.

  Reference:
    Selvaraju et al. 2017, section 3.2.
  """
  cam = grad_cam(score, x, layer=layer)
  return guided_backprop(score, x) * cam[..., None]
