"""Square attack: random squares, without gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.adversarial.attacked import (
  Attacked,
  Best,
  check_attack,
  for_each,
)
from vizlab.adversarial.balls import distance
from vizlab.adversarial.goals import read
from vizlab.trees import as_pytree, where
from vizlab.types import Array, ScoreFn, number, whole

__all__ = ['square']

# Steps, of 10,000, from which on the squares' share of the image is halved.
_HALVINGS = 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000


def square(
  score: ScoreFn,
  x: Array,
  key: Array,
  *,
  epsilon: float | Array,
  steps: int = 500,
  share: float | Array = 0.8,
  chunk: int = 64,
) -> Attacked:
  """Square attack in L-inf: a random search that reads scores only.

  Starts with vertical stripes at the border of the ball. At each step a random
  square gets a random corner of the ball, one sign per channel, and is kept if
  the image has become better. Against nets whose gradients are of no use it
  succeeds where attacks by gradients fail.

  Args:
    score: What is raised, `mislead`, `lead` or ``[..., H, W, C] -> [...]``; a
      plain score succeeds where it is above 0. Of the first two the goal is
      raised, a margin, as in the paper. An image at the goal is left as it is.
    x: Images ``[..., H, W, C]`` in [0, 1].
    key: A JAX random key; all images of a batch get the same numbers.
    epsilon: Radius of the ball in intensities, one number or a list ``[E]``,
      which becomes the first axis of the result.
    steps: Number of squares; when all images are at the goal the rest is not
      tried.
    share: Share of the image that the first squares cover, which falls.
    chunk: Images attacked at once, but at least the whole batch for one
      epsilon.

  Returns:
    `Attacked`.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number is wrong.

  Reference:
    Andriushchenko, Croce, Flammarion & Hein 2020, algorithms 1 and 2.
  """
  epsilon = check_attack(score, x, epsilon, 'linf')
  share = number(share, 'share', 0.0)
  if not isinstance(share, jax.Array) and share > 1:
    raise ValueError(f'share: got {share:g}, expected 0 to 1')
  fixed = whole(steps, 'steps'), chunk
  return _square(as_pytree(score), x, key, epsilon, share, fixed)


@functools.partial(jax.jit, static_argnames='fixed')
def _square(
  score: ScoreFn,
  x: Array,
  key: Array,
  epsilon: Array,
  share: Array,
  fixed: tuple[int, int],
) -> Attacked:
  steps, chunk = fixed
  height, width, channels = x.shape[-3:]
  marks = np.array(_HALVINGS) * steps / 10_000
  halvings = (np.arange(steps)[:, None] >= marks).sum(-1)

  def one(epsilon: Array) -> Attacked:
    def moved(signs: Array) -> Array:
      return jnp.clip(x + epsilon * signs, 0, 1)

    def signs(key: Array, shape: tuple[int, ...]) -> Array:
      # Explicit float32, so that the same key draws the same with x64.
      drawn = jax.random.uniform(key, shape, jnp.float32) < 0.5
      return jnp.where(drawn, 1, -1).astype(x.dtype)

    def more(carry: tuple[Array, Best, Array]) -> Array:
      return (carry[0] < steps) & ~carry[1].finished().all()

    def advance(
      carry: tuple[Array, Best, Array],
    ) -> tuple[Array, Best, Array]:
      i, best, queries = carry
      keys = jax.random.split(jax.random.fold_in(key, i + 1), 3)
      covered = share * 0.5 ** jnp.asarray(halvings)[i].astype(jnp.float32)
      side = jnp.sqrt(covered * height * width)
      side = jnp.clip(jnp.round(side), 1, min(height, width)).astype(jnp.int32)
      top = jax.random.randint(keys[0], (), 0, height - side + 1, jnp.int32)
      left = jax.random.randint(keys[1], (), 0, width - side + 1, jnp.int32)
      row, column = (jnp.arange(n, dtype=jnp.int32) for n in (height, width))
      row, column = row[:, None], column[None]
      inside = (row >= top) & (row < top + side)
      inside = inside & (column >= left) & (column < left + side)
      corner = moved(jnp.broadcast_to(signs(keys[2], (channels,)), x.shape))
      mask = jnp.broadcast_to(inside[..., None], x.shape)
      tried = jnp.where(mask, corner, best.x)
      _, goal = read(score, tried)
      better = best.or_better(tried, goal, goal)
      return i + 1, better, queries + best.looks()

    _, clean = read(score, x)
    stripes = signs(jax.random.fold_in(key, 0), (1, width, channels))
    first = moved(jnp.broadcast_to(stripes, x.shape))
    _, striped = read(score, first)
    image, goal = where(clean > 0, (x, clean), (first, striped))
    best = Best(image, goal, goal > 0, jnp.bool_(True))
    queries = jnp.full(x.shape[:-3], 2, jnp.int32)
    _, best, queries = jax.lax.while_loop(
      more, advance, (jnp.int32(0), best, queries)
    )
    # The net has seen the best images as they are: no judge need look again.
    far = distance(best.x - x, 'linf')
    return Attacked(best.x, best.x, best.reached, far, queries, clean > 0)

  return for_each(one, epsilon, x, chunk)
