"""The attribution methods as experiments call and show them."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from vizlab import attribution, nets, render
from vizlab.objectives import Score, logit, score
from vizlab.types import Array

__all__ = ['METHODS', 'Method', 'Options', 'every_class']


@dataclasses.dataclass(frozen=True)
class Options:
  """The settings that methods read."""

  layer: str
  patch: int
  chunk: int


@dataclasses.dataclass(frozen=True)
class Method:
  """How a method is called, and how its map becomes a picture.

  Attributes:
    explain: ``(score, x, options) -> [B, H, W]`` or ``[B, H, W, 3]``.
    show: ``(map, image) -> picture``.
    signless: Whether the sign of the map means nothing, so that its size is
      what counts inside a mask.
  """

  explain: Callable[[Score, Array, Options], Array]
  show: Callable[[np.ndarray, np.ndarray], np.ndarray]
  signless: bool = True


def _sweep(score: Score, x: Array, options: Options) -> Array:
  return attribution.occlusion(
    score,
    x,
    patch=options.patch,
    stride=max(1, options.patch // 2),
    chunk=options.chunk,
  )


METHODS = {
  'gradient': Method(
    lambda s, x, o: attribution.gradient(s, x), lambda m, x: render.rgb(m)
  ),
  'saliency': Method(
    lambda s, x, o: attribution.saliency(s, x), lambda m, x: render.heat(m)
  ),
  'gradient_x_input': Method(
    lambda s, x, o: attribution.gradient_x_input(s, x).sum(-1),
    lambda m, x: render.signed(m),
  ),
  'deconvnet': Method(
    lambda s, x, o: attribution.deconvnet(s, x, seed=1.0),
    lambda m, x: render.rgb(m),
  ),
  'guided_backprop': Method(
    lambda s, x, o: attribution.guided_backprop(s, x),
    lambda m, x: render.rgb(m),
  ),
  'grad_cam': Method(
    lambda s, x, o: attribution.grad_cam(s, x, layer=o.layer),
    render.overlay,
    signless=False,
  ),
  'guided_grad_cam': Method(
    lambda s, x, o: attribution.guided_grad_cam(s, x, layer=o.layer),
    lambda m, x: render.rgb(m),
  ),
  'occlusion': Method(_sweep, render.overlay, signless=False),
}


def every_class(
  method: Method, options: Options
) -> Callable[[nets.Network, Array, Array], Array]:
  """A method for several classes an image: ``(net, x, targets) -> maps``.

  Args:
    method: A method of `METHODS`.
    options: Its settings.

  Returns:
    A jitted function of a net, images ``[B, H, W, 3]`` and classes ``[B, E]``
    that gives ``[B, E, H, W]`` or ``[B, E, H, W, 3]``. What does not depend on
    the class, such as the forward of occluded images, is computed once.
  """

  def explain(net: nets.Network, x: Array, targets: Array) -> Array:
    def one(target: Array) -> Array:
      return method.explain(score(net, logit(target)), x, options)

    return jax.vmap(one, in_axes=1, out_axes=1)(targets)

  return jax.jit(explain)
