"""Activations of every layer: for one image, and over many."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import attribution, nets, probes, render
from vizlab.objectives import Objective, layer_energy, logit, score
from vizlab.runs import plots, reduce_resumable
from vizlab.runs.inputs import (
  check_layers,
  load_net,
  read_square,
)
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import listed, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.classes import class_names
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.surveys import rectified

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network.
    layers: Names of the layers that are shown.
    image: The image that is shown, ``[H, W, 3]``.
    images: Images for the distributions.
  """

  config: ConfigDict
  net: nets.Network
  layers: tuple[str, ...]
  image: np.ndarray
  images: Images


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'channels', 'scenes', 'batch')
  plots.need_matplotlib()
  net = load_net(config)
  layers = tuple(listed(config.layers)) or tuple(op.name for op in net.ops)
  check_layers(net, 'layers', layers)
  classes = nets.layer_info(net)[-1].shape[-1]
  if config.target is not None and not 0 <= config.target < classes:
    raise ValueError(
      f'config.target: got {config.target}, expected 0 to {classes - 1}'
    )
  image = read_square('image', config.image, net.spec.size)
  images = load_images(config, net.spec.size)
  return Inputs(config, net, layers, image, images)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Shows the layers for one image, and their distributions over many."""
  config, net, layers, image, images = inputs
  shown = recorder.once('image', functools.partial(_shown, inputs))
  stats = _statistics(inputs, recorder)
  recorder.arrays(
    'statistics',
    **{
      f'{name}/{field}': np.asarray(value)
      for name, stat in stats.items()
      for field, value in vars(stat).items()
    },
  )
  dead = {name: int((stat.high <= 0).sum()) for name, stat in stats.items()}
  relus = rectified(net)
  behind = [name for name in layers if name in relus] or list(layers)
  active = {name: float(stats[name].active.mean()) for name in layers}
  recorder.report(
    f'{net.arch} at work',
    _summary(inputs, shown),
    [
      Figure('image', 'The image', render.resize(image, 224)),
      Figure('layers', 'Maps and gradients', _maps(inputs, shown)),
      _layers_table(inputs, shown),
      Figure('distributions', 'Positive activations', _plot(behind, stats)),
      Table(
        'statistics',
        f'Over {len(images)} images',
        ['layer', 'channels', 'active', 'dead channels', 'mean', 'largest'],
        [
          [
            name,
            len(stat.mean),
            active[name],
            dead[name],
            float(stat.mean.mean()),
            float(stat.high.max()),
          ]
          for name, stat in stats.items()
        ],
      ),
    ],
  )
  return {
    'images': len(images),
    'dead': sum(dead[name] for name in behind),
    'first active': active[behind[0]],
    'last active': active[behind[-1]],
  }


def _shown(inputs: Inputs) -> dict[str, np.ndarray]:
  """Activations and gradients of the strongest channels for the image."""
  config, net, layers, image, _ = inputs
  x = image[None]
  target = -1
  if net.has_classifier:
    target = config.target
    if target is None:
      target = int(jax.jit(lambda net, x: net(x)[0])(net, x)[0].argmax())
  objective = _objective(net, target)
  gradients = jax.jit(attribution.layer_gradients, static_argnums=2)(
    score(net, objective), x, layers
  )
  arrays = {'target': np.array(target)}
  for name in layers:
    act, slope = (
      np.asarray(v[name][0]) for v in (gradients.acts, gradients.gradients)
    )
    peaks = np.abs(act).reshape(-1, act.shape[-1]).max(0)
    best = np.sort(np.argsort(-peaks, kind='stable')[: config.channels])
    arrays |= {
      f'{name}/channels': best,
      f'{name}/activations': act[..., best],
      f'{name}/gradients': slope[..., best],
      f'{name}/ranges': np.array(
        [[v.min(), v.max()] for v in (act, slope)], np.float32
      ),
    }
  return arrays


def _objective(net: nets.Network, target: int) -> Objective:
  """The logit of a class; without a classifier, the energy of the last map."""
  return logit(target) if target >= 0 else layer_energy(net.ops[-1].name)


def _statistics(
  inputs: Inputs, recorder: Recorder
) -> dict[str, probes.Activity]:
  """Statistics of all layers over the images."""
  _, net, layers, _, images = inputs
  widths = {row.name: row.shape[-1] for row in nets.layer_info(net)}
  return reduce_resumable(
    recorder,
    'statistics',
    {name: probes.no_activity(widths[name]) for name in layers},
    lambda state, rows: _add(state, net, images[rows], layers),
    _combined,
    count=len(images),
    batch=inputs.config.batch,
  )


@functools.partial(jax.jit, static_argnames='layers')
def _add(
  state: dict[str, probes.Activity],
  net: nets.Network,
  x: Array,
  layers: tuple[str, ...],
) -> dict[str, probes.Activity]:
  """Adds the statistics of each layer for a batch of images."""
  _, acts = net(x)
  return _combined(
    state, {name: probes.activity(acts[name]) for name in layers}
  )


@jax.jit
def _combined(
  one: dict[str, probes.Activity], other: dict[str, probes.Activity]
) -> dict[str, probes.Activity]:
  return {name: probes.combined(one[name], other[name]) for name in one}


def _summary(inputs: Inputs, shown: Mapping[str, np.ndarray]) -> str:
  config, net, _, _, images = inputs
  target = int(shown['target'])
  of = 'the energy of the last layer'
  if target >= 0:
    of = f'the logit of {class_names(config, net)[target]!r}'
  return (
    f'The strongest {config.channels} channels of each layer for the image, '
    f'each layer on a scale of its own: zero is black, positive is white and '
    f'negative blue; beside them the gradients of {of}. The distributions are '
    f'over {len(images)} {"photos" if config.photos else "scenes"}; a channel '
    'is dead if no place of any image activates it.'
  )


def _maps(inputs: Inputs, shown: Mapping[str, np.ndarray]) -> np.ndarray:
  """A row for each layer: tiles of its activations and gradients."""
  rows, labels = [], []
  for name in inputs.layers:
    acts, slopes = (
      shown[f'{name}/{kind}'] for kind in ('activations', 'gradients')
    )
    if acts.ndim == 3:
      columns = math.ceil(acts.shape[-1] ** 0.5)
      rows.append(
        [render.activations(v, columns=columns) for v in (acts, slopes)]
      )
      labels.append(name)
  if not rows:
    return render.resize(inputs.image, 224)
  side = max(max(tile.shape) for row in rows for tile in row)
  return render.table(rows, ['activations', 'gradients'], labels, side, PAGE)


def _layers_table(inputs: Inputs, shown: Mapping[str, np.ndarray]) -> Table:
  params = nets.get_params(inputs.net)
  rows = []
  for info in nets.layer_info(inputs.net):
    if info.name not in inputs.layers:
      continue
    weights = [np.asarray(v) for v in params.get(info.name, {}).values()]
    values = np.concatenate([v.ravel() for v in weights]) if weights else None
    ranges = shown[f'{info.name}/ranges']
    rows.append(
      [
        info.name,
        info.kind,
        ' x '.join(map(str, info.shape)),
        sum(v.size for v in weights),
        '' if values is None else _range(values.min(), values.max()),
        *(_range(*row) for row in ranges),
      ]
    )
  columns = 'layer kind shape parameters weights activations gradients'
  return Table(
    'ranges', 'Sizes and ranges for the image', columns.split(), rows
  )


def _range(low: float, high: float) -> str:
  return f'{low:.3g} to {high:.3g}'


def _plot(
  layers: Sequence[str], stats: Mapping[str, probes.Activity]
) -> np.ndarray:
  """Shares of the positive activations by their logarithm."""
  edges = probes.log_edges()[2:]
  centers = np.log10(np.sqrt(edges[1:] * edges[:-1]))
  series = {
    name: (centers, np.asarray(stats[name].histogram).mean(0)[3:-1])
    for name in layers
  }
  return plots.lines(
    series, 'activation (logarithm to base 10)', 'share of the activations'
  )
