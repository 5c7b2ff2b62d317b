"""Nearest neighbours of images, by the features of a layer and by pixels."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes, render
from vizlab.probes.neighbours import METRICS
from vizlab.runs.inputs import (
  check_layers,
  load_net,
  picture_paths,
  read_square,
)
from vizlab.runs.recorder import Recorder, flat
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import each_of, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)

__all__ = ['prepare', 'run']

_Features = Callable[[nets.Network, Array], Array]
_PIXELS = 32  # side to which images are reduced for distances by pixels


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network.
    labelled: The images that are searched.
    queries: Images ``[Q, H, W, 3]``.
    own: int ``[Q]``, index of each query among those searched, or -1.
  """

  config: ConfigDict
  net: nets.Network
  labelled: LabelledImages
  queries: np.ndarray
  own: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'count', 'neighbours', 'batch')
  each_of('config.metric', [config.metric], METRICS)
  net = load_net(config)
  check_layers(net, 'layer', [config.layer])
  labelled = load_labelled_images(config, net)
  count = len(labelled.images)
  if config.images:
    paths = picture_paths(config, 'images')
    read = [read_square('images', path, net.spec.size) for path in paths]
    queries, own = np.stack(read), np.full(len(read), -1)
  else:
    own = np.arange(min(config.count, count))
    queries = labelled.images[own]
  others = count - (not config.images)
  if config.neighbours > others:
    raise ValueError(
      f'config.neighbours: got {config.neighbours}, expected at most the '
      f'{others} other pictures'
    )
  return Inputs(config, net, labelled, queries, own)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Searches by both kinds of features and shows the neighbours."""
  config, net, labelled, queries, own = inputs
  kinds = {
    config.layer: jax.jit(functools.partial(_features, config.layer)),
    'pixels': jax.jit(_pixels),
  }
  neighbours = {
    kind: _neighbours(inputs, recorder, kind, compute)
    for kind, compute in kinds.items()
  }
  agreement = _agreement(labelled.targets, own, neighbours)
  recorder.arrays(
    'neighbours',
    **{
      f'{kind}/{name}': np.asarray(value)
      for kind, each in neighbours.items()
      for name, value in each._asdict().items()
    },
  )
  recorder.report(
    f'Neighbours by {config.layer} of {net.arch}',
    f'The {config.neighbours} nearest of {len(labelled.images)} pictures to '
    f'each query, by the features of {config.layer} ({config.metric} distance) '
    f'and by pixels at {_PIXELS} x {_PIXELS}.' + _in_words(agreement),
    [
      Figure(
        'neighbours',
        'A row for each query, the nearest first',
        _table(queries, labelled.images, neighbours),
      ),
      *_tables(agreement),
    ],
  )
  return {
    **agreement,
    **{
      f'distance/{kind}': float(each.distances[:, 0].mean())
      for kind, each in neighbours.items()
    },
  }


def _neighbours(
  inputs: Inputs, recorder: Recorder, kind: str, compute: _Features
) -> probes.Neighbours:
  """Neighbours of the queries by one kind of features."""
  config, net, labelled, _, own = inputs

  def some(rows: slice) -> dict[str, np.ndarray]:
    return {'features': np.asarray(compute(net, labelled.images[rows]))}

  features = recorder.in_parts(
    f'features/{flat(kind)}', len(labelled.images), config.batch, some
  )['features']
  of_queries = features[own] if own[0] >= 0 else _of_queries(inputs, compute)
  return _search(config, of_queries, features, own)


def _features(layer: str, net: nets.Network, x: Array) -> Array:
  """Features ``[B, C]`` of a layer; of a map, means over its positions."""
  acts = net(x)[1][layer]
  return acts if acts.ndim == 2 else acts.mean((1, 2))


def _pixels(net: nets.Network, x: Array) -> Array:
  """Pixels ``[B, P]`` of reduced images, less their mean."""
  del net
  small = jax.image.resize(x, (len(x), _PIXELS, _PIXELS, 3), 'linear')
  small = small.reshape(len(x), -1)
  return small - small.mean(-1, keepdims=True)


def _of_queries(inputs: Inputs, compute: _Features) -> Array:
  """Features of the queries, batch by batch."""
  size = inputs.config.batch
  return jnp.concatenate(
    [
      compute(inputs.net, inputs.queries[i : i + size])
      for i in range(0, len(inputs.queries), size)
    ]
  )


def _search(
  config: ConfigDict, queries: Array, features: np.ndarray, own: np.ndarray
) -> probes.Neighbours:
  search = jax.jit(probes.nearest, static_argnames='metric')
  nearest = probes.no_neighbours(len(own), config.neighbours)
  for i in range(0, len(features), 1024):
    nearest = search(
      nearest,
      jnp.asarray(queries),
      features[i : i + 1024],
      i,
      metric=config.metric,
      exclude=own,
    )
  return nearest


def _agreement(
  targets: np.ndarray,
  own: np.ndarray,
  neighbours: Mapping[str, probes.Neighbours],
) -> dict[str, float]:
  """Shares of the neighbours that hold the first object of the query.

  Empty for queries whose classes are not known, or that no other picture has.
  """
  if own[0] < 0:
    return {}
  holds = (targets[None] == targets[own, :1, None]).any(-1)  # [Q, N]
  holds[np.arange(len(own)), own] = False
  if not holds.any():
    return {}
  shares = {
    f'agreement/{kind}': float(
      np.take_along_axis(holds, np.asarray(each.indices), 1).mean()
    )
    for kind, each in neighbours.items()
  }
  chance = holds.sum(1) / (len(targets) - 1)
  return {**shares, 'agreement/chance': float(chance.mean())}


def _in_words(agreement: Mapping[str, float]) -> str:
  if not agreement:
    return ''
  layer, pixels, chance = agreement.values()
  return (
    f' {layer:.0%} of the neighbours by features and {pixels:.0%} of those by '
    f'pixels hold the first object of the query; by chance {chance:.0%} do.'
  )


def _tables(agreement: Mapping[str, float]) -> list[Table]:
  if not agreement:
    return []
  rows = [[k.partition('/')[2], v] for k, v in agreement.items()]
  caption = 'Share of neighbours that hold the first object of the query'
  return [Table('agreement', caption, ['by', 'share'], rows)]


def _table(
  queries: np.ndarray,
  images: np.ndarray,
  neighbours: Mapping[str, probes.Neighbours],
) -> np.ndarray:
  count = next(iter(neighbours.values())).indices.shape[1]
  rows = [
    [
      query,
      *(images[i] for each in neighbours.values() for i in each.indices[q]),
    ]
    for q, query in enumerate(queries)
  ]
  columns = ['query']
  for kind in neighbours:
    columns += [f'by {kind}', *(str(i + 1) for i in range(1, count))]
  return render.table(
    [[render.to_uint8(image) for image in row] for row in rows],
    columns,
    [''] * len(rows),
    112,
    PAGE,
  )
