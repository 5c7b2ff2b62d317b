"""Training by an optax optimizer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import optax

from vizlab.runs.recorder import Recorder
from vizlab.runs.training import Training, train_resumable
from vizlab.types import Array

__all__ = ['fit', 'gradient_step', 'warm_adam']


class State(NamedTuple):
  """State of a training.

  Attributes:
    trained: Pytree of the arrays that are trained.
    opt: State of the optimizer.
  """

  trained: Any
  opt: Any


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

  Returns:
    The training, whose result are the trained arrays.
  """

  def train_step(
    state: State, data: Any, step: Array
  ) -> tuple[State, dict[str, Array]]:
    del step
    trained, opt, (loss, metrics) = gradient_step(
      tx, lambda trained: loss_fn(trained, data), state.trained, state.opt
    )
    return State(trained, opt), {'loss': loss, **metrics}

  return train_resumable(
    recorder,
    name,
    train_step,
    State(trained, tx.init(trained)),
    batch,
    steps=steps,
    keep=lambda state: state.trained,
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
