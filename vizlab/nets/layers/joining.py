"""Layers that join or flatten maps."""

import dataclasses
import math

import jax.numpy as jnp

from vizlab.nets.layers.base import Layer, Params, Pointwise, Shape
from vizlab.rules import Rules
from vizlab.types import Array

__all__ = ['Add', 'Concat', 'Flatten']


@dataclasses.dataclass(frozen=True)
class Add(Pointwise):
  """Sum of several maps: a residual connection."""

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x + y``."""
    return sum(xs[1:], xs[0])


@dataclasses.dataclass(frozen=True)
class Concat(Pointwise):
  """Concatenation of maps along the channels."""

  def out_shape(self, *shapes: Shape) -> Shape:
    """Shape with the sum of the channels."""
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Concatenates along the last axis."""
    return jnp.concatenate(xs, axis=-1)


@dataclasses.dataclass(frozen=True)
class Flatten(Layer):
  """Flattening of a map to a vector, in the order H, W, C."""

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(H W C,)``."""
    return (math.prod(shapes[0]),)

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Reshapes the map to a vector."""
    return xs[0].reshape(xs[0].shape[0], -1)
