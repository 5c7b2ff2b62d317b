"""Strongest patches of units in an inner layer."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, render
from vizlab.runs.inputs import load_net
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import each_of, need_positive, numbers
from vizlab.types import Array
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.methods import chosen_layer
from vizlab_experiments.shared.projections import (
  PROJECTIONS,
  UNITS,
  patch,
  projector,
)
from vizlab_experiments.shared.surveys import check_top, survey

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  info: nets.LayerInfo
  channels: list[int]
  images: Images


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'count', 'batch')
  net = load_net(config)
  info = chosen_layer(config, net)
  each_of('config.unit', [config.unit], UNITS)
  channels = numbers(config, 'channels', info.shape[-1])
  images = load_images(config, net.spec.size)
  check_top(config, images)
  return Inputs(config, net, info, channels, images)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Shows the images that excite each channel most, and their projections."""
  config, net, info, channels, images = inputs
  surveyed = survey(
    recorder, net, [info.name], images, top=config.top, batch=config.batch
  )[info.name]
  values, found, places = map(np.asarray, surveyed.strongest)
  if not channels:
    channels = np.argsort(-values[:, 0], kind='stable')[: config.count]
  project = projector(config.unit, info)
  rows, lines = [], []
  for k in map(int, channels):
    some = functools.partial(
      _projected, inputs, project, k, found[k], places[k]
    )
    maps = recorder.in_parts(f'channels/{k}', config.top, config.batch, some)
    field = None  # a whole channel sees everything
    if config.unit == 'neuron':
      field = nets.unit_field(net, info.name, k)
    rows.append(_row(images[found[k]], maps, field, places[k]))
    lines.append([k, *map(float, values[k, [0, -1]])])
  what = 'strongest units' if config.unit == 'neuron' else 'channels as a whole'
  recorder.report(
    f'{info.name} of {net.arch}',
    f'The {config.top} pictures out of {len(images)} in which each '
    f'channel fires most strongly, and what {" and ".join(PROJECTIONS)} send '
    f'back from the {what}'
    + (', cropped to the pixels that the unit sees. ' if field else '. ')
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
        'peaks',
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


def _row(
  images: np.ndarray,
  maps: dict[str, np.ndarray],
  field: nets.Field | None,
  places: np.ndarray,
) -> list[np.ndarray]:
  """A grid of pictures, and one for each projection."""
  columns = int(np.ceil(np.sqrt(len(images))))

  def grid(pictures: Sequence[np.ndarray]) -> np.ndarray:
    cut = [
      patch(picture, field, place)
      for picture, place in zip(pictures, places, strict=True)
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
