"""Attacks side by side: what each changes, and what the net then says."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import adversarial, nets, render
from vizlab.runs.inputs import load_classifier, picture_paths, read_square
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  each_of,
  listed,
  need_not_negative,
  need_positive,
)
from vizlab.types import Array
from vizlab_experiments.shared.classes import chosen_classes, class_names

__all__ = ['prepare', 'run']

ATTACKS = (
  'fgsm',
  'pgd',
  'pgd_l2',
  'apgd',
  'square',
  'square_l2',
  'deepfool',
  'carlini_wagner',
  'fmn',
)

_SHOWN_TIMES = 10  # the perturbation, in the pictures


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network that is attacked.
    names: Names of its classes.
    sources: Paths of the images.
    x: The images ``[N, H, W, 3]``.
    attacks: Names of the attacks.
    target: Class that they lead to; ``None`` for any other.
  """

  config: ConfigDict
  net: nets.Network
  names: Sequence[str]
  sources: Sequence[str]
  x: np.ndarray
  attacks: tuple[str, ...]
  target: int | None


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'steps', 'squares')
  need_not_negative(config, 'epsilon', 'l2')
  attacks = listed(config.attacks)
  if not attacks:
    raise ValueError(f'config.attacks: got none, expected some of {[*ATTACKS]}')
  each_of('config.attacks', attacks, ATTACKS)
  net = load_classifier(config)
  names = class_names(config, net)
  targets = chosen_classes('config.target', listed(config.target), names)
  if len(targets) > 1:
    raise ValueError(f'config.target: got {config.target}, expected one class')
  if targets and 'deepfool' in attacks:
    raise ValueError(
      'config.attacks: got deepfool with a target, expected attacks that lead '
      'to a class'
    )
  sources = picture_paths(config, 'images')
  x = np.stack([read_square('images', s, net.spec.size) for s in sources])
  target = targets[0] if targets else None
  return Inputs(config, net, names, sources, x, attacks, target)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Attacks each image in each way and shows what it took."""
  config, net, x = inputs.config, inputs.net, jnp.asarray(inputs.x)
  predict = jax.jit(lambda net, x: jax.nn.softmax(net(x)[0]))
  clean = np.asarray(predict(net, x))
  label = jnp.asarray(clean.argmax(-1), jnp.int32)
  attacked = {
    name: recorder.once(name, functools.partial(_attacked, inputs, name, label))
    for name in inputs.attacks
  }
  after = {
    name: np.asarray(predict(net, jnp.asarray(each['projected'])))
    for name, each in attacked.items()
  }
  recorder.report(
    f'Attacks on {net.arch}',
    f'Within L-inf balls of {config.epsilon:.4f} or L2 balls of {config.l2:g}, '
    'or as near as an attack could come. Intensities are in [0, 1]; one step '
    'of an 8-bit picture is 0.004.',
    [
      *(_pictures(inputs, i, attacked, clean, after) for i in range(len(x))),
      Table(
        'attacks',
        'What each attack did',
        [
          'image', 'attack', 'success', 'was', 'is', 'probability',
          'largest change', 'L2 distance', 'shown to the net',
        ],
        _rows(inputs, attacked, clean, after),
      ),
    ],
  )  # fmt: skip
  results = {}
  for name, each in attacked.items():
    fooled = each['success'] & ~each['already']
    results[f'{name}_success'] = float(each['success'].mean())
    if fooled.any():
      far = _l2(each['projected'] - inputs.x)[fooled]
      results[f'{name}_l2'] = float(np.median(far))
  return results


def _attacked(inputs: Inputs, name: str, label: Array) -> dict[str, np.ndarray]:
  """Result of an attack on all images."""
  config, net, target = inputs.config, inputs.net, inputs.target
  x, key = jnp.asarray(inputs.x), jax.random.key(config.seed)
  score_fn = (
    adversarial.mislead(net, label)
    if target is None
    else adversarial.lead(net, target)
  )
  ball, l2 = {'epsilon': config.epsilon}, {'epsilon': config.l2, 'norm': 'l2'}
  steps = {'steps': config.steps}
  attacks: dict[str, Callable[[], adversarial.Attacked]] = {
    'fgsm': lambda: adversarial.fgsm(score_fn, x, **ball),
    'pgd': lambda: adversarial.pgd(score_fn, x, key, **ball, **steps),
    'pgd_l2': lambda: adversarial.pgd(score_fn, x, key, **l2, **steps),
    'apgd': lambda: adversarial.apgd(score_fn, x, key, **ball, **steps),
    'square': lambda: adversarial.square(
      score_fn, x, key, **ball, steps=config.squares
    ),
    'square_l2': lambda: adversarial.square(
      score_fn, x, key, **l2, steps=config.squares
    ),
    'deepfool': lambda: adversarial.deepfool(net, x, label),
    'carlini_wagner': lambda: adversarial.carlini_wagner(score_fn, x, **steps),
    'fmn': lambda: adversarial.fmn(score_fn, x, **steps),
  }
  result = attacks[name]()
  return {
    field: np.asarray(getattr(result, field))
    for field in ('projected', 'success', 'queries', 'already')
  }


def _l2(delta: np.ndarray) -> np.ndarray:
  return np.sqrt(np.square(delta).sum((1, 2, 3)))


def _pictures(
  inputs: Inputs,
  i: int,
  attacked: dict[str, dict[str, np.ndarray]],
  clean: np.ndarray,
  after: dict[str, np.ndarray],
) -> Figure:
  """One image under all attacks."""
  names, x = inputs.names, inputs.x[i]
  grey = np.full_like(x, 0.5)
  rows, titles = [[x, grey]], [_said(names, clean[i])]
  for name, each in attacked.items():
    image = each['projected'][i]
    changed = np.clip(0.5 + _SHOWN_TIMES * (image - x), 0, 1)
    rows.append([image, changed])
    titles.append(f'{name}\n{_said(names, after[name][i])}')
  source = str(inputs.sources[i]).split('/')[-1]
  return Figure(
    f'image_{i}',
    f'{source}: what the net is shown, and the change ten times as strong',
    render.table(
      [[*map(render.to_uint8, row)] for row in rows],
      ['shown', 'change'],
      titles,
      min(224, x.shape[0] + 64),
    ),
  )


def _said(names: Sequence[str], p: np.ndarray) -> str:
  return f'{names[p.argmax()]}\n{p.max():.0%}'


def _rows(
  inputs: Inputs,
  attacked: dict[str, dict[str, np.ndarray]],
  clean: np.ndarray,
  after: dict[str, np.ndarray],
) -> list[list[Any]]:
  rows = []
  for i, source in enumerate(inputs.sources):
    for name, each in attacked.items():
      delta = each['projected'][i] - inputs.x[i]
      said = after[name][i]
      rows.append(
        [
          str(source).split('/')[-1],
          name,
          bool(each['success'][i]),
          inputs.names[clean[i].argmax()],
          inputs.names[said.argmax()],
          float(said.max()),
          float(np.abs(delta).max()),
          float(_l2(delta[None])[0]),
          int(each['queries'][i]),
        ]
      )
  return rows
