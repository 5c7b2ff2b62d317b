"""Certified robustness, which no attack breaks: by intervals and by noise."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from vizlab.adversarial.attacked import amount, check_range, radii
from vizlab.adversarial.goals import classify
from vizlab.batching import sum_over
from vizlab.rules import Rules
from vizlab.rules.substitution import replaced
from vizlab.trees import as_pytree
from vizlab.types import Array, Net, whole

__all__ = [
  'Certificate',
  'certified_radius',
  'interval_bounds',
  'noisy_votes',
  'sure_class',
]

# Layers whose outputs rise with their inputs, or are linear in them.
_KINDS = frozenset(
  'AdaptivePool Add AveragePool BatchNorm Concat Conv Dense Flatten GlobalPool'
  ' Pool ReLU Subsample'.split()
)


class Certificate(NamedTuple):
  """Certified classes of a smoothed net.

  Attributes:
    prediction: Class of each image, int ``[B]``; -1 where it abstains.
    radius: Change in L2 that keeps the class, in intensities, ``[B]``; 0 where
      it abstains.
    share: Lower confidence bound of the share of noisy images with the class,
      ``[B]``.
  """

  prediction: np.ndarray
  radius: np.ndarray
  share: np.ndarray


def interval_bounds(
  net: Net, x: Array, epsilon: float | Array
) -> tuple[Array, Array]:
  r"""Bounds of the logits within an L-inf ball, by interval arithmetic.

  Center and radius of the activations go through the layers,

  .. math::
    \mu' = W \mu + b, \quad r' = |W| \, r,

  and lower and upper ends through ReLUs and pooling. The bounds hold for every
  image in the ball that lies in [0, 1], up to rounding; they are loose for nets
  of many layers that were not trained for them.

  Args:
    net: A network of `vizlab.nets` whose layers are convolutions, dense layers,
      batch normalisation, ReLUs, pooling, sums and concatenations.
    x: Images ``[..., H, W, C]`` in [0, 1].
    epsilon: Radius in intensities, one number or one per image.

  Returns:
    Lower and upper logits, two arrays ``[..., K]``.

  Raises:
    ValueError: A layer of the net is of another kind, or ``x`` or ``epsilon``
      is wrong.

  Reference:
    Gowal et al. 2018, equations 4 to 6.
  """
  check_range(x)
  radius = jnp.broadcast_to(radii(epsilon, x), x.shape[:-3])
  radius = radius[..., None, None, None]
  for op in _layers(net):
    if op.kind not in _KINDS:
      raise ValueError(
        f'net: got {op.name!r} of kind {op.kind}, expected kinds '
        f'{sorted(_KINDS)}'
      )

  def change(old: Rules, holder: str) -> Rules:
    del holder
    return dataclasses.replace(
      old, linear=_interval, required=old.required | {'linear'}
    )

  ends = jnp.clip(x - radius, 0, 1), jnp.clip(x + radius, 0, 1)
  logits, _ = classify(replaced(net, change), jnp.stack(ends))
  return logits[0], logits[1]


def _layers(net: Net) -> tuple[Any, ...]:
  ops = getattr(net, 'ops', None)
  # A class that calls its layers in its own way has no biases.
  if ops is None or getattr(net, 'biases', None) is None:
    raise ValueError(
      f'net: got {type(net).__name__}, expected a network of layers of '
      'vizlab.nets'
    )
  return ops


def _interval(
  layer: Any,
  params: dict[str, Array],
  xs: tuple[Array, ...],
  first: Callable[[Array], Array] | None,
) -> Array:
  """The ends of a linear layer's outputs from those of its inputs."""
  del first
  ends = [jnp.split(x, 2) for x in xs]
  center = [(low + high) / 2 for low, high in ends]
  # A negative scale of the preprocessing exchanges the ends.
  radius = [jnp.abs(high - low) / 2 for low, high in ends]
  y = layer.linear(params, *center)
  if 'kernel' in params:
    sizes = {
      name: jnp.abs(w) if name == 'kernel' else jnp.zeros_like(w)
      for name, w in params.items()
    }
    r = layer.linear(sizes, *radius)
  else:  # a mean, a sum, or a factor for each channel
    none = layer.linear(params, *map(jnp.zeros_like, radius))
    r = jnp.abs(layer.linear(params, *radius) - none)
  return jnp.concatenate([y - r, y + r])


def sure_class(low: Array, high: Array) -> Array:
  """Class that has the largest logit for certain; -1 if none has.

  Args:
    low: Lower bounds of the logits ``[..., K]``.
    high: Upper bounds.

  Returns:
    int32 ``[...]``.
  """
  best = jnp.argmax(low, -1)
  own = jax.nn.one_hot(best, low.shape[-1], dtype=bool)
  others = jnp.where(own, -jnp.inf, high).max(-1)
  return jnp.where(low.max(-1) > others, best, -1).astype(jnp.int32)


def noisy_votes(
  net: Net,
  x: Array,
  key: Array,
  *,
  sigma: float,
  samples: int,
  chunk: int = 64,
) -> Array:
  """Counts the classes that a net gives to an image with Gaussian noise.

  Args:
    net: A net with a classifier.
    x: Images ``[B, H, W, C]`` in [0, 1].
    key: A JAX random key.
    sigma: Standard deviation of the noise, in intensities.
    samples: Noisy images of each.
    chunk: Images at once, but at least the whole batch with one noise. The
      result does not depend on it.

  Returns:
    Counts ``[B, K]``, int32; none for an image whose logits are not finite with
    some noise.

  Raises:
    ValueError: ``x`` is not a batch of float images in [0, 1], or a number is
      wrong.
  """
  check_range(x)
  if x.ndim != 4:
    raise ValueError(f'x: got shape {x.shape}, expected [B, H, W, C]')
  sigma = amount(sigma, 'sigma', x)
  if sigma.ndim:
    raise ValueError(f'sigma: got shape {sigma.shape}, expected a number')
  samples, chunk = whole(samples, 'samples'), whole(chunk, 'chunk')
  return _votes(as_pytree(net), x, key, sigma, samples, chunk)


@functools.partial(jax.jit, static_argnames=('samples', 'chunk'))
def _votes(
  net: Net, x: Array, key: Array, sigma: Array, samples: int, chunk: int
) -> Array:
  def vote(i: Array) -> Array:
    noise = jax.random.normal(jax.random.fold_in(key, i), x.shape, x.dtype)
    logits, _ = classify(net, x + sigma * noise)
    own = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=jnp.int32)
    known = jnp.isfinite(logits).all(-1, keepdims=True)
    return jnp.where(known, own, 0)

  total = sum_over(vote, samples, x, chunk, (net, key, sigma))
  return jnp.where(total.sum(-1, keepdims=True) == samples, total, 0)


def certified_radius(
  selection: Array, votes: Array, *, sigma: float, alpha: float = 0.001
) -> Certificate:
  r"""Certifies the class of a smoothed net: randomized smoothing.

  .. math::
    R = \sigma \, \Phi^{-1}(\underline{p}), \quad
    P[\mathrm{Bin}(n, \underline{p}) \ge k] = \alpha

  The class with the most votes of the selection got ``k`` of ``n`` votes of
  others, which are independent. The smoothed net gives that class to every
  image within ``R``, but for a probability of ``alpha``.

  Args:
    selection: Votes ``[B, K]`` of `noisy_votes` that choose the class.
    votes: Votes ``[B, K]`` with another key that bound its share.
    sigma: Standard deviation of the noise, in intensities.
    alpha: Probability that a certificate is wrong, above 0 and below 1.

  Returns:
    A `Certificate`; it abstains where the bound is not above one half.

  Raises:
    ValueError: Shapes differ, or a number is out of its range.

  Reference:
    Cohen, Rosenfeld & Kolter 2019, theorem 1 and the function CERTIFY.
  """
  selection, votes = np.asarray(selection), np.asarray(votes)
  if selection.ndim != 2 or selection.shape != votes.shape:
    raise ValueError(
      f'selection, votes: got shapes {selection.shape} and {votes.shape}, '
      'expected twice [B, K]'
    )
  if not 0 < alpha < 1:
    raise ValueError(f'alpha: got {alpha}, expected above 0 and below 1')
  if not 0 < sigma < np.inf:
    raise ValueError(f'sigma: got {sigma}, expected more than 0')
  best = selection.argmax(-1)
  hits = np.take_along_axis(votes, best[:, None], -1)[:, 0]
  total = votes.sum(-1)
  # Clopper and Pearson's bound; no votes have none.
  bound = stats.beta.ppf(alpha, np.maximum(hits, 1), total - hits + 1)
  share = np.where(hits > 0, bound, 0.0)
  sure = share > 0.5
  radius = np.where(sure, sigma * stats.norm.ppf(np.where(sure, share, 0.5)), 0)
  return Certificate(np.where(sure, best, -1), radius, share)
