"""Atlas of a layer: what it sees in many images, averaged on a map."""

import functools
import json
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from vizlab import io, nets, probes
from vizlab.runs import files, plots, stopping
from vizlab.runs.inputs import load_classifier
from vizlab.runs.optimization import check
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table, template
from vizlab.runs.settings import named, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.classes import class_names
from vizlab_experiments.shared.icons import check_icons, icon_problem, icons
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.layouts import (
  METHODS,
  check_method,
  in_the_plane,
)
from vizlab_experiments.shared.methods import chosen_layer

__all__ = ['prepare', 'run']

_PAGE = pathlib.Path(__file__).parents[1] / 'shared/atlas_pages/index.html'


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  info: nets.LayerInfo
  names: list[str]
  images: Images


class Cells(NamedTuple):
  """Cells of the map that hold enough images.

  Attributes:
    places: Row and column of each, ``[N, 2]``.
    vectors: Mean activation, ``[N, C]``.
    counts: Images in it, ``[N]``.
    classes: The class to whose logit it contributes most, ``[N]``.
    shares: Share of its images in which that is the most probable class.
  """

  places: np.ndarray
  vectors: np.ndarray
  counts: np.ndarray
  classes: np.ndarray
  shares: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need('sklearn', 'lays the activations out')
  need_positive(config, 'grid', 'least', 'batch')
  check_icons(config)
  net = load_classifier(config)
  info = chosen_layer(config, net)
  names = class_names(config, net)
  images = load_images(config, net.spec.size)
  if len(images) < 2 or info.shape[-1] < 2:
    raise ValueError(
      f'config.scenes, config.photos, config.layer: got {len(images)} pictures '
      f'and {info.shape[-1]} channels, expected at least 2 of each'
    )
  if config.least > len(images):
    raise ValueError(
      f'config.least: got {config.least}, expected at most the {len(images)} '
      'pictures'
    )
  check_method(config, len(images))
  with named(x='size', shape='size'):
    check(*icon_problem(config, net, info.name, np.ones((1, info.shape[-1]))))
  return Inputs(config, net, info, names, images)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Lays the activations out, and makes an image for each cell."""
  config, net, info, names, images = inputs
  seen = recorder.in_parts(
    'activations', len(images), config.batch, functools.partial(_seen, inputs)
  )
  recorder.arrays('activations', **seen)
  places = recorder.once(
    'map', lambda: {'places': _laid_out(config, seen['acts'])}
  )['places']
  cells = _cells(config, seen, places)
  recorder.arrays('cells', **cells._asdict())
  if not len(cells.counts):
    raise ValueError(
      f'config.least: got {config.least}, but no cell holds as many of the '
      f'{len(images)} pictures; lower it, or config.grid'
    )
  made = icons(recorder, 'icons', config, net, info.name, cells.vectors)
  sheet = _sheet(config, cells, made)
  summary = (
    f'Activations of {info.name} at a random place of {len(images)} pictures, '
    f'laid out by {METHODS[config.method]} and averaged in '
    f'{len(cells.counts)} cells of a grid; each image excites the mean of its '
    'cell. A cell speaks for the class to whose logit its activations '
    'contribute most.'
  )
  _write_page(inputs, recorder, cells, sheet, summary)
  recorder.report(
    f'Atlas of {info.name} of {net.arch}',
    f'{summary} A page to zoom in is {files.SITE}/index.html in the work '
    'directory.',
    [
      Figure('atlas', 'The atlas', sheet),
      Table(
        'classes',
        'Cells by class',
        ['class', 'cells', 'images'],
        [
          [
            names[k],
            int((cells.classes == k).sum()),
            int(cells.counts[cells.classes == k].sum()),
          ]
          for k in np.unique(cells.classes)
        ],
      ),  # fmt: skip
    ],
  )
  return {
    'cells': len(cells.counts),
    'images': int(cells.counts.sum()),
    'classes': len(np.unique(cells.classes)),
    'share': float(cells.shares.mean()),
  }


def _seen(inputs: Inputs, rows: slice) -> dict[str, np.ndarray]:
  """Activations at a random place of each image, and their contribution."""
  config, net, info, _, images = inputs
  at = np.arange(rows.start, rows.stop)
  found = _at_random(
    net, images[rows], jax.random.key(config.seed), at, info.name
  )
  names = 'acts', 'targets', 'contributions'
  return dict(zip(names, map(np.asarray, found), strict=True))


@functools.partial(jax.jit, static_argnames='layer')
def _at_random(
  net: nets.Network, x: Array, key: Array, at: Array, layer: str
) -> tuple[Array, Array, Array]:
  """Activations ``[B, C]``, classes ``[B]``, contributions to all ``[B, K]``.

  Each image has a place of its own, whichever batch it is in.
  """
  logits, acts = net(x)
  act = acts[layer]
  batch, height, width, _ = act.shape
  place = jax.vmap(
    lambda i: jax.random.randint(
      jax.random.fold_in(key, i), (), 0, height * width
    )
  )(at)
  there = jax.nn.one_hot(place, height * width, dtype=act.dtype)
  there = there.reshape(batch, height, width, 1)
  own = (act * there).sum((1, 2))
  return own, logits.argmax(-1), probes.contributions(net, layer, there, x)


def _laid_out(config: ConfigDict, acts: np.ndarray) -> np.ndarray:
  """Places ``[N, 2]`` of activations in the unit square."""
  places = in_the_plane(config, acts)
  # Outliers do not make the cells of all others small.
  low, high = np.percentile(places, [1, 99], axis=0)
  scaled = (places - low) / np.where(high > low, high - low, 1)
  return np.clip(scaled, 0, 1).astype(np.float32)


def _cells(
  config: ConfigDict, seen: dict[str, np.ndarray], places: np.ndarray
) -> Cells:
  at = np.minimum((places * config.grid).astype(int), config.grid - 1)
  index = at[:, 1] * config.grid + at[:, 0]
  rows = []
  for i in np.flatnonzero(np.bincount(index) >= config.least):
    own = index == i
    best = int(seen['contributions'][own].sum(0).argmax())
    rows.append(
      (
        divmod(int(i), config.grid),
        seen['acts'][own].mean(0),
        own.sum(),
        best,
        (seen['targets'][own] == best).mean(),
      )
    )
  if not rows:
    return Cells(*(np.zeros(0) for _ in Cells._fields))
  return Cells(*(np.array(column) for column in zip(*rows, strict=True)))


def _sheet(config: ConfigDict, cells: Cells, made: np.ndarray) -> np.ndarray:
  side = config.size
  width = config.grid * side
  sheet = np.full((width, width, 3), 255, np.uint8)
  for (row, column), icon in zip(cells.places, made, strict=True):
    y, x = row * side, column * side
    sheet[y : y + side, x : x + side] = icon
  return sheet


def _write_page(
  inputs: Inputs,
  recorder: Recorder,
  cells: Cells,
  sheet: np.ndarray,
  summary: str,
) -> None:
  """Writes a page that zooms, with the class of each cell."""
  config, net, info, names, _ = inputs
  site = recorder.workdir / files.SITE
  told = {
    f'{row},{column}': f'{names[k]}: {count} images, {share:.0%} of this class'
    for (row, column), k, count, share in zip(
      cells.places, cells.classes, cells.counts, cells.shares, strict=True
    )
  }
  page = template(_PAGE, {}).render(
    title=f'Atlas of {info.name} of {net.arch}',
    summary=summary,
    width=sheet.shape[1],
    height=sheet.shape[0],
    side=config.size,
    # No "</script>" in a name may end the script.
    cells=json.dumps(told).replace('<', '\\u003c'),
  )
  picture = Image.fromarray(sheet)
  with stopping.writing():
    io.write_atomic(
      site / 'atlas.jpg', lambda file: picture.save(file, 'JPEG', quality=88)
    )
    io.write_text(site / 'index.html', page)
