"""Style transfer by the depth of the style and the weight of the content."""

from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from vizlab import render
from vizlab.runs.inputs import read_picture
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_positive
from vizlab_experiments.shared.styling import Job, read_styles
from vizlab_experiments.shared.transfers import Transfer, check_settings

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  layers: tuple[str, ...]
  ratios: tuple[float, ...]
  picture: np.ndarray
  painted: list[np.ndarray]
  transfer: Transfer


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  check_settings(config)
  need_positive(config, 'beta')
  layers, ratios = listed(config.style_layers), config.ratios
  if not ratios or not min(ratios) >= 0:
    raise ValueError(
      f'config.ratios: got {ratios}, expected some numbers of 0 or more'
    )
  job = Job(
    config,
    {'content_layer': [config.content_layer], 'style_layers': layers},
  )
  picture = read_picture('content', config.content, shorter=config.size)
  painted = read_styles(config, config.size)
  transfer = Transfer(job, picture, painted)
  transfer.check()
  return Inputs(config, layers, ratios, picture, painted, transfer)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Makes all pictures and writes the sheet."""
  config, layers, ratios, picture, painted, transfer = inputs
  rows, lines, found = [], [], {}
  for depth in range(1, len(layers) + 1):
    some, row = layers[:depth], []
    for ratio in ratios:
      image, made = transfer.paint(
        recorder,
        f'grid_{some[-1]}_{ratio:g}',
        ratio * config.beta,
        style_layers=some,
      )
      parts = transfer.parts(made[-1].images)
      row.append(render.to_uint8(image))
      lines.append([some[-1], f'{ratio:g}', *parts.values()])
      found |= {f'{some[-1]}/{ratio:g}/{k}': v for k, v in parts.items()}
    rows.append(row)
  recorder.report(
    f'{config.content} in the style of {", ".join(listed(config.styles))}',
    f'{config.steps} steps of {config.optimizer}, {config.net.weights}.',
    [
      Figure(
        'grid',
        'Rows: the style is matched up to this layer. Columns: the weight of '
        'the content as a multiple of that of the style.',
        render.table(
          rows,
          [f'{ratio:g}' for ratio in ratios],
          [*layers],
          min(256, config.size),
        ),
      ),
      Figure(
        'pictures',
        'The content and the style',
        render.table(
          [[render.to_uint8(x) for x in (picture, *painted)]],
          ['content', *['style'] * len(painted)],
          [''],
          min(256, config.size),
        ),
      ),
      Table(
        'losses',
        'The parts of the loss in the end; the style of all layers',
        ['up to', 'ratio', 'content', 'style'],
        lines,
      ),
    ],
  )
  return found
