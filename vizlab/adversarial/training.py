"""Losses of robust training: the worst images within a ball, or near ones."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from vizlab.adversarial.attacked import amount, check_attack, radii
from vizlab.adversarial.balls import (
  NORMS,
  project,
  random_point,
  steepest,
  within,
)
from vizlab.adversarial.goals import mislead
from vizlab.adversarial.slopes import slope
from vizlab.image.checks import check_images
from vizlab.lookup import check_name
from vizlab.objectives import cross_entropy, score
from vizlab.trees import as_pytree
from vizlab.types import Array, Net, ScoreFn, whole

__all__ = ['ascend', 'free_ascent', 'free_loss', 'madry_loss', 'trades_loss']


def ascend(
  score: ScoreFn,
  x: Array,
  key: Array,
  *,
  epsilon: float | Array,
  norm: str = 'linf',
  steps: int = 7,
  rate: float | Array | None = None,
) -> Array:
  """Last point of projected gradient ascent from a random start.

  `vizlab.adversarial.pgd` without what a training has no use for: no image is
  judged, and none is kept but the last. One step of ``rate`` 1.25 is the fast
  form of Wong, Rice & Kolter 2020.

  Args:
    score: What is raised, `mislead`, `lead` or ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    key: A JAX random key; each image gets its own random numbers.
    epsilon: Radius of the ball in intensities.
    norm: ``'linf'``, ``'l2'`` or ``'l1'``.
    steps: Number of steps.
    rate: Length of a step as a share of epsilon; ``2.5 / steps`` by default.

  Returns:
    Images ``[..., H, W, C]`` in [0, 1], without a gradient.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number or the norm is wrong.

  Reference:
    Madry et al. 2018, section 2.
  """
  epsilon = check_attack(score, x, epsilon, norm)
  if epsilon.ndim:
    raise ValueError(f'epsilon: got shape {epsilon.shape}, expected one number')
  steps = whole(steps, 'steps')
  rate = amount(2.5 / steps if rate is None else rate, 'rate', x)
  score, x, epsilon, rate = jax.lax.stop_gradient(
    (as_pytree(score), x, epsilon, rate)
  )
  keys = jax.random.split(key, math.prod(x.shape[:-3]))
  delta = jax.vmap(lambda key: random_point(key, x.shape[-3:], epsilon, norm))(
    keys
  )
  start = jnp.clip(x + delta.reshape(x.shape), 0, 1)

  def advance(_: Array, at: Array) -> Array:
    _, _, g = slope(score, at)
    moved = at + rate * epsilon * steepest(g, norm, at)
    return within(x, moved, epsilon, norm)

  return jax.lax.fori_loop(0, steps, advance, start)


def madry_loss(
  net: Net,
  x: Array,
  label: Array,
  key: Array,
  *,
  epsilon: float | Array,
  norm: str = 'linf',
  steps: int = 7,
  rate: float | Array | None = None,
) -> Array:
  r"""Cross entropy of the worst images that are found within a ball.

  .. math::
    \max_{\|\delta\| \le \epsilon} -\log p_y(x + \delta)

  Args:
    net: A net with a classifier.
    x: Images ``[..., H, W, C]`` in [0, 1].
    label: Their classes ``[...]``.
    key: A JAX random key.
    epsilon: Radius of the ball in intensities.
    norm: ``'linf'``, ``'l2'`` or ``'l1'``.
    steps: Steps to the worst image.
    rate: Length of a step as a share of epsilon; ``2.5 / steps`` by default.

  Returns:
    ``[...]``; its gradient by the net is that at the worst images, Danskin's
    theorem.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the net has no
      such class, or a number or the norm is wrong.

  Reference:
    Madry et al. 2018, equation 2.1.
  """
  worst = ascend(
    mislead(net, label), x, key, epsilon=epsilon, norm=norm, steps=steps,
    rate=rate,
  )  # fmt: skip
  return score(net, cross_entropy(label))(worst)


def free_loss(net: Net, x: Array, label: Array, delta: Array) -> Array:
  r"""Cross entropy of images with a perturbation that is trained, too.

  .. math:: -\log p_y(x + \delta)

  One gradient serves both: the network goes down it, and the perturbation, by
  `free_ascent`, up. Each batch is taken several times in a row, and the next
  one begins with the perturbation of the last: robust training for the price
  of a plain one.

  Args:
    net: A net with a classifier.
    x: Images ``[..., H, W, C]`` in [0, 1].
    label: Their classes ``[...]``.
    delta: Perturbations ``[..., H, W, C]`` in intensities; zeros at first. What
      they make of the images is clipped to [0, 1].

  Returns:
    ``[...]``.

  Raises:
    ValueError: ``x`` is not a batch of float images, the perturbations have
      another shape, or the net has no such class.

  Reference:
    Shafahi et al. 2019, algorithm 1.
  """
  check_images(x)
  if delta.shape != x.shape:
    raise ValueError(f'delta: got shape {delta.shape}, expected {x.shape}')
  return score(net, cross_entropy(label))(jnp.clip(x + delta, 0, 1))


def free_ascent(
  epsilon: float | Array, norm: str = 'linf'
) -> optax.GradientTransformation:
  """Optimizer of the perturbations of `free_loss`: steps of epsilon, upwards.

  It raises the loss that the other parameters lower; see `optax.partition`.

  Args:
    epsilon: Radius of the ball in intensities, and length of a step.
    norm: ``'linf'``, ``'l2'`` or ``'l1'``.

  Raises:
    ValueError: Epsilon is negative or not finite, or the norm is unknown.

  >>> import jax.numpy as jnp
  >>> import optax
  >>> tx, delta = free_ascent(0.1), jnp.full((1, 1, 3), 0.05)
  >>> slope = jnp.array([[[2.0, 0.0, -3.0]]])
  >>> step, _ = tx.update(slope, tx.init(delta), delta)
  >>> [round(float(v), 2) for v in (delta + step)[0, 0]]
  [0.1, 0.05, -0.05]
  """
  check_name('norm', norm, NORMS)
  radius = radii(epsilon, jnp.float32(0))

  def update(
    gradient: Any, state: optax.EmptyState, delta: Any = None
  ) -> tuple[Any, optax.EmptyState]:
    def step(g: Array, delta: Array) -> Array:
      r = radius.astype(delta.dtype)
      moved = delta + r * steepest(g, norm, jnp.full_like(delta, 0.5))
      return project(moved, r, norm) - delta

    return jax.tree.map(step, gradient, delta), state

  return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def trades_loss(
  net: Net,
  x: Array,
  label: Array,
  key: Array,
  *,
  beta: float | Array = 6.0,
  epsilon: float | Array,
  norm: str = 'linf',
  steps: int = 7,
  rate: float | Array | None = None,
) -> Array:
  r"""Cross entropy of images, and how far near images change the answer.

  .. math::
    -\log p_y(x) + \beta \max_{\|\delta\| \le \epsilon}
    \mathrm{KL}\bigl(p(x) \,\|\, p(x + \delta)\bigr)

  Args:
    net: A net with a classifier.
    x: Images ``[..., H, W, C]`` in [0, 1].
    label: Their classes ``[...]``.
    key: A JAX random key.
    beta: Weight of the second part; accuracy is traded for robustness by it.
    epsilon: Radius of the ball in intensities.
    norm: ``'linf'``, ``'l2'`` or ``'l1'``.
    steps: Steps to the worst image.
    rate: Length of a step as a share of epsilon; ``2.5 / steps`` by default.

  Returns:
    ``[...]``.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the net has no
      such class, or a number or the norm is wrong.

  Reference:
    Zhang, Yu, Jiao, Xing, El Ghaoui & Jordan 2019, equation 5 and algorithm 1,
    but from a random start in the whole ball.
  """
  net = as_pytree(net)
  beta = amount(beta, 'beta', x)
  check_attack(mislead(net, label), x, epsilon, norm)
  clean = jax.nn.log_softmax(net(x)[0])
  apart = Partial(_divergence, net, jax.lax.stop_gradient(clean))
  worst = ascend(
    apart, x, key, epsilon=epsilon, norm=norm, steps=steps, rate=rate
  )
  robust = _divergence(net, clean, worst)
  return score(net, cross_entropy(label))(x) + beta * robust


def _divergence(net: Net, clean: Array, x: Array) -> Array:
  """Kullback-Leibler divergence of a net's answer from another: ``[...]``."""
  now = jax.nn.log_softmax(net(x)[0])
  return (jnp.exp(clean) * (clean - now)).sum(-1)
