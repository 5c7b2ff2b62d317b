"""Training of networks that make an image of what was read from it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import generate, nets
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import need_not_negative, need_positive
from vizlab.runs.training import Training
from vizlab.types import Array
from vizlab_experiments.shared.gradient_steps import check_ema, fit, warm_adam
from vizlab_experiments.shared.images import Images, crops

__all__ = ['check_maker', 'train_maker']

# Share of the steps in which the rate rises: the last layer sums thousands of
# inputs, and Adam's first steps are as long as all others.
_WARM = 0.1


def check_maker(config: ConfigDict) -> None:
  """Checks the settings that `train_maker` reads, but for the layer."""
  need_positive(config, 'size', 'batch_size', 'steps', 'learning_rate')
  need_not_negative(config, 'pixel', 'feature')
  if not config.pixel + config.feature:
    raise ValueError(
      'config.pixel, config.feature: got 0 and 0, expected one above 0'
    )
  check_ema(config)


def train_maker(
  config: ConfigDict,
  recorder: Recorder,
  start: nets.Network,
  seeing: nets.Network,
  images: Images,
  read: Callable[[Array, nets.Network], Array],
) -> Training:
  """Trains a network to make images of what is read from them; resumable.

  The loss is ``pixel`` times the mean squared difference of pixels and
  ``feature`` times that of the activations ``feature_layer``.

  Args:
    config: The settings of that, and ``size``, ``seed``, ``batch_size``,
      ``steps`` and ``learning_rate``, checked.
    recorder: Recorder of the run.
    start: The network before training; its layer ``image`` is the image.
    seeing: The network whose activations are compared.
    images: Images to train with.
    read: What the network reads of images, ``(images, seeing) -> input``.

  Returns:
    The training, whose result are the parameters.
  """
  tx = warm_adam(config.learning_rate, config.steps, warm=_WARM)

  def loss_fn(
    params: Any, data: tuple[Array, nets.Network]
  ) -> tuple[Array, dict[str, Array]]:
    x, seer = data
    given = jax.lax.stop_gradient(read(x, seer))
    made = nets.with_params(start, params)(given)[1]['image']
    square = jnp.square(made - x).mean()
    loss = config.pixel * square
    if config.feature:
      apart = generate.feature_loss(seer, made, x, config.feature_layer)
      loss = loss + config.feature * apart.mean()
    return loss, {'pixel': square}

  def batch(step: int) -> tuple[np.ndarray, nets.Network]:
    # The weights that see are arguments: as constants they would be compiled.
    return crops(config, images, step, config.batch_size), seeing

  return fit(
    recorder,
    tx,
    loss_fn,
    nets.get_params(start),
    batch,
    steps=config.steps,
    ema=config.ema,
  )
