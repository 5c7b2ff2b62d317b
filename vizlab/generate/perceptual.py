"""Losses of networks that make images."""

import jax
import jax.numpy as jnp

from vizlab.objectives import Objective, content
from vizlab.objectives.base import activation
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net, number

__all__ = ['feature_loss', 'perceptual_loss']


def feature_loss(
  net: Net, made: Array, image: Array, layer: str = 'relu2_2'
) -> Array:
  """Mean squared difference of the activations of images.

  With super-resolution, it lets a network draw fine detail that looks as it
  should where the mean over all that could be there, which has the least
  difference of pixels, is blurred.

  Args:
    net: A net that sees, such as VGG-16; it is not trained.
    made: Images that a network made, ``[B, H, W, 3]``.
    image: What they should be, of the same shape.
    layer: The layer that is compared, a map or a vector.

  Returns:
    ``[B]``.

  Raises:
    ValueError: The shapes differ, or the layer is unknown.

  References:
    Johnson, Alahi & Fei-Fei 2016, equation 2.
  """
  _check_shapes(made, image)
  target = jax.lax.stop_gradient(activation(run_net(net, image)[1], layer))
  apart = activation(run_net(net, made)[1], layer) - target
  return jnp.square(apart).mean(range(1, apart.ndim))


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
  _check_shapes(made, image)
  target = activation(run_net(net, image)[1], content_layer)
  wanted = content(content_layer, jax.lax.stop_gradient(target), mean=True)
  loss = number(alpha, 'alpha') * wanted + number(beta, 'beta') * style
  return loss(*run_net(net, made))


def _check_shapes(made: Array, image: Array) -> None:
  if made.shape != image.shape:
    raise ValueError(
      f'made, image: got shapes {made.shape} and {image.shape}, expected one'
    )
