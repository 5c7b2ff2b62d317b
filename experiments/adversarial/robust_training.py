"""Trains a net so that attacks cannot change what it says."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from vizlab import adversarial, nets
from vizlab.data.scenes import scenes
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
from vizlab_experiments.shared.judged_nets import rows_from
from vizlab_experiments.shared.records import curve, write_record
from vizlab_experiments.shared.tasks import Task, read_data

__all__ = ['prepare', 'run']

METHODS = 'madry', 'trades', 'free', 'gaussian', 'plain'
_WARM = 0.1  # share of the steps in which the rate rises


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network before the training.
    epsilons: Radii at which it is judged.
    train: Images and labels of a key, by the side of the images.
    test: Images and labels of a batch that is judged, from an index on.
  """

  config: ConfigDict
  net: nets.Network
  epsilons: tuple[float, ...]
  train: Callable[[Array, int], tuple[Array, Array]]
  test: Callable[[int], tuple[Array, Array]]


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
  scene_training.check_stages(config)
  if config.data:
    net, train, test = _of_file(config, net, read_data(config))
  else:
    net, train, test = _of_scenes(config, net)
  scene_training.check_sizes(config, net)
  return Inputs(config, net, epsilons, train, test)


def _of_scenes(config: ConfigDict, net: nets.Network) -> tuple[Any, ...]:
  """The network, and how fresh scenes are drawn."""
  scene_training.check_classes(net)

  def draw(key: Array, size: int) -> tuple[Array, Array]:
    drawn = scenes(key, config.batch_size, size=size)
    return drawn.image, drawn.labels[:, 0]

  def test(first: int) -> tuple[Array, Array]:
    key = jax.random.key(config.seed + 1_000_000)  # no scene of the training
    return draw(jax.random.fold_in(key, first), config.stages[-1][0])

  return net, draw, test


def _of_file(
  config: ConfigDict, net: nets.Network, task: Task
) -> tuple[Any, ...]:
  """The network with the classes of a file, and how its images are drawn."""
  side = task.images.shape[1]
  wrong = [stage for stage in config.stages if stage[0] != side]
  if wrong or task.images.shape[2] != side:
    raise ValueError(
      f'config.stages: got {config.stages}, expected a side of {side} pixels, '
      f'as {task.images.shape[1:]} images of config.data have, which are square'
    )
  classes = nets.layer_info(net)[-1].shape[-1]
  if classes != task.classes:
    key = jax.random.key(config.seed)
    net = nets.with_classes(net, task.classes, key=key)

  def draw(key: Array, size: int) -> tuple[Array, Array]:
    del size
    rows, changes = jax.random.split(key)
    at = np.asarray(
      jax.random.randint(rows, (config.batch_size,), 0, len(task.images))
    )
    return _augmented(changes, task.images[at]), jnp.asarray(task.labels[at])

  def test(first: int) -> tuple[Array, Array]:
    x, labels = rows_from(
      task.test_images, task.test_labels, first, config.batch_size
    )
    return jnp.asarray(x), jnp.asarray(labels)

  if config.eval_scenes > len(task.test_images):
    raise ValueError(
      f'config.eval_scenes: got {config.eval_scenes}, expected at most the '
      f'{len(task.test_images)} test images of config.data'
    )
  return net, draw, test


@jax.jit
def _augmented(key: Array, x: Array) -> Array:
  """Each image flipped or not, and moved by up to an eighth of its side."""
  side = x.shape[1]
  most = side // 8
  room = ((0, 0), (most, most), (most, most), (0, 0))
  padded = jnp.pad(x, room, mode='reflect')

  def change(key: Array, image: Array) -> Array:
    flip, shift = jax.random.split(key)
    image = jnp.where(jax.random.bernoulli(flip), image[:, ::-1], image)
    y, x = jax.random.randint(shift, (2,), 0, 2 * most + 1)
    return jax.lax.dynamic_slice(image, (y, x, 0), (side, side, 3))

  return jax.vmap(change)(jax.random.split(key, len(x)), padded)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the net, attacks it as it was and as it is, and writes both."""
  config, start = inputs.config, inputs.net
  done = _train(inputs, recorder)
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


def _train(inputs: Inputs, recorder: Recorder) -> Any:
  """Lowers the loss of the method; resumable."""
  config, start = inputs.config, inputs.net
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
    x, labels = inputs.train(key, size)
    # Scenes fold in 0 to the size of the batch - 1.
    key = jax.random.fold_in(key, config.batch_size)
    return x, labels, key

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
  key = jax.random.key(config.seed + 1_000_000)
  right = []
  for first in range(0, config.eval_scenes, config.batch_size):
    count = min(config.batch_size, config.eval_scenes - first)
    x, labels = inputs.test(first)
    goal = adversarial.mislead(net, labels)
    attacked = adversarial.pgd(
      goal,
      x,
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
  images = 'test images' if config.data else 'fresh scenes'
  recorder.report(
    f'Robust training of {net.arch}',
    f'Accuracy on {config.eval_scenes} {images}, without an attack and '
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
