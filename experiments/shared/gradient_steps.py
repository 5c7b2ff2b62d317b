"""A step of training by an optax optimizer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from vizlab.types import Array

__all__ = ['State', 'gradient_step']


class State(NamedTuple):
  """State of a training.

  Attributes:
    trained: Pytree of the arrays that are trained.
    opt: State of the optimizer.
  """

  trained: Any
  opt: Any


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
