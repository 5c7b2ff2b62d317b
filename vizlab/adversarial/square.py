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
from vizlab.adversarial.balls import distance, steepest, within
from vizlab.adversarial.goals import read
from vizlab.trees import as_pytree, where
from vizlab.types import Array, ScoreFn, number, whole

__all__ = ['square']

# Steps, of 10,000, from which on the squares' share of the image is halved.
_HALVINGS = 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000
_TILES = 5  # of the first images in L2, along the shorter side
_LEAST = 3  # side of a square in L2


def square(
  score: ScoreFn,
  x: Array,
  key: Array,
  *,
  epsilon: float | Array,
  norm: str = 'linf',
  steps: int = 500,
  share: float | Array = 0.8,
  chunk: int = 64,
) -> Attacked:
  """Square attack: a random search that reads scores only.

  In L-inf it starts with vertical stripes at the border of the ball, and at
  each step a random square gets a random corner of the ball, one sign per
  channel. In L2 it starts with tiles of two pyramids of opposite signs. At each
  step such pyramids are added in a random square, with the length that the
  change had there and in another square, which loses it. A step is kept if the
  image has become better. Against nets whose gradients are of no use it
  succeeds where attacks by gradients fail.

  Args:
    score: What is raised, `mislead`, `lead` or ``[..., H, W, C] -> [...]``; a
      plain score succeeds where it is above 0. Of the first two the goal is
      raised, a margin, as in the paper. An image at the goal is left as it is.
    x: Images ``[..., H, W, C]`` in [0, 1].
    key: A JAX random key; all images of a batch get the same numbers.
    epsilon: Radius of the ball in intensities, one number or a list ``[E]``,
      which becomes the first axis of the result.
    norm: ``'linf'`` or ``'l2'``.
    steps: Number of squares; when all images are at the goal the rest is not
      tried.
    share: Share of the image that the first squares cover, which falls.
    chunk: Images attacked at once, but at least the whole batch for one
      epsilon.

  Returns:
    `Attacked`.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number or the norm is wrong.

  Reference:
    Andriushchenko, Croce, Flammarion & Hein 2020, algorithms 1 to 3.
  """
  epsilon = check_attack(score, x, epsilon, norm, tuple(_MOVES))
  share = number(share, 'share', 0.0)
  if not isinstance(share, jax.Array) and share > 1:
    raise ValueError(f'share: got {share:g}, expected 0 to 1')
  fixed = norm, whole(steps, 'steps'), chunk
  return _square(as_pytree(score), x, key, epsilon, share, fixed)


@functools.partial(jax.jit, static_argnames='fixed')
def _square(
  score: ScoreFn,
  x: Array,
  key: Array,
  epsilon: Array,
  share: Array,
  fixed: tuple[str, int, int],
) -> Attacked:
  norm, steps, chunk = fixed
  begin, change, least = _MOVES[norm]
  height, width = x.shape[-3:-1]
  halvings = _halvings(steps)

  def one(epsilon: Array) -> Attacked:
    def more(carry: tuple[Array, Best, Array]) -> Array:
      return (carry[0] < steps) & ~carry[1].finished().all()

    def advance(
      carry: tuple[Array, Best, Array],
    ) -> tuple[Array, Best, Array]:
      i, best, queries = carry
      covered = share * 0.5 ** jnp.asarray(halvings)[i].astype(jnp.float32)
      shorter = min(height, width)
      side = jnp.round(jnp.sqrt(covered * height * width))
      side = jnp.clip(side, min(least, shorter), shorter).astype(jnp.int32)
      tried = change(jax.random.fold_in(key, i + 1), x, best.x, epsilon, side)
      _, goal = read(score, tried)
      better = best.or_better(tried, goal, goal)
      return i + 1, better, queries + best.looks()

    _, clean = read(score, x)
    first = begin(jax.random.fold_in(key, 0), x, epsilon)
    _, begun = read(score, first)
    image, goal = where(clean > 0, (x, clean), (first, begun))
    best = Best(image, goal, goal > 0, jnp.bool_(True))
    queries = jnp.full(x.shape[:-3], 2, jnp.int32)
    _, best, queries = jax.lax.while_loop(
      more, advance, (jnp.int32(0), best, queries)
    )
    # The net has seen the best images as they are: no judge need look again.
    far = distance(best.x - x, norm)
    return Attacked(best.x, best.x, best.reached, far, queries, clean > 0)

  return for_each(one, epsilon, x, chunk)


def _halvings(steps: int) -> np.ndarray:
  """Number of halvings of the share before each step: int ``[steps]``."""
  marks = np.array(_HALVINGS) * steps / 10_000
  return (np.arange(steps)[:, None] >= marks).sum(-1)


def _signs(key: Array, shape: tuple[int, ...], like: Array) -> Array:
  # Explicit float32, so that the same key draws the same with x64.
  drawn = jax.random.uniform(key, shape, jnp.float32) < 0.5
  return jnp.where(drawn, 1, -1).astype(like.dtype)


def _grid(x: Array) -> tuple[Array, Array]:
  """Rows ``[H, 1]`` and columns ``[1, W]`` of an image's pixels."""
  row, column = (jnp.arange(n, dtype=jnp.int32) for n in x.shape[-3:-1])
  return row[:, None], column[None]


def _in_square(
  keys: tuple[Array, Array], x: Array, side: Array
) -> tuple[Array, Array, Array]:
  """A random square: bool ``[H, W]``, and rows and columns from its corner."""
  height, width = x.shape[-3:-1]
  top = jax.random.randint(keys[0], (), 0, height - side + 1, jnp.int32)
  left = jax.random.randint(keys[1], (), 0, width - side + 1, jnp.int32)
  row, column = _grid(x)
  row, column = row - top, column - left
  inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
  return inside, row, column


def _stripes(key: Array, x: Array, epsilon: Array) -> Array:
  signs = _signs(key, (1, *x.shape[-2:]), x)
  return jnp.clip(x + epsilon * jnp.broadcast_to(signs, x.shape), 0, 1)


def _corner(
  key: Array, x: Array, best: Array, epsilon: Array, side: Array
) -> Array:
  top, left, sign = jax.random.split(key, 3)
  inside, _, _ = _in_square((top, left), x, side)
  signs = jnp.broadcast_to(_signs(sign, x.shape[-1:], x), x.shape)
  mask = jnp.broadcast_to(inside[..., None], x.shape)
  return jnp.where(mask, jnp.clip(x + epsilon * signs, 0, 1), best)


def _pyramids(
  row: Array, column: Array, side: int | Array, turned: Array
) -> Array:
  """Two pyramids of opposite signs, beside each other; equation 2.

  Args:
    row: Rows from the corner of their square, ``[H, W]`` or ``[H, 1]``.
    column: Columns from it, ``[H, W]`` or ``[1, W]``.
    side: Side of the square in pixels.
    turned: Whether one is above the other.

  Returns:
    ``[H, W]``, of use within the square only.
  """
  row, column = jnp.broadcast_arrays(row, column)
  row, column = where(turned, (column, row), (row, column))
  half = side // 2
  first = column < half
  middle = jnp.where(first, half // 2, half + (side - half) // 2)
  away = jnp.maximum(jnp.abs(row - half), jnp.abs(column - middle))
  # Sums of 1 / k^2 up to each k, of which the longest image needs as many.
  sums = np.cumsum(1 / np.arange(1, max(row.shape) + 3, dtype=np.float64) ** 2)
  table = jnp.asarray(np.concatenate([[0], sums]), jnp.float32)
  height = table[half + 1] - table[jnp.minimum(away, half + 1)]
  return jnp.where(first, height, -height)


def _tiles(key: Array, x: Array, epsilon: Array) -> Array:
  height, width, channels = x.shape[-3:]
  side = max(1, min(height, width) // _TILES)
  counts = height // side, width // side
  # In the middle: the rest of the image stays as it is.
  row, column = (
    v - (n - count * side) // 2
    for v, n, count in zip(_grid(x), (height, width), counts, strict=True)
  )
  down, across = (
    jnp.clip(v // side, 0, count - 1)
    for v, count in zip((row, column), counts, strict=True)
  )
  sign, turn = jax.random.split(key)
  signs = _signs(sign, (*counts, channels), x)[down, across]
  turned = (_signs(turn, counts, x) > 0)[down, across]
  shape = _pyramids(row - down * side, column - across * side, side, turned)
  covered = (row // side == down) & (column // side == across)
  delta = jnp.where(covered, shape, 0)[..., None].astype(x.dtype) * signs
  delta = epsilon * steepest(jnp.broadcast_to(delta, x.shape), 'l2', x)
  return within(x, x + delta, epsilon, 'l2')


def _mass_moved(
  key: Array, x: Array, best: Array, epsilon: Array, side: Array
) -> Array:
  keys = jax.random.split(key, 6)
  here, row, column = _in_square((keys[0], keys[1]), x, side)
  there, _, _ = _in_square((keys[2], keys[3]), x, side)
  turned = _signs(keys[4], (), x) > 0
  shape = jnp.where(here, _pyramids(row, column, side, turned), 0)
  shape, here, there = (
    jnp.broadcast_to(v[..., None], x.shape)
    for v in (shape.astype(x.dtype), here, there)
  )
  signs = jnp.broadcast_to(_signs(keys[5], x.shape[-1:], x), x.shape)
  delta = _with_mass(best - x, shape * signs, here, there, epsilon)
  return within(x, x + delta, epsilon, 'l2')


def _with_mass(
  delta: Array, shape: Array, here: Array, there: Array, epsilon: Array
) -> Array:
  """A change with more of a shape in one place, and nothing in another.

  Algorithm 3, for each channel. What a ball of radius ``epsilon`` leaves is
  shared among the channels.

  Args:
    delta: The change of the image, ``[..., H, W, C]``.
    shape: What is added, ``[..., H, W, C]``, 0 outside of the one place.
    here: bool ``[..., H, W, C]``, that place.
    there: bool ``[..., H, W, C]``, the place whose change is given up.
    epsilon: Radius of the ball.
  """

  def energy(v: Array) -> Array:
    return jnp.square(v).sum((-3, -2), keepdims=True)

  def unit(v: Array) -> Array:
    total = energy(v)
    return v / jnp.sqrt(jnp.where(total > 0, total, 1))

  left = jnp.maximum(epsilon**2 - energy(delta).sum(-1, keepdims=True), 0)
  touched = here | there
  free = energy(jnp.where(touched, delta, 0)) + left / delta.shape[-1]
  new = unit(unit(shape) + unit(jnp.where(here, delta, 0)))
  new = jnp.where(here, new * jnp.sqrt(free), 0)
  return jnp.where(touched, new, delta)


# By norm: the first image, the change of a step, the least side of a square.
_MOVES = {'linf': (_stripes, _corner, 1), 'l2': (_tiles, _mass_moved, _LEAST)}
