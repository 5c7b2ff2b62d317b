"""Training of a network that paints images in one style."""

import functools
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
from vizlab_experiments.shared.painting import GRID, painted
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
_LARGER = 1.25  # side of the images from which squares are cut, as a multiple
_MEASURED = 8  # images that the parts of the loss are measured on


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    seeing: The network whose activations are compared.
    painting: The style, ``[H, W, 3]``.
    images: Images that are trained with.
    shown: Images that are painted in the end.
  """

  config: ConfigDict
  seeing: nets.Network
  painting: np.ndarray
  images: Images
  shown: tuple[np.ndarray, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'width', 'size', 'style_size', 'shown_size')
  need_positive(config, 'batch_size', 'steps', 'learning_rate', 'beta')
  need_not_negative(config, 'alpha', 'tv', 'blocks', 'compare')
  check_ema(config)
  each_of('config.upsampling', [config.upsampling], _UPSAMPLING)
  each_of('config.norm', [config.norm], _NORMS)
  if config.norm == 'batch' and config.upsampling == 'transposed':
    raise ValueError(
      "config.norm: got 'batch' with transposed upsampling, expected 'instance'"
    )
  for name in ('size', 'style_size', 'shown_size'):
    if config[name] < style.LEAST or (name == 'size' and config.size % 4):
      raise ValueError(
        f'config.{name}: got {config[name]}, expected at least {style.LEAST}'
        + (' and a multiple of 4' if name == 'size' else '')
      )
  seeing = load_net(config)
  layers = listed(config.style_layers)
  check_layers(seeing, 'content_layer', [config.content_layer])
  check_layers(seeing, 'style_layers', layers)
  painting = read_picture('style', config.style, shorter=config.style_size)
  images = load_images(config, round(config.size * _LARGER))
  shown = tuple(
    read_picture('images', path, shorter=config.shown_size)
    for path in picture_paths(config, 'images')
  )
  check_style(
    seeing,
    painting,
    layers,
    config.size,
    layers_setting='style_layers',
    painting_setting='style_size',
  )
  return Inputs(config, seeing, painting, images, shown)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the network, and paints images with it."""
  config, shown = inputs.config, inputs.shown
  goal = _goal(inputs, recorder)
  net, seconds = train_painter(
    config, recorder, inputs.seeing, goal, inputs.images
  )
  nets.save(net, recorder.workdir / 'fast_style.safetensors', half=True)
  ways = {'painted': functools.partial(painted, net)}
  if config.compare:
    ways['optimized'] = functools.partial(_optimized, inputs, goal)
  found = {
    way: [
      recorder.once(f'{way}_{i}', functools.partial(make, x))
      for i, x in enumerate(shown)
    ]
    for way, make in ways.items()
  }
  made = {way: [v['image'] for v in row] for way, row in found.items()}
  took = {way: sum(float(v['seconds']) for v in r) for way, r in found.items()}
  losses = {
    way: [_loss(inputs, goal, y, x) for y, x in zip(ys, shown, strict=True)]
    for way, ys in {'image': shown, **made}.items()
  }
  share = {
    way: float(np.mean(np.divide(row, losses['image'])))
    for way, row in losses.items()
  }
  grids = [float(generate.grid_energy(y, GRID)) for y in made['painted']]
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
  _report(inputs, recorder, made, losses, share, took, loss_by_step)
  return results


def _goal(inputs: Inputs, recorder: Recorder) -> Goal:
  """Measures the parts of the loss on some of the images."""
  config, layers = inputs.config, listed(inputs.config.style_layers)
  seeing, painting = inputs.seeing, jnp.asarray(inputs.painting)

  def measured() -> dict[str, np.ndarray]:
    x = jnp.asarray(crops(config, inputs.images, 0, _MEASURED))
    out = seeing(x)
    target = out[1][config.content_layer]
    apart = content(config.content_layer, jnp.roll(target, 1, 0), mean=True)
    return {
      'content': np.asarray(apart(*out).mean()),
      'style': style_scales(seeing, painting, layers, out),
    }

  found = recorder.once('scales', measured)
  distance = np.where(found['content'] > 0, found['content'], 1)
  wanted, weights = balanced_style(seeing, painting, layers, found['style'])
  return Goal(wanted, float(config.alpha / distance), weights)


def _loss(
  inputs: Inputs, goal: Goal, made: np.ndarray, image: np.ndarray
) -> float:
  """The loss of what was made of an image, without total variation."""
  config = inputs.config
  return float(
    generate.perceptual_loss(
      inputs.seeing,
      jnp.asarray(made),
      jnp.asarray(image),
      goal.style,
      content_layer=config.content_layer,
      alpha=goal.alpha,
      beta=config.beta,
    )
  )


def _optimized(
  inputs: Inputs, goal: Goal, image: np.ndarray
) -> dict[str, np.ndarray]:
  """The pixels that style transfer finds for the same loss."""
  config = inputs.config
  begun = time.perf_counter()
  progress = style.transfer(
    inputs.seeing,
    jnp.asarray(image),
    [jnp.asarray(inputs.painting)],
    steps=config.compare,
    normalise=False,
    alpha=goal.alpha,
    beta=config.beta,
    content_layer=config.content_layer,
    style_layers=listed(config.style_layers),
    style_weights=goal.weights,
  )
  image = np.asarray(optimize.final(stoppable(progress)).image)
  return {'image': image, 'seconds': time.perf_counter() - begun}


def _report(
  inputs: Inputs,
  recorder: Recorder,
  made: dict[str, list[np.ndarray]],
  losses: dict[str, list[float]],
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
  rows = zip(shown, *made.values(), strict=True)
  recorder.report(
    f'A network that paints like {config.style}',
    f'Trained by {config.steps} steps of {config.batch_size} images of '
    f'{config.size} pixels. What it makes in one pass has '
    f'{share["painted"]:.0%} of the loss of the images themselves'
    f'{optimized}.',
    [
      Figure('style', 'The style', render.resize(inputs.painting, 320)),
      Figure(
        'painted',
        'Images, and what the network makes of them',
        render.table(
          [[render.to_uint8(picture) for picture in row] for row in rows],
          ['image', *made],
          [''] * len(shown),
          min(480, max(max(x.shape) for x in shown)),
          PAGE,
        ),
      ),
      Table(
        'losses',
        'Loss of each image, without total variation',
        ['name', *losses],
        [
          [name, *(f'{value:.4g}' for value in row)]
          for name, *row in zip(
            picture_paths(config, 'images'), *losses.values(), strict=True
          )
        ],
      ),
      Table('training', 'Loss while training', ['step', 'loss'], loss_by_step),
    ],
  )
