"""Pooling layers: over windows, bins, or the whole map."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import lax

from vizlab.nets.layers.base import Layer, Params, Shape
from vizlab.nets.receptive_field import Slide
from vizlab.rules import PoolWindow, Rules, avg_pool
from vizlab.types import Array

__all__ = ['AdaptivePool', 'AveragePool', 'GlobalPool', 'Pool']


@dataclasses.dataclass(frozen=True)
class Pool(Layer):
  """Pooling over square windows, with the pooling rule of the network."""

  window: PoolWindow = PoolWindow()

  rule: ClassVar[str | None] = 'pool'

  def out_shape(self, *shapes: Shape) -> Shape:
    """Shape of the output, with one position per window."""
    h, w, c = shapes[0]
    return self.window.length(h), self.window.length(w), c

  @property
  def slide(self) -> Slide | None:
    """Window of the pooling."""
    return Slide(self.window.size, self.window.stride, self.window.padding)

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The layer itself, if all windows lie inside the input."""
    ends = ((self.window.length(n) - 1) * self.window.stride for n in shape[:2])
    last = [end + self.window.size for end in ends]
    if self.window.padding or last[0] > shape[0] or last[1] > shape[1]:
      return None
    return dataclasses.replace(
      self, window=dataclasses.replace(self.window, ceil=False)
    )

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Pools every window by the rule."""
    return rules.pool(xs[0], self.window)


@dataclasses.dataclass(frozen=True)
class AveragePool(Pool):
  """Average pooling, whatever the rule; zeros of the padding count.

  Layers of networks that mix it with max pooling, as in Inception.
  """

  rule: ClassVar[str | None] = 'linear'

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Averages every window, by the rule."""
    return rules.apply(self, params, *xs)

  def linear(self, params: Params, *xs: Array) -> Array:
    """Averages every window."""
    return avg_pool(xs[0], self.window, padding_counts=True)


@dataclasses.dataclass(frozen=True)
class AdaptivePool(Layer):
  """Adaptive average pooling to a fixed grid of bins, as in torchvision.

  Bin ``i`` of ``n`` covers rows ``floor(i H / n)`` to ``ceil((i + 1) H / n)``.
  As the bins depend on the size of the map, it counts as reading the whole map.
  """

  size: int = 7

  rule: ClassVar[str | None] = 'linear'

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(size, size, C)``."""
    return self.size, self.size, shapes[0][-1]

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Averages each bin, by the rule; the identity for a map of ``size``."""
    return rules.apply(self, params, *xs)

  def linear(self, params: Params, *xs: Array) -> Array:
    """Averages each bin."""
    x = xs[0]
    for axis in (1, 2):
      x = _mean_bins(x, self.size, axis)
    return x


@dataclasses.dataclass(frozen=True)
class GlobalPool(Layer):
  """Global average pooling of a map to a vector."""

  rule: ClassVar[str | None] = 'linear'

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(C,)``."""
    return shapes[0][-1:]

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Averages over both spatial axes, by the rule."""
    return rules.apply(self, params, *xs)

  def linear(self, params: Params, *xs: Array) -> Array:
    """Averages over both spatial axes."""
    return xs[0].mean((1, 2))


def _mean_bins(x: Array, bins: int, axis: int) -> Array:
  n = x.shape[axis]
  if n == bins:
    return x
  starts = [i * n // bins for i in range(bins)]
  stops = [-(-(i + 1) * n // bins) for i in range(bins)]
  means = [
    lax.slice_in_dim(x, a, b, axis=axis).mean(axis, keepdims=True)
    for a, b in zip(starts, stops, strict=True)
  ]
  return jnp.concatenate(means, axis)
