"""Training of a network that paints images in one style or several."""

import functools
import itertools
import time
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import generate, nets, optimize, render, style
from vizlab.objectives import content
from vizlab.runs.inputs import (
  check_layers,
  load_net,
  picture_paths,
  read_picture,
)
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import (
  each_of,
  listed,
  need_not_negative,
  need_positive,
)
from vizlab_experiments.shared.gradient_steps import check_ema
from vizlab_experiments.shared.images import Images, crops, load_images
from vizlab_experiments.shared.painter_training import Goal, train_painter
from vizlab_experiments.shared.painting import GRID, paint, painted
from vizlab_experiments.shared.progress import stoppable
from vizlab_experiments.shared.records import curve, write_record
from vizlab_experiments.shared.style_losses import (
  balanced_style,
  check_style,
  style_scales,
)

__all__ = ['prepare', 'run']

_UPSAMPLING = ('resize', 'transposed')
_NORMS = ('instance', 'batch')
_FORMS = ('residual', 'pyramid')
_LARGER = 1.25  # side of the images from which squares are cut, as a multiple
_BETWEEN = 5  # mixtures of two styles, they among them
_MEASURED = 8  # images that the parts of the loss are measured on


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    seeing: The network whose activations are compared.
    paintings: The styles, ``[H, W, 3]`` each.
    names: Their names.
    images: Images that are trained with.
    shown: Images that are painted in the end.
  """

  config: ConfigDict
  seeing: nets.Network
  paintings: tuple[np.ndarray, ...]
  names: tuple[str, ...]
  images: Images
  shown: tuple[np.ndarray, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'width', 'scales', 'size', 'style_size', 'shown_size')
  need_positive(config, 'batch_size', 'steps', 'learning_rate', 'beta')
  need_not_negative(config, 'alpha', 'tv', 'blocks', 'compare')
  check_ema(config)
  names = picture_paths(config, 'styles')
  _check_network(config, len(names))
  seeing = load_net(config)
  layers = listed(config.style_layers)
  check_layers(seeing, 'content_layer', [config.content_layer])
  check_layers(seeing, 'style_layers', layers)
  paintings = tuple(
    read_picture('styles', path, shorter=config.style_size) for path in names
  )
  images = load_images(config, round(config.size * _LARGER))
  shown = tuple(
    read_picture('images', path, shorter=config.shown_size)
    for path in picture_paths(config, 'images')
  )
  for painting in paintings:
    check_style(
      seeing,
      painting,
      layers,
      config.size,
      layers_setting='style_layers',
      painting_setting='style_size',
    )
  return Inputs(config, seeing, paintings, names, images, shown)


def _check_network(config: ConfigDict, styles: int) -> None:
  """Checks what the network is made of, and the sizes that it takes."""
  each_of('config.form', [config.form], _FORMS)
  each_of('config.upsampling', [config.upsampling], _UPSAMPLING)
  each_of('config.norm', [config.norm], _NORMS)
  pyramid = config.form == 'pyramid'
  transposed = config.upsampling == 'transposed'
  for setting, value, other, there in (
    ('norm', 'instance', 'transposed upsampling', transposed),
    ('norm', 'instance', 'a pyramid', pyramid),
    ('norm', 'instance', f'{styles} styles', styles > 1),
    ('upsampling', 'resize', 'a pyramid', pyramid),
    ('form', 'residual', f'{styles} styles', styles > 1),
  ):
    if there and config[setting] != value:
      raise ValueError(
        f'config.{setting}: got {config[setting]!r} with {other}, expected '
        f'{value!r}'
      )
  multiple = 2 ** (config.scales - 1) if pyramid else 4
  for name in ('size', 'style_size', 'shown_size'):
    least, divisor = style.LEAST, ''
    if name == 'size':
      least = max(least, 2 * multiple)
      divisor = f' and a multiple of {multiple}'
    if config[name] < least or (divisor and config.size % multiple):
      raise ValueError(
        f'config.{name}: got {config[name]}, expected at least {least}{divisor}'
      )


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the network, and paints images with it in each style."""
  config = inputs.config
  goal = _goal(inputs, recorder)
  net, seconds = train_painter(
    config, recorder, inputs.seeing, goal, inputs.images
  )
  nets.save(net, recorder.workdir / 'fast_style.safetensors', half=True)
  made, took = _made(inputs, recorder, goal, net)
  losses = {
    way: [
      [
        _loss(inputs, goal, y, x, s)
        for y, x in zip(row, inputs.shown, strict=True)
      ]
      for s, row in enumerate(rows)
    ]
    for way, rows in {
      'image': [inputs.shown] * len(inputs.paintings),
      **made,
    }.items()
  }
  share = {
    way: float(np.mean(np.divide(row, losses['image'])))
    for way, row in losses.items()
  }
  grids = [
    generate.grid_energy(y, GRID) for row in made['painted'] for y in row
  ]
  results = {
    'loss': share['painted'],
    'grid': float(np.mean(grids)),
    'parameters': nets.param_count(net),
    'train_seconds': seconds,
  }
  if config.compare:
    results['optimized loss'] = share['optimized']
  loss_by_step = [[row['step'], row['loss']] for row in curve(recorder)]
  write_record(recorder, results, loss_by_step)
  between = _between(inputs, recorder, net)
  _report(inputs, recorder, made, between, losses, share, took, loss_by_step)
  return results


def _goal(inputs: Inputs, recorder: Recorder) -> Goal:
  """Measures the parts of the loss on some of the images."""
  config, layers = inputs.config, listed(inputs.config.style_layers)
  seeing = inputs.seeing
  paintings = [jnp.asarray(painting) for painting in inputs.paintings]

  def measured() -> dict[str, np.ndarray]:
    x = jnp.asarray(crops(config, inputs.images, 0, _MEASURED))
    out = seeing(x)
    target = out[1][config.content_layer]
    apart = content(config.content_layer, jnp.roll(target, 1, 0), mean=True)
    each = [style_scales(seeing, v, layers, out) for v in paintings]
    return {
      'content': np.asarray(apart(*out).mean()),
      'style': np.stack(each),
    }

  found = recorder.once('scales', measured)
  distance = np.where(found['content'] > 0, found['content'], 1)
  styles, weights = zip(
    *(
      balanced_style(seeing, painting, layers, scales)
      for painting, scales in zip(paintings, found['style'], strict=True)
    ),
    strict=True,
  )
  return Goal(styles, float(config.alpha / distance), weights)


def _shares(inputs: Inputs, s: int) -> np.ndarray | None:
  """Shares of one style alone; none for a network of a single style."""
  count = len(inputs.paintings)
  return np.eye(count, dtype=np.float32)[s] if count > 1 else None


def _made(
  inputs: Inputs, recorder: Recorder, goal: Goal, net: nets.Network
) -> tuple[dict[str, list[list[np.ndarray]]], dict[str, float]]:
  """Images by way, style and image, and the seconds of each way."""
  ways = {
    'painted': lambda x, s: painted(net, x, style=_shares(inputs, s)),
  }
  if inputs.config.compare:
    ways['optimized'] = functools.partial(_optimized, inputs, goal)
  made, took = {}, {}
  for way, make in ways.items():
    found = [
      [
        recorder.once(f'{way}_{s}_{i}', functools.partial(make, x, s))
        for i, x in enumerate(inputs.shown)
      ]
      for s in range(len(inputs.paintings))
    ]
    made[way] = [[v['image'] for v in row] for row in found]
    took[way] = sum(float(v['seconds']) for row in found for v in row)
  return made, took


def _between(
  inputs: Inputs, recorder: Recorder, net: nets.Network
) -> list[list[np.ndarray]]:
  """The first image on the way from each style to the next, a row each."""
  pairs = itertools.pairwise(range(len(inputs.paintings)))

  def mixed(one: int, other: int) -> dict[str, np.ndarray]:
    way = np.linspace(0, 1, _BETWEEN, dtype=np.float32)
    shares = [
      (1 - t) * _shares(inputs, one) + t * _shares(inputs, other) for t in way
    ]
    made = [paint(net, inputs.shown[0], style=s) for s in shares]
    return {'images': np.stack(made)}

  return [
    [*recorder.once(f'between_{i}', functools.partial(mixed, i, j))['images']]
    for i, j in pairs
  ]


def _loss(
  inputs: Inputs, goal: Goal, made: np.ndarray, image: np.ndarray, s: int
) -> float:
  """The loss of what was made of an image, without total variation."""
  config = inputs.config
  return float(
    generate.perceptual_loss(
      inputs.seeing,
      jnp.asarray(made),
      jnp.asarray(image),
      goal.styles[s],
      content_layer=config.content_layer,
      alpha=goal.alpha,
      beta=config.beta,
    )
  )


def _optimized(
  inputs: Inputs, goal: Goal, image: np.ndarray, s: int
) -> dict[str, np.ndarray]:
  """The pixels that style transfer finds for the same loss."""
  config = inputs.config
  begun = time.perf_counter()
  progress = style.transfer(
    inputs.seeing,
    jnp.asarray(image),
    [jnp.asarray(inputs.paintings[s])],
    steps=config.compare,
    normalise=False,
    alpha=goal.alpha,
    beta=config.beta,
    content_layer=config.content_layer,
    style_layers=listed(config.style_layers),
    style_weights=goal.weights[s],
  )
  image = np.asarray(optimize.final(stoppable(progress)).image)
  return {'image': image, 'seconds': time.perf_counter() - begun}


def _report(
  inputs: Inputs,
  recorder: Recorder,
  made: dict[str, list[list[np.ndarray]]],
  between: list[list[np.ndarray]],
  losses: dict[str, list[list[float]]],
  share: dict[str, float],
  took: dict[str, float],
  loss_by_step: list[list[float]],
) -> None:
  config, shown = inputs.config, inputs.shown
  optimized = ''
  if 'optimized' in share:
    ratio = took['optimized'] / took['painted']
    optimized = (
      f'; {config.compare} steps of optimizing the pixels of each reach '
      f'{share["optimized"]:.0%} and take {ratio:.0f} times as long'
    )
  largest = max(max(x.shape) for x in shown)
  rows = [
    [render.to_uint8(x), *(render.to_uint8(v[s][i]) for v in made.values())]
    for s in range(len(inputs.names))
    for i, x in enumerate(shown)
  ]
  figures = [
    Figure(
      'styles',
      'The styles' if len(inputs.names) > 1 else 'The style',
      render.table(
        [[render.to_uint8(v) for v in inputs.paintings]],
        [''] * len(inputs.names),
        [''],
        320,
        PAGE,
      ),
    ),
    Figure(
      'painted',
      'Images, and what the network makes of them',
      render.table(
        rows, ['image', *made], [''] * len(rows), min(480, largest), PAGE
      ),
    ),
  ]
  if between:
    figures.append(
      Figure(
        'between',
        'From each style to the next',
        render.table(
          [[render.to_uint8(v) for v in row] for row in between],
          [f'{t:.0%}' for t in np.linspace(0, 1, _BETWEEN)],
          [''] * len(between),
          min(240, largest),
          PAGE,
        ),
      )
    )
  recorder.report(
    f'A network that paints like {", ".join(inputs.names)}',
    f'Trained by {config.steps} steps of {config.batch_size} images of '
    f'{config.size} pixels. What it makes in one pass has '
    f'{share["painted"]:.0%} of the loss of the images themselves'
    f'{optimized}.',
    [
      *figures,
      Table(
        'losses',
        'Loss of each image, without total variation',
        ['name', 'style', *losses],
        [
          [name, painting, *(f'{v[s][i]:.4g}' for v in losses.values())]
          for s, painting in enumerate(inputs.names)
          for i, name in enumerate(picture_paths(config, 'images'))
        ],
      ),
      Table('training', 'Loss while training', ['step', 'loss'], loss_by_step),
    ],
  )
