"""A new painting from a painting, its regions, and a new layout of them."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import render, style
from vizlab.data.scenes import scenes
from vizlab.image.filters import resize
from vizlab.objectives import Score
from vizlab.runs.inputs import read_picture
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.styling import Job, losses, sizes

__all__ = ['prepare', 'run']

# Colours of a mask that cover less than this share of it are its edges.
_LEAST = 0.005
# How far a colour may be from that of its region, in steps of 256.
_NEAR = 96


class Painting(NamedTuple):
  """A painting, and regions ``[H, W, R]`` of it and of the new one."""

  image: np.ndarray
  own: np.ndarray
  wanted: np.ndarray


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  job: Job
  painting: Painting
  score_at: Callable[[tuple[int, int]], Score]
  start: Callable[[tuple[int, int]], np.ndarray]
  where: list[tuple[int, int]]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  job = Job(config, {'layers': listed(config.layers)})
  need_positive(config, 'weight')
  given = [config[name] for name in ('style', 'style_mask', 'target_mask')]
  if any(given) and not all(given):
    raise ValueError(
      f'config.style, config.style_mask, config.target_mask: got {given}, '
      'expected all three, or none for a scene'
    )
  painting = _read(config) if config.style else _scenes(config)
  height, width = painting.wanted.shape[:2]
  scale = config.size / min(height, width)
  where = sizes(config, round(height * scale), round(width * scale))
  score_at = functools.partial(_score_at, job, painting)
  start = functools.partial(_start, config, painting)
  job.check(score_at, start, where)
  return Inputs(config, job, painting, score_at, start, where)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Paints and writes the report."""
  config, job, painting, score_at, start, where = inputs
  found = job.coarse_to_fine(recorder, 'doodle', score_at, start, where)
  image = render.to_uint8(found[-1].images)
  recorder.picture('doodle', image)
  count = painting.own.shape[-1]
  recorder.report(
    f'A doodle after {config.style or "a scene"}',
    f'{count} regions, {config.steps} steps of {config.optimizer} at each of '
    f'{config.octaves} sizes, {config.net.weights}.',
    [
      Figure(
        'pictures',
        'The painting and its regions; the new layout, and the new painting',
        render.table(
          [
            [
              render.to_uint8(painting.image),
              _coloured(painting.own),
              _coloured(painting.wanted),
              image,
            ]
          ],
          ['painting', 'its regions', 'wanted', 'new'],
          [''],
          min(384, max(image.shape)),
        ),
      ),
      *job.strip(recorder, 'doodle', where),
      Table(
        'regions',
        'Share of the picture',
        ['region', 'in the painting', 'wanted'],
        [
          [r + 1, *(float(m[..., r].mean()) for m in painting[1:])]
          for r in range(count)
        ],
      ),
      losses(where, found),
    ],
  )
  first, last = (-float(v) for v in found[-1].ends)
  return {'regions': count, 'start': first, 'end': last}


def _score_at(job: Job, painting: Painting, size: tuple[int, int]) -> Score:
  loss = style.doodle_loss(
    job.reader,
    painting.image,
    painting.own,
    painting.wanted,
    size,
    listed(job.config.layers),
    statistic=job.config.statistic,
  )
  return job.minimise(job.config.weight * loss)


def _start(
  config: ConfigDict, painting: Painting, size: tuple[int, int]
) -> Array:
  """Each region in random pixels of its own, of the painting at that size."""
  share = size[0] / painting.wanted.shape[0]
  return style.doodle_start(
    jax.random.key(config.seed),
    *(style.shrink(x, share) for x in (painting.image, painting.own)),
    resize(painting.wanted, size),
  )


def _read(config: ConfigDict) -> Painting:
  image, own, wanted = (
    read_picture(name, config[name])
    for name in ('style', 'style_mask', 'target_mask')
  )
  if image.shape != own.shape:
    raise ValueError(
      f'config.style_mask: got {own.shape[:2]} pixels, expected those of '
      f'config.style, {image.shape[:2]}'
    )
  colours = _main_colours('style_mask', own)
  for colour in _main_colours('target_mask', wanted):
    apart = np.abs(colours - colour).sum(-1)
    if apart.min() > _NEAR:
      raise ValueError(
        f'config.target_mask: got the colour {_named(colour)}, expected those '
        f'of config.style_mask: {", ".join(map(_named, colours))}'
      )
  return Painting(image, _regions(own, colours), _regions(wanted, colours))


def _main_colours(name: str, mask: np.ndarray) -> np.ndarray:
  """The colours ``[R, 3]``, 0 to 255, of all but the edges of regions.

  Colours near a more frequent one are of its region: files lose some of them.
  """
  pixels = render.to_uint8(mask).reshape(-1, 3).astype(int)
  found, counts = np.unique(pixels, axis=0, return_counts=True)
  main, most = [], counts.sum()
  while counts.size and counts.max() >= _LEAST / 8 * most:
    colour = found[counts.argmax()]
    near = np.abs(found - colour).sum(-1) <= _NEAR
    if counts[near].sum() >= _LEAST * most:
      main.append(colour)
    found, counts = found[~near], counts[~near]
  if not main:
    raise ValueError(f'config.{name}: got no colour that covers a region')
  return np.array(main)


def _regions(mask: np.ndarray, colours: np.ndarray) -> np.ndarray:
  """One-hot masks of the nearest colour: ``[H, W, R]``."""
  pixels = render.to_uint8(mask).astype(int)
  nearest = np.abs(pixels[:, :, None] - colours).sum(-1).argmin(-1)
  return np.eye(len(colours), dtype=np.float32)[nearest]


def _named(colour: np.ndarray) -> str:
  return '#' + ''.join(f'{int(part):02x}' for part in colour)


def _coloured(regions: np.ndarray) -> np.ndarray:
  """Regions in colours that tell them apart."""
  count = regions.shape[-1]
  hues = np.arange(count)[:, None] / count + np.array([0, 1 / 3, 2 / 3])
  colours = 0.5 + 0.45 * np.cos(2 * np.pi * hues)
  return render.to_uint8(regions @ colours)


def _scenes(config: ConfigDict) -> Painting:
  """A scene as the painting, and where another has its objects."""
  drawn = scenes(
    jax.random.key(config.seed), 2, objects=2, size=max(96, config.size)
  )
  objects = np.moveaxis(np.asarray(drawn.masks), 1, -1)
  ground = 1 - objects.max(-1, keepdims=True)
  regions = np.concatenate([ground, objects], -1).astype(np.float32)
  return Painting(np.asarray(drawn.image[0]), *regions)
