"""Pointwise layers: ReLU and normalisation."""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from vizlab.nets.layers.base import Params, Pointwise, Shape
from vizlab.rules import Rules
from vizlab.types import Array, widened

__all__ = ['LRN', 'BatchNorm', 'ReLU']


@dataclasses.dataclass(frozen=True)
class ReLU(Pointwise):
  """ReLU, with the backward rule of the network."""

  rule: ClassVar[str | None] = 'relu'

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``max(x, 0)``."""
    return rules.relu(xs[0])


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _window_sum(x: Array, before: int, after: int) -> Array:
  """Sum over neighbouring channels, whose gradient is such a sum, too.

  As the gradient of slices it would take a CPU five times as long.
  """
  padded = jnp.pad(x, [(0, 0)] * 3 + [(before, after)])
  channels = x.shape[-1]
  return sum(padded[..., i : i + channels] for i in range(before + after + 1))


def _window_sum_fwd(x: Array, before: int, after: int) -> tuple[Array, None]:
  return _window_sum(x, before, after), None


def _window_sum_bwd(before: int, after: int, _: None, g: Array) -> tuple[Array]:
  return (_window_sum(g, after, before),)


_window_sum.defvjp(_window_sum_fwd, _window_sum_bwd)


@dataclasses.dataclass(frozen=True)
class LRN(Pointwise):
  """Local response normalisation across channels (Krizhevsky 2012, 3.3).

  ``y_c = x_c / (k + alpha / size * sum_{c' near c} x_c'^2)^beta`` over ``size``
  neighbouring channels, as Caffe computes it.
  """

  size: int = 5
  alpha: float = 1e-4
  beta: float = 0.75
  k: float = 1.0

  rule: ClassVar[str | None] = 'lrn'

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Normalises every position across channels, by the rule."""
    return rules.lrn(xs[0], self._normalized)

  def _normalized(self, x: Array) -> Array:
    half, dtype, x = self.size // 2, x.dtype, widened(x)
    near = _window_sum(jnp.square(x), half, self.size - 1 - half)
    scale = self.k + self.alpha / self.size * near
    # As published; powers take a CPU several times as long.
    if self.beta == 0.75:
      root = lax.rsqrt(scale)
      return (x * (root * jnp.sqrt(root))).astype(dtype)
    return (x * scale**-self.beta).astype(dtype)


@dataclasses.dataclass(frozen=True)
class BatchNorm(Pointwise):
  """Batch normalisation with recorded statistics (inference mode)."""

  epsilon: float = 1e-5

  frozen_params: ClassVar[frozenset[str]] = frozenset({'mean', 'var'})
  rule: ClassVar[str | None] = 'linear'

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Four vectors ``[C]``; the mean and the variance are not trained."""
    return dict.fromkeys(('scale', 'bias', 'mean', 'var'), shape[-1:])

  def init(self, key: Array, shape: Shape) -> Params:
    """Parameters of the identity."""
    fill = {'scale': 1.0, 'bias': 0.0, 'mean': 0.0, 'var': 1.0}
    return {
      name: jnp.full(shape[-1:], value, jnp.float32)
      for name, value in fill.items()
    }

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``(x - mean) / sqrt(var + epsilon) * scale + bias``, by the rule."""
    return rules.apply(self, params, *xs)

  def linear(self, params: Params, *xs: Array) -> Array:
    """``(x - mean) / sqrt(var + epsilon) * scale + bias``."""
    params = {name: widened(value) for name, value in params.items()}
    scale, shift = self._scale(params), self.offset(params)
    y = widened(xs[0]) * scale[None, None, None] + shift[None, None, None]
    return y.astype(xs[0].dtype)

  def offset(self, params: Params) -> Array | None:
    """``bias - mean / sqrt(var + epsilon) * scale``."""
    return params['bias'] - params['mean'] * self._scale(params)

  def _scale(self, params: Params) -> Array:
    return params['scale'] * lax.rsqrt(params['var'] + self.epsilon)
