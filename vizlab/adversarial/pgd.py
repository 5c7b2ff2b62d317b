"""Attacks by steps along the gradient: FGSM and projected gradient descent."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab.adversarial.attacked import (
  Attacked,
  Best,
  amount,
  check_attack,
  for_each,
  judged,
)
from vizlab.adversarial.balls import (
  random_start,
  steepest,
  within,
)
from vizlab.adversarial.goals import read
from vizlab.adversarial.slopes import look, slope
from vizlab.trees import as_pytree
from vizlab.types import Array, Augment, ScoreFn, whole

__all__ = ['fgsm', 'pgd']


def fgsm(
  score: ScoreFn,
  x: Array,
  *,
  epsilon: float | Array,
  norm: str = 'linf',
  chunk: int = 64,
) -> Attacked:
  r"""Fast gradient sign method: one step to the border of the ball.

  .. math::
    x' = x + \epsilon \, \mathrm{sign}\,\nabla_x y

  and in other norms along the direction that raises a linear score most.

  Args:
    score: What is raised, `mislead`, `lead` or ``[..., H, W, C] -> [...]``; a
      plain score succeeds where it is above 0.
    x: Images ``[..., H, W, C]`` in [0, 1].
    epsilon: Radius of the ball in intensities, one number or a list ``[E]``,
      which becomes the first axis of the result.
    norm: ``'linf'``, ``'l2'`` or ``'l1'``.
    chunk: Images attacked at once, but at least the whole batch for one
      epsilon.

  Returns:
    `Attacked`.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number or the norm is wrong.

  Reference:
    Goodfellow, Shlens & Szegedy 2015, section 4.
  """
  epsilon = check_attack(score, x, epsilon, norm)
  return _fgsm(as_pytree(score), x, epsilon, norm, chunk)


@functools.partial(jax.jit, static_argnames=('norm', 'chunk'))
def _fgsm(
  score: ScoreFn, x: Array, epsilon: Array, norm: str, chunk: int
) -> Attacked:
  already = read(score, x)[1] > 0
  _, _, g = slope(score, x)
  step = steepest(g, norm, x)

  def one(epsilon: Array) -> Attacked:
    moved = within(x, x + epsilon * step, epsilon, norm)
    return judged(score, x, moved, moved, norm, jnp.int32(2), already)

  return for_each(one, epsilon, x, chunk)


def pgd(
  score: ScoreFn,
  x: Array,
  key: Array,
  *,
  epsilon: float | Array,
  norm: str = 'linf',
  steps: int = 40,
  rate: float | Array | None = None,
  momentum: float | Array = 0.0,
  restarts: int = 1,
  random_start: bool = True,
  stop: bool = False,
  augment: Augment | None = None,
  draws: int = 1,
  chunk: int = 64,
) -> Attacked:
  r"""Projected gradient descent: the standard attack within a ball.

  .. math::
    x_{t+1} = P\bigl(x_t + a \, s(\nabla_x y(x_t))\bigr)

  with ``P`` to the ball and to [0, 1], and ``s`` the direction of length 1 that
  raises a linear score most: the sign in L-inf. The best of all points is kept,
  ``x`` itself among them.

  Args:
    score: What is raised, `mislead`, `lead` or ``[..., H, W, C] -> [...]``; a
      plain score succeeds where it is above 0.
    x: Images ``[..., H, W, C]`` in [0, 1].
    key: A JAX random key. All images of a batch get the same random numbers, so
      that a result does not depend on the rest of the batch.
    epsilon: Radius of the ball in intensities, one number or a list ``[E]``,
      which becomes the first axis of the result.
    norm: ``'linf'``, ``'l2'`` or ``'l1'``.
    steps: Number of steps of each start.
    rate: Length of a step as a share of epsilon; ``2.5 / steps`` by default.
    momentum: Share of the last gradients in each (Dong et al. 2018); they are
      divided by their mean size.
    restarts: Number of starts, of which the best is kept.
    random_start: Whether it starts at a random point of the ball, and not at
      ``x``.
    stop: Whether an image that has reached the goal is left as it is; when all
      have, the rest of the steps is not done.
    augment: ``(key, image) -> image``; then score and gradient are means over
      ``draws`` random draws at each step (Athalye et al. 2018), by which
      ``stop`` and the best point go, too; only the success is judged on images
      as they are.
    draws: Draws of the augment.
    chunk: Images attacked at once, but at least the whole batch for one
      epsilon.

  Returns:
    `Attacked`.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number or the norm is wrong.

  Reference:
    Madry, Makelov, Schmidt, Tsipras & Vladu 2018.
  """
  epsilon = check_attack(score, x, epsilon, norm)
  steps = whole(steps, 'steps')
  if whole(restarts, 'restarts') > 1 and not random_start:
    raise ValueError(
      f'restarts: got {restarts} without a random start, expected 1'
    )
  if whole(draws, 'draws') > 1 and augment is None:
    raise ValueError(f'draws: got {draws} without an augment, expected 1')
  fixed = _Fixed(norm, steps, restarts, random_start, stop, draws, chunk)
  return _pgd(
    as_pytree(score),
    x,
    key,
    epsilon,
    amount(2.5 / steps if rate is None else rate, 'rate', x),
    amount(momentum, 'momentum', x),
    as_pytree(augment),
    fixed,
  )


class _Fixed(NamedTuple):
  """Static settings, another program for each."""

  norm: str
  steps: int
  restarts: int
  random_start: bool
  stop: bool
  draws: int
  chunk: int


class _State(NamedTuple):
  step: Array
  x: Array
  velocity: Array
  best: Best
  queries: Array


@functools.partial(jax.jit, static_argnames='fixed')
def _pgd(
  score: ScoreFn,
  x: Array,
  key: Array,
  epsilon: Array,
  rate: Array,
  momentum: Array,
  augment: Augment | None,
  fixed: _Fixed,
) -> Attacked:
  drawn = augment, fixed.draws

  def one(epsilon: Array) -> Attacked:
    def from_start(i: Array, carry: tuple[Best, Array, Array]) -> tuple:
      best, queries, already = carry
      key_ = jax.random.fold_in(key, i)
      start = x
      if fixed.random_start:
        start = random_start(x, key_, epsilon, fixed.norm)
        start = jnp.where(i < 0, x, start)
      steps = jnp.where(i < 0, 0, fixed.steps)

      def more(state: _State) -> Array:
        return (state.step < steps) & ~state.best.finished().all()

      def advance(state: _State) -> _State:
        loss, goal, g = slope(
          score, state.x, jax.random.fold_in(key_, state.step + 1), *drawn
        )
        best = state.best.or_better(state.x, loss, goal)
        size = jnp.abs(g).mean((-3, -2, -1), keepdims=True)
        velocity = momentum * state.velocity
        velocity += g / jnp.where(size > 0, size, 1)
        moved = state.x + rate * epsilon * steepest(
          velocity, fixed.norm, state.x
        )
        moved = within(x, moved, epsilon, fixed.norm)
        return _State(
          state.step + 1, moved, velocity, best,
          state.queries + fixed.draws * state.best.looks(),
        )  # fmt: skip

      begin = _State(jnp.int32(0), start, jnp.zeros_like(x), best, queries)
      end = jax.lax.while_loop(more, advance, begin)
      last = jax.random.fold_in(key_, fixed.steps + 1)
      loss, goal = look(score, end.x, last, *drawn)
      best = end.best.or_better(end.x, loss, goal)
      queries = end.queries + fixed.draws * end.best.looks()
      return best, queries, jnp.where(i < 0, best.reached, already)

    loss, _ = jax.eval_shape(read, score, x)
    lowest = jnp.full(loss.shape, -jnp.inf, loss.dtype)
    none = jnp.zeros(loss.shape, bool)
    best = Best(x, lowest, none, jnp.bool_(fixed.stop))
    # A start more, at the images as they are and without a step: another look
    # before the loop would be the network once more to compile.
    best, queries, already = jax.lax.fori_loop(
      -1,
      fixed.restarts,
      from_start,
      (best, jnp.zeros(loss.shape, jnp.int32), none),
    )
    if augment is not None:
      already = read(score, x)[1] > 0
      queries = queries + 1
    # What a differentiated score says may be another thing, if it defines its
    # own gradient.
    return judged(score, x, best.x, best.x, fixed.norm, queries, already)

  return for_each(one, epsilon, x, fixed.chunk)
