"""Linear probes: what a linear classifier reads from features.

Alain & Bengio 2017 (Understanding intermediate layers using linear classifier
probes).
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vizlab.types import Array, whole, widened

__all__ = ['LinearProbe', 'best_linear_probe', 'linear_probe', 'probe_logits']

_LEAST = 0.01  # deviation that is divided by, in those of a typical feature
_TOLERANCE = 1e-5  # largest slope at which the fit ends


class LinearProbe(NamedTuple):
  """Linear classifier of features; further leading axes are several of them.

  Attributes:
    weights: ``[F, K]``.
    bias: ``[K]``.
  """

  weights: Array
  bias: Array


def linear_probe(
  features: Array,
  labels: Array,
  classes: int,
  *,
  decay: float | Array = 1e-3,
  steps: int = 300,
) -> LinearProbe:
  r"""Fits multinomial logistic regression by L-BFGS.

  .. math:: \min_{W, b} \frac{1}{N} \sum_i -\log p(y_i | W^T z_i + b)
            + \frac{\text{decay}}{2} \| W \|^2

  where ``z`` are the features, standardised over the images; those that vary
  less than a hundredth of what is typical are enlarged no further. The bias
  does not decay. With more features than images the fit takes place in the
  space that the images span, which holds the minimum, and costs as much as with
  ``N`` features.

  Args:
    features: ``[N, ...]``, such as the activations of a layer; the probe has
      their dtype, or float32 for numbers in half precision and integers.
    labels: int ``[N]``, from 0 to ``classes - 1``.
    classes: Number of classes ``K``.
    decay: Weight of the squared weights, finite and above 0: a number ``[]``,
      or ``[D]`` for as many probes.
    steps: Most steps of L-BFGS.

  Returns:
    A probe of features as they come: the scales and means of the standardised
    ones are folded in. With several decays, all its arrays begin with ``[D]``.

  Raises:
    ValueError: The numbers of features and labels differ, a feature is not
      finite, or a label or a number is out of range; of traced arrays nothing
      but shapes is checked.

  >>> from vizlab import probes
  >>> import jax.numpy as jnp
  >>> x = jnp.array([[0.0], [1.0], [2.0], [3.0]])
  >>> probe = probes.linear_probe(x, jnp.array([0, 0, 1, 1]), 2)
  >>> probes.probe_logits(probe, x).argmax(-1).tolist()
  [0, 0, 1, 1]
  """
  x, labels = _checked(features, labels, classes)
  decay = jnp.asarray(decay, x.dtype)
  concrete = not isinstance(decay, jax.core.Tracer)
  good = not concrete or np.all((np.asarray(decay) > 0) & np.isfinite(decay))
  if decay.ndim > 1 or not good:
    raise ValueError(
      f'decay: got {decay}, expected a finite number above 0, or a list of them'
    )
  steps = whole(steps, 'steps')
  return _fit(x, labels, decay, whole(classes, 'classes'), steps)


def best_linear_probe(
  features: Array,
  labels: Array,
  held_features: Array,
  held_labels: Array,
  classes: int,
  *,
  decays: Array | Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
  steps: int = 300,
) -> tuple[LinearProbe, Array]:
  """Fits a probe with each of several decays, and selects one by other images.

  Args:
    features: ``[N, ...]`` that the probes are fitted to.
    labels: int ``[N]``.
    held_features: ``[M, ...]`` of other images.
    held_labels: int ``[M]``.
    classes: Number of classes ``K``.
    decays: ``[D]``, finite and above 0; see `linear_probe`.
    steps: Most steps of L-BFGS.

  Returns:
    The probe with the lowest cross-entropy on the other images, and its decay
    ``[]``.

  Raises:
    ValueError: As `linear_probe`, of either images.
  """
  decays = jnp.asarray(decays)
  if decays.ndim != 1 or not len(decays):
    raise ValueError(f'decays: got shape {decays.shape}, expected [D]')
  held, held_labels = _checked(held_features, held_labels, classes, 'held_')
  several = linear_probe(features, labels, classes, decay=decays, steps=steps)
  logits = probe_logits(several, held)
  loss = optax.softmax_cross_entropy_with_integer_labels(
    logits, jnp.broadcast_to(held_labels[None], logits.shape[:-1])
  ).mean(-1)
  best = jnp.where(jnp.isnan(loss), jnp.inf, loss).argmin()
  return jax.tree.map(lambda rows: rows[best], several), decays[best]


def probe_logits(probe: LinearProbe, features: Array) -> Array:
  """Logits of a linear probe.

  Args:
    probe: A probe, or several along a leading axis ``[D]``.
    features: ``[N, ...]``.

  Returns:
    ``[N, K]``, or ``[D, N, K]``.
  """
  flat = features.reshape(len(features), -1).astype(probe.weights.dtype)
  got, expected = flat.shape[1], probe.weights.shape[-2]
  if got != expected:
    raise ValueError(
      f'features: got {got} per image, expected the {expected} of the probe'
    )
  products = jnp.matmul(flat, probe.weights, precision='highest')
  bias = jnp.expand_dims(probe.bias, -2)
  return products + jnp.broadcast_to(bias, products.shape)


def _checked(
  features: Array, labels: Array, classes: int, which: str = ''
) -> tuple[Array, Array]:
  """Features ``[N, F]`` and labels of equal number, in range."""
  x, labels = jnp.asarray(features), jnp.asarray(labels)
  if not len(x) or labels.shape != (len(x),) or labels.dtype.kind not in 'iu':
    raise ValueError(
      f'{which}labels: got {labels.dtype} {labels.shape} for features '
      f'{x.shape}, expected one whole number per image'
    )
  if not isinstance(labels, jax.core.Tracer):
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
      raise ValueError(
        f'{which}labels: got {low} to {high}, expected 0 to {classes - 1} for '
        f'{classes} classes'
      )
  if not jnp.issubdtype(x.dtype, jnp.floating):
    x = x.astype(jnp.float32)
  if not isinstance(x, jax.core.Tracer) and not jnp.isfinite(x).all():
    raise ValueError(f'{which}features: got NaN or infinite ones')
  return widened(x).reshape(len(x), -1), labels.astype(jnp.int32)


@functools.partial(jax.jit, static_argnames=('classes', 'steps'))
def _fit(
  x: Array, labels: Array, decay: Array, classes: int, steps: int
) -> LinearProbe:
  mean, deviation = x.mean(0), x.std(0)
  # A feature that hardly varies says nothing, and rounding must not either.
  least = _LEAST * jnp.sqrt(jnp.square(deviation).mean())
  divisor = jnp.maximum(deviation, least)
  scale = jnp.where(divisor > 0, 1 / jnp.where(divisor > 0, divisor, 1), 0)
  z = (x - mean[None]) * scale[None]
  span = None
  if z.shape[0] < z.shape[1]:
    span, r = jnp.linalg.qr(z.T)  # [F, N], [N, N]
    z = r.T
  target = jax.nn.one_hot(labels, classes, dtype=z.dtype)

  def one(decay: Array) -> LinearProbe:
    def loss_fn(probe: LinearProbe) -> Array:
      logits = probe_logits(probe, z)
      loss = optax.softmax_cross_entropy(logits, target).mean()
      return loss + decay / 2 * jnp.square(probe.weights).sum()

    start = LinearProbe(
      jnp.zeros((z.shape[1], classes), z.dtype), jnp.zeros(classes, z.dtype)
    )
    probe = _lowest(loss_fn, start, steps)
    weights = probe.weights
    if span is not None:
      weights = jnp.matmul(span, weights, precision='highest')
    weights = weights * scale[:, None]
    shift = jnp.matmul(mean, weights, precision='highest')
    return LinearProbe(weights, probe.bias - shift)

  return jax.vmap(one)(decay) if decay.ndim else one(decay)


def _lowest(loss_fn: Any, start: Any, steps: int) -> Any:
  """Lowest point of a convex function, by L-BFGS with a line search."""
  tx = optax.lbfgs()
  value_and_grad = optax.value_and_grad_from_state(loss_fn)

  def slope(state: Any) -> Array:
    return optax.tree.norm(optax.tree.get(state, 'grad'), ord=np.inf)

  def unfinished(carry: tuple[Any, Any]) -> Array:
    _, state = carry
    count = optax.tree.get(state, 'count')
    return (count == 0) | ((count < steps) & (slope(state) > _TOLERANCE))

  def advance(carry: tuple[Any, Any]) -> tuple[Any, Any]:
    at, state = carry
    value, grad = value_and_grad(at, state=state)
    updates, state = tx.update(
      grad, state, at, value=value, grad=grad, value_fn=loss_fn
    )
    return optax.apply_updates(at, updates), state

  with jax.numpy_dtype_promotion('standard'):  # optax needs it
    return jax.lax.while_loop(unfinished, advance, (start, tx.init(start)))[0]
