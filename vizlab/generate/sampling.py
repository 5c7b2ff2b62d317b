"""Samples of images of a class, by a generator and a classifier."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab.types import Array, number, whole

__all__ = ['Samples', 'sample']


class Samples(NamedTuple):
  """Codes after steps of `sample`, and the score of each.

  Attributes:
    codes: ``[T, ..., *code]``, those after every ``keep_every`` steps.
    scores: ``[T, ...]``.
  """

  codes: Array
  scores: Array


def sample(
  log_probability: Callable[[Array], Array],
  reconstruct: Callable[[Array], Array],
  code: Array,
  key: Array,
  *,
  steps: int,
  prior: float | Array = 1e-2,
  condition: float | Array = 1.0,
  noise: float | Array = 1e-3,
  bound: float | Array | None = None,
  keep_every: int = 1,
) -> Samples:
  """Samples codes of a class, by steps to likely ones, to the class, at random.

  ``h <- h + e1 (R(h) - h) + e2 d log p(c | G(h)) / dh + e3 n``, n standard
  normal, is an approximate Langevin sampler: what a denoising autoencoder
  changes is the gradient of the logarithm of the density of codes, times the
  variance of its noise.

  Args:
    log_probability: ``codes -> [...]``, the logarithm of the probability of the
      class given the image of each code.
    reconstruct: ``R``, codes as an autoencoder returns them; where it is a
      generator and what a network sees in its image, as of the paper's joint
      variant, it needs no training of its own.
    code: Codes to start from, ``[..., *code]``.
    key: A JAX random key.
    steps: Number of steps.
    prior: ``e1``, from 0.
    condition: ``e2``, from 0.
    noise: ``e3``, from 0; without it the sampler is an ascent.
    bound: Largest code, at which they are clipped after each step, as below at
      0; by default they are not clipped.
    keep_every: Steps from one sample that is kept to the next.

  Raises:
    ValueError: A number is out of range, or ``keep_every`` does not divide the
      steps.

  References:
    Nguyen, Clune, Bengio, Dosovitskiy & Yosinski 2017 (PPGN), equations 5, 6,
    11 and section 3.4.
  """
  steps, keep_every = whole(steps, 'steps'), whole(keep_every, 'keep_every')
  if steps % keep_every:
    raise ValueError(
      f'keep_every: got {keep_every}, expected a divisor of the {steps} steps'
    )
  e1, e2, e3 = (
    number(value, name, 0.0)
    for value, name in (
      (prior, 'prior'),
      (condition, 'condition'),
      (noise, 'noise'),
    )
  )

  if bound is not None:
    most = jnp.broadcast_to(number(bound, 'bound', 0.0), code.shape)

  def step(h: Array, key: Array) -> tuple[Array, None]:
    slope = jax.grad(lambda h: log_probability(h).sum())(h)
    draw = jax.random.normal(key, h.shape, h.dtype)
    h = h + e1 * (reconstruct(h) - h) + e2 * slope + e3 * draw
    if bound is not None:
      h = jnp.clip(h, 0, most)
    return h, None

  def several(h: Array, keys: Array) -> tuple[Array, tuple[Array, Array]]:
    h, _ = jax.lax.scan(step, h, keys)
    return h, (h, log_probability(h))

  keys = jax.random.split(key, (steps // keep_every, keep_every))
  _, (codes, scores) = jax.lax.scan(several, code, keys)
  return Samples(codes, scores)
