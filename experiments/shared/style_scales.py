"""Scales of the parts of a style loss."""

from collections.abc import Sequence

import numpy as np

from vizlab import nets, style
from vizlab.types import Acts, Array

__all__ = ['style_scales']


def style_scales(
  net: nets.Network,
  painting: Array,
  layers: Sequence[str],
  out: tuple[Array | None, Acts],
) -> np.ndarray:
  """Style loss of each layer for some images, by which the layers are weighed.

  Args:
    net: The network whose activations are compared.
    painting: The style, ``[H, W, 3]``.
    layers: Names of the layers.
    out: What the network returned for the images.

  Returns:
    ``[L]``, the mean over the images; 1 where it is 0.
  """
  each = [
    style.style_loss(net, painting, [layer])(*out).mean() for layer in layers
  ]
  each = np.stack(each)
  return np.where(each > 0, each, 1)
