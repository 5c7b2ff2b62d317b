"""Inversion of layers: images with the same activations as a picture."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from ml_collections import ConfigDict

from vizlab import nets, render, synthesis
from vizlab.image import colour, descriptors
from vizlab.runs.inputs import (
  check_layers,
  load_net,
  picture_paths,
  read_square,
)
from vizlab.runs.optimization import check, optimize_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  each_of,
  listed,
  named,
  need_not_negative,
  need_positive,
)
from vizlab.types import Array, Net

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  layers: tuple[str, ...]
  names: Sequence[str]
  strengths: tuple[float, ...]
  pictures: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'steps', 'size', 'seeds')
  need_not_negative(config, 'learning_rate', 'noise', 'patience')
  each_of('config.optimizer', [config.optimizer], OPTIMIZERS)
  net = load_net(config)
  layers = listed(config.layers)
  of_net = [name for name in layers if name not in DESCRIPTORS]
  check_layers(net, 'layers', of_net)
  names, strengths = picture_paths(config, 'images'), tuple(config.tv)
  for name in ('layers', 'tv'):
    if not config[name]:
      raise ValueError(f'config.{name}: got none, expected some by commas')
  if min(strengths) < 0:
    raise ValueError(f'config.tv: got {strengths}, expected 0 or more')
  pictures = np.stack(
    [read_square('images', name, config.size) for name in names]
  )
  for layer in layers:
    reader, images = _representation(net, layer, pictures)
    with named(x='size', image='size'):
      problem = synthesis.inversion(reader, layer, jnp.asarray(images))
      check(problem.score, synthesis.pixels(images), penalty=problem.penalty)
  return Inputs(config, net, layers, names, strengths, pictures)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Inverts every layer of the config and writes the table."""
  config, net, layers, names, strengths, pictures = inputs
  errors, by_pairs, rows = {}, {}, []
  for layer in layers:
    errors[layer], by_pairs[layer], images = _invert(
      config, recorder, net, layer, pictures, strengths
    )
    # The first picture by all strengths, the others by the middle one.
    shown = [*images[:, 0], *images[len(strengths) // 2, 1:]]
    rows.append([_picture(x) for x in shown])
  several = _several(config, recorder, net, layers, pictures[0], strengths)
  firsts = [pictures[0]] * len(strengths) + [*pictures[1:]]
  recorder.report(
    f'{net.arch} inverted',
    'Images whose activations in a layer are those of a picture, after '
    f'{config.steps} steps of {config.optimizer}. Mahendran and Vedaldi divide '
    'the distance of the activations by the mean distance between pairs of '
    'pictures.',
    [
      _table('the size of the activations', strengths, errors),
      *(
        [_table('the mean distance between pictures', strengths, by_pairs)]
        if len(pictures) > 1
        else []
      ),
      Figure(
        'layers',
        'The first picture by weight of total variation, and the others',
        render.table(
          [[render.to_uint8(x) for x in firsts], *rows],
          [
            *(f'TV {tv}' for tv in strengths),
            *(name.split('/')[-1].split(':')[-1] for name in names[1:]),
          ],
          ['picture', *layers],
          min(224, config.size),
        ),
      ),
      Figure(
        'seeds',
        'The first picture from different starts: what differs, a layer has '
        'forgotten',
        render.table(
          several,
          [f'start {i + 1}' for i in range(config.seeds)],
          layers,
          min(192, config.size),
        ),
      ),
    ],
  )
  return {
    f'{layer}/{tv}': 100 * float(e.mean())
    for layer, row in errors.items()
    for tv, e in zip(strengths, row, strict=True)
  }


def _table(
  by: str, strengths: tuple[float, ...], errors: dict[str, np.ndarray]
) -> Table:
  """Mean and deviation over the pictures: a row a layer."""
  return Table(
    'errors',
    f'Error in percent of {by}, mean and deviation over the pictures, by the '
    'weight of total variation',
    ['layer', *map(str, strengths)],
    [
      [layer, *(f'{100 * e.mean():.2f} +- {100 * e.std():.2f}' for e in row)]
      for layer, row in errors.items()
    ],
  )


def _representation(
  net: nets.Network, layer: str, pictures: np.ndarray
) -> tuple[Net, np.ndarray]:
  """The net that gives a layer, and the pictures as it sees them."""
  if layer not in DESCRIPTORS:
    return net, pictures
  images = np.asarray(colour.grey(jnp.asarray(pictures)))[..., None]
  return descriptors.as_net(layer, DESCRIPTORS[layer]), images


def _picture(image: np.ndarray) -> np.ndarray:
  """Picture to show; a single channel is stretched to full contrast."""
  if image.shape[-1] == 3:
    return render.to_uint8(image)
  low, high = np.percentile(image, [0.5, 99.5])
  return render.to_uint8(
    np.repeat((image - low) / max(high - low, 1e-6), 3, axis=-1)
  )


def _invert(
  config: ConfigDict,
  recorder: Recorder,
  net: nets.Network,
  layer: str,
  pictures: np.ndarray,
  strengths: tuple[float, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Errors by both scales, and images: ``[strengths, pictures, ...]``."""
  n = len(pictures)
  reader, pictures = _representation(net, layer, pictures)
  x = jnp.asarray(np.tile(pictures, (len(strengths), 1, 1, 1)))
  tv = np.repeat(np.float32(strengths), n)
  images = _optimize(config, recorder, layer, reader, layer, x, tv)
  error = jax.jit(synthesis.normalised_error, static_argnums=1)
  scales = [None]
  if n > 1:
    distance = jax.jit(synthesis.pair_distance, static_argnums=1)
    scales.append(distance(reader, layer, jnp.asarray(pictures)))
  errors = [
    np.asarray(error(reader, layer, jnp.asarray(images), x, scale=scale))
    for scale in scales
  ]
  first, last = (e.reshape(-1, n) for e in (errors[0], errors[-1]))
  return first, last, images.reshape(-1, n, *images.shape[1:])


def _several(
  config: ConfigDict,
  recorder: Recorder,
  net: nets.Network,
  layers: tuple[str, ...],
  picture: np.ndarray,
  strengths: tuple[float, ...],
) -> list[list[np.ndarray]]:
  """Images from several starts, a row a layer."""
  tv = np.float32(strengths[len(strengths) // 2])
  rows = []
  for layer in layers:
    reader, images = _representation(net, layer, picture[None])
    x = jnp.asarray(np.repeat(images, config.seeds, 0))
    name = f'{layer}_starts'
    images = _optimize(config, recorder, name, reader, layer, x, tv)
    rows.append([_picture(image) for image in images])
  return rows


def _optimize(
  config: ConfigDict,
  recorder: Recorder,
  name: str,
  net: Net,
  layer: str,
  x: Array,
  tv: np.ndarray,
) -> np.ndarray:
  problem = synthesis.inversion(net, layer, x, tv=tv)
  make_optimizer, rate = OPTIMIZERS[config.optimizer]
  made = optimize_resumable(
    recorder,
    name,
    problem.score,
    synthesis.pixels(jnp.full(x.shape, 0.5), noise=config.noise),
    jax.random.key(config.seed),
    steps=config.steps,
    patience=config.patience,
    penalty=problem.penalty,
    optimizer=Partial(make_optimizer, config.learning_rate or rate),
  )
  return np.clip(made.images, 0, 1)


def _momentum(rate: float | Array) -> optax.GradientTransformation:
  return optax.chain(
    synthesis.normalise(), optax.sgd(rate, momentum=0.9), synthesis.project()
  )


def _lbfgs(rate: float | Array) -> optax.GradientTransformation:
  return optax.chain(synthesis.lbfgs(rate, rate), synthesis.project())


# What is not of a net, under the names of `config.layers`. The soft ones: from
# hard histograms no slope tells which way to turn an edge.
DESCRIPTORS = {
  'hog': functools.partial(descriptors.hog, soft=True),
  'signed_hog': functools.partial(
    descriptors.hog, bins=18, signed=True, soft=True
  ),
  'sift': descriptors.sift,
}

# How steps are taken, and the learning rate that suits it.
OPTIMIZERS = {
  'adam': (optax.adam, 0.02),
  'lbfgs': (_lbfgs, 0.05),
  'momentum': (_momentum, 0.0005),
}
