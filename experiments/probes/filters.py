"""Weights of a network as pictures."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes, render
from vizlab.nets.graph import wiring
from vizlab.nets.layers import Conv
from vizlab.runs.inputs import layer_info, load_net
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import listed, named, need_positive, numbers
from vizlab_experiments.shared.weights import weights_between

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network.
    first: Its first convolution.
    layers: Later convolutions, and the layer that each reads.
  """

  config: ConfigDict
  net: nets.Network
  first: Conv
  layers: dict[str, str]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'count', 'inputs')
  net = load_net(config)
  reads = {op.name: (op, inputs[0]) for op, inputs in wiring(net.ops)}
  first = next(op for op, before in reads.values() if before is None)
  if not isinstance(first, Conv):
    raise ValueError(
      f'config.net.weights: {first.name!r} of {net.arch} reads the image, '
      'expected a convolution first'
    )
  layers = {}
  for name in listed(config.layers):
    with named(layer='layers'):
      nets.check_layers(net, [name])
    op, before = reads[name]
    if not isinstance(op, Conv) or before is None:
      known = [k for k, (op, b) in reads.items() if b and isinstance(op, Conv)]
      raise ValueError(
        f'config.layers: got {name!r}, expected convolutions after the first '
        f'layer: {known}'
      )
    numbers(config, 'channels', op.features)
    layers[name] = before
  return Inputs(config, net, first, layers)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Shows the filters of the first layer, and expanded weights of others."""
  config, net, first, layers = inputs
  filters = recorder.once('first', lambda: _first(net, first))
  figures, lines = [_first_figure(config, first, filters)], []
  for layer, before in layers.items():
    compute = functools.partial(_units, config, net, layer, before)
    units = recorder.once(layer, compute)
    figures.append(_units_figure(layer, before, units))
    lines += _lines(layer, units)
  coloured = float((filters['colour'] > 0.5).mean())
  aliased = float(filters['aliased'].mean())
  recorder.report(
    f'Weights of {net.arch}',
    f'Of the {first.features} filters of {first.name}, {coloured:.0%} hold '
    f'more colour than brightness; its stride of {first.stride} aliases '
    f'{aliased:.1%} of their energy. Later units are drawn by their expanded '
    'weights, the product of all kernels on the way to the image. Grey is '
    'zero; in maps of weights red is positive and blue negative.',
    [
      *figures,
      Table(
        'units',
        'Norm of the expanded weights, and the strongest inputs with the sum '
        'of their weights',
        ['layer', 'channel', 'norm', 'inputs'],
        lines,
      ),
    ],
  )
  return {'filters': first.features, 'coloured': coloured, 'aliased': aliased}


def _first(net: nets.Network, first: Conv) -> dict[str, np.ndarray]:
  kernels = weights_between(net, first.name, np.arange(first.features))
  gratings = probes.grating(kernels)
  return {
    'kernels': kernels,
    'order': np.asarray(probes.filter_order(kernels)),
    'aliased': np.asarray(probes.aliasing(kernels, first.stride)),
    **{key: np.asarray(value) for key, value in gratings._asdict().items()},
  }


def _units(
  config: ConfigDict, net: nets.Network, layer: str, before: str
) -> dict[str, np.ndarray]:
  """Channels of a layer, their expanded weights and strongest inputs."""
  info = layer_info(net, layer)
  channels = numbers(config, 'channels', info.shape[-1])
  if not channels:
    every = weights_between(net, layer, np.arange(info.shape[-1]))
    norms = np.sqrt(np.square(every).sum((1, 2, 3)))
    channels = np.argsort(-norms, kind='stable')[: config.count]
  kernels = weights_between(net, layer, np.asarray(channels), before)
  strength = np.abs(kernels).sum((1, 2))
  inputs = np.argsort(-strength, -1, kind='stable')[:, : config.inputs]
  return {
    'channels': np.asarray(channels),
    'expanded': weights_between(net, layer, np.asarray(channels)),
    'inputs': inputs,
    'kernels': np.take_along_axis(kernels, inputs[:, None, None], -1),
  }


def _first_figure(
  config: ConfigDict, first: Conv, filters: dict[str, np.ndarray]
) -> Figure:
  kernels = filters['kernels']
  if config.ordered:
    kernels = kernels[filters['order']]
  picture = render.filters(
    np.moveaxis(kernels, 0, -1),
    columns=16,
    side=80,
    shared=config.shared,
  )
  by = ', by orientation and colour' if config.ordered else ''
  return Figure('first', f'The filters of {first.name}{by}', picture)


def _units_figure(
  layer: str, before: str, units: dict[str, np.ndarray]
) -> Figure:
  """A row for each unit: expanded weights, and kernels of its inputs."""
  rows = [
    [render.rgb(expanded), *_signed(kernels)]
    for expanded, kernels in zip(
      units['expanded'], units['kernels'], strict=True
    )
  ]
  count = units['inputs'].shape[1]
  picture = render.table(
    [[_large(tile) for tile in row] for row in rows],
    ['expanded', *(f'input {i + 1}' for i in range(count))],
    [f'channel {k}' for k in units['channels']],
    128,
    PAGE,
  )
  caption = f'Units of {layer}, and their strongest inputs from {before}'
  return Figure(layer, caption, picture)


def _signed(kernels: np.ndarray) -> list[np.ndarray]:
  """Tiles of kernels ``[h, w, n]``, on one scale."""
  n = kernels.shape[-1]
  side_by_side = np.concatenate(np.moveaxis(kernels, -1, 0), 1)
  return np.split(render.signed(side_by_side), n, 1)


def _large(tile: np.ndarray) -> np.ndarray:
  return render.resize(tile, 128)


def _lines(layer: str, units: dict[str, np.ndarray]) -> list[Sequence[Any]]:
  norms = np.sqrt(np.square(units['expanded']).sum((1, 2, 3)))
  sums = units['kernels'].sum((1, 2))
  return [
    [
      layer,
      int(k),
      float(norm),
      ', '.join(
        f'{i} ({total:+.2f})' for i, total in zip(inputs, row, strict=True)
      ),
    ]
    for k, norm, inputs, row in zip(
      units['channels'], norms, units['inputs'], sums, strict=True
    )
  ]
