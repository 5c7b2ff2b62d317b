"""Photos painted by a trained image transformation network."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from vizlab import generate, nets, render
from vizlab.runs.inputs import load_net, picture_paths, read_picture
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import need_not_negative, need_positive
from vizlab_experiments.shared.painting import painted

__all__ = ['prepare', 'run']

_SHOWN = 480  # pixels of the longer side in the report


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  sources: Sequence[str]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs; every picture can be decoded."""
  need_positive(config, 'size')
  need_not_negative(config, 'border')
  net = load_net(config)
  if net.ops[-1].name != 'image':
    raise ValueError(
      f'config.net.weights: {net.arch} ends with {net.ops[-1].name!r}, '
      "expected a network whose last layer is 'image', such as fast_style"
    )
  sources = picture_paths(config, 'images')
  for source in sources:
    read_picture('images', source, shorter=config.size)
  return Inputs(config, net, sources)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Paints each picture, and writes it as a PNG."""
  config, net, sources = inputs
  names = _names(sources)
  rows, lines = [], []
  for source, name in zip(sources, names, strict=True):
    image = read_picture('images', source, shorter=config.size)
    made = recorder.once(name, functools.partial(_painted, config, net, image))
    picture = render.to_uint8(made['image'])
    recorder.picture(name, picture)
    rows.append([render.to_uint8(image), picture])
    height, width = image.shape[:2]
    lines.append(
      [
        source,
        f'{width} x {height}',
        float(made['seconds']),
        float(made['grid']),
        float(made['border']),
      ]
    )
  recorder.report(
    f'Photos painted by {config.net.weights}',
    'Each in one pass. The grid is the energy at the frequencies of a '
    'checkerboard of 4 pixels over that around them, about 1 if there is none; '
    'the border is how far the picture changes there, over inside, if nothing '
    'continues the photo.',
    [
      Figure(
        'painted',
        'Photos, and what the network makes of them',
        render.table(
          rows, ['photo', 'painted'], [''] * len(rows), _SHOWN, PAGE
        ),
      ),
      Table(
        'Pictures', ['photo', 'pixels', 'seconds', 'grid', 'border'], lines
      ),
    ],
  )
  return {
    'pictures': len(rows),
    'grid': float(np.mean([line[3] for line in lines])),
    'border': float(np.mean([line[4] for line in lines])),
  }


def _names(sources: Sequence[str]) -> list[str]:
  """A file name for each picture, numbered if two have the same."""
  stems = [
    pathlib.Path(source.removeprefix('sample:')).stem for source in sources
  ]
  return [
    stem if stems.count(stem) == 1 else f'{stem}_{i}'
    for i, stem in enumerate(stems)
  ]


def _painted(
  config: ConfigDict, net: nets.Network, image: np.ndarray
) -> dict[str, np.ndarray]:
  """The picture, the seconds of a pass, and its artefacts."""
  made = painted(net, image, config.border)
  grid, contrast = np.nan, np.nan
  if min(image.shape[:2]) > 16:  # else it has no inside
    x = made['image']
    alone = painted(net, image, 0)['image']
    grid = np.asarray(generate.grid_energy(x, 4))
    contrast = np.asarray(generate.border_contrast(alone, x))
  return {**made, 'grid': grid, 'border': contrast}
