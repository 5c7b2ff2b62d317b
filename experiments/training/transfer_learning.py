"""Frozen features, fine tuning and training from scratch, by amount of data."""

import functools
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets
from vizlab.nets.graph import wiring
from vizlab.runs import plots
from vizlab.runs.inputs import check_layers, load_classifier
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import each_of, listed, named, need_positive
from vizlab_experiments.shared import fine_tuning
from vizlab_experiments.shared.features import probe_arrays
from vizlab_experiments.shared.fine_tuning import Plan
from vizlab_experiments.shared.tasks import (
  Task,
  balanced,
  load_task,
  task_key,
)

__all__ = ['prepare', 'run']

_STRATEGIES = {
  'linear': 'linear classifier',
  'last': 'last layers tuned',
  'all': 'all layers tuned',
  'scratch': 'from scratch',
}
_REPEATS = 2  # use of random numbers


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The trained network.
    features: Layer whose activations a linear classifier reads.
    tasks: The tasks, by name.
    sizes: Numbers of images of each class.
    strategies: Names of the strategies.
  """

  config: ConfigDict
  net: nets.Network
  features: str
  tasks: dict[str, Task]
  sizes: tuple[int, ...]
  strategies: tuple[str, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'repeats', 'slow_share')
  if config.slow_share > 1:
    raise ValueError(
      f'config.slow_share: got {config.slow_share}, expected a share, at most 1'
    )
  fine_tuning.check(config)
  for name in ('per_class', 'strategies', 'tasks'):
    if not listed(config[name]):
      raise ValueError(f'config.{name}: got none, expected at least one')
  strategies = tuple(listed(config.strategies))
  each_of('config.strategies', strategies, _STRATEGIES)
  sizes = tuple(config.per_class)
  net = load_classifier(config)
  fine_tuning.check_net(net, random='scratch' in strategies)
  if 'last' in strategies:
    with named(layer='frozen'):
      nets.check_cut(net, config.frozen)
  features = config.features or _before_last(net)
  check_layers(net, 'features', [features])
  tasks = {
    name: load_task(config, 'tasks', name, net.spec.size)
    for name in listed(config.tasks)
  }
  for task in tasks.values():
    fine_tuning.check_size(net, task)
    for size in sizes:
      balanced(config, task, size)
  return Inputs(config, net, features, tasks, sizes, strategies)


def _before_last(net: nets.Network) -> str:
  """Name of the layer that the last layer with parameters reads."""
  inputs = {op.name: names for op, names in wiring(net.ops)}
  return inputs[nets.trained_layers(net)[-1]][0]


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Learns each task with each strategy, and compares."""
  config, _, _, tasks, sizes, strategies = inputs
  accuracy = {
    (name, size, strategy): np.array(
      [
        _accuracy(inputs, recorder, name, size, strategy, repeat)
        for repeat in range(config.repeats)
      ]
    )
    for name, size, strategy in itertools.product(tasks, sizes, strategies)
  }
  winners = {
    (name, size): max(strategies, key=lambda s: accuracy[name, size, s].mean())
    for name, size in itertools.product(tasks, sizes)
  }
  _report(inputs, recorder, accuracy, winners)
  return {
    f'{name}/{size}/{strategy}': float(values.mean())
    for (name, size, strategy), values in accuracy.items()
  }


def _accuracy(
  inputs: Inputs,
  recorder: Recorder,
  name: str,
  size: int,
  strategy: str,
  repeat: int,
) -> float:
  """Share of the test images that are named rightly."""
  config, net, features, tasks, _, _ = inputs
  task = tasks[name]
  rows = balanced(config, task, size, repeat)
  title = f'{name}/{size}/{strategy}/{repeat}'
  if strategy == 'linear':
    probe = functools.partial(
      _probe, net, features, task, rows, config.batch_size
    )
    return task.accuracy(recorder.once(title, probe)['logits'])
  key = jax.random.fold_in(task_key(config, _REPEATS), repeat)
  order, head = jax.random.split(key)
  start, plan = _start(inputs, task, strategy, head)
  tuned = fine_tuning.fine_tune(
    config,
    recorder,
    title,
    start,
    plan,
    task,
    rows,
    order,
    keep=lambda net: fine_tuning.test_logits(net, task, config.batch_size),
  )
  return task.accuracy(tuned.kept)


def _start(
  inputs: Inputs, task: Task, strategy: str, key: jax.Array
) -> tuple[nets.Network, Plan]:
  """The network before the training, and what is trained."""
  config, net, _, _, _, _ = inputs
  start = nets.with_classes(net, task.classes, key=key)
  if strategy == 'scratch':
    return nets.untrained(start, key=key), Plan()
  *old, _ = nets.trained_layers(net)
  if strategy == 'all':
    return start, Plan(None, tuple(old), config.slow_share)
  frozen = fine_tuning.layers_until(net, config.frozen)
  slow = tuple(name for name in old if name not in frozen)
  return start, Plan(config.frozen, slow, config.slow_share)


def _probe(
  net: nets.Network,
  layer: str,
  task: Task,
  rows: tuple[np.ndarray, np.ndarray],
  batch: int,
) -> Mapping[str, np.ndarray]:
  """Logits of the best linear classifier of a layer."""
  parts = *(task.images[at] for at in rows), task.test_images
  read = [fine_tuning.activations(net, x, layer, batch) for x in parts]
  return probe_arrays(task, rows, read)


def _report(
  inputs: Inputs,
  recorder: Recorder,
  accuracy: dict[tuple[str, int, str], np.ndarray],
  winners: dict[tuple[str, int], str],
) -> None:
  config, net, _, tasks, sizes, strategies = inputs
  panels = {
    name: {
      _STRATEGIES[s]: [float(accuracy[name, n, s].mean()) for n in sizes]
      for s in strategies
    }
    for name in tasks
  }
  rows = [
    [
      name,
      size,
      _STRATEGIES[strategy],
      float(values.mean()),
      float(values.std()) if len(values) > 1 else '',
    ]
    for (name, size, strategy), values in accuracy.items()
  ]
  recorder.report(
    f'Transfer learning from {net.arch}',
    f'Accuracy on test images, the mean over the classes and over '
    f'{config.repeats} choices of the images to learn from, a fifth of which '
    'decide when a training ends. Best by it: '
    + '; '.join(
      f'{name} with {size} images per class: {_STRATEGIES[winner]}'
      for (name, size), winner in winners.items()
    )
    + '.',
    [
      Figure(
        'accuracy',
        'Accuracy by the images of each class to learn from',
        plots.curves(
          panels, list(map(str, sizes)), 'images per class', 'accuracy'
        ),
      ),
      Table(
        'winners',
        'The best strategy, and its accuracy',
        ['images per class', *tasks],
        [
          [
            size,
            *(
              f'{_STRATEGIES[winners[name, size]]}: '
              f'{accuracy[name, size, winners[name, size]].mean():.1%}'
              for name in tasks
            ),
          ]
          for size in sizes
        ],
      ),
      Table(
        'strategies',
        'Accuracy of each strategy, and its deviation over the draws',
        ['task', 'images per class', 'strategy', 'mean', 'deviation'],
        rows,
      ),
    ],
  )
