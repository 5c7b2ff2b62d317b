"""A photo in the style of paintings."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from vizlab import render
from vizlab.image import colour
from vizlab.image.filters import resize
from vizlab.runs.inputs import picture_paths, read_picture
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_not_negative
from vizlab_experiments.shared.styling import Job, losses, read_styles
from vizlab_experiments.shared.transfers import Transfer, check_settings

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  job: Job
  picture: np.ndarray
  painted: list[np.ndarray]
  transfer: Transfer


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  check_settings(config)
  need_not_negative(config, 'alpha')
  if config.alpha == config.beta == 0:
    raise ValueError('config.alpha, config.beta: got 0 and 0, expected more')
  if not config.style_scale > 0:
    raise ValueError(
      f'config.style_scale: got {config.style_scale}, expected more than 0'
    )
  layers = {
    'content_layer': [config.content_layer],
    'style_layers': listed(config.style_layers),
  }
  job = Job(config, layers)
  names = picture_paths(config, 'styles')
  masks = picture_paths(config, 'masks') if config.masks else ()
  for setting, given in (('shares', config.shares), ('masks', masks)):
    if given and len(given) != len(names):
      raise ValueError(
        f'config.{setting}: got {len(given)}, expected one a style, '
        f'{len(names)}'
      )
  picture = read_picture('content', config.content, shorter=config.size)
  painted = read_styles(config, round(config.size * config.style_scale))
  where = _masks(masks, picture) if masks else None
  transfer = Transfer(job, picture, painted, where)
  transfer.check()
  return Inputs(config, job, picture, painted, transfer)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Makes the picture and writes the report."""
  config, job, picture, painted, transfer = inputs
  image, found = transfer.paint(recorder, 'transfer', config.alpha)
  first = transfer.start(transfer.where[-1])
  before, parts = (
    {
      **transfer.parts(x, config.alpha, config.beta),
      'total variation': job.penalty_of(x),
    }
    for x in (first, found[-1].images)
  )
  loss = sum(parts.values())
  recorder.picture('transfer', render.to_uint8(image))
  shown = [picture, *painted, image]
  recorder.report(
    f'{config.content} in the style of {", ".join(listed(config.styles))}',
    f'{config.steps} steps of {config.optimizer}, {image.shape[1]}x'
    f'{image.shape[0]} pixels in the end, {config.net.weights}.',
    [
      Figure(
        'pictures',
        'The content, the style, and the content in the style',
        render.table(
          [[render.to_uint8(x) for x in shown]],
          ['content', *['style'] * len(painted), 'result'],
          [''],
          min(384, max(image.shape)),
        ),
      ),
      *job.strip(recorder, 'transfer', transfer.where),
      losses(transfer.where, found),
      Table(
        'losses',
        'The loss of the start and of the result: each part with its weight, '
        'and their sum. With normalised gradients the sum may rise',
        ['part', 'start', 'result'],
        [
          [name, f'{start:.4g}', f'{end:.4g}']
          for name, start, end in (
            *((name, before[name], parts[name]) for name in parts),
            ('sum', sum(before.values()), loss),
          )
        ],
      ),
    ],
  )
  return {'loss': loss, **parts}


def _masks(names: Sequence[str], picture: np.ndarray) -> np.ndarray:
  """Masks of the styles, ``[H, W, S]``: 1 where a mask is white."""
  height, width = picture.shape[:2]
  found = []
  for name in names:
    mask = read_picture('masks', name)
    wide, high = mask.shape[1] / mask.shape[0], height / width
    if not 0.95 < wide * high < 1.05:
      raise ValueError(
        f'config.masks: got {mask.shape[1]}x{mask.shape[0]} pixels for {name}, '
        f'expected the shape of config.content, as {width}x{height}'
      )
    grey = colour.grey(mask)[..., None]
    if not grey.max() > 0:
      raise ValueError(f'config.masks: {name} is black, expected some white')
    found.append(np.asarray(resize(grey, (height, width)))[..., 0])
  return np.stack(found, -1)
