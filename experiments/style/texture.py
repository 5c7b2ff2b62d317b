"""Textures from their statistics: by the depth of layers, by their number."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import evaluate, nets, render, style
from vizlab.image import colour, statistics
from vizlab.objectives import Score
from vizlab.runs.inputs import layer_info, picture_paths, read_picture
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_positive
from vizlab.types import Net
from vizlab_experiments.shared.styling import Job, sizes

__all__ = ['prepare', 'run']


class Model(NamedTuple):
  """Statistics that a texture matches: a column of the sheet.

  Attributes:
    layers: Names of the layers.
    components: How many principal components of each; 0 for all channels.
    count: Numbers in the Gram matrices.
  """

  layers: tuple[str, ...]
  components: int
  count: int


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  job: Job
  layers: tuple[str, ...]
  models: list[Model]
  names: Sequence[str]
  pictures: list[np.ndarray]
  start: Callable[[tuple[int, int]], np.ndarray]
  where: list[tuple[int, int]]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  wanted, names = _parsed(config.models), picture_paths(config, 'images')
  if not wanted:
    raise ValueError('config.models: got none, expected some')
  layers = tuple(dict.fromkeys(k for some, _ in wanted for k in some))
  job = Job(config, {'models': layers})
  need_positive(config, 'weight')
  models = [
    Model(some, components, _count(job.net, some, components))
    for some, components in wanted
  ]
  pictures = [
    read_picture('images', name, shorter=config.size, crop=config.size)
    for name in names
  ]
  where = sizes(config, config.size, config.size)
  start = functools.partial(style.noise, jax.random.key(config.seed))
  for model in models:
    job.check(_score_at(job, pictures[0], model), start, where)
  return Inputs(config, job, layers, models, names, pictures, start, where)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Makes the textures and writes the sheet."""
  config, job, layers, models, names, pictures, start, where = inputs
  rows, lines, found = [], [], {}
  for i, (name, picture) in enumerate(zip(names, pictures, strict=True)):
    row = [render.to_uint8(picture)]
    for k, model in enumerate(models):
      score_at = _score_at(job, picture, model)
      key = f'{k}_{model.layers[-1]}_{model.count}'
      made = job.coarse_to_fine(
        recorder, f'texture_{i}_{key}', score_at, start, where
      )[-1]
      row.append(render.to_uint8(made.images))
      judged = _judged(job.reader, layers, picture, made.images)
      found |= {f'{i}/{key}/{name}': v for name, v in judged.items()}
      ends = [-float(v) for v in made.ends]
      lines.append([name, _label(model), *ends, *judged.values()])
    rows.append(row)
  recorder.report(
    f'Textures by {job.net.arch}',
    f'From noise, {config.steps} steps of {config.optimizer} at each of '
    f'{config.octaves} sizes; the statistic is {config.statistic}.',
    [
      Figure(
        'textures',
        'The original, and textures by the deepest layer that is matched and '
        'the number of statistics',
        render.table(
          rows,
          ['original', *map(_label, models)],
          [name.split('/')[-1].split(':')[-1] for name in names],
          min(256, config.size),
        ),
      ),
      Table(
        'distances',
        'The loss, and how far texture and original are: the Grams of all '
        'layers as a share of their size; features of grey-level '
        'co-occurrence, 0 to 1; the radial power spectrum in decibel',
        ['picture', 'model', 'start', 'end', 'Grams', 'GLCM', 'spectrum'],
        lines,
      ),
    ],
  )
  return found


def _parsed(models: str) -> list[tuple[tuple[str, ...], int]]:
  """Layers and components of ``a,b; a,b:20``."""
  found = []
  for model in filter(str.strip, models.split(';')):
    layers, _, components = model.partition(':')
    digits = components.strip() or '0'
    if not digits.isdigit() or not listed(layers):
      raise ValueError(
        f'config.models: got {model.strip()!r}, expected layers and '
        "a number of components, as in 'relu1_1,pool1:20'"
      )
    found.append((listed(layers), int(digits)))
  return found


def _count(net: nets.Network, layers: tuple[str, ...], components: int) -> int:
  """Number of entries of the Gram matrices of layers."""
  widths = [layer_info(net, layer).shape[-1] for layer in layers]
  counts = [min(n, components or n) for n in widths]
  return sum(n * (n + 1) // 2 for n in counts)


def _label(model: Model) -> str:
  return f'{model.layers[-1]}, {model.count:,}'


def _score_at(
  job: Job, picture: np.ndarray, model: Model
) -> Callable[[tuple[int, int]], Score]:
  net = style.texture_net(job.reader, picture, model.layers, model.components)

  def score_at(size: tuple[int, int]) -> Score:
    loss = style.texture_loss(
      net, picture, size, model.layers, statistic=job.config.statistic
    )
    return job.minimise(job.config.weight * loss, net)

  return score_at


def _judged(
  net: Net, layers: tuple[str, ...], picture: np.ndarray, image: np.ndarray
) -> dict[str, float]:
  """Distances of two textures, by the network and two without one."""
  found = _apart(net, layers, image, picture)
  return {name: float(value) for name, value in found.items()}


@functools.partial(jax.jit, static_argnums=1)
def _apart(
  net: Net, layers: tuple[str, ...], x: jax.Array, y: jax.Array
) -> dict[str, jax.Array]:
  ours, others = (net(v)[1] for v in (x, y))
  grams = [
    jnp.linalg.norm(a - b) / jnp.linalg.norm(b)
    for a, b in (
      (statistics.gram(ours[k]), statistics.gram(others[k])) for k in layers
    )
  ]
  grey = [colour.grey(v) for v in (x, y)]
  return {
    'grams': sum(grams) / len(grams),
    'glcm': evaluate.co_occurrence_distance(*grey),
    'spectrum': evaluate.spectrum_distance(*grey),
  }
