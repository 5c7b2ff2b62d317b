"""Generality of layers by depth: copied from two networks, frozen or tuned."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets
from vizlab.runs import plots
from vizlab.runs.inputs import load_classifier
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, named, need_positive
from vizlab_experiments.shared import fine_tuning
from vizlab_experiments.shared.fine_tuning import Plan
from vizlab_experiments.shared.tasks import (
  Task,
  balanced,
  load_task,
  task_key,
)

__all__ = ['prepare', 'run']

_REPEATS, _HEAD = 2, 3  # uses of random numbers
# As in the paper: of B or A, to B, and + if the copied layers are tuned.
_KINDS = {
  'BnB': ('B', False),
  'BnB+': ('B', True),
  'AnB': ('A', False),
  'AnB+': ('A', True),
}


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network A, with classes of the task B.
    task: The task B.
    layers: The last layers that are copied.
  """

  config: ConfigDict
  net: nets.Network
  task: Task
  layers: tuple[str, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'repeats')
  fine_tuning.check(config)
  net, layers = load_classifier(config), tuple(listed(config.layers))
  if not layers:
    raise ValueError('config.layers: got none, expected names of layers')
  fine_tuning.check_net(net, random=True)
  with named(layer='layers'):
    for layer in layers:
      nets.check_cut(net, layer)
  task = load_task(config, 'task', config.task, net.spec.size)
  fine_tuning.check_size(net, task)
  balanced(config, task, config.per_class)
  net = nets.with_classes(net, task.classes, key=task_key(config, _HEAD))
  return Inputs(config, net, task, layers)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Learns B whole, then with copied layers of each kind."""
  config, _, task, layers = inputs
  accuracy = np.array(
    [_repeat(inputs, recorder, i) for i in range(config.repeats)]
  )  # [R, 1 + kinds * layers]
  base, copied = accuracy[:, 0], accuracy[:, 1:]
  copied = copied.reshape(-1, len(_KINDS), len(layers))
  means = dict(zip(_KINDS, copied.mean(0), strict=True))
  _report(inputs, recorder, base, copied)
  return {'base': float(base.mean())} | {
    f'{kind}/{layer}': float(value)
    for kind, values in means.items()
    for layer, value in zip(layers, values, strict=True)
  }


def _repeat(inputs: Inputs, recorder: Recorder, repeat: int) -> list[float]:
  """Accuracy of the network that learns B, then by kind and layer."""
  config, net, task, layers = inputs
  rows = balanced(config, task, config.per_class, repeat)
  key = jax.random.fold_in(task_key(config, _REPEATS), repeat)
  order, *random = jax.random.split(key, 3)

  def tune(name: str, start: nets.Network, plan: Plan) -> dict[str, Any]:
    def keep(net: nets.Network) -> dict[str, Any]:
      kept = {'logits': fine_tuning.test_logits(net, task, config.batch_size)}
      if name == 'base':
        kept['params'] = nets.get_params(net)
      return kept

    return fine_tuning.fine_tune(
      config,
      recorder,
      f'{name}/{repeat}',
      start,
      plan,
      task,
      rows,
      order,
      keep=keep,
    ).kept

  base = tune('base', nets.untrained(net, key=random[0]), Plan())
  sources = {'A': net, 'B': nets.with_params(net, base['params'])}
  found = [task.accuracy(base['logits'])]
  for (kind, (source, tuned)), layer in itertools.product(
    _KINDS.items(), layers
  ):
    # Of other random numbers than those of the base, as in the paper.
    start = nets.transplant(
      nets.untrained(net, key=random[1]),
      sources[source],
      fine_tuning.layers_until(net, layer),
    )
    plan = Plan() if tuned else Plan(layer)
    kept = tune(f'{kind}/{layer}', start, plan)
    found.append(task.accuracy(kept['logits']))
  return found


def _report(
  inputs: Inputs,
  recorder: Recorder,
  base: np.ndarray,
  copied: np.ndarray,
) -> None:
  """Writes the report of accuracies ``[R]`` and ``[R, kinds, layers]``."""
  config, net, task, layers = inputs

  def by_kind(of: Callable[[np.ndarray], np.ndarray]) -> dict[str, list[float]]:
    return {
      kind: [float(of(base)), *map(float, of(copied[:, i]))]
      for i, kind in enumerate(_KINDS)
    }

  lines = by_kind(lambda values: values.mean(0))
  spread = by_kind(lambda values: values.std(0))
  x = ('none', *layers)
  recorder.report(
    f'Transferability of the layers of {net.arch}',
    f'Accuracy on {len(task.test_labels)} test images of {task.name} (B), with '
    f'{config.per_class} images of each class to learn from, by the last layer '
    f'that is copied: from the network itself after it learned B (BnB) or from '
    f'{config.net.weights} (AnB), frozen, or tuned (+). Learned whole, B has '
    f'{base.mean():.1%}; by the test images layers of A are worth most up to '
    f'{x[int(np.argmax(lines["AnB"]))]} if frozen '
    f'({max(lines["AnB"]):.1%}), and {x[int(np.argmax(lines["AnB+"]))]} if '
    f'tuned ({max(lines["AnB+"]):.1%}).',
    [
      Figure(
        'accuracy',
        'Accuracy by the last layer that is copied from the network itself '
        '(BnB) or from another (AnB), frozen or tuned (+)',
        plots.curves({task.name: lines}, x, 'last copied layer', 'accuracy'),
      ),
      Table(
        'accuracy_table',
        'Accuracy, and its deviation over the repeats',
        ['last copied layer', *lines, *(f'{kind} deviation' for kind in lines)],
        [
          [name, *(v[i] for v in (*lines.values(), *spread.values()))]
          for i, name in enumerate(x)
        ],
      ),
    ],
  )
