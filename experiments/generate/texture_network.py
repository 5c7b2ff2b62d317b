"""Training of a network that makes one texture of noise."""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import generate, nets, optimize, penalties, render, style
from vizlab.nets.architectures.transformation import texture_generator
from vizlab.nets.graph import init_params
from vizlab.nets.layers import Layer
from vizlab.objectives import Objective
from vizlab.runs.inputs import check_layers, load_net, read_picture
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import listed, need_not_negative, need_positive
from vizlab.runs.training import Training
from vizlab.types import Array
from vizlab_experiments.shared.gradient_steps import check_ema, fit, warm_adam
from vizlab_experiments.shared.painting import second_pass
from vizlab_experiments.shared.progress import stoppable
from vizlab_experiments.shared.records import curve, write_record
from vizlab_experiments.shared.style_losses import (
  balanced_style,
  check_style,
  style_scales,
)

__all__ = ['prepare', 'run']

_WARM = 0.05  # share of the steps in which the rate rises
_SHOWN = 4  # textures of each kind
_LARGER = 2  # side of a larger one, as a multiple


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    seeing: The network whose activations are compared.
    example: The texture, ``[H, W, 3]``.
    ops: Layers of the network that is trained.
  """

  config: ConfigDict
  seeing: nets.Network
  example: np.ndarray
  ops: tuple[Layer, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'size', 'example_size', 'scales', 'width', 'noise')
  need_positive(config, 'batch_size', 'steps', 'learning_rate')
  need_not_negative(config, 'diversity', 'tv', 'compare')
  check_ema(config)
  if config.batch_size < 2:
    raise ValueError(
      f'config.batch_size: got {config.batch_size}, expected at least 2, as '
      'the textures of a batch are compared'
    )
  least = 2 ** (config.scales - 1)
  if config.size % least or config.size < max(style.LEAST, 2 * least):
    raise ValueError(
      f'config.size: got {config.size}, expected a multiple of {least}, as '
      f'there are {config.scales} scales, from {max(style.LEAST, 2 * least)}'
    )
  seeing = load_net(config)
  layers = listed(config.layers)
  check_layers(seeing, 'layers', layers)
  example = read_picture('image', config.image, shorter=config.example_size)
  check_style(
    seeing,
    example,
    layers,
    config.size,
    layers_setting='layers',
    painting_setting='example_size',
  )
  ops = texture_generator(config.scales, config.width, noise=config.noise)
  return Inputs(config, seeing, example, ops)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the network, and makes textures with it."""
  config = inputs.config
  start = _untrained(inputs)
  wanted = _wanted(inputs, recorder)
  done = _train(inputs, recorder, start, wanted)
  net = nets.with_params(start, done.result)
  nets.save(net, recorder.workdir / 'texture.safetensors', half=True)
  made = {
    'network': recorder.once('network', functools.partial(_made, inputs, net))
  }
  if config.compare:
    each = [
      recorder.once(f'optimized_{i}', functools.partial(_optimized, inputs, i))
      for i in range(_SHOWN)
    ]
    made['optimized'] = {
      'images': np.stack([found['image'] for found in each]),
      # The first one compiles.
      'seconds': min(found['seconds'] for found in each),
    }
  judged = {way: _judged(inputs, wanted, found) for way, found in made.items()}
  results = {
    **judged['network'],
    'parameters': nets.param_count(net),
    'train_seconds': done.seconds,
    **{f'optimized {k}': v for k, v in judged.get('optimized', {}).items()},
  }
  rows = [[row['step'], row['loss']] for row in curve(recorder)]
  write_record(recorder, results, rows)
  _report(inputs, recorder, made, judged, rows)
  return results


def _untrained(inputs: Inputs) -> nets.Network:
  """The network before training, which standardises uniform noise."""
  config = inputs.config
  count = config.scales * config.noise
  spec = nets.InputSpec(config.size, (0.5,) * count, (12**-0.5,) * count)
  params = init_params(inputs.ops, spec.shape, jax.random.key(config.seed))
  return nets.Network('texture_generator', inputs.ops, spec, params)


def _wanted(inputs: Inputs, recorder: Recorder) -> Objective:
  """Loss of a texture; that of noise is 1, and each layer has a like part."""
  seeing, layers = inputs.seeing, listed(inputs.config.layers)
  example = jnp.asarray(inputs.example)

  def measured() -> dict[str, np.ndarray]:
    size, key = inputs.config.size, jax.random.key(inputs.config.seed)
    out = seeing(jax.random.uniform(key, (_SHOWN, size, size, 3)))
    return {'style': style_scales(seeing, example, layers, out)}

  scales = recorder.once('scales', measured)['style']
  return balanced_style(seeing, example, layers, scales)[0]


def _train(
  inputs: Inputs, recorder: Recorder, start: nets.Network, wanted: Objective
) -> Training:
  """Lowers the loss of what is made of ever new noise; resumable."""
  config = inputs.config
  shape = (config.batch_size, config.size, config.size, start.spec.shape[-1])

  def loss_fn(
    params: dict[str, dict[str, Array]],
    data: tuple[Array, nets.Network, Objective],
  ) -> tuple[Array, dict[str, Array]]:
    key, seer, loss = data
    z = jax.random.uniform(key, shape)
    made = nets.with_params(start, params)(z)[1]['image']
    each = loss(*seer(made)).mean()
    spread, rough = generate.diversity(made), penalty(made).mean()
    total = each + config.tv * rough - config.diversity * spread
    return total, {'style': each, 'spread': spread}

  penalty = penalties.tv(2.0) * (1 / config.size**2)
  key = jax.random.key(config.seed)
  return fit(
    recorder,
    warm_adam(config.learning_rate, config.steps, warm=_WARM),
    loss_fn,
    nets.get_params(start),
    # The weights that see are arguments: as constants they would be compiled.
    lambda step: (jax.random.fold_in(key, step + 1), inputs.seeing, wanted),
    steps=config.steps,
    ema=config.ema,
  )


_make = jax.jit(lambda net, z: net(z)[1]['image'])


def _made(inputs: Inputs, net: nets.Network) -> dict[str, np.ndarray]:
  """Textures, and a larger one; the ``seconds`` of a second pass."""
  config = inputs.config
  size, channels = config.size, net.spec.shape[-1]
  key, larger_key = jax.random.split(jax.random.key(config.seed + 1))
  z = jax.random.uniform(key, (_SHOWN, size, size, channels))
  images, seconds = second_pass(lambda: _make(net, z))
  side = _LARGER * size
  larger = _make(net, jax.random.uniform(larger_key, (side, side, channels)))
  return {
    'images': images,
    'larger': np.asarray(larger),
    'seconds': np.float64(seconds / _SHOWN),
  }


def _optimized(inputs: Inputs, i: int) -> dict[str, np.ndarray]:
  """A texture whose pixels are optimized for the same statistics."""
  config = inputs.config
  begun = time.perf_counter()
  progress = style.texture(
    inputs.seeing,
    jnp.asarray(inputs.example),
    jax.random.fold_in(jax.random.key(config.seed), i),
    layers=listed(config.layers),
    size=(config.size, config.size),
    octaves=1,
    steps=config.compare,
  )
  image = np.asarray(optimize.final(stoppable(progress)).image)
  return {'image': image, 'seconds': np.float64(time.perf_counter() - begun)}


def _judged(
  inputs: Inputs, wanted: Objective, found: dict[str, np.ndarray]
) -> dict[str, float]:
  """The loss of textures, and by how much they differ."""
  x = jnp.asarray(found['images'])
  return {
    'loss': float(wanted(*inputs.seeing(x)).mean()),
    'apart': float(jnp.exp(generate.diversity(x))),
  }


def _report(
  inputs: Inputs,
  recorder: Recorder,
  made: dict[str, dict[str, np.ndarray]],
  judged: dict[str, dict[str, float]],
  loss_by_step: list[list[float]],
) -> None:
  config = inputs.config
  optimized = ''
  if 'optimized' in made:
    ratio = made['optimized']['seconds'] / made['network']['seconds']
    optimized = (
      f'; {config.compare} steps of optimizing pixels reach '
      f'{judged["optimized"]["loss"]:.1%} and take {ratio:.0f} times as long'
    )
  recorder.report(
    f'A network that makes textures like {config.image}',
    f'Trained by {config.steps} steps of {config.batch_size} textures of '
    f'{config.size} pixels. What it makes of noise in one pass has '
    f'{judged["network"]["loss"]:.1%} of the loss of noise{optimized}.',
    [
      Figure('example', 'The example', render.resize(inputs.example, 320)),
      Figure(
        'textures',
        'Textures of different noise',
        render.table(
          [
            [render.to_uint8(image) for image in found['images']]
            for found in made.values()
          ],
          [''] * _SHOWN,
          [*made],
          config.size,
          PAGE,
        ),
      ),
      Figure(
        'larger',
        f'One of {_LARGER * config.size} pixels, which tiles',
        render.to_uint8(made['network']['larger']),
      ),
      Table(
        'losses',
        'Loss, and root mean square difference from the nearest of the others',
        ['', 'loss', 'apart', 'seconds'],
        [
          [
            way,
            f'{judged[way]["loss"]:.4f}',
            f'{judged[way]["apart"]:.3f}',
            f'{float(found["seconds"]):.3f}',
          ]
          for way, found in made.items()
        ],
      ),
      Table('training', 'Loss while training', ['step', 'loss'], loss_by_step),
    ],
  )
