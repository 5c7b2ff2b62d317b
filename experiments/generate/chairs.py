"""A generator that learns to draw chairs from their descriptions."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import data, nets
from vizlab.nets.architectures.transformation import generator
from vizlab.nets.graph import init_params
from vizlab.nets.layers import Layer
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import amounts, need_not_negative, need_positive
from vizlab.types import Array
from vizlab_experiments.shared import chair_pictures
from vizlab_experiments.shared.chair_descriptions import (
  described,
  draw,
  parts,
  random_chairs,
  views,
)
from vizlab_experiments.shared.gradient_steps import check_ema, fit, warm_adam
from vizlab_experiments.shared.records import curve, write_record

__all__ = ['prepare', 'run']

_WARM = 0.05  # share of the steps in which the rate rises


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  ops: tuple[Layer, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Checks the settings."""
  need_positive(config, 'size', 'styles', 'features', 'azimuths', 'judged')
  need_positive(config, 'batch_size', 'steps', 'learning_rate')
  need_not_negative(config, 'mask', 'colour')
  check_ema(config)
  if not 2 <= config.styles <= data.STYLES:
    raise ValueError(
      f'config.styles: got {config.styles}, expected 2 to {data.STYLES}'
    )
  if config.streams not in (1, 2):
    raise ValueError(f'config.streams: got {config.streams}, expected 1 or 2')
  if config.azimuths < 4 or config.azimuths % 2:
    raise ValueError(
      f'config.azimuths: got {config.azimuths}, expected an even number from 4'
    )
  widths = amounts(config, 'widths')
  if not all(width >= 1 and width.is_integer() for width in widths):
    raise ValueError(f'config.widths: got {widths}, expected whole numbers')
  widths = tuple(map(int, widths))
  side, rest = divmod(config.size, 2 ** (len(widths) - 1))
  if rest or not side:
    raise ValueError(
      f'config.size: got {config.size}, expected a multiple of '
      f'{2 ** (len(widths) - 1)}, as there are {len(widths)} widths'
    )
  ops = generator(
    parts(config.styles),
    widths,
    side=side,
    features=config.features,
    streams=config.streams,
  )
  return Inputs(config, ops)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the generator, judges it on views that it has not seen, draws."""
  config = inputs.config
  start = _untrained(inputs)
  done = _train(config, recorder, start)
  net = nets.with_params(start, done.result)
  nets.save(net, recorder.workdir / 'generator.safetensors', half=True)
  judged = recorder.once('judged', functools.partial(_judge, config, net))
  results = {
    'train_seconds': done.seconds,
    'parameters': nets.param_count(net),
    **{key: float(value) for key, value in judged.items()},
  }
  loss_by_step = [[row['step'], row['loss']] for row in curve(recorder)]
  write_record(recorder, results, loss_by_step)
  shown = recorder.once(
    'shown', functools.partial(chair_pictures.make, config, net)
  )
  chair_pictures.report(config, recorder, shown, judged)
  return results


def _untrained(inputs: Inputs) -> nets.Network:
  """The generator before training, which standardises its descriptions."""
  config, ops = inputs.config, inputs.ops
  share = 1 / config.styles
  count = sum(parts(config.styles).values()) - config.styles
  spec = nets.InputSpec(
    1,
    (share,) * config.styles + (0.0,) * count,
    ((share * (1 - share)) ** 0.5,) * config.styles + (1.0,) * count,
  )
  params = init_params(ops, spec.shape, jax.random.key(config.seed))
  return nets.Network('generator', ops, spec, params)


def _train(config: ConfigDict, recorder: Recorder, start: nets.Network) -> Any:
  """Lowers squared differences of images, masks, colours; resumable."""
  tx = warm_adam(config.learning_rate, config.steps, warm=_WARM)
  trained, _ = views(config.azimuths)

  def loss_fn(params: Any, step: Array) -> tuple[Array, dict[str, Array]]:
    key = jax.random.fold_in(jax.random.key(config.seed), step)
    chairs = random_chairs(
      key, config.batch_size, config.styles, trained, changed=True
    )
    net = nets.with_params(start, params)
    drawn = net(described(chairs, config.styles))[1]['drawn']
    apart = drawn - draw(chairs, config.size)
    image, mask = apart[..., :3], jnp.square(apart[..., 3]).mean()
    # Colours are a small part of the image's error, which would come last.
    colour = jnp.square(image - image.mean(-1, keepdims=True)).mean()
    image = jnp.square(image).mean()
    loss = image + config.mask * mask + config.colour * colour
    return loss, {'image': image, 'mask': mask, 'colour': colour}

  return fit(
    recorder,
    tx,
    loss_fn,
    nets.get_params(start),
    np.int32,
    steps=config.steps,
    ema=config.ema,
  )


def _judge(config: ConfigDict, net: nets.Network) -> dict[str, np.ndarray]:
  """Errors for views that were trained with, and for those in between.

  The baseline for the latter is the renderer's picture from the nearest view
  that was trained with.
  """
  trained, between = views(config.azimuths)
  step = 2 * np.pi / config.azimuths

  @jax.jit
  def judge(net: nets.Network, key: Array) -> dict[str, Array]:
    errors = {}
    for name, azimuths in {'seen': trained, 'unseen': between}.items():
      chairs = random_chairs(
        key, config.judged, config.styles, azimuths, changed=False
      )
      wanted = draw(chairs, config.size)
      drawn = net(described(chairs, config.styles))[1]['drawn']
      errors |= _errors(name, drawn, wanted)
    near = draw(chairs._replace(azimuth=chairs.azimuth - step), config.size)
    return errors | _errors('nearest', near, wanted)

  key = jax.random.fold_in(jax.random.key(config.seed), config.steps)
  return jax.tree.map(np.asarray, judge(net, key))


def _errors(name: str, drawn: Array, wanted: Array) -> dict[str, Array]:
  """Squared error of the image, and intersection over union of the mask."""
  one, other = (v[..., 3] > 0.5 for v in (drawn, wanted))
  shared, either = (v.sum((1, 2)) for v in (one & other, one | other))
  return {
    f'{name}_error': jnp.square(drawn - wanted)[..., :3].mean(),
    f'{name}_iou': (shared / jnp.maximum(either, 1)).mean(),
  }
