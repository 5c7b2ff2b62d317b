"""Layers with a kernel: convolutional and fully connected."""

import dataclasses
import functools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.nets.layers.base import Layer, Params, Shape
from vizlab.nets.layers.conv import both, conv2d
from vizlab.nets.receptive_field import Slide
from vizlab.rules import Rules
from vizlab.types import Array

__all__ = ['Conv', 'Dense', 'he_normal']

_TRUNCATED = 0.87962566103423978  # deviation of a normal cut at -2 and 2


@dataclasses.dataclass(frozen=True)
class Conv(Layer):
  """Convolution.

  With a kernel or padding that is not square the layer counts as reading the
  whole map, as windows are square: receptive fields are unknown from there on.

  Attributes:
    features: Number of output channels.
    kernel: Side of the kernel in positions, or its rows and columns.
    stride: Step between outputs, in positions.
    padding: Zeros on each side of both axes, or of rows and of columns.
    groups: Number of independent groups of channels.
    bias: Whether to add a bias.
  """

  features: int
  kernel: int | tuple[int, int] = 3
  stride: int = 1
  padding: int | tuple[int, int] = 1
  groups: int = 1
  bias: bool = True

  rule: ClassVar[str | None] = 'linear'

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Kernel ``[k, l, C / groups, D]``, bias ``[D]``."""
    size, d = both(self.kernel), self.features
    shapes: dict[str, Shape] = {'kernel': (*size, shape[-1] // self.groups, d)}
    return shapes | ({'bias': (d,)} if self.bias else {})

  def init(self, key: Array, shape: Shape) -> Params:
    """He-normal kernel, zero bias."""
    return he_normal(key, self.param_shapes(shape))

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(n + 2 padding - kernel) // stride + 1`` along each axis."""
    sides = zip(
      shapes[0][:2], both(self.kernel), both(self.padding), strict=True
    )
    h, w = ((n + 2 * p - k) // self.stride + 1 for n, k, p in sides)
    return h, w, self.features

  @property
  def slide(self) -> Slide | None:
    """Window of the kernel, if that is square."""
    (k, wide), (rows, columns) = both(self.kernel), both(self.padding)
    if k != wide or rows != columns:
      return None
    return Slide(k, self.stride, rows)

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The layer with padding 0."""
    return dataclasses.replace(self, padding=0)

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x * kernel + bias``, by the rule."""
    return rules.apply(self, params, *xs)

  def linear(self, params: Params, *xs: Array) -> Array:
    """``x * kernel + bias``."""
    y = conv2d(xs[0], params['kernel'], self.stride, self.padding, self.groups)
    return y + params['bias'][None, None, None] if self.bias else y


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
  """Fully connected layer, of a vector or of each position of a map."""

  features: int

  rule: ClassVar[str | None] = 'linear'

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Kernel ``[C, D]``, bias ``[D]``."""
    return {'kernel': (shape[-1], self.features), 'bias': (self.features,)}

  def init(self, key: Array, shape: Shape) -> Params:
    """He-normal kernel, zero bias."""
    return he_normal(key, self.param_shapes(shape))

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(features,)``, or ``(H, W, features)``."""
    return *shapes[0][:-1], self.features

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x @ kernel + bias``, by the rule."""
    return rules.apply(self, params, *xs)

  def linear(self, params: Params, *xs: Array) -> Array:
    """``x @ kernel + bias``."""
    y = xs[0] @ params['kernel']
    return y + params['bias'].reshape(*(1,) * (y.ndim - 1), -1)


def he_normal(key: Array, shapes: dict[str, Shape]) -> Params:
  """He-normal ``kernel``, and a zero ``bias`` if there is one."""
  shape = shapes['kernel']
  count = math.prod(shape)
  # A draw compiles for a tenth of a second, and its numbers do not depend on
  # how many there are (as jax_threefry_partitionable is true by default):
  # kernels of about the same size share a program.
  room = 1 << (count - 1).bit_length() if count <= 2**20 else count
  # Explicit float32, so that the draw is the same with x64.
  drawn = jax.random.truncated_normal(key, -2, 2, (room,), jnp.float32)
  deviation = (2 * shape[-1] / count) ** 0.5 / _TRUNCATED
  params = {'kernel': _cut(drawn, np.float32(deviation), shape)}
  if 'bias' in shapes:
    params['bias'] = jnp.zeros(shapes['bias'], jnp.float32)
  return params


@functools.partial(jax.jit, static_argnames='shape')
def _cut(drawn: Array, deviation: Array, shape: Shape) -> Array:
  return drawn[: math.prod(shape)].reshape(shape) * deviation
