"""Layers that only move numbers: they join, average or flatten maps."""

import dataclasses
import math

import jax.numpy as jnp
from jax import lax

from vizlab.nets.ops import Layer, Params, Pointwise, Shape
from vizlab.rules import Rules
from vizlab.types import Array

__all__ = ['AdaptivePool', 'Add', 'Concat', 'Flatten', 'GlobalPool']


@dataclasses.dataclass(frozen=True)
class Add(Pointwise):
  """Sum of several maps: a residual connection."""

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x + y``."""
    return sum(xs[1:], xs[0])


@dataclasses.dataclass(frozen=True)
class Concat(Pointwise):
  """Several maps side by side, along the channels."""

  def out_shape(self, *shapes: Shape) -> Shape:
    """The channels add up."""
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Concatenates along the last axis."""
    return jnp.concatenate(xs, axis=-1)


@dataclasses.dataclass(frozen=True)
class AdaptivePool(Layer):
  """Mean over a fixed grid of bins, whatever the map's size, as torchvision.

  Bin ``i`` of ``n`` covers rows ``floor(i H / n)`` to ``ceil((i + 1) H / n)``:
  as that depends on the image's size, it counts as reading everything.
  """

  size: int = 7

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(size, size, C)``."""
    return self.size, self.size, shapes[0][-1]

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """The identity on a map that already has the size."""
    x = xs[0]
    for axis in (1, 2):
      x = _mean_bins(x, self.size, axis)
    return x


@dataclasses.dataclass(frozen=True)
class GlobalPool(Layer):
  """Mean over all positions: a map becomes a vector."""

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(C,)``."""
    return shapes[0][-1:]

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Averages both spatial axes."""
    return xs[0].mean((1, 2))


@dataclasses.dataclass(frozen=True)
class Flatten(Layer):
  """A map as a vector, in the order H, W, C."""

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(H W C,)``."""
    return (math.prod(shapes[0]),)

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Reshapes."""
    return xs[0].reshape(xs[0].shape[0], -1)


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
