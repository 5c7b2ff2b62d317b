"""Dissection: names of units by concepts, and what they say about classes."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import attribution, nets, probes, render
from vizlab.data import (
  CONCEPTS,
  Scene,
  concept_masks,
  scenes,
)
from vizlab.objectives import logit, score
from vizlab.runs import reduce_resumable
from vizlab.runs.inputs import check_layers, load_classifier
from vizlab.runs.recorder import Recorder, flat
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_positive
from vizlab.types import Array
from vizlab_experiments.shared import scene_training
from vizlab_experiments.shared.classes import class_names
from vizlab_experiments.shared.images import of_scenes
from vizlab_experiments.shared.regions import lit

__all__ = ['prepare', 'run']

_KINDS = ('shape', 'texture', 'colour')
# Of thresholds. Each bin is a fourth wider than the one below it.
_EDGES = probes.log_edges(96, 1e-4, 1e5)
_BEST = 4  # scenes of a unit that are shown


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  layers: tuple[nets.LayerInfo, ...]
  names: list[str]


class Named(NamedTuple):
  """Units of a layer and their concepts.

  Attributes:
    concept: ``[C]``, index of the best concept.
    iou: ``[C]``, its intersection over union.
    threshold: ``[C]``, activation above which the unit is active.
    found: ``[C, 4]``, scenes in which it is strongest.
  """

  concept: np.ndarray
  iou: np.ndarray
  threshold: np.ndarray
  found: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'scenes', 'units', 'shown', 'batch')
  for name in ('quantile', 'least'):
    if not 0 < config[name] < 1:
      raise ValueError(
        f'config.{name}: got {config[name]}, expected between 0 and 1'
      )
  if config.scenes < 2 * _BEST:
    raise ValueError(
      f'config.scenes: got {config.scenes}, expected at least {2 * _BEST}'
    )
  net = load_classifier(config)
  scene_training.check_classes(net)
  wanted = listed(config.layers)
  check_layers(net, 'layers', wanted)
  check_layers(net, 'explained', [config.explained])
  if config.explained not in wanted:
    raise ValueError(
      f'config.explained: got {config.explained!r}, expected one of '
      f'config.layers: {", ".join(wanted)}'
    )
  layers = tuple(row for row in nets.layer_info(net) if row.name in wanted)
  for row in layers:
    if len(row.shape) != 3:
      raise ValueError(
        f'config.layers: {row.name!r} gives a vector, expected maps'
      )
  return Inputs(config, net, layers, class_names(config, net))


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Names the units of each layer, and explains the classes by them."""
  config, net, layers, _ = inputs
  named = _dissected(inputs, recorder)
  for name, units in named.items():
    recorder.arrays(flat(name), **units._asdict())
  effects = recorder.once('importance', lambda: _importance(inputs, recorder))
  classes = _extremes(effects['weights'], config.units)
  recorder.arrays('classes', **classes)
  shares = {row.name: _shares(named[row.name], config.least) for row in layers}
  r = _agreement(effects)
  caption = f'Classes by the units of {config.explained}'
  sentences = _sentences(inputs, named[config.explained], classes)
  recorder.report(
    f'Dissection of {net.arch}',
    f'A unit is active where it exceeds its {config.quantile:.1%} quantile, '
    f'over {config.scenes} scenes. Its name is the concept with the largest '
    f'intersection over union, if that is above {config.least}'
    + ('; here the masks are those of other scenes. ' * config.shuffled or '. ')
    + 'The sentences name the units with the largest Grad-CAM weights for a '
    'class. Activation times gradient, and the fall of the logit without the '
    f'unit, have a correlation of {r:.3f} over units and classes.',
    [
      Figure(
        'units',
        'The best units of each layer, where they are active',
        _pictures(inputs, named),
      ),
      Table(
        'shares',
        'Share of units with a name',
        ['layer', 'units', *_KINDS, 'together'],
        [
          [row.name, row.shape[-1], *(f'{v:.1%}' for v in shares[row.name])]
          for row in layers
        ],
      ),
      Table('classes', caption, ['class', 'because'], sentences),
    ],
  )
  return {
    **{f'named/{name}': float(v[-1]) for name, v in shares.items()},
    'agreement': r,
  }


def _drawn(config: ConfigDict, net: nets.Network, rows: slice) -> Scene:
  key = jax.random.key(config.seed)
  count = rows.stop - rows.start
  return scenes(
    key, count, objects=2, size=net.spec.size, first=np.int32(rows.start)
  )


def _dissected(inputs: Inputs, recorder: Recorder) -> dict[str, Named]:
  """Two passes: quantiles and strongest scenes, then overlaps with concepts."""
  config, net, layers, _ = inputs
  names = tuple(row.name for row in layers)
  widths = [row.shape[-1] for row in layers]
  sizes = {'count': config.scenes, 'batch': config.batch}
  whole = reduce_resumable(
    recorder,
    'quantiles',
    {
      name: (probes.no_activity(c, len(_EDGES) + 1), probes.no_images(c, _BEST))
      for name, c in zip(names, widths, strict=True)
    },
    lambda state, rows: _add_values(
      state, net, _drawn(config, net, rows).image, rows.start, names
    ),
    jax.jit(_merged_values),
    **sizes,
  )
  thresholds = {
    name: probes.quantile(activity.histogram, _EDGES, config.quantile)
    for name, (activity, _) in whole.items()
  }

  def add(
    state: dict[str, probes.Overlap], rows: slice
  ) -> dict[str, probes.Overlap]:
    drawn = _drawn(config, net, rows)
    other = drawn
    if config.shuffled:
      start, stop = (i + config.scenes for i in (rows.start, rows.stop))
      other = _drawn(config, net, slice(start, stop))
    masks = concept_masks(other)
    return _add_overlap(state, net, drawn.image, thresholds, masks, names)

  overlaps = reduce_resumable(
    recorder,
    'overlaps',
    {
      name: probes.no_overlap(c, len(CONCEPTS))
      for name, c in zip(names, widths, strict=True)
    },
    add,
    lambda one, other: jax.tree.map(jnp.add, one, other),
    **sizes,
  )
  for name, threshold in thresholds.items():
    if (np.asarray(threshold) >= _EDGES[-1]).any():
      raise ValueError(
        f'{name}: got activations above {_EDGES[-1]:g}, which is too large for '
        'the thresholds'
      )
  return {
    name: Named(
      np.asarray(overlaps[name].iou.argmax(1)),
      np.asarray(overlaps[name].iou.max(1)),
      np.asarray(thresholds[name]),
      np.asarray(whole[name][1].images),
    )
    for name in names
  }


_Values = dict[str, tuple[probes.Activity, probes.Strongest]]


@functools.partial(jax.jit, static_argnames='layers')
def _add_values(
  state: _Values,
  net: nets.Network,
  x: Array,
  first: Array,
  layers: tuple[str, ...],
) -> _Values:
  _, acts = net(x)
  return {
    name: (
      probes.combined(state[name][0], probes.activity(acts[name], _EDGES)),
      probes.strongest(state[name][1], acts[name], first),
    )
    for name in layers
  }


def _merged_values(one: _Values, other: _Values) -> _Values:
  return {
    name: (
      probes.combined(one[name][0], other[name][0]),
      probes.merged(one[name][1], other[name][1]),
    )
    for name in one
  }


@functools.partial(jax.jit, static_argnames='layers')
def _add_overlap(
  state: dict[str, probes.Overlap],
  net: nets.Network,
  x: Array,
  thresholds: Mapping[str, Array],
  masks: Array,
  layers: tuple[str, ...],
) -> dict[str, probes.Overlap]:
  _, acts = net(x)
  return {
    name: probes.overlap(state[name], acts[name], thresholds[name], masks)
    for name in layers
  }


def _importance(inputs: Inputs, recorder: Recorder) -> dict[str, np.ndarray]:
  """Units by classes ``[K, C]``: Grad-CAM's weights, attribution, ablation.

  Means over the scenes whose first object is of the class; NaN for a class that
  none is of.
  """
  config, net, _, names = inputs

  def some(rows: slice) -> dict[str, np.ndarray]:
    drawn = _drawn(config, net, rows)
    targets = drawn.labels[:, 0]
    found = _unit_effects(net, drawn.image, targets, config.explained)
    return {**_plain(found), 'targets': np.asarray(targets)}

  count = min(config.scenes, 16 * len(names))
  each = recorder.in_parts('importance/scenes', count, config.batch, some)
  of = each.pop('targets')[None] == np.arange(len(names))[:, None]  # [K, N]
  with np.errstate(invalid='ignore'):
    return {
      name: of.astype(np.float32) @ value / of.sum(1, keepdims=True)
      for name, value in each.items()
    }


def _plain(arrays: Mapping[str, Array]) -> dict[str, np.ndarray]:
  return {name: np.asarray(value) for name, value in arrays.items()}


@functools.partial(jax.jit, static_argnames='layer')
def _unit_effects(
  net: nets.Network, x: Array, targets: Array, layer: str
) -> dict[str, Array]:
  """Weights, attribution and ablation of all units, ``[B, C]`` each."""
  found = attribution.layer_gradients(score(net, logit(targets)), x, [layer])
  gradient, act = found.gradients[layer], found.acts[layer]

  def ablation(k: Array) -> Array:
    fall = probes.effects(net, layer, k, x).ablation
    return jnp.take_along_axis(fall, targets[:, None], 1)[:, 0]

  falls = jax.lax.map(ablation, jnp.arange(act.shape[-1]))
  return {
    'weights': gradient.mean((1, 2)),
    'attribution': (act * gradient).sum((1, 2)),
    'ablation': falls.T,
  }


def _extremes(weights: np.ndarray, count: int) -> dict[str, np.ndarray]:
  """Units ``[K, count]`` with the largest and the smallest weights.

  -1 for a class that no scene holds.
  """
  known = np.isfinite(weights).all(1, keepdims=True)
  orders = {
    'because': np.argsort(-weights, 1),
    'against': np.argsort(weights, 1),
  }
  return {k: np.where(known, v, -1)[:, :count] for k, v in orders.items()}


def _agreement(effects: Mapping[str, np.ndarray]) -> float:
  """Correlation of attribution and ablation over units and classes."""
  both = [effects[k].ravel() for k in ('attribution', 'ablation')]
  known = np.isfinite(both).all(0)
  return float(np.corrcoef([v[known] for v in both])[0, 1])


def _shares(units: Named, least: float) -> list[float]:
  """Share of units with a name, of each kind and of all."""
  kinds = np.array([kind for kind, _ in CONCEPTS])[units.concept]
  has = units.iou > least
  return [*(float((has & (kinds == k)).mean()) for k in _KINDS), has.mean()]


def _name(units: Named, k: int, least: float) -> str:
  if units.iou[k] <= least:
    return ''
  return CONCEPTS[units.concept[k]][1]


def _sentences(
  inputs: Inputs, units: Named, classes: Mapping[str, np.ndarray]
) -> list[list[str]]:
  """For each class, which units speak for it and which against it."""

  def listed_units(numbers: np.ndarray) -> str:
    parts = []
    for k in numbers:
      name = _name(units, k, inputs.config.least)
      parts.append(f"unit {k} '{name}'" if name else f'unit {k}')
    return ', '.join(parts)

  rows = zip(inputs.names, classes['because'], classes['against'], strict=True)
  return [
    [name, f'{listed_units(because)}; against: {listed_units(against)}']
    for name, because, against in rows
    if because[0] >= 0
  ]


def _pictures(inputs: Inputs, named: Mapping[str, Named]) -> np.ndarray:
  """The best units of each layer in the scenes that excite them most."""
  config, net, layers, _ = inputs
  images = of_scenes(config.seed, config.scenes, net.spec.size)
  maps = jax.jit(lambda net, x: net(x)[1])
  rows, labels = [], []
  for row in layers:
    units = named[row.name]
    best = np.argsort(-units.iou, kind='stable')[: config.shown]
    x = images[units.found[best]]  # [U, 4, H, W, 3]
    acts = np.stack([np.asarray(maps(net, some)[row.name]) for some in x])
    for i, k in enumerate(best):
      rows.append(
        [
          lit(image, act[..., k], units.threshold[k])
          for image, act in zip(x[i], acts[i], strict=True)
        ]
      )
      kind, _ = CONCEPTS[units.concept[k]]
      name = _name(units, k, config.least)
      name = f'{name} ({kind})' if name else 'no name'
      labels.append(f'{row.name}\nunit {k}\n{name}\n{units.iou[k]:.2f}')
  half = -(-len(rows) // 2)
  columns = [
    render.table(rows[i : i + half], [''] * _BEST, labels[i : i + half], 112)
    for i in (0, half)
    if rows[i:]
  ]
  return render.grid([columns])
