"""Robust accuracy of nets: curves over epsilon, by net and by attack."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import adversarial, nets
from vizlab.lookup import check_name
from vizlab.runs import plots
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import amounts, need_positive
from vizlab_experiments.shared.judged_nets import load_judged, rows_from

__all__ = ['prepare', 'run']

# What a trial holds for each image, and for each attack and image.
_BY_IMAGE = 'right', 'flat', 'unbounded', 'undefined', 'random'
_BY_ATTACK = 'broken', 'queries'


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    epsilons: Radii, from the least to the greatest.
    judged: The nets, by name.
    images: ``[N, H, W, 3]``.
    labels: int ``[N]``.
  """

  config: ConfigDict
  epsilons: tuple[float, ...]
  judged: dict[str, nets.Network]
  images: np.ndarray
  labels: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'batch', 'steps', 'targets', 'squares')
  check_name('config.norm', config.norm, ('linf', 'l2'))
  epsilons = tuple(sorted(amounts(config, 'epsilons')))
  return Inputs(config, epsilons, *load_judged(config))


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Attacks each net, batch by batch, and draws the curves."""
  accuracies = {}
  for i, (name, net) in enumerate(inputs.judged.items()):
    arrays = recorder.once(
      f'net_{i}', functools.partial(_tried, inputs, recorder, i, net)
    )
    accuracies[name] = adversarial.summary(_trial(arrays), inputs.epsilons)
  _report(inputs, recorder, accuracies)
  return {
    f'{name}_{what}': value
    for name, each in accuracies.items()
    for what, value in (
      ('clean', each.clean),
      ('robust', float(each.robust[-1])),
      ('warnings', len(each.warnings)),
    )
  }


def _tried(
  inputs: Inputs, recorder: Recorder, i: int, net: nets.Network
) -> dict[str, np.ndarray]:
  """Arrays of an `adversarial.Trial`, images first."""
  config = inputs.config
  key = jax.random.key(config.seed)
  batch = min(config.batch, len(inputs.images))

  def one(rows: slice) -> dict[str, np.ndarray]:
    x, label = rows_from(inputs.images, inputs.labels, rows.start, batch)
    result = adversarial.trial(
      net,
      jnp.asarray(x),
      jnp.asarray(label, jnp.int32),
      key,
      epsilon=inputs.epsilons,
      norm=config.norm,
      steps=config.steps,
      targets=config.targets,
      squares=config.squares,
    )
    count = rows.stop - rows.start
    arrays = {'label': label[:count]}
    arrays |= {
      field: np.asarray(getattr(result, field))[:count] for field in _BY_IMAGE
    }
    return arrays | {
      f'{field}/{name}': np.asarray(each).T[:count]
      for field in _BY_ATTACK
      for name, each in getattr(result, field).items()
    }

  return recorder.in_parts(f'net_{i}/images', len(inputs.images), batch, one)


def _trial(arrays: dict[str, np.ndarray]) -> adversarial.Trial:
  parts: dict[str, Any] = {field: arrays[field] for field in _BY_IMAGE}
  for field in _BY_ATTACK:
    parts[field] = {
      name.split('/')[1]: each.T
      for name, each in arrays.items()
      if name.startswith(f'{field}/')
    }
  return adversarial.Trial(**parts)


def _report(
  inputs: Inputs,
  recorder: Recorder,
  accuracies: dict[str, adversarial.RobustAccuracy],
) -> None:
  config, epsilons = inputs.config, [0.0, *inputs.epsilons]

  def from_clean(
    each: adversarial.RobustAccuracy, accuracy: np.ndarray
  ) -> list[float]:
    return [each.clean, *map(float, accuracy)]

  rows = []
  for name, each in accuracies.items():
    for attack, accuracy in each.by_attack.items():
      rows.append([name, attack, *from_clean(each, accuracy)])
    rows.append([name, 'the worst', *from_clean(each, each.robust)])
  recorder.report(
    'Robust accuracy',
    f'Accuracy on {len(inputs.images)} images in the worst case over attacks '
    f'within {config.norm} balls, in intensities of [0, 1]. Empirical: '
    'stronger attacks may find more.',
    [
      Figure(
        'worst',
        'Accuracy in the worst case over all attacks',
        plots.curves(
          {
            'accuracy': {
              name: from_clean(each, each.robust)
              for name, each in accuracies.items()
            }
          },
          epsilons,
          'epsilon',
        ),
      ),
      *(
        Figure(
          f'attacks_{i}',
          f'Accuracy of {name} by attack',
          plots.curves(
            {
              'accuracy': {
                attack: from_clean(each, accuracy)
                for attack, accuracy in each.by_attack.items()
              }
            },
            epsilons,
            'epsilon',
          ),
        )
        for i, (name, each) in enumerate(accuracies.items())
      ),
      Table(
        'accuracy',
        'Accuracy by net, attack and epsilon',
        ['net', 'attack', *(f'{e:.4f}' for e in epsilons)],
        rows,
      ),
      Table(
        'warnings',
        'Warnings: why these figures may promise too much',
        ['net', 'warning'],
        [
          [name, warning]
          for name, each in accuracies.items()
          for warning in each.warnings or ['none']
        ],
      ),
    ],
  )
