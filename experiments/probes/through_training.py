"""Units of a network while it learns."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes, render
from vizlab.data.scenes import SHAPE_NAMES
from vizlab.runs import plots, reduce_resumable
from vizlab.runs.inputs import check_layers, layer_info
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import listed, need_positive
from vizlab.types import Array
from vizlab_experiments.shared import scene_training
from vizlab_experiments.shared.images import Images, of_scenes
from vizlab_experiments.shared.projections import patch, projector

__all__ = ['prepare', 'run']

_SETTLED = 0.9  # correlation with the final maps
_TILE = 96


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network before training.
    units: Channels of each layer that are drawn.
    milestones: Number of steps by epoch.
    images: Images that are searched.
  """

  config: ConfigDict
  net: nets.Network
  units: dict[str, np.ndarray]
  milestones: dict[int, int]
  images: Images


def prepare(config: ConfigDict) -> Inputs:
  """Checks the settings."""
  plots.need_matplotlib()
  need_positive(config, 'units', 'scenes', 'batch', 'eval_scenes')
  scene_training.check(config)
  key = jax.random.key(config.seed)
  net = nets.create('minivgg', key=key, classes=len(SHAPE_NAMES))
  scene_training.check_sizes(config, net)
  layers = tuple(listed(config.layers))
  if not layers:
    raise ValueError('config.layers: got none, expected names of layers')
  check_layers(net, 'layers', layers)
  units = {}
  for i, name in enumerate(layers):
    info = layer_info(net, name)
    if info.field is None:
      raise ValueError(f'config.layers: {name!r} gives no map')
    drawn = jax.random.permutation(jax.random.fold_in(key, i), info.shape[-1])
    units[name] = np.sort(np.asarray(drawn[: config.units]))
  images = of_scenes(config.seed, config.scenes, config.stages[-1][0])
  return Inputs(config, net, units, _milestones(config), images)


def _milestones(config: ConfigDict) -> dict[int, int]:
  epochs, total = tuple(config.epochs), sum(n for _, n in config.stages)
  rising = all(a < b for a, b in zip(epochs, epochs[1:], strict=False))
  whole = all(isinstance(v, int) and v > 0 for v in epochs)
  if not epochs or not whole or not rising:
    raise ValueError(
      f'config.epochs: got {epochs}, expected rising whole numbers from 1'
    )
  if total % epochs[-1]:
    raise ValueError(
      f'config.epochs: got {epochs[-1]} as the last, expected a divisor of the '
      f'{total} steps of config.stages'
    )
  return {epoch: epoch * total // epochs[-1] for epoch in epochs}


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains, and looks at the units at each milestone."""
  config, start, units, milestones, _ = inputs
  trained = scene_training.train(
    config, recorder, start, milestones=tuple(milestones.values())
  )
  kept = {epoch: trained.milestones[at] for epoch, at in milestones.items()}
  accuracy = {
    epoch: scene_training.accuracy(net, config, config.eval_scenes)
    for epoch, net in kept.items()
  }
  looking = _Looking(inputs, recorder, trained.net)
  found = {epoch: looking.look(epoch, net) for epoch, net in kept.items()}
  alike = {layer: _alike(layer, found) for layer in units}
  # The first epoch from which on they stay so; the last one at the latest.
  settled = {}
  for layer, row in alike.items():
    unsettled = [i for i, r in enumerate(row[:-1]) if not r >= _SETTLED]
    settled[layer] = [*kept][max(unsettled, default=-1) + 1]
  nets.save(trained.net, recorder.workdir / 'minivgg.safetensors', half=True)
  recorder.report(
    'Features through training',
    f'Random units of minivgg after {_list(kept)} epochs: what the deconvnet '
    f'projects back from the strongest of {config.scenes} scenes, and how '
    'alike the maps of all units are to those after the last epoch. The maps '
    f'correlate above {_SETTLED} with the final ones '
    + ', '.join(
      f'from epoch {epoch} in {layer}'
      if epoch < max(kept)
      else f'not before the end in {layer}'
      for layer, epoch in settled.items()
    )
    + '.',
    [
      *(_figure(inputs, layer, found) for layer in units),
      Figure(
        'settling',
        'Mean correlation of the maps of a layer with the final ones',
        plots.lines(
          {layer: (list(kept), row) for layer, row in alike.items()},
          'epoch',
          'correlation',
        ),
      ),
      Table(
        'accuracy',
        'Accuracy, and the correlations',
        ['epoch', 'accuracy', *units],
        [
          [epoch, accuracy[epoch], *(row[i] for row in alike.values())]
          for i, epoch in enumerate(kept)
        ],
      ),
    ],
  )
  return {
    'accuracy': accuracy[max(kept)],
    **{f'settled/{layer}': epoch for layer, epoch in settled.items()},
  }


def _alike(
  layer: str, found: Mapping[int, Mapping[str, np.ndarray]]
) -> list[float]:
  """Mean correlation by epoch, of the units that vary in the end."""
  rows = np.stack([v[f'{layer}/correlation'] for v in found.values()])
  varies = rows[-1] > 0
  return [float(row[varies].mean()) if varies.any() else 0.0 for row in rows]


class _Looking:
  """A look at all units of a net, beside those of the trained one."""

  def __init__(
    self, inputs: Inputs, recorder: Recorder, last: nets.Network
  ) -> None:
    self._inputs, self._recorder, self._last = inputs, recorder, last
    self._project = {
      layer: projector('neuron', layer_info(last, layer))
      for layer in inputs.units
    }

  def look(self, epoch: int, net: nets.Network) -> dict[str, np.ndarray]:
    make = functools.partial(self._look, epoch, net)
    return self._recorder.once(f'epoch_{epoch:03d}', make)

  def _look(self, epoch: int, net: nets.Network) -> dict[str, np.ndarray]:
    config, _, units, _, images = self._inputs
    widths = {row.name: row.shape[-1] for row in nets.layer_info(net)}
    start = {
      layer: (
        probes.no_images(widths[layer], 1),
        probes.no_products(widths[layer]),
      )
      for layer in units
    }
    found = reduce_resumable(
      self._recorder,
      f'epoch_{epoch:03d}/strongest',
      start,
      lambda state, rows: _add(
        state, net, self._last, images[rows], rows.start, tuple(units)
      ),
      jax.jit(_joined),
      count=len(images),
      batch=config.batch,
    )
    arrays = {}
    for layer, channels in units.items():
      strongest, sums = found[layer]
      values, at, places = (np.asarray(v)[channels, 0] for v in strongest)
      maps = self._project[layer](net, images[at], channels, places)
      arrays |= {
        f'{layer}/values': values,
        f'{layer}/images': at,
        f'{layer}/places': places,
        f'{layer}/maps': np.asarray(maps['deconvnet']),
        f'{layer}/correlation': np.asarray(probes.correlation(sums)),
      }
    return arrays


_State = dict[str, tuple[probes.Strongest, probes.Products]]


@functools.partial(jax.jit, static_argnames='layers')
def _add(
  state: _State,
  net: nets.Network,
  last: nets.Network,
  x: Array,
  first: Array,
  layers: tuple[str, ...],
) -> _State:
  (_, acts), (_, final) = net(x), last(x)
  return {
    layer: (
      probes.strongest(state[layer][0], acts[layer], first),
      probes.combined_products(
        state[layer][1], probes.products(acts[layer], final[layer])
      ),
    )
    for layer in layers
  }


def _joined(one: _State, other: _State) -> _State:
  return {
    layer: (
      probes.merged(one[layer][0], other[layer][0]),
      probes.combined_products(one[layer][1], other[layer][1]),
    )
    for layer in one
  }


def _figure(
  inputs: Inputs, layer: str, found: Mapping[int, Mapping[str, np.ndarray]]
) -> Figure:
  """A row for each unit: its projections by epoch, and the last patch."""
  _, net, units, _, images = inputs
  rows = []
  for i, k in enumerate(map(int, units[layer])):
    field = nets.unit_field(net, layer, k, images.size)
    row = []
    for arrays in found.values():
      place = arrays[f'{layer}/places'][i]
      row.append(patch(render.rgb(arrays[f'{layer}/maps'][i]), field, place))
    image = images[int(arrays[f'{layer}/images'][i])]
    row.append(patch(render.to_uint8(image), field, place))
    rows.append([render.resize(picture, _TILE) for picture in row])
  return Figure(
    layer,
    f'Units of {layer} by epoch, and the patch that excites them in the end',
    render.table(
      rows,
      [*(f'epoch {epoch}' for epoch in found), 'patch'],
      [f'channel {k}' for k in units[layer]],
      _TILE,
      PAGE,
    ),
  )


def _list(values: Mapping[int, Any]) -> str:
  *first, last = map(str, values)
  return f'{", ".join(first)} and {last}' if first else last
