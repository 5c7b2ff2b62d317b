"""Metrics of attributions against object masks."""

import jax.numpy as jnp
from jax import lax

from vizlab import extrema
from vizlab.evaluate.checks import check_map, nan_where_nan
from vizlab.types import Array

__all__ = ['energy_inside', 'iou', 'pointing_game']


def energy_inside(attribution: Array, mask: Array) -> Array:
  """Fraction of an attribution's positive part that lies inside a mask.

  ``sum(max(a, 0) m) / sum(max(a, 0))``. Pass ``abs(a)`` if the sign of a map
  has no meaning.

  Args:
    attribution: Maps ``[..., H, W]``.
    mask: ``[..., H, W]``, 1 inside and 0 outside.

  Returns:
    ``[...]`` in [0, 1]; 0 for a map without positive values. A constant
    positive map gives the mask's fraction of the image.

  Raises:
    ValueError: The attribution and the mask have different shapes.

  Reference:
    Wang et al. 2020 (Score-CAM), section 4.3: the energy-based pointing game.

  >>> import jax.numpy as jnp
  >>> mask = jnp.array([[1.0, 0.0], [0.0, 0.0]])
  >>> float(energy_inside(jnp.array([[3.0, 1.0], [-9.0, 0.0]]), mask))
  0.75
  """
  check_map(mask, attribution, 'mask')
  positive = extrema.positive(attribution)
  inside, total = (positive * mask).sum((-2, -1)), positive.sum((-2, -1))
  empty = total == 0
  return jnp.where(empty, 0, inside / jnp.where(empty, 1, total))


def pointing_game(
  attribution: Array, mask: Array, *, tolerance: int = 0
) -> Array:
  """Pointing game: 1 if the strongest pixel of a map lies inside a mask.

  Args:
    attribution: Maps ``[..., H, W]``.
    mask: ``[..., H, W]``; a pixel is inside where it is at least 0.5.
    tolerance: Distance in pixels along each axis by which the peak may miss the
      mask; the paper allows 15 in photos.

  Returns:
    ``[...]``, 1 or 0. If several pixels share the maximum it is the fraction of
    them inside, so a constant map scores at chance level.

  Raises:
    ValueError: The attribution and the mask have different shapes, or
      ``tolerance`` is negative.

  Reference:
    Zhang, Lin, Brandt, Shen & Sclaroff 2016 (excitation backprop), section 4.1.
  """
  check_map(mask, attribution, 'mask')
  if tolerance < 0:
    raise ValueError(f'tolerance: got {tolerance}, expected 0 pixels or more')
  inside = mask >= 0.5
  if tolerance:
    side = (1,) * (inside.ndim - 2) + (2 * tolerance + 1,) * 2
    inside = lax.reduce_window(
      inside, False, lax.bitwise_or, side, (1,) * inside.ndim, 'same'
    )
  top = extrema.max_over(attribution, (-2, -1), keepdims=True)
  peak = attribution == top
  hits, peaks = ((peak & v).sum((-2, -1)) for v in (inside, True))
  return nan_where_nan(hits / extrema.maximum(peaks, 1), attribution)


def iou(attribution: Array, mask: Array, *, threshold: float = 0.5) -> Array:
  """Intersection over union of a mask and a thresholded map.

  Args:
    attribution: Maps ``[..., H, W]``.
    mask: ``[..., H, W]``; a pixel is inside where it is at least 0.5.
    threshold: Fraction of the map's maximum from which a pixel is selected, in
      (0, 1].

  Returns:
    ``[...]`` in [0, 1]; 0 for a map without positive values.

  Raises:
    ValueError: The attribution and the mask have different shapes, or
      ``threshold`` is outside (0, 1].

  Reference:
    Zhou et al. 2016 (CAM), section 3.2, with a threshold of 0.2 and boxes.
  """
  check_map(mask, attribution, 'mask')
  if not 0 < threshold <= 1:
    raise ValueError(f'threshold: got {threshold}, expected in (0, 1]')
  top = extrema.max_over(attribution, (-2, -1), keepdims=True)
  strong = (attribution >= threshold * top) & (top > 0)
  inside = mask >= 0.5
  both, either = (v.sum((-2, -1)) for v in (strong & inside, strong | inside))
  return nan_where_nan(both / extrema.maximum(either, 1), attribution)
