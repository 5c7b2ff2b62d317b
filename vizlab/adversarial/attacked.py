"""Result of an attack, and the frame that all attacks share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.adversarial.balls import NORMS, distance, within
from vizlab.adversarial.goals import read
from vizlab.batching import at_once
from vizlab.image.checks import check_images
from vizlab.lookup import check_name
from vizlab.trees import where
from vizlab.types import Array, ScoreFn, number

__all__ = [
  'Attacked',
  'Best',
  'amount',
  'check_attack',
  'check_range',
  'for_each',
  'held',
  'judged',
  'radii',
]


class Attacked(NamedTuple):
  """Images after an attack, and whether they reach its goal.

  ``...`` is the batch of the images; with a list of epsilons an axis ``E`` goes
  first, but for ``raw`` of the attacks that seek the least perturbation.

  Attributes:
    raw: Images ``[..., H, W, C]`` in [0, 1], as the attack left them.
    projected: The same within the ball of radius epsilon.
    success: bool ``[...]``, whether ``projected`` reaches the goal. Read it
      from nothing else: a large loss is no success.
    distance: Length of the perturbation of ``projected``, ``[...]``.
    queries: int32 ``[...]``, how often the net has been shown each image;
      a gradient counts as one.
    already: bool ``[...]``, whether the image reached the goal before.
  """

  raw: Array
  projected: Array
  success: Array
  distance: Array
  queries: Array
  already: Array


class Best(NamedTuple):
  """Best images so far: those at the goal first, and of these the highest.

  Attributes:
    x: Images ``[..., H, W, C]``.
    loss: Their losses ``[...]``.
    reached: bool ``[...]``, whether they are at the goal.
    stop: bool ``[]``, whether those at the goal are left as they are.
  """

  x: Array
  loss: Array
  reached: Array
  stop: Array | bool

  def or_better(self, x: Array, loss: Array, goal: Array) -> 'Best':
    """The better ones of these and others, image by image."""
    reached = goal > 0
    higher = (loss > self.loss) & (reached == self.reached)
    better = (higher | (reached & ~self.reached)) & ~self.finished()
    return Best(
      where(better, x, self.x),
      jnp.where(better, loss, self.loss),
      self.reached | reached,
      self.stop,
    )

  def finished(self) -> Array:
    """Images that are left as they are: bool ``[...]``."""
    return self.reached & self.stop

  def looks(self) -> Array:
    """Number of looks at each image, if all are shown now: int32 ``[...]``."""
    return (~self.finished()).astype(jnp.int32)


def check_attack(
  score: ScoreFn, x: Array, epsilon: Any, norm: str, norms: Any = NORMS
) -> Array | None:
  """Checks the arguments that all attacks take.

  Returns:
    Epsilon as an array of the dtype of ``x``.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or reads a class that is not there,
      ``epsilon`` is negative or neither one number nor a list, or the norm is
      not one of ``norms``.
  """
  check_range(x)
  if epsilon is not None:
    epsilon = radii(epsilon, x)
    if np.ndim(epsilon) > 1 or 0 in np.shape(epsilon):
      raise ValueError(
        f'epsilon: got shape {np.shape(epsilon)}, expected a number or a list'
      )
  check_name('norm', norm, norms)
  # Not an argument: a class that is not there is an error while it is known.
  jax.eval_shape(lambda x: read(score, x), x)
  return epsilon


def check_range(x: Array) -> None:
  """Raises a `ValueError` for what is no batch of float images in [0, 1]."""
  check_images(x)
  if isinstance(x, jax.core.Tracer):
    return
  low, high = np.nanmin(x, initial=0.0), np.nanmax(x, initial=1.0)
  if low < 0 or high > 1:
    raise ValueError(f'x: got values from {low:g} to {high:g}, expected [0, 1]')


def radii(epsilon: Any, x: Array) -> Array:
  """Radii as an array of the dtype of ``x``.

  Raises:
    ValueError: A radius is known, and negative or not finite.
  """
  if not isinstance(epsilon, jax.core.Tracer):
    number(np.asarray(epsilon), 'epsilon', 0.0)
  return jnp.asarray(epsilon, x.dtype)


def amount(value: Any, name: str, x: Array) -> Array:
  """A number from 0 as an array of the dtype of ``x``; checked."""
  return jnp.asarray(number(value, name, 0.0), x.dtype)


def for_each(
  attack: Callable[[Array], Any], epsilon: Array, x: Array, chunk: int
) -> Any:
  """An attack for one epsilon, or for each of several along a first axis.

  Args:
    attack: Function of epsilon ``[]`` that returns a pytree of arrays.
    epsilon: ``[]`` or ``[E]``.
    x: The images ``[..., H, W, C]``.
    chunk: Images attacked at once, but at least the whole batch.
  """
  most = at_once(x, chunk)
  if not epsilon.ndim:
    return attack(epsilon)
  most = min(most, len(epsilon))
  return jax.lax.map(attack, epsilon, batch_size=most)


def judged(
  score: ScoreFn,
  x: Array,
  raw: Array,
  projected: Array,
  norm: str,
  queries: Array,
  already: Array,
) -> Attacked:
  """The result of an attack; shows the net the images after it."""
  success = read(score, projected)[1] > 0
  queries = jnp.broadcast_to(queries + 1, success.shape).astype(jnp.int32)
  return Attacked(
    raw, projected, success, distance(projected - x, norm), queries, already
  )


def held(
  score: ScoreFn,
  x: Array,
  raw: Array,
  norm: str,
  epsilon: Array | None,
  queries: Array,
  already: Array,
  chunk: int,
) -> Attacked:
  """The result of an attack without a radius, held to one or several."""

  def one(projected: Array) -> Attacked:
    return judged(score, x, raw, projected, norm, queries, already)

  at_once(x, chunk)  # checked for any radius
  if epsilon is None:
    return one(raw)
  result = for_each(
    lambda radius: one(within(x, raw, radius, norm))._replace(raw=()),
    epsilon,
    x,
    chunk,
  )
  return result._replace(raw=raw)
