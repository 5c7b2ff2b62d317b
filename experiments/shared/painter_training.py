"""Training of networks that paint images in one style or several."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

from vizlab import generate, nets, penalties
from vizlab.nets.architectures.transformation import (
  texture_generator,
  transformation,
)
from vizlab.nets.graph import init_params
from vizlab.objectives import Objective
from vizlab.runs.recorder import Recorder
from vizlab.types import Array
from vizlab_experiments.shared.gradient_steps import fit
from vizlab_experiments.shared.images import Images, crops
from vizlab_experiments.shared.normalisation import (
  Trained,
  calibrated,
  new_norms,
  normalising_edits,
)

__all__ = ['Goal', 'train_painter']

_CALIBRATION = 16  # batches whose statistics are folded in
_CONTRAST = 30  # of the untrained network, as its output is in bytes


class Goal(NamedTuple):
  """The loss, whose parts are measured by those of the images.

  So the same weights suit any network and layers.

  Attributes:
    styles: Loss of each style, whose layers count 1 together, each as much, for
      images that are not painted.
    alpha: Weight of the content; with 1, two different images differ by 1.
    weights: Weights of each style's layers.
  """

  styles: tuple[Objective, ...]
  alpha: float
  weights: tuple[tuple[float, ...], ...]


def train_painter(
  config: ConfigDict,
  recorder: Recorder,
  seeing: nets.Network,
  goal: Goal,
  images: Images,
) -> tuple[nets.Network, float]:
  """Trains a network to paint images; resumable.

  Args:
    config: Settings of `generate/fast_style`, checked.
    recorder: Recorder of the run.
    seeing: The network whose activations are compared.
    goal: The loss.
    images: Images to train with.

  Returns:
    The network, its normalisation over batches folded in, and the time that the
    training took in seconds.
  """
  start = _untrained(config, len(goal.styles))
  tx = _optimizer(config)
  penalty = penalties.tv(2.0) * (1 / config.size**2)

  def loss_fn(trained: Trained, data: tuple) -> tuple[Array, dict[str, Array]]:
    x, shares, seer, styles = data
    edits = normalising_edits(trained.norms, {})
    net = nets.with_params(start, trained.params)
    made = net(_input(x, shares), edits)[1]['image']
    wanted = [style * shares[:, i] for i, style in enumerate(styles)]
    each = generate.perceptual_loss(
      seer,
      made,
      x,
      sum(wanted[1:], wanted[0]),
      content_layer=config.content_layer,
      alpha=goal.alpha,
      beta=config.beta,
    )
    return (each + config.tv * penalty(made)).mean(), {}

  def batch(step: int) -> tuple:
    # The weights that see are arguments: as constants they would be compiled.
    x = crops(config, images, step, config.batch_size)
    return x, _in_turn(step, len(x), len(goal.styles)), seeing, goal.styles

  # The last convolution gives the image itself.
  norms = new_norms(start, 'conv4') if config.norm == 'batch' else {}
  begin = Trained(nets.get_params(start), norms)
  done = fit(
    recorder, tx, loss_fn, begin, batch, steps=config.steps, ema=config.ema
  )
  net = calibrated(
    start,
    done.result,
    (
      crops(config, images, config.steps + i, config.batch_size)
      for i in range(_CALIBRATION)
    ),
  )
  return net, done.seconds


def _in_turn(step: int, count: int, styles: int) -> np.ndarray:
  """One style for each image of a batch, all in turn, ``[B, S]``."""
  at = step * count + np.arange(count)
  return np.eye(styles, dtype=np.float32)[at % styles]


def _input(x: Array, shares: Array) -> Array:
  """Input of the network; that of a single style has no shares."""
  return x if shares.shape[-1] == 1 else generate.with_style(x, shares)


def _untrained(config: ConfigDict, styles: int) -> nets.Network:
  """The network before training, which paints in grey."""
  if config.form == 'pyramid':
    return _pyramid(config)
  several = styles if styles > 1 else 0
  ops = transformation(
    config.width,
    config.blocks,
    resize=config.upsampling == 'resize',
    norm=config.norm == 'instance',
    styles=several,
  )
  spec = nets.architecture('fast_style').spec()
  spec = dataclasses.replace(
    spec,
    size=config.size,
    mean=spec.mean + (0.0,) * several,
    std=spec.std + (spec.scale,) * several,  # shares stay as they are
  )
  params = init_params(ops, spec.shape, jax.random.key(config.seed))
  if 'bias' in params['conv4']:  # else the squashed image is grey in itself
    params['conv4']['bias'] += 127.5
    params['conv4']['kernel'] *= _CONTRAST
  return nets.Network('fast_style', ops, spec, params)


def _pyramid(config: ConfigDict) -> nets.Network:
  """That of several resolutions, which needs no noise to paint a picture."""
  ops = texture_generator(config.scales, config.width, noise=0, picture=True)
  spec = nets.InputSpec(config.size, (0.5,) * 3, (0.25,) * 3)
  params = init_params(ops, spec.shape, jax.random.key(config.seed))
  return nets.Network('fast_style_pyramid', ops, spec, params)


def _optimizer(config: ConfigDict) -> optax.GradientTransformation:
  schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)
  return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
