"""Grand tour through the last layers of a network, as a page."""

import json
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import io, nets, probes
from vizlab.runs import files, plots, stopping
from vizlab.runs.inputs import check_layers, layer_info, load_classifier
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table, template
from vizlab.runs.settings import listed, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.classes import class_names
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)
from vizlab_experiments.shared.layouts import pooled

__all__ = ['prepare', 'run']

_PAGE = pathlib.Path(__file__).parents[1] / 'shared/tour_pages/index.html'
_DIGITS = 3  # of the numbers in the page
_FRAMES = 4  # of each layer in the report


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  layers: tuple[str, ...]
  names: list[str]
  labelled: LabelledImages


class Toured(NamedTuple):
  """A layer of the tour.

  Attributes:
    name: Its title.
    axes: Name of each dimension.
    points: Data, ``[N, D]``, about 1 in size in the pictures.
    frames: ``[T, D, 2]``.
  """

  name: str
  axes: list[str]
  points: np.ndarray
  frames: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'components', 'turns', 'steps', 'batch')
  if config.components < 3:
    raise ValueError(
      f'config.components: got {config.components}, expected at least 3'
    )
  net = load_classifier(config)
  layers = tuple(listed(config.layers))
  check_layers(net, 'layers', layers)
  if not layers:
    raise ValueError('config.layers: got none, expected some')
  labelled = load_labelled_images(config, net, objects=1)
  if len(labelled.images) < 3:
    name = 'photos' if config.photos else 'scenes'
    raise ValueError(
      f'config.{name}: got {len(labelled.images)} pictures, expected at least 3'
    )
  for name in layers:
    width = layer_info(net, name).shape[-1]
    if width < 3:
      raise ValueError(
        f'config.layers: {name!r} has {width} dimensions, expected at least 3'
      )
  return Inputs(config, net, layers, class_names(config, net), labelled)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Reads the layers and writes the page of the tour."""
  config, net, layers, names, labelled = inputs

  @jax.jit
  def read(net: nets.Network, x: Array) -> dict[str, Array]:
    _, acts = net(x)
    return {name: pooled(acts[name]) for name in layers}

  def some(rows: slice) -> dict[str, np.ndarray]:
    found = read(net, labelled.images[rows])
    return {name: np.asarray(value) for name, value in found.items()}

  features = recorder.in_parts(
    'features', len(labelled.images), config.batch, some
  )
  recorder.arrays('features', **features)
  key = jax.random.key(config.seed)
  toured = [
    _toured(inputs, name, features[name], jax.random.fold_in(key, i))
    for i, name in enumerate(layers)
  ]
  recorder.arrays('frames', **{each.name: each.frames for each in toured})
  labels = labelled.targets[:, 0]
  shown = np.unique(labels)
  summary = (
    f'{len(labels)} pictures in the last layers of {net.arch}: each layer '
    f'turns through its dimensions, at most {config.components}. Drag the end '
    'of an axis to turn it, click a class to hide it.'
  )
  _write_page(inputs, recorder, toured, labels, summary)
  axes = {each.name: len(each.axes) for each in toured}
  recorder.report(
    f'Grand tour through {", ".join(layers)} of {net.arch}',
    f'{summary} The page is {files.SITE}/index.html in the work directory.',
    [
      *(
        Figure(each.name, f'Moments of {each.name}',
               _moments(each, labels, names))
        for each in toured
      ),
      Table('layers', 'Layers', ['layer', 'dimensions'],
            list(map(list, axes.items()))),
    ],
  )  # fmt: skip
  return {
    'pictures': len(labels),
    'classes': len(shown),
    'frames': len(toured[0].frames),
    **{f'apart/{each.name}': _apart(each.points, labels) for each in toured},
  }


def _toured(
  inputs: Inputs, name: str, features: np.ndarray, key: Array
) -> Toured:
  """A layer by its classes, or by its principal components if it has more."""
  config, net, _, names, _ = inputs
  last = name == net.ops[-1].name
  if last and features.shape[1] <= config.components:
    points, axes = features - features.mean(0), list(names)
  else:
    count = min(config.components, *features.shape)
    points = probes.principal(features, count)
    axes = [f'{i + 1}' for i in range(count)]
  frames = probes.grand_tour(
    key, len(axes), turns=config.turns, steps=config.steps
  )
  # Nearly all points of all pictures lie in the unit disc.
  some = frames[:: max(1, len(frames) // 50)]
  reach = np.percentile(np.linalg.norm(points @ some, axis=-1), 99.5)
  points = points / (reach if reach > 0 else 1)
  return Toured(name, axes, points.astype(np.float32), frames)


def _apart(points: np.ndarray, labels: np.ndarray) -> float:
  """Share of the spread that is between the classes."""
  kinds = np.unique(labels)
  means = np.stack([points[labels == kind].mean(0) for kind in kinds])
  counts = np.array([(labels == kind).sum() for kind in kinds])
  centre = points.mean(0)
  between = (counts * np.square(means - centre).sum(1)).sum()
  return float(between / max(np.square(points - centre).sum(), 1e-12))


def _moments(each: Toured, labels: np.ndarray, names: list[str]) -> np.ndarray:
  """The points at some moments of the tour."""
  moments = np.linspace(0, len(each.frames) - 1, _FRAMES, dtype=int)
  kinds, ranks = np.unique(labels, return_inverse=True)
  of_ranks = [names[k] for k in kinds]
  pictures = [
    plots.scatter(each.points @ each.frames[t], ranks, of_ranks)
    for t in moments
  ]
  return np.concatenate(pictures, 1)


def _write_page(
  inputs: Inputs,
  recorder: Recorder,
  toured: list[Toured],
  labels: np.ndarray,
  summary: str,
) -> None:
  names = inputs.names
  kinds = np.unique(labels)
  colours = (255 * plots.label_colours(np.arange(len(kinds)))).astype(int)
  data = {
    'layers': [
      {
        'name': each.name,
        'axes': each.axes,
        'points': np.round(each.points, _DIGITS).tolist(),
        'frames': np.round(each.frames, 2 * _DIGITS).tolist(),
      }
      for each in toured
    ],
    'labels': np.searchsorted(kinds, labels).tolist(),
    'names': [names[k] for k in kinds],
    'colours': [f'rgb({r},{g},{b})' for r, g, b in colours],
  }
  page = template(_PAGE, {}).render(
    title=f'Grand tour of {inputs.net.arch}',
    summary=summary,
    # No "</script>" in a name may end the script.
    data=json.dumps(data).replace('<', '\\u003c'),
  )
  with stopping.writing():
    io.write_text(recorder.workdir / files.SITE / 'index.html', page)
