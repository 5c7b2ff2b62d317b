"""Training of a network that paints images in one style."""

import dataclasses
import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from vizlab import generate, nets, penalties, render, style
from vizlab.nets.architectures.transformation import transformation
from vizlab.nets.graph import init_params
from vizlab.objectives import Objective
from vizlab.runs import stopping
from vizlab.runs.inputs import (
  check_layers,
  load_net,
  picture_paths,
  read_picture,
)
from vizlab.runs.reader import read_metrics
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import (
  each_of,
  listed,
  named,
  need_not_negative,
  need_positive,
)
from vizlab.runs.training import train_resumable
from vizlab.types import Array
from vizlab_experiments.shared.gradient_steps import gradient_step
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.painting import painted
from vizlab_experiments.shared.records import write_record

__all__ = ['prepare', 'run']

_UPSAMPLING = ('resize', 'transposed')
_LARGER = 1.25  # side of the images from which squares are cut, as a multiple
_MEASURED = 8  # images that the parts of the loss are measured on
_CONTRAST = 30  # of the untrained network, as its output is in bytes


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


class State(NamedTuple):
  """State of the training."""

  params: dict[str, dict[str, Array]]
  opt: Any


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'width', 'size', 'style_size', 'shown_size')
  need_positive(config, 'batch_size', 'steps', 'learning_rate', 'beta')
  need_not_negative(config, 'alpha', 'tv', 'blocks', 'compare')
  each_of('config.upsampling', [config.upsampling], _UPSAMPLING)
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
  with named(layer='style_layers', x='size'):
    jax.eval_shape(
      lambda x: style.style_loss(seeing, x, layers)(*seeing(x)),
      jnp.asarray(painting),
    )
  return Inputs(config, seeing, painting, images, shown)


class Goal(NamedTuple):
  """The loss, whose parts are measured by those of the images.

  So the same weights suit any network and layers.

  Attributes:
    style: Loss of the style, whose layers count 1 together, each as much, for
      images that are not painted.
    alpha: Weight of the content; with 1, two different images differ by 1.
    weights: Weights of the style's layers.
  """

  style: Objective
  alpha: float
  weights: tuple[float, ...]


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the network, and paints images with it."""
  config, shown = inputs.config, inputs.shown
  goal = _goal(inputs, recorder)
  net, seconds = _train(inputs, recorder, goal)
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
  grids = [float(jax.jit(_grid)(y)) for y in made['painted']]
  results = {
    'loss': share['painted'],
    'grid': float(np.mean(grids)),
    'parameters': nets.param_count(net),
    'train_seconds': seconds,
  }
  if config.compare:
    results['optimized loss'] = share['optimized']
  curve = [
    [row['step'], row['training/loss']]
    for row in read_metrics(recorder.workdir)
    if 'training/loss' in row
  ]
  write_record(recorder, results, curve)
  _report(inputs, recorder, made, losses, share, took, curve)
  return results


def _goal(inputs: Inputs, recorder: Recorder) -> Goal:
  """Measures the parts of the loss on some of the images."""
  config, layers = inputs.config, listed(inputs.config.style_layers)
  seeing, painting = inputs.seeing, jnp.asarray(inputs.painting)

  def measured() -> dict[str, np.ndarray]:
    x = jnp.asarray(_crops(inputs, 0, _MEASURED))
    parts = [style.style_loss(seeing, painting, [layer]) for layer in layers]
    loss = functools.partial(
      generate.perceptual_loss, content_layer=config.content_layer
    )
    apart = loss(seeing, jnp.roll(x, 1, 0), x, parts[0], beta=0.0)
    each = [loss(seeing, x, x, part, alpha=0.0).mean() for part in parts]
    return {'content': np.asarray(apart.mean()), 'style': np.stack(each)}

  found = recorder.once('scales', measured)
  content, each = (np.where(v > 0, v, 1) for v in found.values())
  weights = tuple(map(float, 1 / (len(layers) * each)))
  wanted = style.style_loss(seeing, painting, layers, weights=weights)
  return Goal(wanted, float(config.alpha / content), weights)


def _train(
  inputs: Inputs, recorder: Recorder, goal: Goal
) -> tuple[nets.Network, float]:
  config = inputs.config
  start = _untrained(config)
  tx = _optimizer(config)
  penalty = penalties.tv(2.0) * (1 / config.size**2)

  def train_step(
    state: State, data: tuple[Array, nets.Network, Objective], step: Array
  ) -> tuple[State, dict[str, Array]]:
    del step
    x, seeing, loss = data

    def loss_fn(params: dict[str, dict[str, Array]]) -> tuple[Array, None]:
      made = nets.with_params(start, params)(x)[1]['image']
      each = generate.perceptual_loss(
        seeing,
        made,
        x,
        loss,
        content_layer=config.content_layer,
        alpha=goal.alpha,
        beta=config.beta,
      )
      return (each + config.tv * penalty(made)).mean(), None

    params, opt, (value, _) = gradient_step(
      tx, loss_fn, state.params, state.opt
    )
    return State(params, opt), {'loss': value}

  def batch(step: int) -> tuple[np.ndarray, nets.Network, Objective]:
    # The weights that see are arguments: as constants they would be compiled.
    x = _crops(inputs, step, config.batch_size)
    return x, inputs.seeing, goal.style

  params = nets.get_params(start)
  trained = train_resumable(
    recorder,
    'training',
    train_step,
    State(params, tx.init(params)),
    batch,
    steps=config.steps,
    keep=lambda state: state.params,
  )
  return nets.with_params(start, trained.result), trained.seconds


def _untrained(config: ConfigDict) -> nets.Network:
  """The network before training, which paints in grey."""
  ops = transformation(
    config.width, config.blocks, resize=config.upsampling == 'resize'
  )
  spec = dataclasses.replace(nets.create('fast_style').spec, size=config.size)
  shape = (config.size, config.size, 3)
  params = init_params(ops, shape, jax.random.key(config.seed))
  if 'bias' in params['conv4']:  # else the squashed image is grey in itself
    params['conv4']['bias'] += 127.5
    params['conv4']['kernel'] *= _CONTRAST
  return nets.Network('fast_style', ops, spec, params)


def _optimizer(config: ConfigDict) -> optax.GradientTransformation:
  schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)
  return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def _crops(inputs: Inputs, step: int, count: int) -> np.ndarray:
  """Squares of random images, half of them mirrored."""
  config, images = inputs.config, inputs.images
  key = jax.random.fold_in(jax.random.key(config.seed), step)
  chosen, top, left, mirrored = (
    np.asarray(jax.random.randint(k, (count,), 0, most))
    for k, most in zip(
      jax.random.split(key, 4),
      (len(images), *[images.size - config.size + 1] * 2, 2),
      strict=True,
    )
  )
  size = config.size
  return np.stack(
    [
      image[y : y + size, x : x + size][:, :: 1 - 2 * m]
      for image, y, x, m in zip(
        images[chosen], top, left, mirrored, strict=True
      )
    ]
  )


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
  last, begun = None, time.perf_counter()
  for now in style.transfer(
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
  ):
    stopping.check()
    last = now.image
  return {'image': np.asarray(last), 'seconds': time.perf_counter() - begun}


def _grid(image: Array) -> Array:
  return generate.grid_energy(image, 4)


def _report(
  inputs: Inputs,
  recorder: Recorder,
  made: dict[str, list[np.ndarray]],
  losses: dict[str, list[float]],
  share: dict[str, float],
  took: dict[str, float],
  curve: list[list[float]],
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
        'Loss of each image, without total variation',
        ['name', *losses],
        [
          [name, *(f'{value:.4g}' for value in row)]
          for name, *row in zip(
            picture_paths(config, 'images'), *losses.values(), strict=True
          )
        ],
      ),
      Table('Loss while training', ['step', 'loss'], curve),
    ],
  )
