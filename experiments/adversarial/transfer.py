"""Nets that fool each other: attacks on one, judged by all."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import adversarial, nets, render
from vizlab.objectives import margin, score
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import need_not_negative, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.judged_nets import (
  in_batches,
  known_images,
  load_judged,
)
from vizlab_experiments.shared.labelled_images import other_key

__all__ = ['prepare', 'run']

_ATTACKS = {'pgd': 'attack', 'universal': 'universal perturbation'}
_SHOWN = 3  # images with each universal perturbation
_SHOWN_TIMES = 10  # the perturbation itself


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    judged: The nets, by name.
    images: ``[N, H, W, 3]``.
    labels: int ``[N]``.
    known: Images that the universal perturbation is found with, ``[M, ...]``.
  """

  config: ConfigDict
  judged: dict[str, nets.Network]
  images: np.ndarray
  labels: np.ndarray
  known: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'steps', 'nearest_steps', 'candidates', 'batch')
  need_positive(config, 'universal_steps', 'universal_batch')
  need_not_negative(config, 'epsilon', 'universal_epsilon')
  judged = load_judged(config)
  known = known_images(config, judged.images.shape[1], other_key(config, 0))
  return Inputs(config, *judged, known)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Attacks each net, shows the result to all, and writes the tables."""
  names = [*inputs.judged]
  found = {}
  for i, (name, net) in enumerate(inputs.judged.items()):
    universal = recorder.once(
      f'universal_{i}', functools.partial(_universal, inputs, net)
    )
    found[name] = universal | recorder.once(
      f'net_{i}',
      functools.partial(_attacked, inputs, recorder, i, universal['delta']),
    )
  right = np.stack([each['right'] for each in found.values()], 1)
  tables = {
    attack: np.stack(
      [_fooled(each[f'{attack}/margin'] < 0, right) for each in found.values()]
    )
    for attack in _ATTACKS
  }
  summary = {name: _summary(each) for name, each in found.items()}
  _report(inputs, recorder, found, summary, tables)
  results = {
    f'{name}/{what}': value
    for name, each in summary.items()
    for what, value in each.items()
  }
  for attack, shares in tables.items():
    for i, j in np.ndindex(shares.shape):
      results[f'{attack}/{names[i]}/{names[j]}'] = float(shares[i, j])
  return results


def _universal(inputs: Inputs, net: nets.Network) -> dict[str, np.ndarray]:
  """A perturbation that misleads the net from its own answers.

  Returns:
    ``delta`` ``[H, W, 3]``, and the share of the ``known`` images that it
    misleads.
  """
  config = inputs.config
  predict = jax.jit(lambda net, x: net(x)[0].argmax(-1))
  answers = [
    np.asarray(predict(net, inputs.known[i : i + config.batch]))
    for i in range(0, len(inputs.known), config.batch)
  ]
  found = adversarial.universal(
    net,
    jnp.asarray(inputs.known),
    jnp.asarray(np.concatenate(answers), jnp.int32),
    other_key(config, 1),
    epsilon=config.universal_epsilon,
    steps=config.universal_steps,
    batch=config.universal_batch,
  )
  known = np.asarray(found.success.mean())
  return {'delta': np.asarray(found.delta), 'known': known}


def _attacked(
  inputs: Inputs, recorder: Recorder, i: int, delta: np.ndarray
) -> dict[str, np.ndarray]:
  """Answers of all nets to images that were moved to fool one of them.

  Returns:
    ``right`` ``[N]``, of the net and the images as they are; ``far`` ``[N]``,
    L2 distance of its nearest border, and ``relative`` to the length of the
    image; and for each attack the ``margin`` of the class ``[N, nets]``.
  """
  config, net = inputs.config, list(inputs.judged.values())[i]

  def some(x: Array, label: Array, _: int) -> dict[str, Array]:
    said = _says(net, x)
    near = adversarial.deepfool(
      net,
      x,
      said,
      steps=config.nearest_steps,
      candidates=config.candidates,
    )
    moved = {
      'pgd': adversarial.pgd(
        adversarial.mislead(net, label),
        x,
        other_key(config, 2),
        epsilon=config.epsilon,
        steps=config.steps,
      ).projected,
      'universal': jnp.clip(x + delta[None], 0, 1),
    }
    found = {
      'right': said == label,
      'far': near.distance,
      'relative': near.distance / jnp.sqrt(jnp.square(x).sum((1, 2, 3))),
    }
    for attack, images in moved.items():
      margins = [
        _margin(other, images, label) for other in inputs.judged.values()
      ]
      found[f'{attack}/margin'] = jnp.stack(margins, 1)
    return found

  return in_batches(
    recorder,
    f'net_{i}/batch',
    inputs.images,
    inputs.labels,
    config.batch,
    some,
  )


@jax.jit
def _margin(net: nets.Network, x: Array, label: Array) -> Array:
  return score(net, margin(label))(x)


@jax.jit
def _says(net: nets.Network, x: Array) -> Array:
  return net(x)[0].argmax(-1)


def _fooled(wrong: np.ndarray, right: np.ndarray) -> np.ndarray:
  """Share of the images that each net was right about: ``[nets]``."""
  return (wrong & right).sum(0) / np.maximum(right.sum(0), 1)


def _summary(found: dict[str, np.ndarray]) -> dict[str, float]:
  return {
    'right': float(found['right'].mean()),
    'far': float(found['far'].mean()),
    'relative': float(found['relative'].mean()),
    'known': float(found['known']),
  }


def _report(
  inputs: Inputs,
  recorder: Recorder,
  found: dict[str, dict[str, np.ndarray]],
  summary: dict[str, dict[str, float]],
  tables: dict[str, np.ndarray],
) -> None:
  config, names = inputs.config, [*inputs.judged]
  radii = {'pgd': config.epsilon, 'universal': config.universal_epsilon}
  rows = []
  for each in found.values():
    delta = each['delta']
    row = [np.clip(0.5 + _SHOWN_TIMES * delta, 0, 1)]
    row += [np.clip(x + delta, 0, 1) for x in inputs.images[:_SHOWN]]
    rows.append([render.to_uint8(image) for image in row])
  side = min(224, inputs.images.shape[1] + 64)
  titles = ['ten times'] + [''] * (len(rows[0]) - 1)
  recorder.report(
    'How nets fool each other',
    f'Of {len(inputs.images)} images: those that a net was right about, and '
    'is not any more when they are moved to fool the net of the row. The '
    f'universal perturbations were found with {len(inputs.known)} other '
    'images.',
    [
      Figure(
        'universal',
        f'Universal perturbations within {config.universal_epsilon:.4f}, and '
        'images with them',
        render.table(rows, titles, names, side),
      ),
      *(
        Table(
          attack,
          f'Share that the {text} within {radii[attack]:.4f} fools, by the net '
          'that it was made for (rows) and the one that is shown it',
          ['made for', *names],
          [
            [name, *map(float, shares)]
            for name, shares in zip(names, tables[attack], strict=True)
          ],
        )
        for attack, text in _ATTACKS.items()
      ),
      Table(
        'borders',
        'Share of the images that are right without an attack; the mean '
        'distance of the nearest border by DeepFool, in L2, and relative to '
        'the length of the image; and the share of the known images about '
        'which the universal perturbation changes the net',
        ['net', 'right', 'distance', 'relative distance', 'known'],
        [[name, *each.values()] for name, each in summary.items()],
      ),
    ],
  )
