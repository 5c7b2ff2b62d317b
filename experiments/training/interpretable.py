"""Trains filters to stand for one part of one class of objects each."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from vizlab import data, nets, render, templates
from vizlab.data import SHAPE_NAMES
from vizlab.lookup import check_name
from vizlab.nets.layers import ReLU
from vizlab.runs import plots
from vizlab.runs.inputs import check_layers, load_classifier
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import named, need_not_negative, need_positive
from vizlab.types import Array, widened
from vizlab_experiments.shared import (
  filter_parts,
  fine_tuning,
  scene_training,
  training_data,
)
from vizlab_experiments.shared.filter_parts import PartScenes
from vizlab_experiments.shared.gradient_steps import fit, warm_adam
from vizlab_experiments.shared.records import curve, write_record
from vizlab_experiments.shared.regions import lit

__all__ = ['prepare', 'run']

_LOSSES = 'fit', 'paper', 'information', 'none'
_WARM = 0.1  # share of the steps in which the rate rises
_KNOWN, _JUDGED = 1_000_000, 2_000_000  # seeds of scenes that training lacks
_COLUMNS = {
  'accuracy': 'accuracy',
  'instability': 'location instability',
  'interpretability': 'part interpretability',
  'own': 'activation in own class',
  'silent': 'silent filters',
}
_Judged = Mapping[str, Mapping[str, np.ndarray]]


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    nets: The networks before their training: as it was, and with the mask.
  """

  config: ConfigDict
  nets: dict[str, nets.Network]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'batch_size', 'learning_rate', 'beta', 'known', 'shown')
  need_not_negative(config, 'weight')
  if config.tau is not None:
    need_positive(config, 'tau')
  check_name('config.loss', config.loss, _LOSSES)
  for name in ('quantile', 'least'):
    if not 0 < config[name] < 1:
      raise ValueError(
        f'config.{name}: got {config[name]}, expected between 0 and 1'
      )
  if config.scenes < 2 * len(SHAPE_NAMES):
    raise ValueError(
      f'config.scenes: got {config.scenes}, expected at least two for each of '
      f'the {len(SHAPE_NAMES)} classes'
    )
  net = load_classifier(config)
  fine_tuning.check_net(net, random=False)
  scene_training.check_classes(net)
  check_layers(net, 'layer', [config.layer])
  if not isinstance(net.ops[net.layer_names.index(config.layer)], ReLU):
    raise ValueError(f'config.layer: got {config.layer!r}, expected a ReLU')
  scene_training.check_stages(config)
  scene_training.check_sizes(config, net)
  with named(layers='layer'):
    masked = nets.with_template_masks(net, [config.layer], beta=config.beta)
  return Inputs(
    config, {'plain': net, 'interpretable': masked if config.mask else net}
  )


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains both networks, judges them and the one before, writes all."""
  config, starts = inputs
  size = config.stages[-1][0]
  known = filter_parts.draw(config.seed + _KNOWN, config.known, size)
  scenes = filter_parts.draw(config.seed + _JUDGED, config.scenes, size)
  trained = {name: _trained(inputs, recorder, name, known) for name in starts}
  nets.save(
    trained['interpretable'],
    recorder.workdir / 'interpretable.safetensors',
    half=True,
  )
  judged = {
    name: recorder.once(
      f'judged/{name}',
      functools.partial(
        filter_parts.judge,
        net,
        config.layer,
        known,
        scenes,
        quantile=config.quantile,
        least=config.least,
      ),
    )
    for name, net in {'before': starts['plain'], **trained}.items()
  }
  active = _active(judged)
  numbers = {name: _means(each, active) for name, each in judged.items()}
  results = {
    f'{name}_{column}': value
    for name, values in numbers.items()
    for column, value in values.items()
  }
  rows = curve(recorder, 'interpretable')
  write_record(recorder, results, [[r['step'], r['loss']] for r in rows])
  _report(inputs, recorder, trained, judged, numbers, scenes)
  return results


def _trained(
  inputs: Inputs, recorder: Recorder, name: str, known: PartScenes
) -> nets.Network:
  """The network, trained with the loss of its filters or without; resumable."""
  config, start = inputs.config, inputs.nets[name]
  filter_loss = _loss(config) if name == 'interpretable' else None
  layer = config.layer
  if filter_loss is not None:
    _, maps, _ = filter_parts.run_layer(start, known.images, layer)
    category = templates.favourite_category(
      maps, known.labels, len(SHAPE_NAMES)
    )

  def loss_fn(
    params: Any, drawn: tuple[Array, Array]
  ) -> tuple[Array, dict[str, Array]]:
    x, labels = drawn
    logits, acts = nets.with_params(start, params)(x)
    entropy = optax.softmax_cross_entropy_with_integer_labels(
      logits, labels
    ).mean()
    metrics = {'accuracy': (logits.argmax(-1) == labels).mean()}
    if filter_loss is None:
      return entropy, metrics
    present = labels[:, None] == category[None]
    mean = filter_loss(acts[layer], present).mean()
    return entropy + config.weight * mean, {**metrics, 'filter_loss': mean}

  def batch(step: int) -> tuple[Array, Array]:
    key = jax.random.fold_in(jax.random.key(config.seed), step)
    size = training_data.size_at(config, step)
    drawn = data.scenes(key, config.batch_size, size=size)
    return drawn.image, drawn.labels[:, 0]

  steps = scene_training.step_count(config)
  # Recorded statistics of normalisation are not trained.
  groups = {
    'tuned': warm_adam(config.learning_rate, steps, warm=_WARM),
    'frozen': optax.set_to_zero(),
  }
  done = fit(
    recorder,
    optax.partition(groups, nets.param_labels(start, {})),
    loss_fn,
    # Steps are too small for half precision, in which the layers may compute.
    jax.tree.map(widened, nets.get_params(start)),
    batch,
    steps=steps,
    name=name,
  )
  return nets.with_params(start, done.result)


def _loss(config: ConfigDict) -> Callable[[Array, Array], Array] | None:
  """Loss of each filter, ``(maps, present) -> [C]``; ``None`` for none."""
  beta, tau = config.beta, config.tau
  return {
    'fit': lambda maps, present: (
      -templates.template_fit(maps, present, beta=beta)
    ),
    'paper': lambda maps, present: templates.template_loss(
      maps, present, beta=beta, tau=tau
    ),
    'information': lambda maps, present: (
      -templates.information(maps, beta=beta, tau=tau)
    ),
    'none': None,
  }[config.loss]


def _active(judged: _Judged) -> np.ndarray:
  """Filters ``[C]`` that have an instability in all networks."""
  return np.isfinite([each['instability'] for each in judged.values()]).all(0)


def _means(
  judged: Mapping[str, np.ndarray], active: np.ndarray
) -> dict[str, float]:
  """Accuracy, means over the active filters, and the number of silent ones."""
  means = {
    name: float(judged[name][active].mean()) if active.any() else float('nan')
    for name in ('instability', 'interpretability', 'own')
  }
  silent = int((~np.isfinite(judged['instability'])).sum())
  return {'accuracy': float(judged['right'].mean()), **means, 'silent': silent}


def _report(
  inputs: Inputs,
  recorder: Recorder,
  trained: Mapping[str, nets.Network],
  judged: _Judged,
  numbers: Mapping[str, Mapping[str, float]],
  scenes: PartScenes,
) -> None:
  config, net = inputs.config, inputs.nets['plain']
  plain, own = numbers['plain'], numbers['interpretable']
  active = _active(judged)
  rows = {row.name: row for row in nets.layer_info(net, config.stages[-1][0])}
  ideal = filter_parts.detectors(scenes, rows[config.layer].shape[:2])
  percent = np.linspace(0, 100, 21)
  recorder.report(
    f'Interpretable filters of {config.layer} of {net.arch}',
    f'On {config.scenes} fresh scenes {own["own"]:.1%} of the activations of a '
    f'filter are in scenes of its class, and {plain["own"]:.1%} in the network '
    'that was trained as long without masks and the loss. The distance from '
    'its peak to a part of the object deviates by '
    f'{own["instability"]:.3f} and {plain["instability"]:.3f} of the '
    'diagonal of the object; by '
    f'{ideal["centre"]:.3f} for a detector of its centre on the same grid, by '
    f'{ideal["part"]:.3f} for one of a part, and by {ideal["chance"]:.3f} for '
    f'chance. It shows its best part in {own["interpretability"]:.1%} and '
    f'{plain["interpretability"]:.1%} of the scenes of its class; the networks '
    f'classify {own["accuracy"]:.1%} and {plain["accuracy"]:.1%} correctly.',
    [
      Table(
        'nets',
        f'Means over the {active.sum()} of {len(active)} filters that are '
        'active in all three',
        ['network', *_COLUMNS.values()],
        [
          [name, *(values[column] for column in _COLUMNS)]
          for name, values in numbers.items()
        ],
      ),
      Figure(
        'filters',
        'The same filters in both networks, where they are active in the '
        'scenes of their class that excite them most',
        _pictures(config, trained, judged, scenes),
      ),
      Figure(
        'instability',
        'Location instability, by share of the filters below it',
        plots.curves(
          {
            '': {
              name: _percentiles(each, percent) for name, each in judged.items()
            }
          },
          list(percent),
          'filters in %',
          'location instability',
        ),
      ),
      Table(
        'classes',
        'Filters of each class, and their mean location instability',
        ['class', *(f'{a}, {b}' for a in judged for b in ('filters', 'mean'))],
        _classes(judged),
      ),
    ],
  )


def _percentiles(
  judged: Mapping[str, np.ndarray], percent: np.ndarray
) -> list[float]:
  """Percentiles of the instability of the filters that have one."""
  known = judged['instability'][np.isfinite(judged['instability'])]
  if not len(known):
    return [float('nan')] * len(percent)
  return list(np.percentile(known, percent))


def _classes(judged: _Judged) -> list[list[Any]]:
  rows = []
  for i, name in enumerate(SHAPE_NAMES):
    row: list[Any] = [name]
    for each in judged.values():
      own = (each['category'] == i) & np.isfinite(each['instability'])
      mean = f'{each["instability"][own].mean():.3f}' if own.any() else ''
      row += [int(own.sum()), mean]
    rows.append(row)
  return rows


def _pictures(
  config: ConfigDict,
  trained: Mapping[str, nets.Network],
  judged: _Judged,
  scenes: PartScenes,
) -> np.ndarray:
  """Filters by network: where each is active in the scenes of its class."""
  chosen = _chosen(judged['interpretable'], config.shown)
  blocks = []
  for name, net in trained.items():
    each = judged[name]
    rows = []
    for k in chosen:
      index = each['scenes'][k]
      x = scenes.images[index]  # those that are missing are darkened below
      *_, maps = filter_parts.run_layer(net, x, config.layer)
      rows.append(
        [
          lit(image, act, each['threshold'][k] if i >= 0 else np.inf)
          for i, image, act in zip(
            index, np.asarray(x), np.asarray(maps[..., k]), strict=True
          )
        ]
      )
    labels = [
      f'{name}\nfilter {k}\n{SHAPE_NAMES[each["category"][k]]}\n'
      f'{each["instability"][k]:.3f}'
      for k in chosen
    ]
    blocks.append(render.table(rows, [''] * len(rows[0]), labels, 112))
  return render.grid([blocks])


def _chosen(judged: Mapping[str, np.ndarray], count: int) -> list[int]:
  """The most active filter of each class, the most active class first."""
  order = np.argsort(-judged['active'], kind='stable')
  first: dict[int, int] = {}
  for k in order:
    first.setdefault(int(judged['category'][k]), int(k))
  return list(first.values())[:count]
