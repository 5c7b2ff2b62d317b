"""Strongest patches of units in an inner layer."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import attribution, nets, render
from vizlab.objectives import channel, neuron, score
from vizlab.runs.inputs import load_net
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import each_of, need_positive, numbers
from vizlab.types import Array
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.methods import chosen_layer
from vizlab_experiments.shared.surveys import survey

__all__ = ['prepare', 'run']

PROJECTIONS = {
  'deconvnet': attribution.deconvnet,
  'guided backprop': attribution.guided_backprop,
}
UNITS = ('neuron', 'channel')


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  info: nets.LayerInfo
  channels: list[int]
  images: Images


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'top', 'count', 'batch')
  net = load_net(config)
  info = chosen_layer(config, net)
  each_of('config.unit', [config.unit], UNITS)
  channels = numbers(config, 'channels', info.shape[-1])
  images = load_images(config, net.spec.size)
  if config.top > len(images):
    raise ValueError(
      f'config.top: got {config.top}, expected at most the {len(images)} '
      'pictures'
    )
  return Inputs(config, net, info, channels, images)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Shows the strongest pictures of channels and what of them is projected."""
  config, net, info, channels, images = inputs
  surveyed = survey(
    recorder, net, [info.name], images, top=config.top, batch=config.batch
  )[info.name]
  values, found, places = map(np.asarray, surveyed.strongest)
  if not channels:
    channels = np.argsort(-values[:, 0], kind='stable')[: config.count]
  project = _projector(config.unit, info.name)
  rows, lines = [], []
  for k in map(int, channels):
    some = functools.partial(
      _projected, inputs, project, k, found[k], places[k]
    )
    maps = recorder.in_parts(f'channels/{k}', config.top, config.batch, some)
    boxes = [_box(config.unit, info, place) for place in places[k]]
    rows.append(_row(images[found[k]], maps, boxes))
    lines.append([k, *map(float, values[k, [0, -1]])])
  what = 'strongest units' if config.unit == 'neuron' else 'channels as a whole'
  recorder.report(
    f'{info.name} of {net.arch}',
    f'The {config.top} pictures out of {len(images)} in which each '
    f'channel fires most strongly, and what {" and ".join(PROJECTIONS)} send '
    f'back from the {what}'
    + (', cropped to the pixels that the unit sees. ' if boxes[0] else '. ')
    + 'Grey is zero, or lies outside of the picture.',
    [
      Figure(
        'units',
        f'Channels of {info.name}',
        render.table(
          rows,
          ['picture', *PROJECTIONS],
          [f'channel {k}' for k in channels],
          300,
        ),
      ),
      Table(
        'The activation at its peak',
        ['channel', 'in the strongest picture', f'in number {config.top}'],
        lines,
      ),
    ],
  )
  return {'channels': len(rows), 'dead': int((values[:, 0] <= 0).sum())}


def _projected(
  inputs: Inputs,
  project: Callable[..., dict[str, Array]],
  k: int,
  found: np.ndarray,
  places: np.ndarray,
  part: slice,
) -> dict[str, np.ndarray]:
  """Maps of some of a channel's strongest pictures."""
  maps = project(inputs.net, inputs.images[found[part]], k, places[part])
  return {name: np.asarray(map_) for name, map_ in maps.items()}


def _projector(
  unit: str, layer: str
) -> Callable[[nets.Network, Array, Array, Array], dict[str, Array]]:
  """A jitted function of a net, images, a channel and the peaks' places."""

  def project(
    net: nets.Network, x: Array, k: Array, places: Array
  ) -> dict[str, Array]:
    if unit == 'neuron':
      each = jnp.broadcast_to(k, len(x))
      objective = neuron(layer, each, (places[:, 0], places[:, 1]))
    else:
      objective = channel(layer, jnp.asarray(k))
    score_fn = score(net, objective)
    return {name: method(score_fn, x) for name, method in PROJECTIONS.items()}

  return jax.jit(project)


def _box(
  unit: str, info: nets.LayerInfo, place: np.ndarray
) -> tuple[tuple[int, int], ...] | None:
  """Rows and columns of pixels that a unit sees; None for a whole channel."""
  if unit == 'channel':
    return None
  return tuple(info.field.pixels(int(i)) for i in place)


def _row(
  images: np.ndarray,
  maps: dict[str, np.ndarray],
  boxes: Sequence[tuple[tuple[int, int], ...] | None],
) -> list[np.ndarray]:
  """A grid of pictures, and one for each projection."""
  columns = int(np.ceil(np.sqrt(len(images))))

  def grid(pictures: Sequence[np.ndarray]) -> np.ndarray:
    cut = [
      picture if box is None else render.crop(picture, *box)
      for picture, box in zip(pictures, boxes, strict=True)
    ]
    side = max(96, *cut[0].shape[:2])
    large = [render.resize(picture, side) for picture in cut]
    return render.grid(
      [large[i : i + columns] for i in range(0, len(large), columns)]
    )

  # Scaled by what lies inside of the box; all the rest is zero.
  shown = [[render.to_uint8(image) for image in images]]
  shown += [[render.rgb(map_) for map_ in each] for each in maps.values()]
  return [grid(pictures) for pictures in shown]
