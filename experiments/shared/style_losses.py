"""Style losses that networks are trained with."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import nets, style
from vizlab.objectives import Objective
from vizlab.runs.settings import named
from vizlab.types import Acts, Array

__all__ = ['balanced_style', 'check_style', 'style_scales']


def check_style(
  net: nets.Network,
  painting: np.ndarray,
  layers: Sequence[str],
  size: int,
  *,
  layers_setting: str,
  painting_setting: str,
) -> None:
  """Checks that a network sees a style, and images that are trained with.

  Args:
    net: The network whose activations are compared.
    painting: The style, ``[H, W, 3]``.
    layers: Names of the layers.
    size: Side of the images, the setting ``size``.
    layers_setting: Setting of the layers, which an error names.
    painting_setting: Setting of the painting's size.

  Raises:
    ValueError: A layer gives no map, or an image is too small.
  """
  with named(layer=layers_setting, layers=layers_setting, x=painting_setting):
    jax.eval_shape(
      lambda x: style.style_loss(net, x, layers)(*net(x)),
      jnp.asarray(painting),
    )
  with named(x='size'):
    jax.eval_shape(net, jnp.zeros((size, size, 3)))


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


def balanced_style(
  net: nets.Network,
  painting: Array,
  layers: Sequence[str],
  scales: np.ndarray,
) -> tuple[Objective, tuple[float, ...]]:
  """Style loss that is 1 for the images of its scales, each layer as much.

  Args:
    net: The network whose activations are compared.
    painting: The style, ``[H, W, 3]``.
    layers: Names of the layers.
    scales: ``[L]``, by `style_scales`.

  Returns:
    The loss, and the weights of its layers.
  """
  weights = tuple(map(float, 1 / (len(layers) * scales)))
  return style.style_loss(net, painting, layers, weights=weights), weights
