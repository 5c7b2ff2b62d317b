"""Units and classes through a decoder that was trained to invert a layer."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import generate, nets, optimize, render, rules, synthesis
from vizlab.nets.architectures.transformation import decoder
from vizlab.nets.graph import init_params
from vizlab.nets.layers import Layer
from vizlab.objectives import score
from vizlab.runs.inputs import check_layers, layer_info, load_classifier
from vizlab.runs.optimization import optimize_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_not_negative, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.classes import chosen_classes, class_names
from vizlab_experiments.shared.image_makers import check_maker, train_maker
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.records import curve, write_record
from vizlab_experiments.synthesis.visualize import chosen_channels, unit

__all__ = ['prepare', 'run']

_SHOWN = 6  # images that are decoded in the report
_MEASURED = 256  # images at most whose codes are measured
_QUIET = 0.1  # of the last convolution, so that training starts at grey
_BOUND = 3  # standard deviations of a channel, the largest code


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network that is looked into.
    ops: Layers of the decoder.
    channels: Units that are visualized.
    targets: Classes that are sampled.
    names: Names of all classes.
    images: Images to train with.
    held_out: Images that are not trained with, ``[N, size, size, 3]``.
  """

  config: ConfigDict
  net: nets.Network
  ops: tuple[Layer, ...]
  channels: Sequence[int]
  targets: tuple[int, ...]
  names: list[str]
  images: Images
  held_out: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  check_maker(config)
  need_positive(config, 'image_steps', 'image_rate', 'count')
  need_positive(config, 'sample_steps', 'samples')
  need_not_negative(config, 'prior', 'condition', 'noise')
  if config.sample_steps % config.samples:
    raise ValueError(
      f'config.samples: got {config.samples}, expected a divisor of the '
      f'{config.sample_steps} steps'
    )
  net = load_classifier(config)
  for name in ('code', 'layer', 'feature_layer'):
    check_layers(net, name, [config[name]])
  channels = chosen_channels(config, net, config.layer)
  names = class_names(config, net)
  targets = chosen_classes('config.targets', listed(config.targets), names)
  if config.size != net.spec.size:
    raise ValueError(
      f'config.size: got {config.size}, expected {net.spec.size}, that of the '
      'network'
    )
  ops = _layers(config, net)
  images = load_images(config, config.size)
  if len(images) <= _SHOWN:
    raise ValueError(
      f'config.scenes, config.photos: got {len(images)} images, expected more '
      f'than the {_SHOWN} that are held out'
    )
  lowest = jax.jit(lambda net, x: net(x)[1][config.code].min())
  least = float(lowest(net, images[:_SHOWN]))
  if least < 0:
    raise ValueError(
      f'config.code: got {config.code!r}, whose activations fall to '
      f'{least:.3g}, expected a layer of none below 0, such as a ReLU'
    )
  rest = Images(
    images.names[_SHOWN:], images.size, lambda at: images[at + _SHOWN]
  )
  return Inputs(
    config, net, ops, channels, targets, names, rest, images[:_SHOWN]
  )


def _layers(config: ConfigDict, net: nets.Network) -> tuple[Layer, ...]:
  """Layers of the decoder."""
  *grid, _ = layer_info(net, config.code).shape
  widths = tuple(map(int, listed(config.widths)))
  if any(width < 1 for width in widths):
    raise ValueError(f'config.widths: got {widths}, expected 1 or more')
  doublings = len(widths) - 1
  side = grid[0] if grid else config.size // 2**doublings
  if not widths or side * 2**doublings != config.size:
    raise ValueError(
      f'config.widths: got {len(widths)}, which make images of '
      f'{side * 2 ** max(doublings, 0)} pixels, expected {config.size}'
    )
  return decoder(widths, vector_side=None if grid else side)


def _untrained(
  config: ConfigDict, ops: tuple[Layer, ...], known: dict[str, np.ndarray]
) -> nets.Network:
  """The decoder before training, which standardises its codes."""
  spec = nets.InputSpec(
    len(known['mean']),
    tuple(map(float, known['centre'])),
    tuple(map(float, known['scale'])),
  )
  params = init_params(ops, spec.shape, jax.random.key(config.seed))
  params['last']['kernel'] *= _QUIET
  return nets.Network('decoder', ops, spec, params)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the decoder, and makes images of units and of classes with it."""
  config, net = inputs.config, inputs.net
  read = functools.partial(_codes, layer=config.code)
  known = recorder.once('codes', functools.partial(_measured, inputs, read))
  start = _untrained(config, inputs.ops, known)
  done = train_maker(config, recorder, start, net, inputs.images, read)
  maker = nets.with_params(start, done.result)
  nets.save(maker, recorder.workdir / 'decoder.safetensors', half=True)
  decode = jax.jit(lambda maker, code: _image(maker, code))
  x = jnp.asarray(inputs.held_out)
  back = np.asarray(decode(maker, read(x, net)))
  error = float(jnp.square(back - x).mean() / jnp.square(x - x.mean()).mean())
  made = _visualized(inputs, recorder, maker, known)
  drawn = recorder.once(
    'samples', functools.partial(_sampled, inputs, maker, read, known)
  )
  results = {
    'error': error,
    'parameters': nets.param_count(maker),
    'train_seconds': done.seconds,
    'right': float(drawn['right'].mean()),
    'spread': float(drawn['spread'].mean()),
    'spread_of_images': float(known['spread']),
  }
  loss_by_step = [[row['step'], row['loss']] for row in curve(recorder)]
  write_record(recorder, results, loss_by_step)
  _report(inputs, recorder, back, made, drawn, results)
  return results


def _codes(x: Array, net: nets.Network, layer: str) -> Array:
  """Activations of the layer; vectors as maps of one position."""
  a = net(x)[1][layer]
  return a if a.ndim == x.ndim else a[..., None, None, :]


def _image(maker: nets.Network, code: Array) -> Array:
  return jnp.clip(maker(code)[1]['image'], 0, 1)


def _measured(inputs: Inputs, read: Any) -> dict[str, np.ndarray]:
  """Mean code, moments and bound of each channel, and spread of codes."""
  config, net = inputs.config, inputs.net
  seen = jax.jit(read)
  count = min(_MEASURED, len(inputs.images))
  codes = np.concatenate(
    [
      np.asarray(seen(inputs.images[i : i + config.batch_size], net))
      for i in range(0, count, config.batch_size)
    ]
  )
  centre, scale = codes.mean((0, 1, 2)), codes.std((0, 1, 2))
  return {
    'mean': codes.mean(0),
    'centre': centre,
    'scale': np.where(scale > 0, scale, 1),  # of a unit that is always silent
    'bound': centre + _BOUND * scale,
    'spread': np.float32(_spread(codes)),
  }


def _spread(codes: np.ndarray) -> float:
  """Mean distance between codes ``[N, ...]``, 1 - cosine of all pairs."""
  flat = codes.reshape(len(codes), -1)
  flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
  total = np.square(flat.sum(0)).sum()
  pairs = len(flat) * (len(flat) - 1)
  return float(1 - (total - len(flat)) / max(pairs, 1))


def _visualized(
  inputs: Inputs,
  recorder: Recorder,
  maker: nets.Network,
  known: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
  """Images of the units through the decoder, and as Fourier spectra."""
  config, net, channels = inputs.config, inputs.net, inputs.channels
  score_fn = score(net, unit(net, config.layer, np.array(channels)))
  code = len(channels), *maker.spec.shape
  images = {
    'learned': synthesis.generated(
      maker, code, bound=known['bound'], start=known['mean']
    ),
    'Fourier': synthesis.fourier((len(channels), *net.spec.shape)),
  }
  return {
    name: optimize_resumable(
      recorder,
      name.lower(),
      score_fn.with_rules(relu=rules.redirected_relu),
      image,
      jax.random.key(config.seed),
      steps=config.image_steps,
      optimizer=optimize.adam(rate),
      augment=augment,
    ).images
    for (name, image), rate, augment in zip(
      images.items(),
      (config.image_rate, 0.05),
      (None, synthesis.robust(config.size)),
      strict=True,
    )
  }


def _sampled(
  inputs: Inputs, maker: nets.Network, read: Any, known: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
  """Samples of each class: images, which are right, and their spread."""
  config, targets = inputs.config, np.array(inputs.targets)

  @jax.jit
  def draw(
    maker: nets.Network, net: nets.Network, code: Array, key: Array
  ) -> tuple[Array, Array, Array]:
    def probable(code: Array) -> Array:
      logits = net(_image(maker, code))[0]
      each = jax.nn.log_softmax(logits)
      return jnp.take_along_axis(each, targets[:, None], 1)[:, 0]

    found = generate.sample(
      probable,
      lambda code: read(_image(maker, code), net),
      code,
      key,
      steps=config.sample_steps,
      prior=config.prior,
      condition=config.condition,
      noise=config.noise,
      bound=known['bound'],
      keep_every=config.sample_steps // config.samples,
    )
    shape = (-1, *found.codes.shape[2:])
    images = _image(maker, found.codes.reshape(shape))
    kind = net(images)[0].argmax(-1).reshape(found.scores.shape)
    return (
      found.codes,
      images.reshape(*found.scores.shape, *images.shape[1:]),
      kind,
    )

  key = jax.random.key(config.seed)
  start = jnp.broadcast_to(known['mean'], (len(targets), *maker.spec.shape))
  codes, images, kind = map(np.asarray, draw(maker, inputs.net, start, key))
  return {
    'images': images.swapaxes(0, 1),
    'right': kind.T == targets[:, None],
    'spread': np.array([_spread(codes[:, i]) for i in range(len(targets))]),
  }


def _report(
  inputs: Inputs,
  recorder: Recorder,
  back: np.ndarray,
  made: dict[str, np.ndarray],
  drawn: dict[str, np.ndarray],
  results: dict[str, Any],
) -> None:
  config, net = inputs.config, inputs.net
  last = config.layer == net.ops[-1].name
  units = [inputs.names[k] if last else str(k) for k in inputs.channels]
  picture = render.to_uint8
  recorder.report(
    f'A decoder of {config.code} of {net.arch} as a prior',
    f'Trained by {config.steps} steps of {config.batch_size} images to make an '
    f'image of its activations. Of images that it was not trained with it '
    f'leaves {results["error"]:.0%} of the variance.',
    [
      Figure(
        'decoded',
        'Images, and what the decoder makes of their activations',
        render.table(
          [list(map(picture, inputs.held_out)), list(map(picture, back))],
          [''] * len(back),
          ['image', 'decoded'],
          min(160, config.size + 32),
        ),
      ),
      Figure(
        'units',
        f'Units of {config.layer} through the decoder, and by Fourier spectra '
        'that are robust to small transformations',
        render.table(
          [list(map(picture, row)) for row in made.values()],
          units,
          list(made),
          min(160, config.size + 32),
        ),
      ),
      Figure(
        'samples',
        'Samples of classes, one chain each from the mean code, all '
        f'{config.sample_steps // config.samples} steps from left to right',
        render.table(
          [list(map(picture, row)) for row in drawn['images']],
          [''] * config.samples,
          [inputs.names[k] for k in inputs.targets],
          min(160, config.size + 32),
        ),
      ),
      Table(
        'samples',
        'Samples: in which share of them the network that led them finds the '
        'class most probable, and the mean of 1 - cosine between their codes; '
        'the last row is of images',
        ['class', 'most probable in', 'spread'],
        [
          [inputs.names[k], float(right.mean()), float(spread)]
          for k, right, spread in zip(
            inputs.targets, drawn['right'], drawn['spread'], strict=True
          )
        ]
        + [['images', '', results['spread_of_images']]],
      ),
    ],
  )
