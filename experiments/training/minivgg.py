"""Trains a small VGG on procedural scenes, and folds it into plain layers.

The net that is shipped has no batch normalisation, so that every attribution
method meets only convolutions, ReLUs and pooling. It is trained with it: each
convolution's output is normalised over the batch through an edit, and in the
end the normalisation is folded into the kernels and biases.
"""

import functools
import os
import platform
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from vizlab import io, nets, render
from vizlab.data.scenes import SHAPE_NAMES, Scene, scenes
from vizlab.nets.layers import Conv
from vizlab.runs.reader import read_metrics
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import need_not_negative, need_positive
from vizlab.runs.training import train_resumable
from vizlab.types import Array
from vizlab_experiments.shared import training_data
from vizlab_experiments.shared.normalisation import (
  Moments,
  Norm,
  fold,
  normalising_edits,
)

__all__ = ['prepare', 'run']

_NAME = 'training'


class Trained(NamedTuple):
  """Trained arrays: parameters as of ``nets.get_params``, and norms."""

  params: dict[str, dict[str, Array]]
  norms: dict[str, Norm]


class State(NamedTuple):
  """State of the training.

  Attributes:
    trained: Parameters and norms.
    opt: State of the optimizer.
  """

  trained: Trained
  opt: Any


def prepare(config: ConfigDict) -> ConfigDict:
  """Checks the settings."""
  _check(config)
  return config


def run(config: ConfigDict, recorder: Recorder) -> dict[str, Any]:
  """Trains, folds, evaluates and writes the net and its training record."""
  net, norms, seconds = _train(config, recorder)
  net = fold(net, norms, _calibrate(config, net, norms))
  accuracy = evaluate(net, config)
  nets.save(net, recorder.workdir / 'minivgg.safetensors', half=True)
  results = {
    'accuracy': accuracy,
    'train_seconds': seconds,
    'parameters': nets.param_count(net),
  }
  io.write_json(
    recorder.workdir / 'record.json',
    {
      'config': recorder.settings,
      'results': results,
      'curve': _curve(recorder),
      'machine': f'{os.cpu_count()} cores, {platform.machine()}, '
      f'{jax.default_backend()}',
      'jax': jax.__version__,
    },
  )
  recorder.report(
    'Training of minivgg',
    _summary(config, accuracy),
    _parts(net, recorder),
  )
  return results


def _summary(config: ConfigDict, accuracy: float) -> str:
  if config.fixed_scenes:
    labels = 'random labels' if config.random_labels else 'labels'
    return (
      f'The net has learned by heart the {labels} of {config.fixed_scenes} '
      f'scenes: it names {accuracy:.2%} of them as it was taught.'
    )
  return (
    f'The net names {accuracy:.2%} of {config.eval_scenes} fresh one-object '
    'scenes rightly. Its first kernels must show edges and colours, not noise.'
  )


def _parts(net: nets.Network, recorder: Recorder) -> list[Figure | Table]:
  kernel = nets.get_params(net)['conv1_1']['kernel']
  return [
    Figure(
      'filters',
      'The kernels of conv1_1, each scaled to itself',
      render.filters(np.asarray(kernel)),
    ),
    Table(
      'Loss and accuracy while training, on scenes of one and two objects',
      ['step', 'loss', 'accuracy'],
      [[row['step'], row['loss'], row['accuracy']] for row in _curve(recorder)],
    ),
  ]


def _curve(recorder: Recorder) -> list[dict[str, float]]:
  """Step, loss and accuracy of each row of the metrics."""
  return [
    {key.removeprefix(f'{_NAME}/'): value for key, value in row.items()}
    for row in read_metrics(recorder.workdir)
  ]


def _check(config: ConfigDict) -> None:
  stages = [tuple(stage) for stage in config.stages]
  if not stages or any(len(s) != 2 or min(s) < 1 for s in stages):
    raise ValueError(
      f'config.stages: got {config.stages}, expected ((pixels, steps), ...)'
    )
  need_positive(config, 'learning_rate', 'batch_size', 'eval_scenes')
  need_positive(config, 'calibration_batches')
  need_not_negative(config, 'fixed_scenes')
  if config.random_labels and not config.fixed_scenes:
    raise ValueError(
      'config.random_labels: got True without fixed_scenes; labels that are '
      'drawn again for fresh scenes cannot be learned'
    )
  for name in ('two_objects', 'correlation', 'noise'):
    if not 0 <= config[name] <= 1:
      raise ValueError(f'config.{name}: got {config[name]}, expected 0 to 1')
  steps = sum(steps for _, steps in stages)
  if not 0 <= config.warmup_steps < steps:
    raise ValueError(
      f'config.warmup_steps: got {config.warmup_steps}, expected 0 to '
      f'{steps - 1}'
    )


def optimizer(config: ConfigDict) -> optax.GradientTransformation:
  """AdamW with a warm-up and a cosine; only kernels decay."""
  steps = sum(steps for _, steps in config.stages)
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, config.learning_rate, config.warmup_steps, steps
  )
  kernels = functools.partial(jax.tree.map, lambda p: p.ndim > 1)
  return optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(schedule, weight_decay=config.weight_decay, mask=kernels),
  )


def loss_fn(
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


def initial(config: ConfigDict) -> tuple[nets.Network, Trained]:
  """The net before training, and what of it is trained.

  The first kernels start close to zero, which the normalisation makes up for:
  what they become is learned, and not the noise that they began with.
  """
  net = nets.create(
    'minivgg', key=jax.random.key(config.seed), classes=len(SHAPE_NAMES)
  )
  params = nets.get_params(net)
  params['conv1_1']['kernel'] *= config.first_kernel_scale
  norms = {
    op.name: Norm(jnp.ones(op.features), jnp.zeros(op.features))
    for op in net.ops
    if isinstance(op, Conv)
  }
  return net, Trained(params, norms)


def _train(
  config: ConfigDict, recorder: Recorder
) -> tuple[nets.Network, dict[str, Norm], float]:
  net, trained = initial(config)
  tx = optimizer(config)

  def train_step(
    state: State, data: Scene, step: Array
  ) -> tuple[State, dict[str, Array]]:
    del step
    differentiate = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, accuracy), grads = differentiate(state.trained, net, data)
    with jax.numpy_dtype_promotion('standard'):  # optax needs it
      updates, opt = tx.update(grads, state.opt, state.trained)
      trained = optax.apply_updates(state.trained, updates)
    return State(trained, opt), {'loss': loss, 'accuracy': accuracy}

  trained, seconds = train_resumable(
    recorder,
    _NAME,
    train_step,
    State(trained, tx.init(trained)),
    functools.partial(training_data.batch, config),
    steps=sum(steps for _, steps in config.stages),
    keep=lambda state: state.trained,
  )
  return nets.with_params(net, trained.params), trained.norms, seconds


def _calibrate(
  config: ConfigDict, net: nets.Network, norms: dict[str, Norm]
) -> Moments:
  """Mean and variance of every convolution over many fresh scenes."""

  @jax.jit
  def moments_of(image: Array) -> Moments:
    moments: Moments = {}
    net(image, normalising_edits(norms, moments))
    return moments

  steps = sum(steps for _, steps in config.stages)
  several = [
    moments_of(training_data.batch(config, steps + i).image)
    for i in range(config.calibration_batches)
  ]
  return jax.tree.map(lambda *values: sum(values) / len(values), *several)


def evaluate(net: nets.Network, config: ConfigDict) -> float:
  """Share of fresh one-object scenes that the net names rightly.

  A net that learned a fixed set by heart is asked about that set.
  """
  predict = jax.jit(lambda net, x: net(x)[0].argmax(-1))
  if config.fixed_scenes:
    size = config.stages[-1][0]
    data = training_data.fixed_set(
      config.seed, config.fixed_scenes, size, config.random_labels
    )
    hits = [
      predict(net, data.image[i : i + 256]) == data.labels[i : i + 256, 0]
      for i in range(0, config.fixed_scenes, 256)
    ]
    return float(jnp.concatenate(hits).mean())
  key = jax.random.key(config.seed + 1_000_000)
  right, chunk = 0, min(256, config.eval_scenes)
  for i in range(0, config.eval_scenes, chunk):
    n = min(chunk, config.eval_scenes - i)
    data = scenes(jax.random.fold_in(key, i), n)
    right += int((predict(net, data.image) == data.labels[:, 0]).sum())
  return right / config.eval_scenes
