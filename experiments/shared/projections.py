"""Projections of a unit to the pixels of an image, and what it sees there."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import attribution, nets, render
from vizlab.objectives import channel, neuron, score
from vizlab.types import Array

__all__ = ['PROJECTIONS', 'UNITS', 'patch', 'projector']

PROJECTIONS = {
  'deconvnet': attribution.deconvnet,
  'guided backprop': attribution.guided_backprop,
}
UNITS = ('neuron', 'channel')


def projector(
  unit: str, info: nets.LayerInfo
) -> Callable[[nets.Network, Array, Array, Array], dict[str, Array]]:
  """A jitted function ``(net, x, channels, places) -> {name: maps}``.

  Args:
    unit: ``'neuron'`` for the unit at a place ``[B, 2]`` of each image,
      ``'channel'`` for all of its map.
    info: The layer.
  """
  layer, vector = info.name, len(info.shape) == 1

  def project(
    net: nets.Network, x: Array, channels: Array, places: Array
  ) -> dict[str, Array]:
    each = jnp.broadcast_to(channels, len(x))
    if vector:
      objective = neuron(layer, each)
    elif unit == 'neuron':
      objective = neuron(layer, each, (places[:, 0], places[:, 1]))
    else:
      objective = channel(layer, each)
    score_fn = score(net, objective)
    return {name: method(score_fn, x) for name, method in PROJECTIONS.items()}

  return jax.jit(project)


def patch(
  picture: np.ndarray, field: nets.Field | None, place: np.ndarray
) -> np.ndarray:
  """The part of a uint8 picture that a unit sees; ``None`` sees all of it."""
  if field is None:
    return picture
  return render.crop(picture, *(field.pixels(int(i)) for i in place))
