"""Slopes of scores with respect to images, for attacks along them."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from vizlab.adversarial.goals import read
from vizlab.types import Array, Augment, ScoreFn

__all__ = ['look', 'need_slope', 'slope']


def look(
  score: ScoreFn,
  x: Array,
  key: Array | None = None,
  augment: Augment | None = None,
  draws: int = 1,
) -> tuple[Array, Array]:
  """Loss and goal without a gradient, as means over draws."""
  if augment is None:
    return read(score, x)
  each = jax.lax.map(
    lambda key: read(score, augment(key, x)), jax.random.split(key, draws)
  )
  return jax.tree.map(lambda v: v.mean(0), each)


def slope(
  score: ScoreFn,
  x: Array,
  key: Array | None = None,
  augment: Augment | None = None,
  draws: int = 1,
) -> tuple[Array, Array, Array]:
  """Loss, goal and the gradient of the loss, as means over draws.

  Raises:
    ValueError: The score has no gradient with respect to images.
  """

  def total(x: Array, key: Array | None) -> tuple[Array, tuple[Array, Array]]:
    loss, goal = read(score, x if augment is None else augment(key, x))
    return loss.sum(), (loss, goal)

  with need_slope() as watched:
    differentiate = jax.grad(
      lambda x, key: total(watched(x), key), has_aux=True
    )
    if augment is None:
      g, (loss, goal) = differentiate(x, None)
    else:
      keys = jax.random.split(key, draws)
      each = jax.lax.map(functools.partial(differentiate, x), keys)
      g, (loss, goal) = jax.tree.map(lambda v: v.mean(0), each)
  return loss, goal, g


@contextmanager
def need_slope() -> Iterator[Callable[[Array], Array]]:
  """A check that what is differentiated in it has a gradient.

  JAX gives zeros for what does not depend on images, or only by way of
  integers, comparisons or `jax.lax.stop_gradient`: an attack would stay where
  it is, and the net would seem robust. Whether a gradient flows is known while
  it is traced, so the check costs nothing later. A gradient that happens to be
  zero passes.

  Yields:
    The identity of images, which the function that is differentiated calls.

  Raises:
    ValueError: No gradient has come back to the images.
  """
  reached = []

  @jax.custom_vjp
  def watched(x: Array) -> Array:
    return x

  def forward(x: jax.custom_derivatives.CustomVJPPrimal) -> tuple[Array, None]:
    return x.value, None

  def backward(_: None, g: Array | SymbolicZero) -> tuple[Array]:
    if isinstance(g, SymbolicZero):
      return (jnp.zeros(g.shape, g.dtype),)
    reached.append(True)
    return (g,)

  watched.defvjp(forward, backward, symbolic_zeros=True)
  yield watched
  if not reached:
    raise ValueError(
      'score: has no gradient with respect to the images, expected a '
      'differentiable one (adversarial.square reads none)'
    )
