"""Layers as data: what a net is made of, and all that is known about each kind.

A net is a tuple of layers in the order they run. A layer names the layers it
reads (none: the one before it), so a chain is a net in which nobody names any.
Everything that is asked of a net (its forward, the shapes, the receptive
fields, the parameters it needs) walks that tuple and asks each layer, so a new
kind of layer is one class here and nothing anywhere else.

Inside a net a map is ``[N, H, W, C]`` and a vector ``[N, C]``; a *shape* is
``(H, W, C)`` or ``(C,)``, without the batch.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from vizlab.nets.conv import conv2d
from vizlab.nets.receptive_field import Field, Slide
from vizlab.rules import Rules, Window
from vizlab.types import Array

__all__ = [
  'LRN',
  'BatchNorm',
  'Conv',
  'Dense',
  'Layer',
  'Pointwise',
  'Pool',
  'ReLU',
]

Shape = tuple[int, ...]
Params = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Layer:
  """One named step of a net.

  Attributes:
    name: The published name of the layer; its activation has the same.
    inputs: Names of the layers it reads; empty for the layer before it.
  """

  name: str
  inputs: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)

  frozen_params: ClassVar[frozenset[str]] = frozenset()

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Shapes of the parameters, for an input of that shape."""
    return {}

  def init(self, key: Array, shape: Shape) -> Params:
    """Random parameters, for an input of that shape."""
    return {}

  def out_shape(self, *shapes: Shape) -> Shape:
    """The output's shape from those of the inputs."""
    return shapes[0]

  @property
  def slide(self) -> Slide | None:
    """Slide of its window; ``None`` if it reads the whole input.

    Incremental occlusion computes only what a change can reach by it. A layer
    that does not say otherwise reads everything, which is slow and never wrong;
    one that treats every position alone is a `Pointwise`.
    """
    return None

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The layer for an input ``shape`` around which its zeros lie already.

    ``None`` where that is not known, or its padding is not zeros.
    """
    return None

  def field(self, *fields: Field | None) -> Field | None:
    """The output's receptive field from those of the inputs.

    ``None`` stands for the whole image.
    """
    first, *rest = fields
    for field in rest:
      first = first and field and first.union(field)
    return first and self.slide and first.after(self.slide)

  def offset(self, params: Params) -> Array | None:
    """Additive part of the layer, its bias: ``[C]``, or ``None``."""
    return params.get('bias')

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Runs the layer."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Pointwise(Layer):
  """Base of layers whose output at a position reads that position alone."""

  @property
  def slide(self) -> Slide | None:
    """A window of one position."""
    return Slide()

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The same: it has no padding."""
    return self


@dataclasses.dataclass(frozen=True)
class Conv(Layer):
  """Convolution with a square kernel."""

  features: int
  kernel: int = 3
  stride: int = 1
  padding: int = 1
  groups: int = 1
  bias: bool = True

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Kernel ``[k, k, C / groups, D]``, bias ``[D]``."""
    k, d = self.kernel, self.features
    shapes: dict[str, Shape] = {'kernel': (k, k, shape[-1] // self.groups, d)}
    return shapes | ({'bias': (d,)} if self.bias else {})

  def init(self, key: Array, shape: Shape) -> Params:
    """He-normal kernel, zero bias."""
    return _he_normal(key, self.param_shapes(shape))

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(n + 2 padding - kernel) // stride + 1`` along each axis."""
    room = 2 * self.padding - self.kernel
    h, w = ((n + room) // self.stride + 1 for n in shapes[0][:2])
    return h, w, self.features

  @property
  def slide(self) -> Slide | None:
    """Its kernel."""
    return Slide(self.kernel, self.stride, self.padding)

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The same kernel without padding."""
    return dataclasses.replace(self, padding=0)

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x * kernel + bias``."""
    y = conv2d(xs[0], params['kernel'], self.stride, self.padding, self.groups)
    return y + params['bias'][None, None, None] if self.bias else y


@dataclasses.dataclass(frozen=True)
class Dense(Layer):
  """Fully connected layer."""

  features: int

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Kernel ``[C, D]``, bias ``[D]``."""
    return {'kernel': (shape[-1], self.features), 'bias': (self.features,)}

  def init(self, key: Array, shape: Shape) -> Params:
    """He-normal kernel, zero bias."""
    return _he_normal(key, self.param_shapes(shape))

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(features,)``."""
    return (self.features,)

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x @ kernel + bias``."""
    return xs[0] @ params['kernel'] + params['bias'][None]


@dataclasses.dataclass(frozen=True)
class ReLU(Pointwise):
  """Rectification, by the rule that the net carries."""

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``max(x, 0)``."""
    return rules.relu(xs[0])


@dataclasses.dataclass(frozen=True)
class Pool(Layer):
  """Pooling over square windows, by the rule that the net carries."""

  window: Window = Window()

  def out_shape(self, *shapes: Shape) -> Shape:
    """Output shape by `vizlab.rules.Window.length`."""
    h, w, c = shapes[0]
    return self.window.length(h), self.window.length(w), c

  @property
  def slide(self) -> Slide | None:
    """Its window."""
    return Slide(self.window.size, self.window.stride, self.window.padding)

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The same, if all its windows lie inside the input."""
    ends = ((self.window.length(n) - 1) * self.window.stride for n in shape[:2])
    last = [end + self.window.size for end in ends]
    if self.window.padding or last[0] > shape[0] or last[1] > shape[1]:
      return None
    return dataclasses.replace(
      self, window=dataclasses.replace(self.window, ceil=False)
    )

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Maximum (or mean) of every window."""
    return rules.pool(xs[0], self.window)


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

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Normalises every position across channels."""
    half = self.size // 2
    squares = jnp.pad(jnp.square(xs[0]), [(0, 0)] * 3 + [(half, half)])
    channels = xs[0].shape[-1]
    near = sum(squares[..., i : i + channels] for i in range(self.size))
    return xs[0] * (self.k + self.alpha / self.size * near) ** -self.beta


@dataclasses.dataclass(frozen=True)
class BatchNorm(Pointwise):
  """Batch normalisation with its recorded statistics, as at inference."""

  epsilon: float = 1e-5

  frozen_params: ClassVar[frozenset[str]] = frozenset({'mean', 'var'})

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Four vectors ``[C]``; the mean and the variance are not trained."""
    return dict.fromkeys(('scale', 'bias', 'mean', 'var'), shape[-1:])

  def init(self, key: Array, shape: Shape) -> Params:
    """The identity."""
    fill = {'scale': 1.0, 'bias': 0.0, 'mean': 0.0, 'var': 1.0}
    return {
      name: jnp.full(shape[-1:], value, jnp.float32)
      for name, value in fill.items()
    }

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``(x - mean) / sqrt(var + epsilon) * scale + bias``."""
    shift = self.offset(params)
    return (
      xs[0] * self._scale(params)[None, None, None] + shift[None, None, None]
    )

  def offset(self, params: Params) -> Array | None:
    """``bias - mean / sqrt(var + epsilon) * scale``."""
    return params['bias'] - params['mean'] * self._scale(params)

  def _scale(self, params: Params) -> Array:
    return params['scale'] * lax.rsqrt(params['var'] + self.epsilon)


def _he_normal(key: Array, shapes: dict[str, Shape]) -> Params:
  # float32 by name: with x64 the default would be another draw.
  draw = jax.nn.initializers.he_normal()
  params = {'kernel': draw(key, shapes['kernel'], jnp.float32)}
  if 'bias' in shapes:
    params['bias'] = jnp.zeros(shapes['bias'], jnp.float32)
  return params
