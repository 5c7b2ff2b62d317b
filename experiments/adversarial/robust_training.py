"""Trains a net on scenes so that attacks cannot change what it says."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from vizlab import adversarial, nets
from vizlab.data.scenes import SHAPE_NAMES, scenes
from vizlab.lookup import check_name
from vizlab.objectives import cross_entropy, score
from vizlab.runs import plots
from vizlab.runs.inputs import load_classifier
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import amounts, need_not_negative, need_positive
from vizlab.types import Array, widened
from vizlab_experiments.shared import scene_training, training_data
from vizlab_experiments.shared.gradient_steps import fit, warm_adam
from vizlab_experiments.shared.records import curve, write_record

__all__ = ['prepare', 'run']

METHODS = 'madry', 'trades', 'free', 'gaussian', 'plain'
_WARM = 0.1  # share of the steps in which the rate rises


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  epsilons: tuple[float, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(
    config, 'batch_size', 'learning_rate', 'attack_steps', 'replays'
  )
  need_positive(config, 'eval_scenes', 'eval_steps')
  need_not_negative(config, 'epsilon', 'beta', 'sigma')
  check_name('config.method', config.method, METHODS)
  check_name('config.norm', config.norm, ('linf', 'l2', 'l1'))
  epsilons = amounts(config, 'epsilons')
  net = load_classifier(config)
  classes = nets.layer_info(net)[-1].shape[-1]
  if classes != len(SHAPE_NAMES):
    raise ValueError(
      f'config.net.weights: got a net of {classes} classes, expected the '
      f'{len(SHAPE_NAMES)} of scenes'
    )
  scene_training.check_stages(config)
  scene_training.check_sizes(config, net)
  return Inputs(config, net, epsilons)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the net, attacks it as it was and as it is, and writes both."""
  config, start = inputs.config, inputs.net
  done = _train(config, recorder, start)
  net = nets.with_params(start, done.result['net'])
  nets.save(net, recorder.workdir / 'robust.safetensors', half=True)
  accuracy = {
    name: recorder.once(name, functools.partial(_attacked, inputs, each))
    for name, each in {'before': start, 'after': net}.items()
  }
  rows = curve(recorder)
  results = {
    **{
      f'{name}_{what}': float(values[what])
      for name, values in accuracy.items()
      for what in ('clean', 'robust')
    },
    'seconds_per_step': done.seconds / scene_training.step_count(config),
  }
  write_record(recorder, results, [[r['step'], r['loss']] for r in rows])
  _report(inputs, recorder, accuracy, results, rows)
  return results


def _train(config: ConfigDict, recorder: Recorder, start: nets.Network) -> Any:
  """Lowers the loss of the method; resumable."""
  steps = scene_training.step_count(config)
  side = max(side for side, _ in config.stages)
  begin = {
    # Steps are too small for half precision, in which the layers may compute.
    'net': jax.tree.map(widened, nets.get_params(start)),
    # Smaller images take a part of it; all methods but one leave it at zero.
    'delta': jnp.zeros((config.batch_size, side, side, 3)),
  }
  tx = optax.partition(
    {
      'net': warm_adam(config.learning_rate, steps, warm=_WARM),
      'delta': adversarial.free_ascent(config.epsilon, config.norm),
    },
    {name: name for name in begin},
  )
  loss = _losses(config)[config.method]
  replays = config.replays if config.method == 'free' else 1

  def loss_fn(
    trained: dict[str, Any], data: tuple[Array, Array, Array]
  ) -> tuple[Array, dict[str, Array]]:
    x, label, key = data
    net = nets.with_params(start, trained['net'])
    delta = trained['delta'][:, : x.shape[1], : x.shape[2]]
    return loss(net, x, label, key, delta).mean(), {}

  def batch(step: int) -> tuple[Array, Array, Array]:
    size = training_data.size_at(config, step // replays * replays)
    key = jax.random.fold_in(jax.random.key(config.seed), step // replays)
    drawn = scenes(key, config.batch_size, size=size)
    # Scenes fold in 0 to the size of the batch - 1.
    key = jax.random.fold_in(key, config.batch_size)
    return drawn.image, drawn.labels[:, 0], key

  return fit(recorder, tx, loss_fn, begin, batch, steps=steps)


def _losses(config: ConfigDict) -> dict[str, Callable[..., Array]]:
  """Each method's loss, ``(net, x, label, key, delta) -> [B]``."""
  ball = {
    'epsilon': config.epsilon,
    'norm': config.norm,
    'steps': config.attack_steps,
  }

  def plain(net: nets.Network, x: Array, label: Array, *_: Array) -> Array:
    return score(net, cross_entropy(label))(x)

  def gaussian(
    net: nets.Network, x: Array, label: Array, key: Array, delta: Array
  ) -> Array:
    noisy = x + config.sigma * jax.random.normal(key, x.shape)
    return plain(net, jnp.clip(noisy, 0, 1), label)

  return {
    'madry': lambda *args: adversarial.madry_loss(*args[:4], **ball),
    'trades': lambda *args: adversarial.trades_loss(
      *args[:4], beta=config.beta, **ball
    ),
    'free': lambda net, x, label, key, delta: adversarial.free_loss(
      net, x, label, delta
    ),
    'gaussian': gaussian,
    'plain': plain,
  }


def _attacked(inputs: Inputs, net: nets.Network) -> dict[str, np.ndarray]:
  """Accuracy without an attack, at the training's epsilon, and at each."""
  config = inputs.config
  epsilons = jnp.array([0.0, config.epsilon, *inputs.epsilons])
  size = config.stages[-1][0]
  key = jax.random.key(config.seed + 1_000_000)  # no scene of the training
  right = []
  for first in range(0, config.eval_scenes, config.batch_size):
    count = min(config.batch_size, config.eval_scenes - first)
    data = scenes(jax.random.fold_in(key, first), config.batch_size, size=size)
    goal = adversarial.mislead(net, data.labels[:, 0])
    attacked = adversarial.pgd(
      goal,
      data.image,
      key,
      epsilon=epsilons,
      norm=config.norm,
      steps=config.eval_steps,
      stop=True,
    )
    # Neither where logits are NaN nor where all are equal.
    withstood = jax.vmap(goal)(attacked.projected)['goal'] < 0
    right.append(np.asarray(withstood)[:, :count])
  clean, robust, *curve = np.concatenate(right, 1).mean(1)
  return {'clean': clean, 'robust': robust, 'curve': np.array(curve)}


def _report(
  inputs: Inputs,
  recorder: Recorder,
  accuracy: dict[str, dict[str, np.ndarray]],
  results: dict[str, Any],
  rows: list[dict[str, float]],
) -> None:
  config, net = inputs.config, inputs.net
  names = {
    'before': f'{net.arch} before',
    'after': f'after {config.method} training',
  }
  recorder.report(
    f'Robust training of {net.arch}',
    f'Accuracy on {config.eval_scenes} fresh scenes, without an attack and '
    f'with one of {config.eval_steps} steps within {config.epsilon:.4f} '
    f'({config.norm}): {results["before_clean"]:.1%} and '
    f'{results["before_robust"]:.1%} before, {results["after_clean"]:.1%} and '
    f'{results["after_robust"]:.1%} after.',
    [
      Figure(
        'robustness',
        f'Accuracy under attacks within {config.norm} balls',
        plots.curves(
          {
            'accuracy': {
              text: accuracy[name]['curve'] for name, text in names.items()
            }
          },
          list(inputs.epsilons),
          'epsilon',
        ),
      ),
      Table(
        'accuracy',
        'Accuracy by epsilon',
        ['epsilon', *names.values()],
        [
          [e, *(float(accuracy[name]['curve'][i]) for name in names)]
          for i, e in enumerate(inputs.epsilons)
        ],
      ),
      Table(
        'training',
        'Loss while training',
        ['step', 'loss'],
        [[row['step'], row['loss']] for row in rows],
      ),
    ],
  )
