"""Strongest patches of units in an inner layer."""

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
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)
from vizlab_experiments.shared.methods import chosen_layer

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
  labelled: LabelledImages


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'top', 'count', 'batch')
  net = load_net(config)
  info = chosen_layer(config, net)
  each_of('config.unit', [config.unit], UNITS)
  channels = numbers(config, 'channels', info.shape[-1])
  labelled = load_labelled_images(config, net)
  return Inputs(config, net, info, channels, labelled)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Shows the strongest pictures of channels and what of them is projected."""
  config, net, info, channels, labelled = inputs
  values, places = _peaks(recorder, net, info.name, labelled, config.batch)
  if not channels:
    channels = np.argsort(-values.max(0), kind='stable')[: config.count]
  project = _projector(config.unit, info.name)
  rows, lines = [], []
  for k in map(int, channels):
    top = np.argsort(-values[:, k], kind='stable')[: config.top]

    def some(part: slice, k: int = k, top: Any = top) -> dict[str, np.ndarray]:
      found = project(net, labelled.images[top[part]], k, places[top[part], k])
      return {name: np.asarray(map_) for name, map_ in found.items()}

    maps = recorder.in_parts(f'channels/{k}', len(top), config.batch, some)
    boxes = [_box(config.unit, info, place) for place in places[top, k]]
    rows.append(_row(labelled.images[top], maps, boxes))
    lines.append([k, *map(float, values[top[[0, -1]], k])])
  what = 'strongest units' if config.unit == 'neuron' else 'channels as a whole'
  recorder.report(
    f'{info.name} of {net.arch}',
    f'The {config.top} pictures out of {len(labelled.images)} in which each '
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
  return {'channels': len(rows), 'dead': int((values.max(0) <= 0).sum())}


def _peaks(
  recorder: Recorder,
  net: nets.Network,
  layer: str,
  labelled: LabelledImages,
  batch: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Each picture's peak in every channel ``[N, C]``, and its place."""

  @jax.jit
  def peaks(net: nets.Network, x: Array) -> tuple[Array, Array]:
    a = net(x)[1][layer]
    flat = a.reshape(len(a), -1, a.shape[-1])
    at = flat.argmax(1)
    return flat.max(1), jnp.stack([at // a.shape[2], at % a.shape[2]], -1)

  def some(rows: slice) -> dict[str, np.ndarray]:
    values, places = map(np.asarray, peaks(net, labelled.images[rows]))
    return {'values': values, 'places': places}

  found = recorder.in_parts('peaks', len(labelled.images), batch, some)
  return found['values'], found['places']


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
