"""Losses of networks that make images."""

import jax

from vizlab.objectives import Objective, content
from vizlab.objectives.base import activation
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net, number

__all__ = ['perceptual_loss']


def perceptual_loss(
  net: Net,
  made: Array,
  image: Array,
  style: Objective,
  *,
  content_layer: str = 'relu3_1',
  alpha: float | Array = 1.0,
  beta: float | Array = 1.0,
) -> Array:
  """Loss of stylised images: ``alpha L_content / M + beta L_style``.

  The loss of style transfer as `vizlab.style.total_loss`, of a batch with a
  content each and one style; ``M`` is the number of positions of the content
  layer. A transformation network is trained to make what lowers it.

  Args:
    net: A net that sees, such as VGG-19; it is not trained.
    made: The stylised images ``[B, H, W, 3]``.
    image: The images that they were made of, of the same shape.
    style: Loss of the style, `vizlab.style.style_loss`.
    content_layer: Layer of the content.
    alpha: Weight of the content.
    beta: Weight of the style.

  Returns:
    ``[B]``.

  Raises:
    ValueError: The shapes differ, or a layer is unknown.

  References:
    Johnson, Alahi & Fei-Fei 2016, equations 2 to 4.
  """
  if made.shape != image.shape:
    raise ValueError(
      f'made, image: got shapes {made.shape} and {image.shape}, expected one'
    )
  target = activation(run_net(net, image)[1], content_layer)
  wanted = content(content_layer, jax.lax.stop_gradient(target), mean=True)
  loss = number(alpha, 'alpha') * wanted + number(beta, 'beta') * style
  return loss(*run_net(net, made))
