"""One perturbation for all images: universal ones, and patches."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vizlab.adversarial.attacked import check_attack
from vizlab.adversarial.balls import project, steepest
from vizlab.adversarial.goals import lead, mislead, read
from vizlab.adversarial.slopes import need_slope
from vizlab.trees import as_pytree
from vizlab.types import Array, Augment, Net, number, whole

__all__ = ['Universal', 'paste', 'patch', 'universal']


class Universal(NamedTuple):
  """Perturbation that was found with some images.

  No `Attacked`: it is one for all images, as long for each as its radius.

  Attributes:
    delta: ``[H, W, C]``, within the ball; `jnp.clip` the sum with an image.
    success: bool ``[B]``, whether it takes each of the images from its class.
    already: bool ``[B]``, whether the net is wrong without it.
  """

  delta: Array
  success: Array
  already: Array


def universal(
  net: Net,
  x: Array,
  label: int | Array,
  key: Array,
  *,
  epsilon: float | Array,
  norm: str = 'linf',
  steps: int = 200,
  rate: float | Array = 0.1,
  batch: int = 32,
  cap: float | Array = 9.0,
) -> Universal:
  """Finds one perturbation that misleads a net about most images.

  Steepest ascent of the mean of ``min(cross entropy, cap)`` over random images;
  without the cap a few images would decide. Images that are not finite count
  for nothing.

  Args:
    net: A net with a classifier.
    x: Images ``[B, H, W, C]`` in [0, 1].
    label: Their classes, one number or ``[B]``.
    key: A JAX random key.
    epsilon: Radius of the ball in intensities.
    norm: ``'linf'`` or ``'l2'``.
    steps: Number of steps.
    rate: Length of a step as a share of epsilon.
    batch: Images of a step, at most all.
    cap: Largest cross entropy that counts.

  Returns:
    A `Universal`.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the net has no
      such class, or a number or the norm is wrong.

  References:
    Moosavi-Dezfooli, Fawzi, Fawzi & Frossard 2017; Shafahi et al. 2020,
    algorithm 2.
  """
  label = _labels(x, label)
  epsilon = check_attack(mislead(net, label), x, epsilon, norm, ('linf', 'l2'))
  if epsilon.ndim:
    raise ValueError(f'epsilon: got shape {epsilon.shape}, expected a number')
  return _universal(
    as_pytree(net), x, label, key, epsilon, number(rate, 'rate', 0.0),
    number(cap, 'cap', 0.0),
    (norm, whole(steps, 'steps'), min(whole(batch, 'batch'), len(x))),
  )  # fmt: skip


@functools.partial(jax.jit, static_argnames='fixed')
def _universal(
  net: Net,
  x: Array,
  label: Array,
  key: Array,
  epsilon: Array,
  rate: Array,
  cap: Array,
  fixed: tuple[str, int, int],
) -> Universal:
  norm, steps, batch = fixed
  rate, cap = (v.astype(x.dtype) for v in (rate, cap))
  known, counts = _known(x)

  def loss(
    delta: Array, rows: Array, watched: Callable[[Array], Array]
  ) -> Array:
    image = watched(jnp.clip(known[rows] + delta[None], 0, 1))
    value, _ = read(mislead(net, label[rows]), image)
    return (jnp.minimum(value, cap) * counts[rows]).mean()

  def advance(delta: Array, i: Array) -> tuple[Array, None]:
    drawn = jax.random.fold_in(key, i)
    rows = jax.random.choice(drawn, len(x), (batch,), replace=False)
    with need_slope() as watched:
      g = jax.grad(loss)(delta, rows, watched)
    step = rate * epsilon * steepest(g, norm, delta)
    return project(delta + step.astype(x.dtype), epsilon, norm), None

  start = jnp.zeros(x.shape[1:], x.dtype)
  delta, _ = jax.lax.scan(advance, start, jnp.arange(steps))

  def wrong(given: tuple[Array, Array]) -> Array:
    image, own = given
    both = jnp.stack([jnp.clip(image + delta, 0, 1), image])
    return read(mislead(net, own), both)[1] > 0

  reached = jax.lax.map(wrong, (x, label), batch_size=batch)  # [B, 2]
  return Universal(delta, reached[:, 0], reached[:, 1])


def patch(
  net: Net,
  x: Array,
  target: int | Array,
  key: Array,
  *,
  size: int,
  steps: int = 200,
  rate: float | Array = 0.05,
  batch: int = 16,
  augment: Augment | None = None,
) -> Array:
  """Finds a patch that makes a net see a class, wherever it is pasted.

  Adam on the mean cross entropy over random images and positions, with
  intensities that stay in [0, 1]. Images that are not finite count for nothing.

  Args:
    net: A net with a classifier.
    x: Images ``[B, H, W, C]`` in [0, 1].
    target: Class that images with the patch must get.
    key: A JAX random key.
    size: Side of the patch in pixels, at most that of the images.
    steps: Number of steps.
    rate: Learning rate.
    batch: Images of a step, at most all.
    augment: Random change ``(key, patch) -> patch`` of the patch
      ``[size, size, C]``, such as a rotation, before it is pasted.

  Returns:
    The patch ``[size, size, C]``, for `paste`.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the net has no
      such class, or a number is wrong.

  Reference:
    Brown, Mane, Roy, Abadi & Gilmer 2017, equation 1.
  """
  target = _labels(x, target)
  check_attack(lead(net, target), x, None, 'linf')
  size, sides = whole(size, 'size'), x.shape[1:3]
  if size > min(sides):
    raise ValueError(f'size: got {size}, expected at most {min(sides)}')
  return _patch(
    as_pytree(net), x, target, key, number(rate, 'rate', 0.0),
    (size, whole(steps, 'steps'), min(whole(batch, 'batch'), len(x)), augment),
  )  # fmt: skip


@functools.partial(jax.jit, static_argnames='fixed')
def _patch(
  net: Net,
  x: Array,
  target: Array,
  key: Array,
  rate: Array,
  fixed: tuple[int, int, int, Augment | None],
) -> Array:
  size, steps, batch, augment = fixed
  known, counts = _known(x)
  room = [n - size + 1 for n in x.shape[1:3]]
  optimizer = optax.adam(rate)

  def loss(
    square: Array, key: Array, watched: Callable[[Array], Array]
  ) -> Array:
    keys = jax.random.split(key, 3)
    rows = jax.random.choice(keys[0], len(x), (batch,), replace=False)
    at = jnp.stack(
      [
        # Explicit int32, so that the same key draws the same with x64.
        jax.random.randint(key, (batch,), 0, n, jnp.int32)
        for key, n in zip(jax.random.split(keys[1]), room, strict=True)
      ],
      -1,
    )
    changed = square if augment is None else augment(keys[2], square)
    images = watched(jax.vmap(paste, (0, None, 0))(known[rows], changed, at))
    value, _ = read(lead(net, target[rows]), images)
    return -(value * counts[rows]).mean()

  def advance(state: tuple, i: Array) -> tuple[tuple, None]:
    square, memory = state
    with need_slope() as watched:
      g = jax.grad(loss)(square, jax.random.fold_in(key, i), watched)
    with jax.numpy_dtype_promotion('standard'):  # optax needs it
      step, memory = optimizer.update(g, memory, square)
    return (jnp.clip(square + step, 0, 1), memory), None

  start = jnp.full((size, size, x.shape[-1]), 0.5, x.dtype)
  (square, _), _ = jax.lax.scan(
    advance, (start, optimizer.init(start)), jnp.arange(steps)
  )
  return square


def paste(image: Array, square: Array, at: Array) -> Array:
  """Pastes a patch into an image.

  Args:
    image: ``[H, W, C]``.
    square: ``[h, w, C]``.
    at: Row and column of its first pixel, int ``[2]``.
  """
  row, column = jnp.asarray(at)
  first = row, column, jnp.zeros_like(row)  # of one dtype
  return jax.lax.dynamic_update_slice(image, square, first)


def _known(x: Array) -> tuple[Array, Array]:
  """Images, grey where one is not finite, and their weights, 0 there."""
  finite = jnp.isfinite(x).all((1, 2, 3))
  known = jnp.where(finite[:, None, None, None], x, 0.5)
  return known, finite.astype(x.dtype)


def _labels(x: Array, label: int | Array) -> Array:
  if np.ndim(x) != 4:
    raise ValueError(f'x: got shape {np.shape(x)}, expected [B, H, W, C]')
  return jnp.broadcast_to(jnp.asarray(label, jnp.int32), x.shape[:1])
