"""Training of networks on scenes, whose normalisation is folded in the end.

A net that is trained here has no batch normalisation of its own, so that every
method meets only convolutions, ReLUs and pooling. Each convolution's output is
normalised over the batch through an edit while it is trained, and in the end
the normalisation is folded into the kernels and biases.
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from vizlab import nets
from vizlab.data.scenes import SHAPE_NAMES, Scene, scenes
from vizlab.nets.layers import Conv
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import named, need_not_negative, need_positive
from vizlab.types import Array
from vizlab_experiments.shared import training_data
from vizlab_experiments.shared.gradient_steps import fit
from vizlab_experiments.shared.normalisation import (
  Trained,
  calibrated,
  new_norms,
  normalising_edits,
)

__all__ = [
  'TrainedNet',
  'accuracy',
  'check',
  'check_classes',
  'check_stages',
  'check_sizes',
  'initial',
  'step_count',
  'train',
]


class TrainedNet(NamedTuple):
  """A network that was trained.

  Attributes:
    net: The network, its normalisation folded in.
    seconds: Time that the training took.
    milestones: The network after each milestone, likewise.
  """

  net: nets.Network
  seconds: float
  milestones: Mapping[int, nets.Network]


def check(config: ConfigDict) -> None:
  """Checks the settings of ``blocks.training``.

  Raises:
    ValueError: A setting is out of range.
  """
  check_stages(config)
  need_positive(config, 'learning_rate', 'batch_size', 'calibration_batches')
  need_not_negative(config, 'fixed_scenes')
  if config.random_labels and not config.fixed_scenes:
    raise ValueError(
      'config.random_labels: got True without fixed_scenes; labels that are '
      'drawn again for fresh scenes cannot be learned'
    )
  for name in ('two_objects', 'correlation', 'noise'):
    if not 0 <= config[name] <= 1:
      raise ValueError(f'config.{name}: got {config[name]}, expected 0 to 1')
  steps = step_count(config)
  if not 0 <= config.warmup_steps < steps:
    raise ValueError(
      f'config.warmup_steps: got {config.warmup_steps}, expected 0 to '
      f'{steps - 1}'
    )


def check_classes(net: nets.Network) -> None:
  """Raises a `ValueError` unless a network has a class for each shape."""
  count = nets.layer_info(net)[-1].shape[-1]
  if count != len(SHAPE_NAMES):
    raise ValueError(
      f'config.net.weights: got a net of {count} classes, expected the '
      f'{len(SHAPE_NAMES)} shapes of scenes'
    )


def check_stages(config: ConfigDict) -> None:
  """Raises a `ValueError` unless stages are pairs of pixels and steps."""
  stages = config.stages
  pairs = all(
    isinstance(s, tuple) and len(s) == 2 and min(s) >= 1 for s in stages
  )
  if not stages or not pairs:
    raise ValueError(
      f'config.stages: got {config.stages}, expected ((pixels, steps), ...)'
    )


def check_sizes(config: ConfigDict, *untrained: nets.Network) -> None:
  """Raises a `ValueError` unless networks take the images of all stages."""
  for net, (size, _) in itertools.product(untrained, config.stages):
    with named(x='stages'):
      jax.eval_shape(net, jax.ShapeDtypeStruct((1, size, size, 3), np.float32))


def train(
  config: ConfigDict,
  recorder: Recorder,
  net: nets.Network,
  *,
  name: str = 'training',
  milestones: Sequence[int] = (),
) -> TrainedNet:
  """Trains a net on scenes and folds its normalisation; resumable.

  Args:
    config: Settings of ``blocks.training``, checked.
    recorder: Recorder of the run.
    net: The net before training, with a class for each shape.
    name: Name of the training, unique within the run.
    milestones: Numbers of steps after which the net is kept, too.
  """

  def loss_fn(trained: Trained, data: Scene) -> tuple[Array, dict[str, Array]]:
    loss, hits = _loss(trained, net, data)
    return loss, {'accuracy': hits}

  done = fit(
    recorder,
    _optimizer(config),
    loss_fn,
    initial(net, config.first_kernel_scale),
    functools.partial(training_data.batch, config),
    steps=step_count(config),
    name=name,
    milestones=milestones,
  )
  return TrainedNet(
    _folded(config, net, done.result),
    done.seconds,
    {at: _folded(config, net, kept) for at, kept in done.milestones.items()},
  )


def initial(net: nets.Network, first_kernel_scale: float) -> Trained:
  """Arrays of a net before its training.

  The first kernels start close to zero, which the normalisation makes up for:
  what they become is learned, and not the noise that they began with.
  """
  params = nets.get_params(net)
  first = next(op for op in net.ops if isinstance(op, Conv))
  params[first.name]['kernel'] *= first_kernel_scale
  return Trained(params, new_norms(net))


def accuracy(net: nets.Network, config: ConfigDict, count: int) -> float:
  """Share of fresh one-object scenes that the net names rightly.

  A net that learned a fixed set by heart is asked about that set.
  """
  size = config.stages[-1][0]
  if config.fixed_scenes:
    data = training_data.fixed_set(
      config.seed, config.fixed_scenes, size, config.random_labels
    )
    hits = [
      _named(net, data.image[i : i + 256]) == data.labels[i : i + 256, 0]
      for i in range(0, config.fixed_scenes, 256)
    ]
    return float(jnp.concatenate(hits).mean())
  key = jax.random.key(config.seed + 1_000_000)
  right, chunk = 0, min(256, count)
  for i in range(0, count, chunk):
    n = min(chunk, count - i)
    data = scenes(jax.random.fold_in(key, i), n, size=size)
    right += int((_named(net, data.image) == data.labels[:, 0]).sum())
  return right / count


@jax.jit
def _named(net: nets.Network, x: Array) -> Array:
  return net(x)[0].argmax(-1)


def step_count(config: ConfigDict) -> int:
  """Number of steps of all stages."""
  return sum(steps for _, steps in config.stages)


def _optimizer(config: ConfigDict) -> optax.GradientTransformation:
  """AdamW with a warm-up and a cosine; only kernels decay."""
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, config.learning_rate, config.warmup_steps, step_count(config)
  )
  kernels = functools.partial(jax.tree.map, lambda p: p.ndim > 1)
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(schedule, weight_decay=config.weight_decay, mask=kernels),
  )


def _loss(
  trained: Trained, net: nets.Network, data: Scene
) -> tuple[Array, Array]:
  """Cross-entropy with the shapes that are present, and the accuracy.

  A scene with two objects asks for one half of each.
  """
  edits = normalising_edits(trained.norms, {})
  logits, _ = nets.with_params(net, trained.params)(data.image, edits)
  target = jax.nn.one_hot(data.labels, len(SHAPE_NAMES)).sum(1)
  target = target / target.sum(-1, keepdims=True)
  hit = (logits.argmax(-1)[:, None] == data.labels).any(-1)
  return optax.softmax_cross_entropy(logits, target).mean(), hit.mean()


def _folded(
  config: ConfigDict, net: nets.Network, trained: Trained
) -> nets.Network:
  """The net with statistics of many fresh scenes folded in."""
  batches = (
    training_data.batch(config, step_count(config) + i).image
    for i in range(config.calibration_batches)
  )
  return calibrated(net, trained, batches)
