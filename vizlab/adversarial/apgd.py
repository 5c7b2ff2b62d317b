"""Auto-PGD: projected gradient descent that sets its own steps."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.adversarial.attacked import (
  Attacked,
  Best,
  check_attack,
  for_each,
  judged,
)
from vizlab.adversarial.balls import (
  per_image,
  random_start,
  steepest,
  within,
)
from vizlab.adversarial.slopes import look, slope
from vizlab.trees import as_pytree, where
from vizlab.types import Array, ScoreFn, whole

__all__ = ['apgd', 'checkpoints']

_MOMENTUM = 0.75  # share of the new direction in a step


class _Fixed(NamedTuple):
  norm: str
  steps: int
  restarts: int
  stop: bool
  chunk: int


class _State(NamedTuple):
  """State of the steps.

  Attributes:
    step: Steps done.
    x: Images now.
    previous: Images before the last step.
    loss: Loss of those.
    rate: Length of a step as a share of epsilon, ``[...]``.
    top: Images with the largest loss so far, that loss, and its gradient.
    raised: Steps that raised the loss since the last checkpoint, ``[...]``.
    marked: Largest loss at the last checkpoint, ``[...]``.
    halved: Whether the rate was halved there, ``[...]``.
    best: Best images, those at the goal first.
    queries: ``[...]``.
  """

  step: Array
  x: Array
  previous: Array
  loss: Array
  rate: Array
  top: tuple[Array, Array, Array]
  raised: Array
  marked: Array
  halved: Array
  best: Best
  queries: Array


def apgd(
  score: ScoreFn,
  x: Array,
  key: Array,
  *,
  epsilon: float | Array,
  norm: str = 'linf',
  steps: int = 100,
  restarts: int = 1,
  stop: bool = False,
  chunk: int = 64,
) -> Attacked:
  """Auto-PGD: halves its steps when they have ceased to help.

  Steps have a length of ``2 epsilon`` first, and momentum. At checkpoints,
  which come ever more often, an image's steps are halved and continue from
  its best point if fewer than three quarters of the steps raised the loss, or
  if neither the step nor the largest loss has changed since the last one.

  Args:
    score: What is raised, `mislead`, `lead` or ``[..., H, W, C] -> [...]``; a
      plain score succeeds where it is above 0.
    x: Images ``[..., H, W, C]`` in [0, 1].
    key: A JAX random key; all images of a batch get the same numbers.
    epsilon: Radius of the ball in intensities, one number or a list ``[E]``,
      which becomes the first axis of the result.
    norm: ``'linf'`` or ``'l2'``.
    steps: Number of steps of each start.
    restarts: Number of random starts, of which the best is kept.
    stop: Whether an image that has reached the goal is left as it is; when all
      have, the rest of the steps is not done.
    chunk: Images attacked at once, but at least the whole batch for one
      epsilon.

  Returns:
    `Attacked`.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number or the norm is wrong.

  Reference:
    Croce & Hein 2020, algorithm 1.
  """
  epsilon = check_attack(score, x, epsilon, norm, ('linf', 'l2'))
  fixed = _Fixed(
    norm, whole(steps, 'steps'), whole(restarts, 'restarts'), stop, chunk
  )
  return _apgd(as_pytree(score), x, key, epsilon, fixed)


def checkpoints(steps: int) -> list[int]:
  """Steps after which Auto-PGD looks at its progress (Croce & Hein 2020)."""
  shares = [0, 22]  # in hundredths
  while shares[-1] < 100:
    shares.append(shares[-1] + max(shares[-1] - shares[-2] - 3, 6))
  marks = sorted({-(-share * steps // 100) for share in shares[1:]})
  return [mark for mark in marks if mark < steps]


@functools.partial(jax.jit, static_argnames='fixed')
def _apgd(
  score: ScoreFn, x: Array, key: Array, epsilon: Array, fixed: _Fixed
) -> Attacked:
  marks = checkpoints(fixed.steps)
  # Steps since the last checkpoint, at each checkpoint; 0 elsewhere.
  since = np.zeros(fixed.steps + 1, np.int32)
  since[marks] = np.diff([0, *marks])
  since = jnp.asarray(since)

  def one(epsilon: Array) -> Attacked:
    loss, goal = look(score, x)
    first = Best(x, loss, goal > 0, jnp.bool_(fixed.stop))

    def restart(i: Array, carry: tuple[Best, Array]) -> tuple[Best, Array]:
      best, queries = carry
      key_ = jax.random.fold_in(key, i)
      start = random_start(x, key_, epsilon, fixed.norm)

      # One look more than there are steps, at the start.
      def more(state: _State) -> Array:
        return (state.step <= fixed.steps) & ~state.best.finished().all()

      def advance(state: _State) -> _State:
        return _look_and_step(score, x, epsilon, since, state, fixed.norm)

      end = jax.lax.while_loop(more, advance, _begin(start, best, queries))
      return end.best, end.queries

    once = jnp.ones(x.shape[:-3], jnp.int32)
    best, queries = jax.lax.fori_loop(0, fixed.restarts, restart, (first, once))
    return judged(score, x, best.x, best.x, fixed.norm, queries, first.reached)

  return for_each(one, epsilon, x, fixed.chunk)


def _begin(start: Array, best: Best, queries: Array) -> _State:
  """State before the first look, at which no loss counts as raised."""
  loss = jnp.full_like(best.loss, jnp.inf)
  return _State(
    jnp.int32(0),
    start,
    start,
    loss,
    jnp.full(loss.shape, 2.0, start.dtype),
    (start, loss, jnp.zeros_like(start)),
    jnp.zeros(loss.shape, jnp.int32),
    loss,
    jnp.zeros(loss.shape, bool),
    best,
    queries,
  )


def _look_and_step(
  score: ScoreFn,
  x: Array,
  epsilon: Array,
  since: Array,
  state: _State,
  norm: str,
) -> _State:
  """A look at the images, at a checkpoint one at the progress, and a step."""
  first = state.step == 0
  loss, goal, g = slope(score, state.x)
  here = state.x, loss, g
  raised = state.raised + (loss > state.loss).astype(jnp.int32)
  top = where(first | (loss > state.top[1]), here, state.top)
  looked = since[state.step] > 0
  few = 4 * raised < 3 * since[state.step]  # under three quarters
  stuck = ~state.halved & (top[1] <= state.marked)
  halve = looked & (few | stuck)
  at, loss, g = where(halve, top, here)
  previous = where(halve, at, state.previous)
  rate = jnp.where(halve, state.rate / 2, state.rate)
  straight = at + per_image(rate * epsilon) * steepest(g, norm, at)
  straight = within(x, straight, epsilon, norm)
  share = jnp.where(first, 1.0, _MOMENTUM).astype(x.dtype)
  moved = at + share * (straight - at)
  moved += (1 - share) * (at - previous)
  return _State(
    state.step + 1,
    within(x, moved, epsilon, norm),
    at,
    loss,
    rate,
    top,
    jnp.where(looked, 0, raised),
    jnp.where(first | looked, top[1], state.marked),
    jnp.where(looked, halve, state.halved),
    state.best.or_better(state.x, here[1], goal),
    state.queries + state.best.looks(),
  )
