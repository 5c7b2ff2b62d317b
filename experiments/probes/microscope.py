"""Microscope of a network: a static site with a page for each unit.

Several processes share the units out (see `vizlab.runs.distributed`).
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import nets, render
from vizlab.runs import distributed, files, stopping
from vizlab.runs.inputs import check_layers, load_classifier
from vizlab.runs.optimization import check
from vizlab.runs.recorder import Recorder, flat
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  listed,
  named,
  need_not_negative,
  need_positive,
  numbers,
)
from vizlab_experiments.shared.classes import class_names
from vizlab_experiments.shared.images import load_images
from vizlab_experiments.shared.microscope import Layer, write_index
from vizlab_experiments.shared.surveys import (
  Survey,
  check_top,
  rectified,
  survey,
)
from vizlab_experiments.shared.unit_maker import (
  AT_ONCE,
  THUMBNAIL,
  Subject,
  UnitMaker,
  image_problem,
)

__all__ = ['SHARED', 'prepare', 'run']

# Several processes may work on one run.
SHARED = True

_SHOWN = 12  # units of a layer in the report
_NOTHING = np.full((8, 8, 3), 255, np.uint8)


def prepare(config: ConfigDict) -> Subject:
  """Reads and checks the inputs."""
  need_positive(config, 'size', 'steps', 'learning_rate', 'batch')
  need_not_negative(config, 'diverse', 'diversity', 'links')
  net = load_classifier(config)
  chosen = listed(config.layers)
  check_layers(net, 'layers', chosen)
  chosen = chosen or [*rectified(net), net.ops[-1].name]
  layers = tuple(
    Layer(row, tuple(sorted(chosen_units or range(width))))
    for row in nets.layer_info(net)
    if row.name in chosen
    for width in [row.shape[-1]]
    for chosen_units in [set(numbers(config, 'channels', width))]
  )
  names = class_names(config, net)
  images = load_images(config, net.spec.size)
  check_top(config, images)
  with named(x='size', shape='size'):
    for layer in layers:
      check(
        *image_problem(config, net, layer.info, np.array(layer.numbers[:1]))
      )
  return Subject(config, net, layers, names, images)


def run(inputs: Subject, recorder: Recorder) -> dict[str, Any]:
  """Makes the pages, and a report that shows some of the units."""
  config, net, layers, _, images = inputs
  surveys = survey(
    recorder,
    net,
    [layer.info.name for layer in layers],
    images,
    top=config.top,
    batch=config.batch,
  )
  parts = [
    (at, slice(i, min(i + AT_ONCE, len(layer.numbers))))
    for at, layer in enumerate(layers)
    for i in range(0, len(layer.numbers), AT_ONCE)
  ]
  # That of the layer before is forgotten, with its weights and programs.
  maker = functools.lru_cache(maxsize=1)(
    functools.partial(UnitMaker, inputs, recorder, surveys)
  )

  def name(at: int) -> str:
    return f'units/{flat(layers[at].info.name)}'

  def make(at: int, rows: slice) -> dict[str, np.ndarray]:
    return maker(at).make(rows)  # prepared only where a part is missing

  def share() -> None:
    mine = [parts[k] for k in distributed.mine(len(parts))]
    for at, rows in tqdm(mine, desc='pages', unit=f'{AT_ONCE} units'):
      recorder.part(name(at), rows, functools.partial(make, at, rows))

  distributed.together('pages', share)
  found = [
    recorder.in_parts(
      name(at), len(layer.numbers), AT_ONCE, functools.partial(make, at)
    )
    for at, layer in enumerate(layers)
  ]
  highs = [np.asarray(surveys[v.info.name].activity.high) for v in layers]
  dead = [
    int((high[list(layer.numbers)] <= 0).sum())
    for layer, high in zip(layers, highs, strict=True)
  ]
  write = functools.partial(_write, inputs, recorder, surveys, found, dead)
  distributed.together('index', None if jax.process_index() else write)
  return {
    'units': sum(len(layer.numbers) for layer in layers),
    'dead': sum(dead),
  }


def _write(
  inputs: Subject,
  recorder: Recorder,
  surveys: Mapping[str, Survey],
  found: Sequence[Mapping[str, np.ndarray]],
  dead: Sequence[int],
) -> None:
  """Writes the arrays, the pages of the layers, and the report."""
  config, net, layers, names, images = inputs
  raised = [
    {
      k: ', '.join(names[j] for j in np.argsort(-falls)[:3] if falls[j] > 0)
      for k, falls in zip(layer.numbers, part['ablation'], strict=True)
    }
    for layer, part in zip(layers, found, strict=True)
  ]
  summary = (
    f'Units of {", ".join(v.info.name for v in layers)}: images that excite '
    f'them, and their strongest and weakest of {len(images)} {inputs.kind}.'
  )
  for layer, part in zip(layers, found, strict=True):
    recorder.arrays(
      flat(layer.info.name),
      units=np.array(layer.numbers),
      attribution=part['attribution'],
      ablation=part['ablation'],
      **surveys[layer.info.name].arrays(),
    )
  with stopping.writing():
    write_index(
      recorder.workdir / files.SITE,
      net.arch,
      summary,
      layers,
      [dict(enumerate(inputs.unit_names(at))) for at in range(len(layers))],
      raised,
      dead,
    )
  rows = []
  for part in found:
    pictures = part['thumbnails']
    at = np.linspace(0, len(pictures) - 1, _SHOWN).astype(int)
    chosen = list(pictures[np.unique(at)])
    rows.append(chosen + [_NOTHING] * (_SHOWN - len(chosen)))
  recorder.report(
    f'Microscope of {net.arch}',
    f'{summary} The pages begin at {files.SITE}/index.html in the work '
    'directory.',
    [
      Figure(
        'units',
        'Some units of each layer',
        render.table(
          rows,
          [''] * _SHOWN,
          [layer.info.name for layer in layers],
          THUMBNAIL,
        ),
      ),
      Table(
        'layers',
        'Layers',
        ['layer', 'pages', 'dead'],
        [
          [layer.info.name, len(layer.numbers), count]
          for layer, count in zip(layers, dead, strict=True)
        ],
      ),
    ],
  )
