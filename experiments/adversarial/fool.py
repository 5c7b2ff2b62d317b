"""Fooling images: any picture becomes any class, by changes nobody sees."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, render, synthesis
from vizlab.runs import plots, stopping
from vizlab.runs.inputs import (
  load_classifier,
  load_other,
  picture_paths,
  read_square,
)
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import need_positive
from vizlab.types import Array
from vizlab_experiments.shared.classes import chosen_classes, class_names

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  other: nets.Network | None
  names: Sequence[str]
  sources: Sequence[str]
  wanted: Sequence[int]
  x: np.ndarray
  targets: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'steps', 'every', 'rate', 'enough')
  net = load_classifier(config)
  names = class_names(config, net)
  other = None
  if config.other:
    other = load_other(config, 'other', config.other)
  if other is not None and nets.layer_info(other)[-1].shape[-1] != len(names):
    raise ValueError(
      f'config.other: {config.other} has other classes than {net.arch}'
    )
  sources = picture_paths(config, 'images')
  wanted = chosen_classes('config.targets', config.targets, names)
  if not wanted:
    raise ValueError('config.targets: got none, expected some classes')
  pictures = [read_square('images', s, net.spec.size) for s in sources]
  # Every picture to every class.
  x = np.repeat(np.stack(pictures), len(wanted), 0)
  targets = np.tile(np.array(wanted), len(pictures))
  return Inputs(config, net, other, names, sources, wanted, x, targets)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Fools the net with every picture and writes what it took."""
  config, net, other, names, sources, wanted, x, targets = inputs
  made = recorder.once(
    'fooled', lambda: _fool(config, recorder, net, x, targets)
  )
  tell = jax.jit(lambda net, x: jax.nn.softmax(net(x)[0]))
  before, after = (np.asarray(tell(net, v)) for v in (x, made['image']))
  sources = np.repeat(sources, len(wanted))
  lines = _lines(sources, names, targets, x, made, before, after)
  columns = ['picture', 'was', '', 'target', '', 'mean change']
  if other is not None:
    predicted = np.asarray(tell(other, made['image']))
    columns += [f'{other.arch} says', '', f'{other.arch} is fooled']
    for line, row, target in zip(lines, predicted, targets, strict=True):
      line += [
        names[row.argmax()],
        float(row.max()),
        bool(row.argmax() == target),
      ]
  fooled = after.argmax(-1) == targets
  recorder.report(
    f'{net.arch} fooled',
    f'{fooled.sum()} of {len(x)} pictures are taken for their targets, '
    f'after at most {config.steps} steps. The mean change is in intensities '
    'from 0 to 1; one of 0.004 is a single step of an 8-bit picture.',
    [
      _pictures(x, made['image'], names, before, after),
      Figure(
        'curves',
        'The probability of the target, along the steps',
        plots.curves(
          {
            'probability': {
              f'{i + 1}: {names[before[i].argmax()]} to {names[t]}': made[
                'curve'
              ][:, i]
              for i, t in enumerate(targets)
            }
          },
          list(made['step']),
          'step',
        ),
      ),
      Table('fooled', 'What it took', columns, lines),
    ],
  )
  return {
    'fooled': float(fooled.mean()),
    'mean_change': float(np.abs(made['image'] - x).mean()),
    **(
      {}
      if other is None
      else {'other_fooled': float((predicted.argmax(-1) == targets).mean())}
    ),
  }


def _fool(
  config: ConfigDict,
  recorder: Recorder,
  net: nets.Network,
  x: np.ndarray,
  targets: np.ndarray,
) -> dict[str, np.ndarray]:
  """Images ``[N, H, W, 3]`` and the probabilities ``[T, N]`` on the way."""
  steps = np.append(np.arange(0, config.steps, config.every), config.steps)

  def one(rows: slice) -> dict[str, np.ndarray]:
    image, target = jnp.asarray(x[rows]), jnp.asarray(targets[rows])
    curve = [np.asarray(_probability(net, image, target))]
    for now in synthesis.fool(
      net,
      image,
      target,
      enough=config.enough,
      rate=config.rate,
      steps=config.steps,
      chunk=config.every,
    ):
      curve.append(np.asarray(_probability(net, now.image, target)))
      stopping.check()
    # A picture that has enough stays as it is while others change.
    rest = curve[-1:] * (len(steps) - len(curve))
    return {
      'image': np.clip(now.image, 0, 1),
      'points': np.array([len(curve)]),
      'curve': np.stack(curve + rest, 1),
    }

  found = recorder.in_parts('fooled/pictures', len(x), 1, one)
  points = found['points'].max()
  return {
    'image': found['image'],
    'step': steps[:points],
    'curve': found['curve'][:, :points].T,
  }


@jax.jit
def _probability(net: nets.Network, x: Array, targets: Array) -> Array:
  """The probability of each image's class: ``[B]``."""
  p = jax.nn.softmax(net(x)[0])
  return jnp.take_along_axis(p, targets[:, None], -1)[:, 0]


def _lines(
  sources: np.ndarray,
  names: list[str],
  targets: np.ndarray,
  x: np.ndarray,
  made: dict[str, np.ndarray],
  before: np.ndarray,
  after: np.ndarray,
) -> list[list]:
  change = np.abs(made['image'] - x).mean((1, 2, 3))
  return [
    [
      str(source).split('/')[-1],
      names[b.argmax()],
      float(b.max()),
      names[t],
      float(a[t]),
      float(c),
    ]
    for source, b, t, a, c in zip(
      sources, before, targets, after, change, strict=True
    )
  ]


def _pictures(
  x: np.ndarray,
  image: np.ndarray,
  names: list[str],
  before: np.ndarray,
  after: np.ndarray,
) -> Figure:
  rows, titles = [], []
  for old, new, b, a in zip(x, image, before, after, strict=True):
    differences = (np.clip(0.5 + k * (new - old), 0, 1) for k in (1, 10))
    rows.append([render.to_uint8(v) for v in (old, new, *differences)])
    titles.append(f'{names[b.argmax()]}\nto {names[a.argmax()]}\n{a.max():.0%}')
  return Figure(
    'fooled',
    'The picture, what the net is shown, and the difference (grey is none)',
    render.table(
      rows,
      ['picture', 'shown', 'difference', '10 times'],
      titles,
      min(224, x.shape[1] + 64),
    ),
  )
