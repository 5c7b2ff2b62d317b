"""Attacks that seek the least perturbation."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from vizlab.adversarial.attacked import Attacked, amount, check_attack, held
from vizlab.adversarial.balls import distance, per_image, project
from vizlab.adversarial.goals import mislead, read
from vizlab.adversarial.slopes import need_slope, slope
from vizlab.trees import as_pytree, where
from vizlab.types import Array, Net, ScoreFn, whole

__all__ = ['carlini_wagner', 'deepfool', 'fmn']

# Images on the border itself would be back over it by a rounding.
_BEYOND = 1e-5


def deepfool(
  net: Net,
  x: Array,
  label: int | Array,
  *,
  norm: str = 'l2',
  steps: int = 50,
  candidates: int = 10,
  overshoot: float | Array = 0.02,
  epsilon: float | Array | None = None,
  chunk: int = 64,
) -> Attacked:
  r"""DeepFool: steps to the nearest border of the class of a linear net.

  .. math::
    r = \frac{|f_k|}{\|w_k\|_2^2} w_k, \quad
    k = \arg\min_k \frac{|f_k|}{\|w_k\|_2}, \quad
    f_k = z_k - z_y,\ w_k = \nabla f_k

  and in L-inf ``|f_k| / ||w_k||_1 sign(w_k)``.

  Args:
    net: A net with a classifier.
    x: Images ``[..., H, W, C]`` in [0, 1].
    label: Class that they are taken from, one number or one per image.
    norm: ``'l2'`` or ``'linf'``.
    steps: At most.
    candidates: Most probable other classes whose borders are compared.
    overshoot: Share by which the sum of the steps is lengthened.
    epsilon: Radius or radii ``[E]`` that the result is held to; ``None`` for
      none.
    chunk: Images judged at once, for several radii.

  Returns:
    `Attacked`; ``raw`` is not held to epsilon.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the net has no
      such class, or a number or the norm is wrong.

  Reference:
    Moosavi-Dezfooli, Fawzi & Frossard 2016, algorithm 2 and equation 10.
  """
  epsilon = check_attack(mislead(net, label), x, epsilon, norm, ('l2', 'linf'))
  classes = jax.eval_shape(lambda x: net(x)[0], x).shape[-1]
  if classes < 2:
    raise ValueError(f'net: got {classes} class, expected 2 or more')
  fixed = norm, whole(steps, 'steps'), whole(candidates, 'candidates'), chunk
  overshoot = amount(overshoot, 'overshoot', x)
  label = jnp.broadcast_to(jnp.asarray(label), x.shape[:-3])
  return _deepfool(as_pytree(net), x, label, overshoot, epsilon, fixed)


@functools.partial(jax.jit, static_argnames='fixed')
def _deepfool(
  net: Net,
  x: Array,
  label: Array,
  overshoot: Array,
  epsilon: Array | None,
  fixed: tuple[str, int, int, int],
) -> Attacked:
  norm, steps, candidates, chunk = fixed
  score_fn = mislead(net, label)

  def logits(at: Array) -> Array:
    return net(at)[0]

  start = logits(x)
  count = min(candidates, start.shape[-1] - 1)
  own = jax.nn.one_hot(label, start.shape[-1], dtype=bool)
  others = jax.lax.top_k(jnp.where(own, -jnp.inf, start), count)[1]
  overshoot = 1 + overshoot

  def differences(at: Array) -> Array:
    z = logits(at)
    given = jnp.take_along_axis(z, others, -1)
    return given - jnp.take_along_axis(z, label[..., None], -1)

  def advance(carry: tuple[Array, ...]) -> tuple[Array, ...]:
    step, moved, reached, queries = carry
    at = jnp.clip(x + overshoot * moved, 0, 1)
    with need_slope() as watched:
      f, back = jax.vjp(lambda at: differences(watched(at)), at)

      def gradient(i: Array) -> Array:
        (g,) = back(jnp.broadcast_to(jax.nn.one_hot(i, count), f.shape))
        return g

      slopes = jax.lax.map(gradient, jnp.arange(count))  # [K, ..., H, W, C]
    dual = distance(slopes, 'l2' if norm == 'l2' else 'l1')
    far = jnp.abs(jnp.moveaxis(f, -1, 0)) / jnp.where(dual > 0, dual, jnp.inf)
    far = jnp.where(dual > 0, far, jnp.inf)
    k = far.argmin(0)
    w = jnp.take_along_axis(slopes, per_image(k)[None], 0)[0]
    length, size = (jnp.take_along_axis(v, k[None], 0)[0] for v in (far, dual))
    unit = (
      jnp.sign(w)
      if norm == 'linf'
      else w / per_image(jnp.where(size > 0, size, 1))
    )
    # A step of nothing would stay on the border.
    length = jnp.where(jnp.isfinite(length), length + 1e-4, 0)
    going = ~reached
    moved = jnp.where(per_image(going), moved + per_image(length) * unit, moved)
    _, goal = read(score_fn, jnp.clip(x + overshoot * moved, 0, 1))
    return (
      step + 1,
      moved,
      reached | (goal > 0),
      queries + (count + 1) * going.astype(jnp.int32),
    )

  def more(carry: tuple[Array, ...]) -> Array:
    return (carry[0] < steps) & ~carry[2].all()

  _, goal = read(score_fn, x)
  zero = jnp.zeros(x.shape[:-3], jnp.int32)
  already = goal > 0
  carry = jnp.int32(0), jnp.zeros_like(x), already, zero + 1
  _, moved, _, queries = jax.lax.while_loop(more, advance, carry)
  raw = jnp.clip(x + overshoot * moved, 0, 1)
  return held(score_fn, x, raw, norm, epsilon, queries, already, chunk)


class _Search(NamedTuple):
  """Weights between which an image's search goes on, and the best image."""

  low: Array
  high: Array
  weight: Array
  x: Array
  length: Array


def carlini_wagner(
  score: ScoreFn,
  x: Array,
  *,
  steps: int = 200,
  searches: int = 6,
  weight: float | Array = 1.0,
  rate: float | Array = 0.005,
  confidence: float | Array = 0.0,
  epsilon: float | Array | None = None,
  chunk: int = 64,
) -> Attacked:
  r"""The attack of Carlini and Wagner: least L2 distance by Adam.

  .. math::
    \min_{x'} \|x' - x\|_2^2 + c \max(\kappa - y(x'), 0)

  The weight ``c`` is searched for by bisection, image by image. Images are
  clipped to [0, 1] after each step, one of the paper's three ways: a pixel that
  is black or white has no slope in the other, the tangent of a variable.

  Args:
    score: What must be above 0, by 1e-5 or more: `mislead` and `lead`, of which
      the goal is read, or ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    steps: Steps for each weight.
    searches: Weights that are tried.
    weight: The first of them, ``c``.
    rate: Adam's learning rate.
    confidence: By how much the score must be above 0.
    epsilon: Radius or radii ``[E]`` that the result is held to; ``None`` for
      none.
    chunk: Images judged at once, for several radii.

  Returns:
    `Attacked`; ``raw`` is not held to epsilon, and is ``x`` where no image at
    the goal was found.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number is wrong.

  Reference:
    Carlini & Wagner 2017, section V and VI.
  """
  epsilon = check_attack(score, x, epsilon, 'l2')
  fixed = whole(steps, 'steps'), whole(searches, 'searches'), chunk
  for name, value in (('weight', weight), ('rate', rate)):
    if not isinstance(value, jax.Array) and not value > 0:
      raise ValueError(f'{name}: got {value}, expected a number above 0')
  numbers = (
    amount(weight, 'weight', x),
    amount(rate, 'rate', x),
    amount(confidence, 'confidence', x),
  )
  return _carlini_wagner(as_pytree(score), x, numbers, epsilon, fixed)


@functools.partial(jax.jit, static_argnames='fixed')
def _carlini_wagner(
  score: ScoreFn,
  x: Array,
  numbers: tuple[Array, Array, Array],
  epsilon: Array | None,
  fixed: tuple[int, int, int],
) -> Attacked:
  steps, searches, chunk = fixed
  weight, rate, confidence = numbers

  least = jnp.maximum(confidence, _BEYOND)

  def loss(
    image: Array, c: Array, watched: Callable[[Array], Array]
  ) -> tuple[Array, tuple[Array, Array]]:
    _, goal = read(score, watched(image))
    square = jnp.square(image - x).sum((-3, -2, -1))
    short = jnp.maximum(least - goal, 0)
    return (square + c * short).sum(), (goal, square)

  tx = optax.adam(rate)

  def search(state: _Search, _: None) -> tuple[_Search, None]:
    def advance(carry: tuple, _: None) -> tuple[tuple, None]:
      image, opt, succeeded, x_best, length = carry
      with need_slope() as watched:
        differentiate = jax.grad(loss, has_aux=True)
        g, (goal, square) = differentiate(image, state.weight, watched)
      reached = goal >= least
      nearer = reached & (square < length)
      x_best, length = where(nearer, (image, square), (x_best, length))
      with jax.numpy_dtype_promotion('standard'):
        updates, opt = tx.update(g, opt)
        moved = jnp.clip(optax.apply_updates(image, updates), 0, 1)
      return (moved, opt, succeeded | reached, x_best, length), None

    none = jnp.zeros(x.shape[:-3], bool)
    carry = x, tx.init(x), none, state.x, state.length
    (_, _, succeeded, x_best, length), _ = jax.lax.scan(
      advance, carry, length=steps + 1
    )
    high = jnp.where(
      succeeded, jnp.minimum(state.high, state.weight), state.high
    )
    low = jnp.where(succeeded, state.low, jnp.maximum(state.low, state.weight))
    open_end = jnp.isinf(high)
    between = (low + jnp.where(open_end, low, high)) / 2
    c = jnp.where(open_end, 10 * state.weight, between)
    return _Search(low, high, c, x_best, length), None

  lead = x.shape[:-3]
  _, goal = read(score, x)
  there = goal >= least
  infinite = jnp.full(lead, jnp.inf, x.dtype)
  state = _Search(
    jnp.zeros(lead, x.dtype),
    infinite,
    jnp.broadcast_to(weight, lead),
    x,
    jnp.where(there, 0, infinite),
  )
  state, _ = jax.lax.scan(search, state, length=searches)
  queries = jnp.int32(1 + (steps + 1) * searches)
  return held(score, x, state.x, 'l2', epsilon, queries, goal > 0, chunk)


def fmn(
  score: ScoreFn,
  x: Array,
  *,
  norm: str = 'linf',
  steps: int = 100,
  rate: float | Array = 1.0,
  shrink: float | Array = 0.05,
  epsilon: float | Array | None = None,
  chunk: int = 64,
) -> Attacked:
  """Fast minimum norm: a ball that grows and shrinks about the nearest border.

  Steps along the gradient, whose length falls by a cosine, each projected to a
  ball. The ball shrinks while the image is at the goal and grows while it is
  not; before the goal was ever reached its radius is what a linear score needs.

  Args:
    score: What must be above 0, by 1e-5 or more: `mislead` and `lead`, of which
      the goal is read, or ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    norm: ``'linf'``, ``'l2'`` or ``'l1'``.
    steps: Number of steps.
    rate: L2 length of the first step.
    shrink: Share by which the ball shrinks or grows at first.
    epsilon: Radius or radii ``[E]`` that the result is held to; ``None`` for
      none.
    chunk: Images judged at once, for several radii.

  Returns:
    `Attacked`; ``raw`` is not held to epsilon, and is ``x`` where no image at
    the goal was found.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], the score does
      not give one number per image, or a number or the norm is wrong.

  Reference:
    Pintor, Roli, Brendel & Biggio 2021, algorithm 1.
  """
  epsilon = check_attack(score, x, epsilon, norm)
  numbers = amount(rate, 'rate', x), amount(shrink, 'shrink', x)
  fixed = norm, whole(steps, 'steps'), chunk
  return _fmn(as_pytree(score), x, numbers, epsilon, fixed)


@functools.partial(jax.jit, static_argnames='fixed')
def _fmn(
  score: ScoreFn,
  x: Array,
  numbers: tuple[Array, Array],
  epsilon: Array | None,
  fixed: tuple[str, int, int],
) -> Attacked:
  norm, steps, chunk = fixed
  rate, shrink = numbers
  dual = {'linf': 'l1', 'l2': 'l2', 'l1': 'linf'}[norm]

  def goal_of(at: Array) -> Array:
    return read(score, at)[1]

  def advance(carry: tuple, i: Array) -> tuple[tuple, None]:
    delta, radius, succeeded, best, length = carry
    falling = (1 + jnp.cos(jnp.pi * i.astype(x.dtype) / steps)) / 2
    gamma = shrink * (0.02 + 0.98 * falling)
    goal, _, g = slope(goal_of, x + delta)
    reached = goal >= _BEYOND
    size = distance(delta, norm)
    nearer = reached & (size < length)
    best, length = where(nearer, (delta, size), (best, length))
    succeeded = succeeded | reached
    slopes = distance(g, dual)
    linear = size + (2 * _BEYOND - goal) / jnp.where(slopes > 0, slopes, 1)
    # Beyond the paper: where [0, 1] cuts steps short, the linear radius alone
    # would stay short of the border.
    wider = radius * (1 + gamma)
    linear = jnp.where(jnp.isinf(radius), linear, jnp.maximum(linear, wider))
    grown = jnp.where(succeeded, wider, linear)
    shrunk = jnp.minimum(radius * (1 - gamma), length)
    radius = jnp.where(reached, shrunk, grown)
    long = per_image(distance(g, 'l2'))
    step = rate * (0.01 + 0.99 * falling) * g / jnp.where(long > 0, long, 1)
    delta = project(delta + step, radius, norm)
    delta = jnp.clip(x + delta, 0, 1) - x
    return (delta, radius, succeeded, best, length), None

  lead = x.shape[:-3]
  infinite = jnp.full(lead, jnp.inf, x.dtype)
  none = jnp.zeros(lead, bool)
  carry = jnp.zeros_like(x), infinite, none, jnp.zeros_like(x), infinite
  (delta, _, _, best, length), _ = jax.lax.scan(
    advance, carry, jnp.arange(steps)
  )
  last = distance(delta, norm)
  nearer = (goal_of(x + delta) >= _BEYOND) & (last < length)
  best = where(nearer, delta, best)
  raw = jnp.clip(x + best, 0, 1)
  queries = jnp.int32(steps + 2)
  already = goal_of(x) > 0
  return held(score, x, raw, norm, epsilon, queries, already, chunk)
