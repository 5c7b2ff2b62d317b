"""A photo in the style of paintings."""

import functools
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from experiments.common import Recorder, load_net
from experiments.report import Figure, Table
from experiments.settings import each_of, listed, need_not_negative
from experiments.styling import (
  Job,
  check_settings,
  noise,
  read_styles,
  sizes,
)
from vizlab import io, nets, render, style
from vizlab.objectives import Objective, score

__all__ = ['run']

STARTS = ('content', 'noise', 'style')
COLOURS = ('free', 'luminance', 'matched')


def run(
  config: ConfigDict, workdir: str | os.PathLike, *, overwrite: bool = False
) -> dict[str, Any]:
  """Makes the picture and writes the report."""
  recorder = Recorder(workdir, config, overwrite=overwrite)
  if recorder.results is not None:
    return recorder.results
  check_settings(config)
  need_not_negative(config, 'alpha', 'beta')
  each_of('config.start', [config.start], STARTS)
  each_of('config.colours', [config.colours], COLOURS)
  if config.alpha == config.beta == 0:
    raise ValueError('config.alpha, config.beta: got 0 and 0, expected more')
  if not config.style_scale > 0:
    raise ValueError(
      f'config.style_scale: got {config.style_scale}, expected more than 0'
    )
  net = load_net(config.net)
  nets.check_layers(net, [config.content_layer, *listed(config.style_layers)])
  names = listed(config.styles)
  if not names:
    raise ValueError('config.styles: got none, expected pictures by commas')
  if config.shares and len(config.shares) != len(names):
    raise ValueError(
      f'config.shares: got {len(config.shares)}, expected one a style, '
      f'{len(names)}'
    )
  picture = io.read_image(config.content, shorter=config.size)
  painted = read_styles(
    config.styles, max(16, round(config.size * config.style_scale))
  )
  where = sizes(config, *picture.shape[:2])
  made_of = functools.partial(_losses, config, net, picture, painted)
  job = Job(config, recorder, net)
  starts = functools.partial(_start, config, picture, painted)
  job.check(_total(config, made_of(where[0])), starts(where[0]))
  recorder.open()
  found = job(
    'transfer', lambda size: _total(config, made_of(size)), starts, where
  )
  image = found[-1].images
  read = jax.jit(lambda net, parts, x: score(net, parts)(x))
  parts = {
    k: float(v)
    for k, v in read(net, made_of(where[-1]), jnp.asarray(image)).items()
  }
  if config.colours == 'luminance':
    image = np.asarray(style.with_colours_of(image, picture))
  recorder.picture('transfer', render.to_uint8(image))
  shown = [picture, *painted, image]
  recorder.report(
    f'{config.content} in the style of {config.styles}',
    f'{config.steps} steps of {config.optimizer} at {where[-1]} pixels, '
    f'{config.net.weights}.',
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
      Table(
        'The loss',
        ['pixels', 'at the start', 'in the end'],
        [
          [f'{h}x{w}', *(-float(v) for v in made.ends)]
          for (h, w), made in zip(where, found, strict=True)
        ],
      ),
      Table('Its parts in the end', [*parts], [[*parts.values()]]),
    ],
  )
  return recorder.finish({'loss': -float(found[-1].ends[1]), **parts})


def _losses(
  config: ConfigDict,
  net: nets.Network,
  picture: np.ndarray,
  painted: list[np.ndarray],
  size: tuple[int, int],
) -> dict[str, Objective]:
  """The parts of the loss for an image of a size."""
  share = size[0] / picture.shape[0]
  content = _resized(picture, size)
  styles = [
    _resized(x, [max(16, round(n * share)) for n in x.shape[:2]])
    for x in painted
  ]
  if config.colours == 'matched':
    styles = [style.match_colours(x, content) for x in styles]
  if config.colours == 'luminance':
    content, *styles = map(style.luminance, (content, *styles))
  layers = listed(config.style_layers)
  of_style = functools.partial(
    style.style_loss, layers=layers, statistic=config.statistic
  )
  shares = config.shares or [1 / len(styles)] * len(styles)
  blend = [
    s * jax.jit(of_style)(net, x) for s, x in zip(shares, styles, strict=True)
  ]
  of_content = jax.jit(style.content_loss, static_argnums=2)
  return {
    'content': of_content(net, content, config.content_layer),
    'style': sum(blend[1:], blend[0]),
  }


def _total(config: ConfigDict, parts: dict[str, Objective]) -> Objective:
  return config.alpha * parts['content'] + config.beta * parts['style']


def _start(
  config: ConfigDict,
  picture: np.ndarray,
  painted: list[np.ndarray],
  size: tuple[int, int],
) -> np.ndarray:
  if config.start == 'noise':
    return noise(config, size)
  first = picture if config.start == 'content' else painted[0]
  if config.colours == 'luminance':
    first = style.luminance(jnp.asarray(first))
  return np.asarray(_resized(first, size))


def _resized(x: np.ndarray, size: Any) -> jax.Array:
  return jax.image.resize(jnp.asarray(x), (*size, 3), 'linear')
