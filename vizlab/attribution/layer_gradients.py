"""Gradients with respect to the activations of layers, through edits."""

import collections
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab.attribution.checks import nan_where_undefined, need_map, need_score
from vizlab.batching import vary_with
from vizlab.image.checks import check_images
from vizlab.lookup import check_name
from vizlab.objectives import Score
from vizlab.objectives.base import check_score
from vizlab.types import Array

__all__ = ['LayerGradients', 'activation_and_gradient', 'layer_gradients']


class LayerGradients(NamedTuple):
  """Output of `layer_gradients`.

  Attributes:
    acts: Activations ``{layer: [..., H', W', C']}``, or ``[..., C']`` for
      vectors.
    gradients: Gradients of the score with respect to each activation.
    input: Gradient of the score with respect to the images, ``[..., H, W, C]``.
  """

  acts: dict[str, Array]
  gradients: dict[str, Array]
  input: Array


def layer_gradients(
  score: Score, x: Array, layers: Sequence[str]
) -> LayerGradients:
  """Computes activations ``A`` of layers and the gradients ``dy / dA``.

  The gradient is taken at zero with respect to an offset added to the layer.

  Args:
    score: A `Score`.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layers: Names of layers.

  Returns:
    A `LayerGradients`. Gradients are NaN where the score of the image is NaN or
    infinite. Under ``jit`` unused parts are not computed.

  Raises:
    ValueError: A layer is unknown, or ``score`` does not give one number per
      image.
  """
  score = need_score(score, 'layer_gradients')
  check_images(x)
  acts = jax.eval_shape(
    lambda x: score.run(x, dict.fromkeys(layers, _same))[1], x
  )
  for name in layers:
    check_name('layer', name, acts)

  def total(x: Array, offsets: dict[str, Array]) -> tuple[Array, tuple]:
    calls = collections.Counter()

    def edit(name: str) -> Callable[[Array], Array]:
      def add(a: Array) -> Array:
        calls[name] += 1
        return a + offsets[name]

      return add

    logits, acts = score.run(x, {name: edit(name) for name in layers})
    y = score.read(logits, acts)
    check_score(y, x)
    for name in layers:
      if calls[name] != 1:
        raise ValueError(
          f'score: its network applied the edit of {name!r} {calls[name]} '
          'times, expected once'
        )
    named = {name: jax.lax.stop_gradient(acts[name]) for name in layers}
    return y.sum(), (y, named)

  x = vary_with(score, x)
  zeros = {
    name: vary_with((score, x), jnp.zeros(acts[name].shape, acts[name].dtype))
    for name in layers
  }
  differentiate = jax.grad(total, argnums=(0, 1), has_aux=True)
  (dx, gradients), (y, named) = differentiate(x, zeros)

  gradients = {n: nan_where_undefined(g, y) for n, g in gradients.items()}
  return LayerGradients(named, gradients, nan_where_undefined(dx, y))


def activation_and_gradient(
  score: Score, x: Array, layer: str
) -> tuple[Array, Array]:
  """Computes a layer's map and the gradient of the score with respect to it.

  Args:
    score: A `Score`.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of a layer that gives a map.

  Returns:
    The map and its gradient, ``[..., H', W', C']`` each.

  Raises:
    ValueError: The layer is unknown or gives a vector, or ``score`` does not
      give one number per image.
  """
  acts, gradients, _ = layer_gradients(score, x, [layer])
  return need_map(score.net, acts, layer, x), gradients[layer]


def _same(a: Array) -> Array:
  return a
