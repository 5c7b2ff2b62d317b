"""Maps of images: a data set laid out by what a layer sees in it."""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes, render
from vizlab.runs import plots
from vizlab.runs.inputs import check_layers, load_net
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import need_positive
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)
from vizlab_experiments.shared.layouts import (
  METHODS,
  check_method,
  in_the_plane,
  pooled,
)

__all__ = ['prepare', 'run']

_NEAR = 10  # neighbours of which trustworthiness and agreement are told
_EDGE = 2  # pixels of a picture's frame


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  labelled: LabelledImages


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need('sklearn', 'lays the pictures out')
  plots.need_matplotlib()
  need_positive(config, 'side', 'batch')
  net = load_net(config)
  check_layers(net, 'layer', [config.layer])
  labelled = load_labelled_images(config, net)
  count = len(labelled.images)
  if count < 2 * _NEAR + 2:
    name = 'photos' if config.photos else 'scenes'
    raise ValueError(
      f'config.{name}: got {count} pictures, expected at least {2 * _NEAR + 2}'
    )
  check_method(config, count)
  return Inputs(config, net, labelled)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Lays the pictures out, as points and on a grid."""
  config, net, labelled = inputs
  images, targets = labelled.images, labelled.targets
  read = jax.jit(lambda net, x: pooled(net(x)[1][config.layer]))
  features = recorder.in_parts(
    'features',
    len(images),
    config.batch,
    lambda rows: {'features': np.asarray(read(net, images[rows]))},
  )['features']
  found = recorder.once('map', lambda: _laid_out(config, features))
  places = found['places']
  trust = float(found['trustworthiness'])
  agreement = {
    'features': _agreement(features, targets),
    'map': _agreement(places, targets),
  }
  ranks = np.unique(targets[:, 0], return_inverse=True)[1]
  colours = (255 * plots.label_colours(ranks)).astype(np.uint8)
  thumbnails = [
    _framed(render.resize(image, config.side), colour)
    for image, colour in zip(images, colours, strict=True)
  ]
  recorder.report(
    f'Map of {len(images)} pictures by {config.layer} of {net.arch}',
    f'Laid out by {METHODS[config.method]}; the frames are coloured by class, '
    'of scenes by the first object. Its trustworthiness '
    f'is {trust:.3f} (1 if the {_NEAR} neighbours in the map are neighbours in '
    f'the layer). {agreement["features"]:.0%} of the {_NEAR} nearest pictures '
    f'in the layer hold the class of a picture, {agreement["map"]:.0%} of '
    'those in the map.',
    [
      Figure('grid', 'On a grid, without overlaps', _grid(places, thumbnails)),
      Figure('points', 'Each at its place', _scattered(places, thumbnails)),
      Table(
        'agreement',
        'The map',
        ['trustworthiness', 'same class in the layer', 'in the map'],
        [[trust, *agreement.values()]],
      ),
    ],
  )
  return {
    'trustworthiness': trust,
    **{f'agreement/{name}': value for name, value in agreement.items()},
  }


def _laid_out(
  config: ConfigDict, features: np.ndarray
) -> dict[str, np.ndarray]:
  """Places ``[N, 2]`` of points, and how far they can be trusted."""
  from sklearn.manifold import trustworthiness

  places = in_the_plane(config, features)
  return {
    'places': np.asarray(places, np.float32),
    'trustworthiness': np.array(
      trustworthiness(features, places, n_neighbors=_NEAR)
    ),
  }


def _agreement(x: np.ndarray, targets: np.ndarray) -> float:
  """Share of the nearest points that hold the first class of a point."""
  square = np.square(x).sum(1)
  away = square[:, None] + square[None] - 2 * x @ x.T
  np.fill_diagonal(away, np.inf)
  near = np.argsort(away, 1)[:, :_NEAR]
  return float((targets[near] == targets[:, :1, None]).any(-1).mean())


def _framed(picture: np.ndarray, colour: np.ndarray) -> np.ndarray:
  framed = np.array(picture)
  for edge in (
    np.s_[:_EDGE], np.s_[-_EDGE:], np.s_[:, :_EDGE], np.s_[:, -_EDGE:]
  ):  # fmt: skip
    framed[edge] = colour
  return framed


def _grid(places: np.ndarray, thumbnails: list[np.ndarray]) -> np.ndarray:
  columns = math.ceil(len(places) ** 0.5)
  rows = -(-len(places) // columns)
  side = len(thumbnails[0])
  sheet = np.full((rows * side, columns * side, 3), 255, np.uint8)
  cells = probes.on_grid(places, rows, columns)
  for (row, column), picture in zip(cells, thumbnails, strict=True):
    y, x = row * side, column * side
    sheet[y : y + side, x : x + side] = picture
  return sheet


def _scattered(places: np.ndarray, thumbnails: list[np.ndarray]) -> np.ndarray:
  """Pictures at their places, on a sheet four times as large as they are."""
  side = len(thumbnails[0])
  width = int(2 * side * len(places) ** 0.5)
  low, high = places.min(0), places.max(0)
  scaled = (places - low) / np.where(high > low, high - low, 1)
  corners = (scaled * (width - side)).astype(int)
  sheet = np.full((width, width, 3), 255, np.uint8)
  for (x, y), picture in zip(corners, thumbnails, strict=True):
    sheet[y : y + side, x : x + side] = picture
  return sheet
