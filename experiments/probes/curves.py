"""Curve detectors of two layers, and the weights between them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import data, nets, probes, render
from vizlab.runs import plots, stopping
from vizlab.runs.inputs import check_layers, load_net
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.weights import weights_between

__all__ = ['prepare', 'run']

_TURNS = 8  # steps of the angle between two detectors in the circuit


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  lower: nets.LayerInfo
  upper: nets.LayerInfo


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'width', 'reach', 'shown', 'batch')
  plots.need_matplotlib()
  if config.angles < 4:
    raise ValueError(f'config.angles: got {config.angles}, expected at least 4')
  if not config.radii or min(config.radii) <= 0:
    raise ValueError(
      f'config.radii: got {config.radii}, expected some above 0 pixels'
    )
  if not 0 < config.directed < 1:
    raise ValueError(
      f'config.directed: got {config.directed}, expected between 0 and 1'
    )
  net = load_net(config)
  names = listed(config.layers)
  check_layers(net, 'layers', names)
  rows = [row for row in nets.layer_info(net) if row.name in names]
  if len(names) != 2 or len(rows) != 2 or not all(r.field for r in rows):
    raise ValueError(
      f'config.layers: got {", ".join(names)}, expected two layers that give '
      'maps'
    )
  return Inputs(config, net, *rows)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Measures both layers and shows their detectors and the circuit."""
  config, net, lower, upper = inputs
  angles = np.linspace(0, 2 * np.pi, config.angles, endpoint=False)
  responses = recorder.once(
    'responses',
    lambda: {
      name: _responses(inputs, angles, info)
      for name, info in (('lower', lower), ('upper', upper))
    },
  )
  tunings = {
    name: jax.tree.map(np.asarray, probes.tuning(value, angles))
    for name, value in responses.items()
  }
  found = {
    name: _detectors(config, tuned, responses[name])
    for name, tuned in tunings.items()
  }
  for name, tuned in tunings.items():
    recorder.arrays(name, detectors=found[name], **tuned._asdict())
  frame, counts = _circuit(inputs, tunings, found)
  recorder.arrays('circuit', weights=frame, pairs=counts)
  recorder.report(
    f'Curve detectors of {net.arch}',
    f'Responses of the unit in the middle of each map to {config.angles} '
    'directions of arcs, by radius. A channel is a curve detector if its '
    f'selectivity for a direction is at least {config.directed} and a curve '
    'excites it more than a line does, at least as much as the median channel. '
    'Directions are those of the centre of the circle, clockwise from the '
    'right. Red weights excite, blue ones inhibit.',
    [
      *_polar(inputs, angles, responses, tunings, found),
      Figure(
        'circuit',
        f'Weights from the detectors of {lower.name} to those of {upper.name}, '
        'turned so that the upper direction points right, by the angle from '
        'it to the lower direction',
        _frames(frame),
      ),
      _table(inputs, tunings, found),
    ],
  )
  return {
    f'detectors/{info.name}': len(found[name])
    for name, info in (('lower', lower), ('upper', upper))
  }


def _responses(
  inputs: Inputs, angles: np.ndarray, info: nets.LayerInfo
) -> np.ndarray:
  """Responses ``[A, 1 + radii, C]`` of the unit in the middle."""
  config, net, _, _ = inputs
  row, column = (n // 2 for n in info.shape[:2])
  field = info.field
  centre = tuple(
    field.offset + i * field.stride + (field.size - 1) / 2
    for i in (row, column)
  )
  curvatures = np.array([0.0, *(1 / r for r in config.radii)])
  images = data.curves(
    angles,
    curvatures,
    size=net.spec.size,
    centre=centre,
    width=config.width,
    reach=config.reach,
  )
  flat = images.reshape(-1, *images.shape[2:])

  @jax.jit
  def respond(net: nets.Network, x: Array) -> Array:
    return net(x)[1][info.name][:, row, column]

  parts = []
  for i in range(0, len(flat), config.batch):
    stopping.check()
    parts.append(np.asarray(respond(net, flat[i : i + config.batch])))
  return np.concatenate(parts).reshape(*images.shape[:2], -1)


def _detectors(
  config: ConfigDict, tuned: probes.Tuning, responses: np.ndarray
) -> np.ndarray:
  """Channels that detect curves, by their selectivity.

  Of a channel that a curve hardly wakes the selectivity is noise: its largest
  response must reach the median of the layer.
  """
  peaks = responses.max((0, 1))
  fit = (tuned.curvature > 0) & (peaks > 0) & (peaks >= np.median(peaks))
  strength = np.where(fit, tuned.directed, 0)
  order = np.argsort(-strength, kind='stable')
  return order[strength[order] >= config.directed]


def _circuit(
  inputs: Inputs,
  tunings: Mapping[str, probes.Tuning],
  found: Mapping[str, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
  """Mean weights ``[8, h, w]`` by the angle between detectors, and pairs.

  Zero where there is no pair of such an angle.
  """
  config, net, lower, upper = inputs
  up, low = found['upper'], found['lower']
  if not len(up) or not len(low):
    return np.zeros((_TURNS, 1, 1), np.float32), np.zeros(_TURNS, int)
  weights = weights_between(net, upper.name, up, lower.name)
  weights = weights[..., low]  # [U, h, w, L]
  flat = np.moveaxis(weights, -1, 1).reshape(-1, *weights.shape[1:3])
  own = np.repeat(tunings['upper'].direction[up], len(low))
  other = np.tile(tunings['lower'].direction[low], len(up))
  turned = np.asarray(probes.in_one_frame(jnp.asarray(flat), own))
  step = 2 * np.pi / _TURNS
  bins = np.rint((other - own) / step).astype(int) % _TURNS
  counts = np.bincount(bins, minlength=_TURNS)
  total = np.zeros((_TURNS, *turned.shape[1:]), np.float32)
  np.add.at(total, bins, turned)
  return total / np.maximum(counts, 1)[:, None, None], counts


def _frames(frame: np.ndarray) -> np.ndarray:
  """The weights by angle, on one scale."""
  # Rendered at once, so that they have one scale.
  sheet = render.signed(np.concatenate(list(frame), 1))
  cells = np.split(sheet, _TURNS, 1)
  titles = [f'{360 * i // _TURNS} degrees' for i in range(_TURNS)]
  return render.table([cells], titles, [''], 112)


def _polar(
  inputs: Inputs,
  angles: np.ndarray,
  responses: Mapping[str, np.ndarray],
  tunings: Mapping[str, probes.Tuning],
  found: Mapping[str, np.ndarray],
) -> list[Figure]:
  """Responses of the detectors of each layer, by direction and radius."""
  config, _, lower, upper = inputs
  titles = ['line', *(f'radius {r:g}' for r in config.radii)]
  figures = []
  for name, info in (('lower', lower), ('upper', upper)):
    chosen = found[name][: config.shown]
    if not len(chosen):
      continue
    panels = {
      f'{info.name} {k}': {
        title: np.maximum(responses[name][:, i, k], 0)
        for i, title in enumerate(titles)
      }
      for k in chosen
    }
    caption = f'Responses of {info.name} by direction'
    figures.append(Figure(name, caption, plots.polar(panels, angles)))
  return figures


def _table(
  inputs: Inputs,
  tunings: Mapping[str, probes.Tuning],
  found: Mapping[str, np.ndarray],
) -> Table:
  config, _, lower, upper = inputs
  radii = ['line', *(f'{r:g}' for r in config.radii)]
  rows = []
  for name, info in (('lower', lower), ('upper', upper)):
    tuned = tunings[name]
    for k in found[name][: config.shown]:
      rows.append(
        [
          f'{info.name} {k}',
          radii[tuned.curvature[k]],
          f'{np.degrees(tuned.direction[k]):.0f}',
          float(tuned.directed[k]),
        ]
      )
  columns = ['channel', 'radius', 'direction in degrees', 'selectivity']
  return Table('detectors', 'The most selective detectors', columns, rows)
