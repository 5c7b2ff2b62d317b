"""Photos painted by a trained image transformation network."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from vizlab import generate, nets, render
from vizlab.nets.layers import ConditionalInstanceNorm
from vizlab.runs.inputs import load_net, picture_paths, read_picture
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import amounts, listed, need_not_negative
from vizlab_experiments.shared.painting import GRID, paint, painted

__all__ = ['prepare', 'run']

_LEAST = 16  # pixels of the shorter side
_SHOWN = 480  # pixels of the longer side in the report


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network.
    sources: The photos.
    styles: Shares of the network's styles, of each picture of a photo; ``None``
      for a network of a single style.
  """

  config: ConfigDict
  net: nets.Network
  sources: Sequence[str]
  styles: Sequence[np.ndarray | None]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs; every picture can be decoded."""
  need_not_negative(config, 'border')
  if config.size < _LEAST:
    raise ValueError(
      f'config.size: got {config.size}, expected at least {_LEAST}'
    )
  net = load_net(config)
  if net.ops[-1].name != 'image':
    raise ValueError(
      f'config.net.weights: {net.arch} ends with {net.ops[-1].name!r}, '
      "expected a network whose last layer is 'image', such as fast_style"
    )
  styles = _styles(config, net)
  sources = picture_paths(config, 'images')
  for source in sources:
    read_picture('images', source, shorter=config.size)
  return Inputs(config, net, sources, styles)


def _styles(
  config: ConfigDict, net: nets.Network
) -> Sequence[np.ndarray | None]:
  """The mixture that is asked for, or else each style of the network alone."""
  several = [op for op in net.ops if isinstance(op, ConditionalInstanceNorm)]
  count = several[0].styles if several else 0
  if net.spec.shape[-1] != 3 + count:
    raise ValueError(
      f'config.net.weights: {net.arch} reads {net.spec.shape[-1]} channels, '
      'expected a network that paints images'
    )
  shares = amounts(config, 'shares') if listed(config.shares) else ()
  if shares and len(shares) != count:
    expected = f'one for each of its {count} styles' if count else 'none'
    raise ValueError(
      f'config.shares: got {len(shares)} for {config.net.weights}, expected '
      f'{expected}'
    )
  if shares and not sum(shares):
    raise ValueError(f'config.shares: got {shares}, expected some above 0')
  if shares:
    return [np.array(shares, np.float32)]
  return [*np.eye(count, dtype=np.float32)] if count else [None]


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Paints each picture, and writes it as a PNG."""
  config, net, sources, styles = inputs
  rows, lines = [], []
  for i, source in enumerate(sources):
    image = read_picture('images', source, shorter=config.size)
    rows.append([render.to_uint8(image)])
    for s, style in enumerate(styles):
      # Numbered, as two photos may have one name.
      name = f'{i:03d}_{pathlib.Path(source.removeprefix("sample:")).stem}'
      name += f'_{s}' if len(styles) > 1 else ''
      made = recorder.once(
        name, functools.partial(_painted, config, net, image, style)
      )
      picture = render.to_uint8(made['image'])
      recorder.picture(name, picture)
      rows[-1].append(picture)
      height, width = image.shape[:2]
      lines.append(
        [
          name,
          f'{width} x {height}',
          float(made['seconds']),
          float(made['grid']),
          float(made['border']),
        ]
      )
  recorder.report(
    f'Photos painted by {config.net.weights}',
    'Each in one pass. The grid is how much stronger the frequencies of a mesh '
    'of 4 pixels are than those beside them; 1 means that there is none. The '
    'border is how much more the picture changes at its edges than inside if '
    'the photo is not continued beyond them; 1 means no more.',
    [
      Figure(
        'painted',
        'Photos, and what the network makes of them',
        render.table(
          rows,
          ['photo', *['painted'] * len(styles)],
          [''] * len(rows),
          _SHOWN,
          PAGE,
        ),
      ),
      Table(
        'pictures',
        'Pictures',
        ['picture', 'pixels', 'seconds', 'grid', 'border'],
        lines,
      ),
    ],
  )
  results = {'pictures': len(lines)}
  for i, name in ((3, 'grid'), (4, 'border')):
    known = [line[i] for line in lines if np.isfinite(line[i])]
    if known:
      results[name] = float(np.mean(known))
  return results


def _painted(
  config: ConfigDict,
  net: nets.Network,
  image: np.ndarray,
  style: np.ndarray | None,
) -> dict[str, np.ndarray]:
  """The picture, the seconds of a pass, and its artefacts."""
  made = painted(net, image, config.border, style)
  grid, contrast = np.nan, np.nan
  if min(image.shape[:2]) >= 6 * GRID:  # six periods of the grid
    x = made['image']
    alone = paint(net, image, border=0, style=style)
    grid = np.asarray(generate.grid_energy(x, GRID))
    contrast = np.asarray(generate.border_contrast(alone, x))
  return {**made, 'grid': grid, 'border': contrast}
