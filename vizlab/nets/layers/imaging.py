"""Layers of networks that make images."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from vizlab.image import bicubic
from vizlab.nets.layers.base import Layer, Params, Pointwise, Shape
from vizlab.nets.layers.conv import conv2d
from vizlab.nets.layers.linear import he_normal
from vizlab.rules import Rules
from vizlab.types import Array

__all__ = [
  'ConditionalInstanceNorm',
  'ConvTranspose',
  'InstanceNorm',
  'Pad',
  'Rescale',
  'Upsample',
]

_MODES = {'zeros': 'constant', 'reflect': 'reflect', 'wrap': 'wrap'}


@dataclasses.dataclass(frozen=True)
class Pad(Layer):
  """Padding of a map, before a convolution without padding.

  Attributes:
    before: Rows and columns added above and on the left.
    after: Rows and columns added below and on the right.
    mode: ``'zeros'``, ``'reflect'``, which mirrors the map without repeating
      its border, or ``'wrap'``, which goes on at the other side.
  """

  before: int
  after: int
  mode: str = 'reflect'

  def __post_init__(self) -> None:
    """Checks the fields."""
    if self.mode not in _MODES or min(self.before, self.after) < 0:
      raise ValueError(
        f'before, after, mode: got {self.before}, {self.after}, {self.mode!r} '
        f'for {self.name!r}, expected numbers from 0 and one of {[*_MODES]}'
      )

  def out_shape(self, *shapes: Shape) -> Shape:
    """The map with the rows and columns that are added."""
    h, w, c = shapes[0]
    added, least = self.before + self.after, max(self.before, self.after)
    if self.mode == 'reflect' and min(h, w) <= least:
      raise ValueError(
        f'x: got images too small for {self.name!r}, which mirrors {least} '
        f'rows and columns of its map of {h} x {w}'
      )
    return h + added, w + added, c

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Pads both axes."""
    sides = (self.before, self.after)
    return jnp.pad(xs[0], [(0, 0), sides, sides, (0, 0)], _MODES[self.mode])


@dataclasses.dataclass(frozen=True)
class Upsample(Layer):
  """Enlargement, by repeating each position or by cubic interpolation.

  In front of a convolution it makes the resize-convolution, whose pixels all
  get as many inputs (Odena, Dumoulin & Olah 2016).

  Attributes:
    factor: By how much both sides are larger.
    smooth: Whether positions are interpolated, by `vizlab.image.bicubic`.
  """

  factor: int = 2
  smooth: bool = False

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(factor H, factor W, C)``."""
    h, w, c = shapes[0]
    return h * self.factor, w * self.factor, c

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Repeats rows and columns, or interpolates between them."""
    n, h, w, c = xs[0].shape
    if self.smooth:
      rules.refuse_relevance(self)
      return bicubic(xs[0], (h * self.factor, w * self.factor))
    shape = n, h, self.factor, w, self.factor, c
    wide = jnp.broadcast_to(xs[0][:, :, None, :, None], shape)
    return wide.reshape(n, h * self.factor, w * self.factor, c)


@dataclasses.dataclass(frozen=True)
class ConvTranspose(Layer):
  """Transposed convolution: the gradient of a convolution by its input.

  That convolution reads ``stride`` times as many rows and columns, padded with
  as few zeros as it needs to see each of them, of which the odd one lies at the
  end; the same as TensorFlow's padding ``SAME``.
  """

  features: int
  kernel: int = 3
  stride: int = 2
  bias: bool = True

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Kernel ``[k, k, D, C]``, of a convolution from D to C; bias ``[D]``."""
    k, d = self.kernel, self.features
    shapes: dict[str, Shape] = {'kernel': (k, k, d, shape[-1])}
    return shapes | ({'bias': (d,)} if self.bias else {})

  def init(self, key: Array, shape: Shape) -> Params:
    """He-normal kernel, for the inputs that an output sees; zero bias."""
    params = he_normal(key, self.param_shapes(shape))
    # It was drawn for the D k^2 inputs of the convolution below it.
    seen = shape[-1] * (self.kernel / self.stride) ** 2
    drawn_for = self.features * self.kernel**2
    return params | {'kernel': params['kernel'] * (drawn_for / seen) ** 0.5}

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(stride H, stride W, features)``."""
    h, w, _ = shapes[0]
    return h * self.stride, w * self.stride, self.features

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Sums the inputs that each output sees, for all phases of the stride."""
    rules.refuse_relevance(self)
    # Output s m + r sums input m - t times kernel r + low + s t over all t.
    # So a small convolution gives all outputs r of m as channels: for k = 3 and
    # s = 2 16 products, where inputs spread apart by zeros would need 36.
    n, h, w, c = xs[0].shape
    s, k, d = self.stride, self.kernel, self.features
    low = max(k - s, 0) // 2
    first, last = -((s - 1 + low) // s), (k - 1 - low) // s
    taps = np.arange(last, first - 1, -1)  # of inputs in rising order
    at = np.arange(s)[None] + low + s * taps[:, None]  # [T, s]
    inside = (at >= 0) & (at < k)
    at = np.where(inside, at, k)  # a row of zeros
    kernel = jnp.pad(params['kernel'], [(0, 1), (0, 1), (0, 0), (0, 0)])
    kernel = kernel[at][:, :, at]  # [T, s, T, s, D, C]
    kernel = kernel.transpose(0, 2, 5, 1, 3, 4)
    kernel = kernel.reshape(len(taps), len(taps), c, s * s * d)
    sides = (int(last), int(-first))
    y = conv2d(jnp.pad(xs[0], [(0, 0), sides, sides, (0, 0)]), kernel)
    y = y.reshape(n, h, w, s, s, d).transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(n, h * s, w * s, d)
    return y + params['bias'][None, None, None] if self.bias else y


@dataclasses.dataclass(frozen=True)
class InstanceNorm(Layer):
  """Instance normalisation: each channel of each image by its own moments.

  ``(x - mean) / sqrt(var + epsilon) * scale + bias`` with the mean and the
  variance over the positions of a map (Ulyanov et al. 2016, equation 3).
  """

  epsilon: float = 1e-5

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Two vectors ``[C]``."""
    return {'scale': shape[-1:], 'bias': shape[-1:]}

  def init(self, key: Array, shape: Shape) -> Params:
    """Scale 1 and bias 0."""
    shapes = self.param_shapes(shape)
    return {
      'scale': jnp.ones(shapes['scale'], jnp.float32),
      'bias': jnp.zeros(shapes['bias'], jnp.float32),
    }

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Normalises each channel, then scales and shifts it."""
    rules.refuse_relevance(self)
    scale, bias = (params[k][None, None, None] for k in ('scale', 'bias'))
    return self._normalised(xs[0], scale, bias)

  def _normalised(self, x: Array, scale: Array, bias: Array) -> Array:
    away = x - x.mean((1, 2), keepdims=True)
    var = jnp.square(away).mean((1, 2), keepdims=True)
    return away * (scale * lax.rsqrt(var + self.epsilon)) + bias


@dataclasses.dataclass(frozen=True)
class ConditionalInstanceNorm(InstanceNorm):
  """Instance normalisation with a scale and a bias for each of several styles.

  Its second input is a vector, the share of each style ``[S]``. Scale and bias
  are the weighted sums of the styles', so that shares between those of two
  styles go from one to the other (Dumoulin et al. 2017, equation 5 and section
  3.2).

  Attributes:
    styles: Number of styles, S.
  """

  styles: int = 1

  complete_biases: ClassVar[bool] = False

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Two tables ``[S, C]``."""
    table = self.styles, shape[-1]
    return {'scale': table, 'bias': table}

  def out_shape(self, *shapes: Shape) -> Shape:
    """Shape of the map."""
    if len(shapes) != 2 or shapes[1] != (self.styles,):
      raise ValueError(
        f'styles: got inputs of {[*shapes]} for {self.name!r}, expected a map '
        f'and a vector of {self.styles} shares'
      )
    return shapes[0]

  def offset(self, params: Params) -> Array | None:
    """None: it is another for each image."""
    return None

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Normalises each channel, then scales and shifts it by its style."""
    rules.refuse_relevance(self)
    x, shares = xs
    # Exactly the row of a style whose share is 1, on any device.
    scale, bias = (
      jnp.matmul(shares, params[k], precision='highest')[:, None, None]
      for k in ('scale', 'bias')
    )
    return self._normalised(x, scale, bias)


@dataclasses.dataclass(frozen=True)
class Rescale(Pointwise):
  """Numbers as an image: ``scale * f(x) + shift``.

  Attributes:
    scale: Factor.
    shift: Added after it.
    squash: Whether ``f`` is the hyperbolic tangent; else it is the identity.
  """

  scale: float = 1.0
  shift: float = 0.0
  squash: bool = False

  def offset(self, params: Params) -> Array | None:
    """The shift of each channel; none where it is squashed before."""
    return None if self.squash else jnp.full((1,), self.shift, jnp.float32)

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Squashes, scales and shifts."""
    rules.refuse_relevance(self)
    y = jnp.tanh(xs[0]) if self.squash else xs[0]
    return y * self.scale + self.shift
