"""Linear probes of the layers of networks, on several tasks."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import nets
from vizlab.runs import plots
from vizlab.runs.inputs import check_layers, load_net
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import amounts, listed, need_positive
from vizlab_experiments.shared.features import probe_arrays, read_features
from vizlab_experiments.shared.fine_tuning import check_net, check_size
from vizlab_experiments.shared.judged_nets import with_others
from vizlab_experiments.shared.tasks import (
  Task,
  balanced,
  load_task,
  task_key,
)

__all__ = ['prepare', 'run']

_UNTRAINED = 2  # use of random numbers


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    networks: The networks, by title.
    layers: Names of the layers.
    tasks: The tasks.
    decays: Weights of the squared weights that are tried.
  """

  config: ConfigDict
  networks: dict[str, nets.Network]
  layers: tuple[str, ...]
  tasks: tuple[Task, ...]
  decays: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'positions', 'batch')
  decays = np.array(amounts(config, 'decays'), np.float32)
  if not decays.min() > 0:
    raise ValueError(
      f'config.decays: got {config.decays}, expected numbers above 0'
    )
  layers, names = tuple(listed(config.layers)), listed(config.tasks)
  if not layers or not names:
    name = 'tasks' if layers else 'layers'
    raise ValueError(f'config.{name}: got none, expected at least one')
  net = load_net(config)
  networks = with_others(config, net, 'untrained')
  if config.untrained:
    check_net(net, random=True)
    key = task_key(config, _UNTRAINED)
    networks['untrained'] = nets.untrained(net, key=key)
  for each in networks.values():
    check_layers(each, 'layers', layers)
  tasks = tuple(
    load_task(config, 'tasks', name, net.spec.size) for name in names
  )
  for task in tasks:
    balanced(config, task, config.per_class)
    for each in networks.values():
      check_size(each, task)
  return Inputs(config, networks, layers, tasks, decays)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Fits and tests a probe for each network, task and layer."""
  _, networks, layers, tasks, _ = inputs
  accuracy = {
    task.name: {
      title: [task.accuracy(found[f'{layer}/logits']) for layer in layers]
      for i, title in enumerate(networks)
      for found in [_probed(inputs, recorder, i, task)]
    }
    for task in tasks
  }
  _report(inputs, recorder, accuracy)
  return {
    f'{task}/{title}/{layer}': value
    for task, lines in accuracy.items()
    for title, values in lines.items()
    for layer, value in zip(layers, values, strict=True)
  }


def _probed(
  inputs: Inputs, recorder: Recorder, number: int, task: Task
) -> dict[str, np.ndarray]:
  """Logits of the test images by the best probe of each layer."""
  config, networks, layers, _, decays = inputs
  title, net = [*networks.items()][number]
  name = f'{task.name}_{number}'

  def features(part: str, images: np.ndarray) -> dict[str, np.ndarray]:
    return read_features(
      recorder,
      f'{name}/{part}',
      net,
      images,
      layers,
      positions=config.positions,
      batch=config.batch,
    )

  def make() -> Mapping[str, np.ndarray]:
    rows = balanced(config, task, config.per_class)
    fitted, held = (
      features(part, task.images[at])
      for part, at in zip(('fitted', 'held'), rows, strict=True)
    )
    test = features('test', task.test_images)

    def probed(layer: str) -> dict[str, np.ndarray]:
      read = fitted[layer], held[layer], test[layer]
      found = probe_arrays(task, rows, read, decays=decays)
      return {f'{layer}/{key}': value for key, value in found.items()}

    arrays = {}
    for i, layer in enumerate(tqdm(layers, desc=f'{task.name}/{title}')):
      one = functools.partial(probed, layer)
      arrays |= recorder.part(f'{name}/probes', slice(i, i + 1), one)
    return arrays

  return recorder.once(name, make)


def _report(
  inputs: Inputs,
  recorder: Recorder,
  accuracy: dict[str, dict[str, list[float]]],
) -> None:
  config, networks, layers, tasks, _ = inputs
  first = next(iter(networks))
  best = {
    task: layers[int(np.argmax(lines[first]))]
    for task, lines in accuracy.items()
  }
  recorder.report(
    f'Linear probes of {networks[first].arch}',
    f'Accuracy of linear classifiers of each layer, fitted to '
    f'{config.per_class} images of each class (a fifth of them to choose the '
    'decay), on test images, the mean over the classes; of maps, means '
    f'over {config.positions} x {config.positions} bins. Best for {first}, by '
    'them: '
    + ', '.join(f'{layer} for {task}' for task, layer in best.items())
    + '. By chance: '
    + ', '.join(f'{1 / task.classes:.1%} of {task.name}' for task in tasks)
    + '.',
    [
      Figure(
        'accuracy',
        'Accuracy by layer',
        plots.curves(accuracy, layers, 'layer', 'accuracy'),
      ),
      *(
        Table(
          task,
          f'Accuracy on {task}',
          ['layer', *networks],
          [
            [layer, *(values[i] for values in lines.values())]
            for i, layer in enumerate(layers)
          ],
        )
        for task, lines in accuracy.items()
      ),
    ],
  )
