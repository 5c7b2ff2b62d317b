"""Fidelity of images: signal-to-noise ratio and perceptual distance."""

from collections.abc import Mapping

import jax.numpy as jnp

from vizlab.objectives.base import feature_map
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net

__all__ = ['lpips', 'psnr']

_EPSILON = 1e-10  # of the published implementation


def psnr(image: Array, reference: Array) -> Array:
  """Peak signal-to-noise ratio in decibels: ``-10 log10 mean |x - y|^2``.

  Published figures of super-resolution are of `vizlab.image.video_luma`, and
  leave out a border of as many pixels as the factor.

  Args:
    image: ``[..., H, W]``, or ``[..., H, W, 3]`` with ``reference`` alike, in
      [0, 1].
    reference: What it should be, of the same shape.

  Returns:
    ``[...]``, infinite for equal images. The last two axes are averaged, or
    three if the last one has a length of 3.

  >>> import jax.numpy as jnp
  >>> round(float(psnr(jnp.zeros((8, 8)), jnp.full((8, 8), 0.1))), 3)
  20.0
  """
  if image.shape != reference.shape or image.ndim < 2:
    raise ValueError(
      f'reference: got shape {reference.shape}, expected {image.shape}, '
      '[..., H, W] or [..., H, W, 3]'
    )
  if not all(jnp.issubdtype(v.dtype, jnp.floating) for v in (image, reference)):
    raise ValueError(
      f'image, reference: got {image.dtype} and {reference.dtype}, expected '
      'floats in [0, 1]'
    )
  colours = image.ndim > 2 and image.shape[-1] == 3
  axes = (-3, -2, -1) if colours else (-2, -1)
  return -10 * jnp.log10(jnp.square(image - reference).mean(axes))


def lpips(
  net: Net, heads: Mapping[str, Array], image: Array, reference: Array
) -> Array:
  """Learned perceptual distance of images (LPIPS).

  ``sum_l mean_ij sum_c w_lc (f_lijc - g_lijc)^2`` for the activations f and g
  of both images, each divided by its norm over channels.

  Args:
    net: A net with torchvision's preprocessing, by the paper AlexNet or VGG-16.
    heads: ``w_l`` by the name of its layer, ``[C]`` each.
    image: ``[..., H, W, 3]`` in [0, 1].
    reference: Of the same shape.

  Returns:
    ``[...]``; 0 for equal images.

  Raises:
    ValueError: The shapes differ, a layer is unknown, or a head has another
      number of channels.

  References:
    Zhang et al. 2018, equation 1; version 0.1 of the heads.
  """
  if image.shape != reference.shape:
    raise ValueError(
      f'reference: got shape {reference.shape}, expected {image.shape}'
    )
  (_, ours), (_, theirs) = run_net(net, image), run_net(net, reference)
  total = jnp.zeros(image.shape[:-3], image.dtype)
  for layer, head in heads.items():
    a, b = (_unit(feature_map(acts, layer)) for acts in (ours, theirs))
    if head.shape != a.shape[-1:]:
      raise ValueError(
        f'heads: got shape {head.shape} for {layer!r}, expected {a.shape[-1:]}'
      )
    square = jnp.square(a - b).mean((-3, -2))
    total += square @ jnp.asarray(head, square.dtype)
  return total


def _unit(a: Array) -> Array:
  """Activations of length 1 at each position."""
  square = jnp.square(a).sum(-1, keepdims=True)
  some = square > 0  # at 0 a square root has no gradient
  length = jnp.where(some, jnp.sqrt(jnp.where(some, square, 1)), 0)
  return a / (length + _EPSILON)
