"""Spatial attack: rotations and shifts, by a search of all on a grid."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.adversarial.attacked import check_range
from vizlab.adversarial.goals import read
from vizlab.image.motion import turned
from vizlab.trees import as_pytree, where
from vizlab.types import Array, ScoreFn, number, whole

__all__ = ['Moved', 'moved', 'spatial']


class Moved(NamedTuple):
  """Images after the spatial attack.

  Attributes:
    image: ``[..., H, W, C]``, as moved.
    success: bool ``[...]``, whether they reach the goal.
    degrees: Angles, to the left, ``[...]``.
    shift: Shifts down and to the right in pixels, ``[..., 2]``.
    queries: int32 ``[...]``, how often the net has been shown each image.
    already: bool ``[...]``, whether the image reached the goal before.
  """

  image: Array
  success: Array
  degrees: Array
  shift: Array
  queries: Array
  already: Array


def spatial(
  score: ScoreFn,
  x: Array,
  *,
  degrees: float = 30.0,
  shift: float = 0.1,
  rotations: int = 31,
  shifts: int = 5,
) -> Moved:
  """Rotates and shifts images, and keeps the worst of all combinations.

  No pixel gets an intensity that the image does not have, so no ball about the
  image holds these attacks. Gradients hardly find them; a search does.

  Args:
    score: What is raised, `mislead`, `lead` or ``[..., H, W, C] -> [...]``; a
      plain score succeeds where it is above 0. Of the first two the goal is
      raised, a margin.
    x: Images ``[..., H, W, C]`` in [0, 1].
    degrees: Largest angle to either side.
    shift: Largest shift along either axis, as a share of the side.
    rotations: Number of angles, odd, so that one of them is 0.
    shifts: Number of shifts along each axis, odd.

  Returns:
    A `Moved`; what comes from outside of the image is black. Of equal goals
    that of the smallest motion counts.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number is wrong.

  Reference:
    Engstrom, Tran, Tsipras, Schmidt & Madry 2019, section 3: grid search.
  """
  check_range(x)
  degrees, share = number(degrees, 'degrees', 0.0), number(shift, 'shift', 0.0)
  for name, count in (('rotations', rotations), ('shifts', shifts)):
    if whole(count, name) % 2 == 0:
      raise ValueError(f'{name}: got {count}, expected an odd number')
  jax.eval_shape(lambda x: read(score, x), x)
  return _spatial(as_pytree(score), x, degrees, share, (rotations, shifts))


@functools.partial(jax.jit, static_argnames='counts')
def _spatial(
  score: ScoreFn,
  x: Array,
  degrees: Array,
  share: Array,
  counts: tuple[int, int],
) -> Moved:
  height, width = x.shape[-3:-1]
  turns, steps = (
    np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in counts
  )
  grid = np.stack(np.meshgrid(turns, steps, steps), -1).reshape(-1, 3)
  # The smallest motion first: of equal goals the first counts.
  grid = grid[np.argsort((grid**2).sum(1), kind='stable')]
  size = jnp.stack([degrees, share * height, share * width]).astype(x.dtype)

  def attempt(motion: Array) -> tuple[Array, Array]:
    image = moved(x, motion[0], motion[1:])
    return image, read(score, image)[1]

  def search(best: tuple[Array, ...], motion: Array) -> tuple[tuple, None]:
    image, goal = attempt(motion)
    given = jnp.broadcast_to(motion, (*goal.shape, 3))
    return where(goal > best[1], (image, goal, given), best), None

  _, goal = read(score, x)
  still = jnp.zeros((*goal.shape, 3), x.dtype)
  motions = jnp.asarray(grid, x.dtype) * size[None]
  (image, last, motion), _ = jax.lax.scan(search, (x, goal, still), motions)
  queries = jnp.full(goal.shape, 1 + len(grid), jnp.int32)
  return Moved(
    image, last > 0, motion[..., 0], motion[..., 1:], queries, goal > 0
  )


def moved(x: Array, degrees: Array, shift: Array) -> Array:
  """Rotates images about their center, then shifts them; bilinear.

  Args:
    x: Images ``[..., H, W, C]``.
    degrees: Angle to the left, one number.
    shift: Pixels down and to the right, ``[2]``.

  Returns:
    Images of the same shape, black where they come from outside.
  """
  turn = jnp.deg2rad(jnp.asarray(degrees, x.dtype))
  return turned(x, turn, (shift[0], shift[1]))
