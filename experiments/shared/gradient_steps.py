"""Training by an optax optimizer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from vizlab.runs.recorder import Recorder
from vizlab.runs.training import Training, train_resumable
from vizlab.types import Array

__all__ = ['check_ema', 'fit', 'gradient_step', 'warm_adam']


class State(NamedTuple):
  """State of a training.

  Attributes:
    trained: Pytree of the arrays that are trained.
    opt: State of the optimizer.
    mean: Moving average of the arrays before its bias is taken away; empty if
      none is kept.
    steps: Number of steps that it averages.
  """

  trained: Any
  opt: Any
  mean: Any
  steps: Array


def check_ema(config: ConfigDict) -> None:
  """Raises a `ValueError` unless ``config.ema`` is from 0 to below 1."""
  if not 0 <= config.ema < 1:
    raise ValueError(
      f'config.ema: got {config.ema}, expected at least 0 and less than 1'
    )


def fit(
  recorder: Recorder,
  tx: optax.GradientTransformation,
  loss_fn: Callable[[Any, Any], tuple[Array, Mapping[str, Array]]],
  trained: Any,
  batch: Callable[[int], Any],
  *,
  steps: int,
  name: str = 'training',
  milestones: Sequence[int] = (),
  ema: float = 0.0,
) -> Training:
  """Lowers a loss by an optimizer; resumable.

  Args:
    recorder: Recorder of the run.
    tx: The optimizer.
    loss_fn: Function of the trained arrays and the data of a step that returns
      the loss, and further metrics.
    trained: Pytree of arrays before the training.
    batch: Data of a step, as a pure function of its index.
    steps: Number of steps.
    name: Name of the training, unique within the run.
    milestones: Numbers of steps after which the arrays are kept, too.
    ema: Decay of the exponential moving average of the arrays; 0 for none.

  Returns:
    The training, whose result are the trained arrays, or their average.
  """

  def train_step(
    state: State, data: Any, step: Array
  ) -> tuple[State, dict[str, Array]]:
    del step
    trained, opt, (loss, metrics) = gradient_step(
      tx, lambda trained: loss_fn(trained, data), state.trained, state.opt
    )
    mean = state.mean
    if ema:
      with jax.numpy_dtype_promotion('standard'):
        mean = optax.tree.update_moment(trained, mean, ema, 1)
    state = State(trained, opt, mean, state.steps + 1)
    return state, {'loss': loss, **metrics}

  def keep(state: State) -> Any:
    if not ema:
      return state.trained
    with jax.numpy_dtype_promotion('standard'):
      return optax.tree.bias_correction(state.mean, ema, state.steps)

  mean = jax.tree.map(jnp.zeros_like, trained) if ema else ()
  return train_resumable(
    recorder,
    name,
    train_step,
    State(trained, tx.init(trained), mean, jnp.int32(0)),
    batch,
    steps=steps,
    keep=keep,
    milestones=milestones,
  )


def gradient_step(
  tx: optax.GradientTransformation,
  loss_fn: Callable[[Any], tuple[Array, Any]],
  params: Any,
  opt: Any,
) -> tuple[Any, Any, tuple[Array, Any]]:
  """Lowers a loss by one step.

  Args:
    tx: The optimizer.
    loss_fn: Function of the parameters that returns the loss and anything else.
    params: Parameters, a pytree of arrays.
    opt: State of the optimizer.

  Returns:
    The parameters and the state after the step, and what ``loss_fn`` returned.
  """
  value, grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
  with jax.numpy_dtype_promotion('standard'):  # optax needs it
    updates, opt = tx.update(grads, opt, params)
    params = optax.apply_updates(params, updates)
  return params, opt, value


def warm_adam(
  learning_rate: float, steps: int, *, warm: float
) -> optax.GradientTransformation:
  """Adam on clipped gradients, whose rate rises and then falls by a cosine.

  Args:
    learning_rate: The highest rate.
    steps: Number of steps in all.
    warm: Share of the steps in which the rate rises.
  """
  rising = max(1, round(warm * steps))
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, learning_rate, rising, max(steps, rising + 1)
  )
  return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
