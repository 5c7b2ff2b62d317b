"""Layers that join, part, subsample or flatten maps."""

import dataclasses
import math
from typing import ClassVar

import jax.numpy as jnp

from vizlab.nets.layers.base import Layer, Params, Pointwise, Shape
from vizlab.nets.receptive_field import Slide
from vizlab.rules import Rules
from vizlab.types import Array

__all__ = ['Add', 'Channels', 'Concat', 'Flatten', 'Subsample']


@dataclasses.dataclass(frozen=True)
class Add(Pointwise):
  """Sum of several maps: a residual connection."""

  rule: ClassVar[str | None] = 'linear'

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x + y``, by the rule."""
    return rules.apply(self, params, *xs)

  def linear(self, params: Params, *xs: Array) -> Array:
    """``x + y``."""
    return sum(xs[1:], xs[0])


@dataclasses.dataclass(frozen=True)
class Concat(Pointwise):
  """Concatenation of maps along the channels."""

  def out_shape(self, *shapes: Shape) -> Shape:
    """Shape with the sum of the channels."""
    if len({shape[:-1] for shape in shapes}) > 1:
      raise ValueError(
        f'x: got images of a size for which the maps that {self.name!r} joins '
        f'differ: {", ".join(str(shape) for shape in shapes)}'
      )
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Concatenates along the last axis."""
    return jnp.concatenate(xs, axis=-1)


@dataclasses.dataclass(frozen=True)
class Channels(Pointwise):
  """Some neighbouring channels of a map.

  Attributes:
    first: The first of them.
    count: How many there are.
  """

  first: int
  count: int

  def out_shape(self, *shapes: Shape) -> Shape:
    """Shape with ``count`` channels."""
    *grid, channels = shapes[0]
    last = self.first + self.count
    if self.first < 0 or self.count < 1 or last > channels:
      raise ValueError(
        f'first, count: got {self.first}, {self.count} for {self.name!r}, '
        f'expected some of its {channels} channels'
      )
    return *grid, self.count

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Takes the channels."""
    return xs[0][..., self.first : self.first + self.count]


@dataclasses.dataclass(frozen=True)
class Subsample(Layer):
  """Positions at a step from each other, with zero channels on both sides.

  With a step of 2, the shortcut without parameters between stages of a ResNet
  (He et al. 2016, option A).

  Attributes:
    features: Channels with those of zeros.
    step: Rows and columns from one position to the next that is taken.
  """

  features: int
  step: int = 2

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(ceil(H / step), ceil(W / step), features)``."""
    h, w, channels = shapes[0]
    if self.features < channels:
      raise ValueError(
        f'features: got {self.features} for {self.name!r}, expected at least '
        f'the {channels} of its input'
      )
    return -(-h // self.step), -(-w // self.step), self.features

  @property
  def slide(self) -> Slide | None:
    """Window of one position, at a stride of a step."""
    return Slide(1, self.step)

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The layer itself: it has no padding."""
    return self

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Takes some rows and columns, and adds channels of zeros."""
    added = self.features - xs[0].shape[-1]
    sides = (added // 2, added - added // 2)
    some = xs[0][:, :: self.step, :: self.step]
    return jnp.pad(some, [(0, 0)] * 3 + [sides])


@dataclasses.dataclass(frozen=True)
class Flatten(Layer):
  """Flattening of a map to a vector, in the order H, W, C."""

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(H W C,)``."""
    return (math.prod(shapes[0]),)

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Reshapes the map to a vector."""
    return xs[0].reshape(xs[0].shape[0], -1)
