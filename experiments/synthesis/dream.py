"""DeepDream: pictures that grow what a layer sees in them, and a zoom."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import io, nets, render, synthesis
from vizlab.objectives import Objective, channel, guide, layer_energy, score
from vizlab.runs import stopping
from vizlab.runs.inputs import (
  check_layers,
  layer_info,
  load_net,
  read_picture,
)
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  as_flag,
  listed,
  named,
  need_not_negative,
  need_positive,
  numbers,
)
from vizlab.types import Array, ScoreFn

__all__ = ['prepare', 'run']

NOISE = 'noise'


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  layers: tuple[str, ...]
  picture: np.ndarray
  score_fns: dict[str, ScoreFn]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'octaves', 'steps', 'size', 'rate', 'guides')
  need_positive(config, 'frame_octaves', 'frame_steps', 'levels')
  need_not_negative(config, 'frames', 'tile', 'jitter', 'seed')
  for name in ('zoom', 'scale'):
    if not config[name] > 1:
      raise ValueError(
        f'config.{name}: got {config[name]}, expected more than 1'
      )
  if config.guide and config.channels:
    raise ValueError(
      f'config.guide: got {config.guide} and config.channels '
      f'{as_flag(config.channels)!r}, expected one of them'
    )
  net = load_net(config)
  layers = listed(config.layers)
  check_layers(net, 'layers', layers)
  if not layers:
    raise ValueError('config.layers: got none, expected some')
  picture = _start(config)
  with named(x='size', layer='layers'):
    score_fns = {layer: _score_fn(config, net, layer) for layer in layers}
    _check_tile(config, score_fns)
    _check_octaves(config, picture, score_fns)
  return Inputs(config, net, layers, picture, score_fns)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Dreams and writes the pictures."""
  config, net, layers, picture, score_fns = inputs
  found, lines = {}, []
  read = jax.jit(lambda score_fn, x: score_fn(x))
  for layer, score_fn in (bar := tqdm(score_fns.items())):
    bar.set_description(f'dreaming {layer}')
    found[layer] = recorder.once(
      f'dream_{layer}',
      lambda score_fn=score_fn: {'image': _dream(config, score_fn, picture, 0)},
    )['image']
    ends = (float(read(score_fn, x)) for x in (picture, found[layer]))
    lines.append([layer, *ends])
    recorder.picture(f'dream_{layer}', render.to_uint8(found[layer]))
  frames = _zoom(config, recorder, score_fns[layers[-1]], found[layers[-1]])
  parts = [
    Figure(
      'dreams',
      f'{config.image} and what the layers make of it',
      render.table(
        [[render.to_uint8(x) for x in (picture, *found.values())]],
        ['picture', *layers],
        [''],
        320,
      ),
    )
  ]
  if frames:
    every = max(1, len(frames) // 8)
    parts.append(
      Figure(
        'zoom',
        f'Every {every} frames of the zoom into {layers[-1]}; zoom.gif has all',
        render.grid([[render.resize(f, 160) for f in frames[::every]]]),
      )
    )
  recorder.report(
    f'Dreams of {net.arch}',
    f'{config.octaves} octaves of {config.steps} steps.',
    [*parts, Table('scores', 'The score', ['layer', 'before', 'after'], lines)],
  )
  return {
    f'{when}/{layer}': value
    for layer, *ends in lines
    for when, value in zip(('before', 'after'), ends, strict=True)
  }


def _check_octaves(
  config: ConfigDict, picture: np.ndarray, score_fns: dict[str, ScoreFn]
) -> None:
  """Raises a `ValueError` unless all read the smallest octave."""
  size, *_ = synthesis.octave_sizes(
    *picture.shape[:2], config.octaves, config.scale
  )
  smallest = jax.ShapeDtypeStruct((*size, 3), np.float32)
  for score_fn in score_fns.values():
    jax.eval_shape(score_fn, smallest)


def _check_tile(config: ConfigDict, score_fns: dict[str, ScoreFn]) -> None:
  tile = jax.ShapeDtypeStruct((config.tile, config.tile, 3), np.float32)
  for score_fn in score_fns.values() if config.tile else ():
    try:
      jax.eval_shape(score_fn, tile)
    except ValueError as error:
      raise ValueError(f'config.tile: got {config.tile}; {error}') from error


def _start(config: ConfigDict) -> np.ndarray:
  if config.image != NOISE:
    return read_picture('image', config.image, shorter=config.size)
  # As strong at every scale: white noise is grey when it is shrunk, and a
  # dream of an early layer finds nothing to grow from.
  draw = np.random.default_rng(config.seed).normal
  size = (config.size, config.size, 3)
  total = np.zeros(size, np.float32)
  for i in range(config.octaves):
    side = max(1, round(config.size / config.scale**i))
    part = draw(size=(side, side, 3)).astype(np.float32)
    total += np.asarray(jax.image.resize(part, size, 'linear'))
  return np.clip(0.5 + 0.1 * total / total.std(), 0, 1)


def _score_fn(config: ConfigDict, net: nets.Network, layer: str) -> ScoreFn:
  """The layer's energy, chosen channels of it, or the guide's features."""
  with named(power='power'):
    objective: Objective = layer_energy(layer, config.power)
  if config.channels:
    info = layer_info(net, layer)
    channels = numbers(config, 'channels', info.shape[-1])
    if not channels:
      raise ValueError(
        f'config.channels: got {as_flag(config.channels)!r}, expected numbers'
      )
    objective = channel(layer, channels[0])
    for k in channels[1:]:
      objective = objective + channel(layer, k)
  elif config.guide:
    picture = read_picture('guide', config.guide, shorter=config.size)
    a = np.asarray(jax.jit(lambda net, x: net(x)[1][layer])(net, picture))
    if a.ndim != 3:
      raise ValueError(f'config.layers: {layer} gives no map to be guided by')
    vectors = a.reshape(-1, a.shape[-1])
    chosen = np.random.default_rng(config.seed).permutation(len(vectors))
    objective = guide(layer, vectors[chosen[: config.guides]])
  score_fn = score(net, objective)
  score_fn(jnp.full((1, 64, 64, 3), 0.5))  # raises if it cannot be read
  return (
    synthesis.mean_over_tiles(score_fn, config.tile)
    if config.tile
    else score_fn
  )


def _dream(
  config: ConfigDict, score_fn: ScoreFn, x: np.ndarray, frame: int
) -> np.ndarray:
  key = jax.random.fold_in(jax.random.key(config.seed), frame)
  dream = synthesis.dream(
    score_fn,
    x,
    key,
    octaves=config.octaves if frame == 0 else config.frame_octaves,
    scale=config.scale,
    steps=config.steps if frame == 0 else config.frame_steps,
    jitter=config.jitter,
    optimizer=Partial(_ascent(config.levels), config.rate),
  )
  for end in dream:
    jax.block_until_ready(end)
    stopping.check()
  return np.asarray(end)


@functools.cache  # the same function is the same program
def _ascent(levels: int) -> Callable[[Any], Any]:
  return functools.partial(synthesis.ascent, levels=levels)


def _zoom(
  config: ConfigDict, recorder: Recorder, score_fn: ScoreFn, x: np.ndarray
) -> Sequence[np.ndarray]:
  """Frames of a zoom into a dream, each dreamed on; also as a GIF."""
  frames = []
  zoom = jax.jit(synthesis.zoom, static_argnums=1)
  for i in tqdm(range(config.frames), 'zooming', disable=not config.frames):

    def next_frame(x: Array = x, i: int = i) -> dict[str, np.ndarray]:
      start = np.asarray(zoom(jnp.asarray(x), config.zoom))
      return {'image': _dream(config, score_fn, start, i + 1)}

    x = recorder.once(f'frame_{i:04d}', next_frame)['image']
    frames.append(render.to_uint8(x))
  if frames:
    with stopping.writing():
      io.write_gif(recorder.workdir / 'zoom.gif', frames)
  return frames
