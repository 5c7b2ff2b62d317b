"""Class activation maps: weighted sums of a layer's maps.

All methods compute ``sum_k w_k A_k`` over the maps ``A_k`` of one layer and
differ in the weights:

================  ==========================================================
`cam`             weights of the linear classifier after global pooling
`grad_cam`        mean gradient of each map
`grad_cam_pp`     weighted mean of the positive gradients of each map
`hires_cam`       gradient at each position
`layer_cam`       positive gradient at each position
`score_cam`       score of the image masked by each map
================  ==========================================================
"""

import math

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.attribution.checks import need_map
from vizlab.attribution.gradient import guided_backprop
from vizlab.attribution.layer_gradients import (
  activation_and_gradient,
  layer_gradients,
)
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
  """Computes ``sum_k w_k A_k``, optionally rectified and upsampled.

  Args:
    a: Maps ``[..., H', W', C']``.
    weight: Weights that broadcast with ``a``.
    x: The images ``[..., H, W, C]``.
    rectify: Whether to set negative sums to 0.
    resize: Whether to upsample the sum to the size of the images.
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
  r"""Grad-CAM++: weighted positive gradients, which also cover small objects.

  .. math::
    w_k = \sum_{ij} \alpha_{ijk} \, \mathrm{ReLU}(g_{ijk}), \quad
    \alpha_{ijk} = \frac{g_{ijk}^2}
    {2 g_{ijk}^2 + g_{ijk}^3 \sum_{ab} A_{abk}}, \quad
    g = \frac{\partial y}{\partial A}

  The paper derives it for ``exp(y)``. The factor ``exp(y)`` cancels in alpha;
  before the weights it is constant over the image and dropped here.

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
  # The ReLU keeps only positive g, where alpha is 1 / (2 + sum A g): this form
  # has no squares and cubes that could over- or underflow.
  g = extrema.positive(g)
  below = 2 + a.sum((-3, -2), keepdims=True) * g
  # Zero is possible for negative activations only, where alpha is undefined.
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
  """HiResCAM: gradient times activation, ``sum_k dy / dA_k * A_k``.

  For a network that is linear after the layer this is the exact contribution of
  each position; the averaged gradient of Grad-CAM is not.

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
  """LayerCAM: positive gradient times activation, for any layer.

  ``map = ReLU(sum_k ReLU(dy / dA_k) * A_k)``. Early layers give high-resolution
  maps.

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
  r"""Class activation map of a network with global average pooling.

  .. math::
    M = \sum_k w_k A_k, \quad
    w_k = \frac{\partial y}{\partial p_k}

  ``p_k`` is the pooled map and ``w_k`` its weight in the classifier. The map
  equals Grad-CAM without its ReLU, times the number of pooled positions.

  Args:
    score: A `Score` that is linear in the pooled vector, such as a logit.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the last map, the input of the pooling.
    pooled: Name of the vector that holds the mean of each map of ``layer``.
    resize: Whether to upsample the map to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., H', W']`` of the layer without ``resize``; in
    score units, signed.

  Raises:
    ValueError: A layer is unknown, or ``pooled`` is not a vector with one
      number per map of ``layer``.

  Reference:
    Zhou, Khosla, Lapedriza, Oliva & Torralba 2016, equation 2.
  """
  acts, gradients, _ = layer_gradients(score, x, [layer, pooled])
  a, weight = need_map(score.net, acts, layer, x), gradients[pooled]
  if weight.shape != (*x.shape[:-3], a.shape[-1]):
    raise ValueError(
      f'pooled: got {pooled!r} of shape {weight.shape}, expected a vector with '
      f'one number per map of {layer!r}, {a.shape}'
    )
  return weigh(a, weight[..., None, None, :], x, False, resize)


def guided_grad_cam(score: Score, x: Array, *, layer: str) -> Array:
  """Guided Grad-CAM: guided backprop times the upsampled Grad-CAM map.

  Args:
    score: A `Score` whose network holds backward rules, a `vizlab.rules.Rules`.
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
