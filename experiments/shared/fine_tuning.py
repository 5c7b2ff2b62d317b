"""Fine tuning of a network on a task, with early stopping."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from ml_collections import ConfigDict

from vizlab import nets
from vizlab.runs.recorder import Recorder, flat
from vizlab.runs.settings import named, need_positive
from vizlab.runs.training import train_resumable
from vizlab.types import Array, widened
from vizlab_experiments.shared.gradient_steps import gradient_step, warm_adam
from vizlab_experiments.shared.tasks import Task

__all__ = [
  'Plan',
  'Tuned',
  'activations',
  'check',
  'check_net',
  'check_size',
  'fine_tune',
  'layers_until',
  'test_logits',
]

_EVERY = 20  # steps between two looks at the validation part
Params = dict[str, dict[str, Array]]


@dataclasses.dataclass(frozen=True)
class Plan:
  """Layers that are trained, and their share of the learning rate.

  Attributes:
    frozen: Name of the last layer that is not trained, nor any before it;
      ``None`` trains all.
    slow: Layers that are trained more slowly.
    share: Share of the learning rate with which they are.
  """

  frozen: str | None = None
  slow: tuple[str, ...] = ()
  share: float = 1.0


class _State(NamedTuple):
  """State of a fine tuning.

  Attributes:
    params: The parameters.
    opt: State of the optimizer.
    best: The parameters with the lowest loss on the validation part.
    lowest: That loss.
    checks: Looks at the validation part since then.
    steps: Steps done.
  """

  params: Params
  opt: Any
  best: Params
  lowest: Array
  checks: Array
  steps: Array


class Tuned(NamedTuple):
  """Result of a fine tuning.

  Attributes:
    kept: What was kept of the network.
    steps: Number of steps that were taken.
  """

  kept: Any
  steps: int


def check(config: ConfigDict) -> None:
  """Checks the settings of ``blocks.fine_tuning``."""
  need_positive(config, 'steps', 'batch_size', 'learning_rate', 'patience')


def check_net(net: nets.Network, *, random: bool) -> None:
  """Raises a `ValueError` unless layers of the network can be trained.

  Args:
    net: The network.
    random: Whether some begin with random parameters.
  """
  if not isinstance(net, nets.Network):
    raise ValueError(
      f'config.net.weights: got a function ({net.arch}), expected a network of '
      'layers, whose parameters can be copied and trained'
    )
  normalised = [op.name for op in net.ops if op.frozen_params]
  if random and normalised:
    raise ValueError(
      f'config.net.weights: got {net.arch} with batch normalisation '
      f'({normalised[0]!r}), which does nothing before its statistics are '
      'recorded, expected a network without it, as of nets.merge_batch_norm'
    )


def check_size(net: nets.Network, task: Task) -> None:
  """Raises a `ValueError` unless the network takes the images of the task."""
  like = jax.ShapeDtypeStruct((1, *task.images.shape[1:]), np.float32)
  with named(x='data' if task.name == 'data' else 'size'):
    jax.eval_shape(net, like)


def layers_until(net: nets.Network, layer: str) -> tuple[str, ...]:
  """Names of the layers up to one, in the order in which they run."""
  return net.layer_names[: net.layer_names.index(layer) + 1]


def activations(
  net: nets.Network, images: np.ndarray, layer: str | None, batch: int
) -> np.ndarray:
  """Activations of a layer for many images; the images without a layer."""
  if layer is None:
    return images
  parts = [
    np.asarray(_activations(net, images[i : i + batch], layer))
    for i in range(0, len(images), batch)
  ]
  return np.concatenate(parts)


@functools.partial(jax.jit, static_argnames='layer')
def _activations(net: nets.Network, x: Array, layer: str) -> Array:
  return net(x)[1][layer]


def test_logits(net: nets.Network, task: Task, batch: int) -> Array:
  """Logits of the test images, ``[M, K]``."""
  x = task.test_images
  parts = [_logits(net, x[i : i + batch]) for i in range(0, len(x), batch)]
  return jnp.concatenate(parts)


@jax.jit
def _logits(net: nets.Network, x: Array) -> Array:
  return net(x)[0]


def fine_tune(
  config: ConfigDict,
  recorder: Recorder,
  name: str,
  net: nets.Network,
  plan: Plan,
  task: Task,
  rows: tuple[np.ndarray, np.ndarray],
  key: Array,
  *,
  keep: Callable[[nets.Network], Any],
) -> Tuned:
  """Trains a network until it is no better on the validation part; resumable.

  The parameters that are the best there count. Layers that are frozen run once
  for each image: their last activations are what the others learn from, put
  into the network by an edit.

  Args:
    config: Settings of ``blocks.fine_tuning``.
    recorder: Recorder of the run.
    name: Name of the training, unique within the run.
    net: The network before the training, with the classes of the task.
    plan: Layers that are trained, and how fast.
    task: The task.
    rows: Indices of images to learn from, and of the validation part.
    key: JAX random key of the order of the images.
    keep: Function of the trained network that returns a pytree of arrays; it is
      traced.
  """
  fitted: list[np.ndarray] = []
  held = None
  if not recorder.has(flat(name)):  # nothing is computed for what is there
    parts = [
      (
        activations(net, task.images[at], plan.frozen, config.batch_size),
        task.labels[at],
      )
      for at in rows
    ]
    fitted, held = [*parts[0]], _in_batches(*parts[1], config.batch_size)
  size = min(config.batch_size, len(rows[0]))

  def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = jax.random.fold_in(key, step)
    at = jax.random.randint(drawn, (size,), 0, len(rows[0]))
    x, labels = (each[np.asarray(at)] for each in fitted)
    return x, labels

  # Steps are too small for half precision, in which the layers may compute.
  params = jax.tree.map(widened, nets.get_params(net))
  recipe = _recipe(config, net, plan, task.images.shape[1:])
  state = _State(
    params,
    recipe.optimizer.init(params),
    best=params,
    lowest=jnp.float32(jnp.inf),
    checks=jnp.int32(0),
    steps=jnp.int32(0),
  )
  kept, count = train_resumable(
    recorder,
    name,
    Partial(recipe.train_step, net, held),
    state,
    batch,
    steps=config.steps,
    keep=lambda state: (keep(nets.with_params(net, state.best)), state.steps),
    log_every=_EVERY,
    stop=lambda state: state.checks >= config.patience,
  ).result
  return Tuned(kept, int(count))


class _Held(NamedTuple):
  """Validation part, in batches of one size.

  Attributes:
    x: ``[N, B, ...]``, images or activations.
    labels: int32 ``[N, B]``.
    weights: ``[N, B]``, 1, or 0 for what only fills the last batch.
  """

  x: np.ndarray
  labels: np.ndarray
  weights: np.ndarray


def _in_batches(x: np.ndarray, labels: np.ndarray, size: int) -> _Held:
  size = min(size, len(x))
  count = -(-len(x) // size)
  at = np.arange(count * size)
  weights = (at < len(x)).astype(np.float32)
  parts = x[at % len(x)], labels[at % len(x)], weights
  return _Held(*(each.reshape(count, size, *each.shape[1:]) for each in parts))


class _Recipe(NamedTuple):
  optimizer: optax.GradientTransformation
  train_step: Callable[..., tuple[_State, dict[str, Array]]]


def _recipe(
  config: ConfigDict, net: nets.Network, plan: Plan, image: tuple[int, ...]
) -> _Recipe:
  groups = dict.fromkeys(plan.slow, 'slow')
  if plan.frozen is not None:
    fixed = {*layers_until(net, plan.frozen)} & {*nets.trained_layers(net)}
    groups |= dict.fromkeys(sorted(fixed), 'frozen')
  labels = nets.param_labels(net, groups)
  return _recipe_of(
    config.learning_rate,
    plan.share,
    config.steps,
    plan.frozen,
    tuple((k, tuple(each.items())) for k, each in labels.items()),
    image,
  )


@functools.lru_cache(maxsize=64)
def _recipe_of(
  learning_rate: float,
  share: float,
  steps: int,
  frozen: str | None,
  labels: tuple[tuple[str, tuple[tuple[str, str], ...]], ...],
  image: tuple[int, ...],
) -> _Recipe:
  """The same functions for the same settings, so that programs are shared."""
  optimizer = optax.partition(
    {
      'tuned': warm_adam(learning_rate, steps, warm=0.1),
      'slow': warm_adam(learning_rate * share, steps, warm=0.1),
      'frozen': optax.set_to_zero(),
    },
    {layer: dict(each) for layer, each in labels},
  )

  def logits_of(net: nets.Network, params: Params, x: Array) -> Array:
    net = nets.with_params(net, params)
    if frozen is None:
      return net(x)[0]
    # The layers before are not computed: nothing reads them, by check_cut.
    blank = jnp.zeros((len(x), *image), x.dtype)
    return net(blank, {frozen: lambda _: x})[0]

  def losses_of(
    net: nets.Network, params: Params, x: Array, labels: Array
  ) -> tuple[Array, Array]:
    logits = logits_of(net, params, x)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return loss, logits.argmax(-1) == labels

  def train_step(
    net: nets.Network,
    held: _Held,
    state: _State,
    data: tuple[Array, Array],
    step: Array,
  ) -> tuple[_State, dict[str, Array]]:
    def loss_of(params: Params) -> tuple[Array, Array]:
      loss, right = losses_of(net, params, *data)
      return loss.mean(), right.mean()

    params, opt, (loss, right) = gradient_step(
      optimizer, loss_of, state.params, state.opt
    )

    def summed(part: _Held) -> Array:
      loss, _ = losses_of(net, params, part.x, part.labels)
      return (loss * part.weights).sum()

    def look(_: None) -> tuple[Params, Array, Array]:
      now = jax.lax.map(summed, held).sum() / held.weights.sum()
      better = now < state.lowest
      best = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), params, state.best
      )
      checks = jnp.where(better, 0, state.checks + 1)
      return best, jnp.minimum(now, state.lowest), checks

    def pass_by(_: None) -> tuple[Params, Array, Array]:
      return state.best, state.lowest, state.checks

    due = (step % _EVERY == _EVERY - 1) | (step == steps - 1)
    best, lowest, checks = jax.lax.cond(due, look, pass_by, None)
    state = _State(params, opt, best, lowest, checks, state.steps + 1)
    return state, {'loss': loss, 'accuracy': right}

  return _Recipe(optimizer, train_step)
