"""Sanity checks: does a map change when the net forgets what it learned?"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import nets, render
from vizlab.runs import plots
from vizlab.runs.inputs import load_other
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import need_positive
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)
from vizlab_experiments.shared.methods import (
  METHODS,
  Explaining,
  load_explaining,
)
from vizlab_experiments.shared.sanity_checks import (
  MEASURES,
  Checker,
  check,
  edge_map,
  layer_order,
)

__all__ = ['prepare', 'run']

# A map that is as alike as this, on average by SSIM, has hardly moved.
MOVED = 0.5


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  explaining: Explaining
  labelled: LabelledImages
  other: nets.Network | None


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'batch')
  explaining = load_explaining(config)
  labelled = load_labelled_images(config, explaining.net)
  other = None
  if config.random_labels:
    other = load_other(config, 'random_labels', config.random_labels)
  if other is not None and other.arch != explaining.net.arch:
    raise ValueError(
      f'config.random_labels: {config.random_labels} is a {other.arch}, '
      f"expected a {explaining.net.arch}, or '' for none"
    )
  return Inputs(config, explaining, labelled, other)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Checks every method of the config and writes who passed."""
  config, explaining, labelled, other = inputs
  net, methods, options, left_out = explaining
  checked = {}
  for name in (bar := tqdm(methods)):
    bar.set_description(f'checking {name}')
    checker = Checker(name, options, net, config.batch, recorder)
    compute = functools.partial(check, config, checker, other, labelled)
    checked[name] = recorder.once(f'checked_{name}', compute)
  order = layer_order(net)
  verdicts = {name: _verdict(found) for name, found in checked.items()}
  recorder.report(
    f'Sanity checks of attribution methods with {net.arch}',
    _summary(order, other is not None) + left_out,
    [
      _passed(verdicts, checked),
      _edges(checked),
      _curves(checked, 'cascading', order),
      _curves(checked, 'independent', order),
      _pictures(checked, order, labelled),
    ],
  )
  return {
    f'{check}/{name}': value
    for name, verdict in verdicts.items()
    for check, value in verdict.items()
  }


def _verdict(found: Mapping[str, np.ndarray]) -> dict[str, float]:
  """SSIM with the top half of the net forgotten, and between the two nets."""
  half = len(found['cascading']) // 2
  verdict = {'parameters': float(found['cascading'][half, 0])}
  if 'labels' in found:
    verdict['labels'] = float(found['labels'][0])
  return verdict


def _summary(order: Sequence[str], labels: bool) -> str:
  half = order[len(order) // 2]
  text = (
    'A map that explains what a net has learned must change when that is taken '
    'away. Layers are randomised from the classifier downwards (cascading) '
    'and one at a time (independent). A method passes the test of the '
    f'parameters if its maps are less than {MOVED} alike by SSIM, on average, '
    f'once everything from {order[0]} to {half} is random'
  )
  if labels:
    text += (
      '; and that of the labels if so alike are the maps of this net and of '
      'one that learned random labels by heart, each for the class that it '
      'names'
    )
  return text + '.'


def _passed(
  verdicts: Mapping[str, Mapping[str, float]],
  checked: Mapping[str, Mapping[str, np.ndarray]],
) -> Table:
  rows = []
  for name, verdict in verdicts.items():
    words = [
      f'{"passed" if value < MOVED else "FAILED"} (SSIM {value:.2f})'
      for value in verdict.values()
    ]
    rows.append([name, *words, float(checked[name]['control'][0])])
  checks = next(iter(verdicts.values()))
  return Table(
    'passed',
    'Which methods passed. The last column is how alike the maps of two '
    'pictures are: where it is as high, a method fails because its maps are '
    'mostly empty, and the other two measures tell more',
    ['method', *checks, 'of another picture'],
    rows,
  )


def _edges(checked: Mapping[str, Mapping[str, np.ndarray]]) -> Table:
  rows = [
    [name, *map(float, found['edges'])] for name, found in checked.items()
  ]
  return Table(
    'edges',
    'How alike each method, on the trained net, is to an edge detector, which '
    'knows nothing of any net',
    ['method', *MEASURES],
    rows,
  )


def _curves(
  checked: Mapping[str, Mapping[str, np.ndarray]],
  kind: str,
  order: Sequence[str],
) -> Figure:
  panels = {
    measure: {
      name: [1.0, *found[kind][:, i]] for name, found in checked.items()
    }
    for i, measure in enumerate(MEASURES)
  }
  return Figure(
    kind,
    f'How alike the maps stay to those of the trained net, {kind}',
    plots.curves(panels, ['trained', *order], 'randomised layer'),
  )


def _pictures(
  checked: Mapping[str, Mapping[str, np.ndarray]],
  order: Sequence[str],
  labelled: LabelledImages,
) -> Figure:
  image = labelled.images[0]
  rows = [
    [
      METHODS[name].show(map_, image)
      for map_ in (found['trained'], *found['cascading_maps'])
    ]
    for name, found in checked.items()
  ]
  rows.append(
    [render.to_uint8(image), render.heat(np.asarray(edge_map(image[None])[0]))]
  )
  return Figure(
    'maps',
    'The first picture while more and more layers are randomised; below, the '
    'picture and its edges',
    render.table(
      rows,
      ['trained', *(f'.. {name}' for name in order)],
      [*checked, 'edges'],
      112,
    ),
  )
