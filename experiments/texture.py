"""A texture from its statistics: from noise, by the depth of the layers."""

import functools
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments.common import Recorder, load_net
from experiments.report import Figure, Table
from experiments.settings import listed
from experiments.styling import Job, check_settings, noise, sizes
from vizlab import io, nets, render, stats, style
from vizlab.objectives import Objective

__all__ = ['run']


def run(
  config: ConfigDict, workdir: str | os.PathLike, *, overwrite: bool = False
) -> dict[str, Any]:
  """Makes the textures and writes the sheet."""
  recorder = Recorder(workdir, config, overwrite=overwrite)
  if recorder.results is not None:
    return recorder.results
  check_settings(config)
  net = load_net(config.net)
  layers, names = listed(config.layers), listed(config.images)
  nets.check_layers(net, layers)
  for name, some in (('layers', layers), ('images', names)):
    if not some:
      raise ValueError(f'config.{name}: got none, expected some by commas')
  pictures = {
    name: io.read_image(name, shorter=config.size, crop=config.size)
    for name in names
  }
  where = sizes(config, config.size, config.size)
  job = Job(config, recorder, net)
  start = functools.partial(noise, config)
  first = next(iter(pictures.values()))
  job.check(_loss(config, net, first, layers, where[0]), start(where[0]))
  recorder.open()
  rows, lines, found = [], [], {}
  for i, (name, picture) in enumerate(pictures.items()):
    row = [render.to_uint8(picture)]
    for depth in range(1, len(layers) + 1):
      some = layers[:depth]
      loss = functools.partial(_loss, config, net, picture, some)
      made = job(f'texture_{i}_{some[-1]}', loss, start, where)[-1]
      row.append(render.to_uint8(made.images))
      before, after = (-float(v) for v in made.ends)
      apart = _apart(net, picture, made.images, layers)
      found[f'{i}/{some[-1]}'] = apart
      lines.append([name, some[-1], _count(net, some), before, after, apart])
    rows.append(row)
  recorder.report(
    f'Textures by {net.arch}',
    f'From noise, {config.steps} steps of {config.optimizer} at each of '
    f'{config.octaves} sizes; the statistic is {config.statistic}. Each column '
    'matches one layer more.',
    [
      Figure(
        'textures',
        'The original, and textures by the deepest layer that is matched',
        render.table(
          rows,
          ['original', *layers],
          [name.split('/')[-1].split(':')[-1] for name in names],
          min(256, config.size),
        ),
      ),
      Table(
        'The loss, and how far the Grams of all layers are in the end, as a '
        'share of their size',
        ['picture', 'up to', 'numbers', 'start', 'end', 'all Grams'],
        lines,
      ),
    ],
  )
  return recorder.finish(found)


def _loss(
  config: ConfigDict,
  net: nets.Network,
  picture: np.ndarray,
  layers: tuple[str, ...],
  size: tuple[int, int],
) -> Objective:
  seen = jax.image.resize(jnp.asarray(picture), (*size, 3), 'linear')
  make = functools.partial(
    style.style_loss, layers=layers, statistic=config.statistic
  )
  return config.weight * jax.jit(make)(net, seen)


def _count(net: nets.Network, layers: tuple[str, ...]) -> int:
  """How many numbers the Gram matrices of layers are."""
  widths = [row.shape[-1] for row in nets.layers(net) if row.name in layers]
  return sum(n * (n + 1) // 2 for n in widths)


def _apart(
  net: nets.Network,
  picture: np.ndarray,
  image: np.ndarray,
  layers: tuple[str, ...],
) -> float:
  """``||G - G_0|| / ||G_0||`` in the mean over all layers."""

  @jax.jit
  def grams(net: nets.Network, x: jax.Array) -> list[jax.Array]:
    acts = net(x)[1]
    return [stats.gram(acts[layer]) for layer in layers]

  each = [
    jnp.linalg.norm(a - b) / jnp.linalg.norm(b)
    for a, b in zip(grams(net, image), grams(net, picture), strict=True)
  ]
  return float(sum(each) / len(each))
