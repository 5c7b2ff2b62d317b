"""Layers of transformers; tokens are the positions of a map of one row."""

import dataclasses

import jax
import jax.numpy as jnp

from vizlab.nets.layers.base import Layer, Params, Pointwise, Shape
from vizlab.rules import Rules
from vizlab.types import Array, widened

__all__ = [
  'GELU',
  'Attend',
  'AttentionWeights',
  'LayerNorm',
  'Token',
  'Tokens',
]


@dataclasses.dataclass(frozen=True)
class GELU(Pointwise):
  """Gaussian error linear unit, ``x Phi(x)``; without a rule for relevance."""

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x Phi(x)`` by the error function."""
    rules.need_gradient(self)
    return jax.nn.gelu(xs[0], approximate=False)


@dataclasses.dataclass(frozen=True)
class LayerNorm(Pointwise):
  """Layer normalisation (Ba et al. 2016) of each position over its channels.

  ``(x - mean) / sqrt(var + epsilon) * scale + bias``; without a rule for
  relevance.
  """

  epsilon: float = 1e-6

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Two vectors ``[C]``."""
    return dict.fromkeys(('scale', 'bias'), shape[-1:])

  def init(self, key: Array, shape: Shape) -> Params:
    """Scale 1 and bias 0."""
    return {
      'scale': jnp.ones(shape[-1:], jnp.float32),
      'bias': jnp.zeros(shape[-1:], jnp.float32),
    }

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Normalises each position, then scales and shifts its channels."""
    rules.need_gradient(self)
    x = widened(xs[0])
    away = x - x.mean(-1, keepdims=True)
    var = jnp.square(away).mean(-1, keepdims=True)
    y = away * jax.lax.rsqrt(var + self.epsilon)
    scale, bias = (
      widened(params[name])[None, None, None] for name in ('scale', 'bias')
    )
    return (y * scale + bias).astype(xs[0].dtype)


@dataclasses.dataclass(frozen=True)
class Tokens(Layer):
  """The positions of a map as one row of tokens, after a class token.

  To each an embedding of its place is added; of a map of another size than
  that of the training they are interpolated, by cubic splines (Dosovitskiy et
  al. 2021, section 3.2).

  Attributes:
    grid: Rows and columns of the map of the training.
  """

  grid: int

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """The class token ``[1, 1, C]`` and the places ``[1, 1 + grid^2, C]``."""
    return {
      'class_token': (1, 1, shape[-1]),
      'pos_embedding': (1, 1 + self.grid**2, shape[-1]),
    }

  def init(self, key: Array, shape: Shape) -> Params:
    """A class token of zeros, and normal places of deviation 0.02."""
    shapes = self.param_shapes(shape)
    drawn = jax.random.normal(key, shapes['pos_embedding'], jnp.float32)
    return {
      'class_token': jnp.zeros(shapes['class_token'], jnp.float32),
      'pos_embedding': 0.02 * drawn,
    }

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(1, 1 + H W, C)``."""
    h, w, c = shapes[0]
    # No patch, no token: an empty map, of which the image is told.
    return 1, (1 + h * w) * bool(h * w), c

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Puts the class token before all positions and adds their places."""
    rules.need_gradient(self)
    n, h, w, c = xs[0].shape
    first, places = jnp.split(params['pos_embedding'], [1], 1)
    if (h, w) != (self.grid, self.grid):
      places = places.reshape(1, self.grid, self.grid, c)
      places = jax.image.resize(places, (1, h, w, c), 'cubic', antialias=False)
      places = places.reshape(1, h * w, c)
    token = jnp.broadcast_to(params['class_token'] + first, (n, 1, c))
    tokens = jnp.concatenate([token, xs[0].reshape(n, h * w, c) + places], 1)
    return tokens[:, None]


@dataclasses.dataclass(frozen=True)
class AttentionWeights(Layer):
  """Weights with which each token attends to each, by head.

  ``softmax(q k^T / sqrt(d))`` of queries and keys, the first two thirds of the
  channels of its input (Vaswani et al. 2017, equation 1). As a map: a row for
  each token, a column for each that it attends to, a channel for each head.

  Attributes:
    heads: Number of heads.
  """

  heads: int

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(T, T, heads)``."""
    _, tokens, channels = shapes[0]
    if channels % (3 * self.heads):
      raise ValueError(
        f'heads: got {self.heads} for {self.name!r}, expected a divisor of a '
        f'third of its {channels} channels'
      )
    return tokens, tokens, self.heads

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """The weights ``[N, T, T, heads]``, which sum to 1 over the third axis."""
    rules.need_gradient(self)
    query, key, _ = _by_head(xs[0], self.heads)
    fit = jnp.einsum('nqhd,nkhd->nqkh', query, key)
    fit = widened(fit) * query.shape[-1] ** -0.5
    return jax.nn.softmax(fit, 2).astype(xs[0].dtype)


@dataclasses.dataclass(frozen=True)
class Attend(Layer):
  """Values summed by attention weights, the heads side by side.

  Reads `AttentionWeights`, and what those read: its last third are the values.
  """

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(1, T, C)``, with a third of the channels."""
    return 1, shapes[0][0], shapes[1][-1] // 3

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Sums the values ``[N, 1, T, C]``."""
    rules.need_gradient(self)
    weights, joint = xs
    *_, value = _by_head(joint, weights.shape[-1])
    summed = jnp.einsum('nqkh,nkhd->nqhd', weights, value)
    return summed.reshape(*joint.shape[:-1], -1)


@dataclasses.dataclass(frozen=True)
class Token(Layer):
  """One token, as a vector.

  Attributes:
    index: Its number; 0 is the class token.
  """

  index: int = 0

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(C,)``."""
    return shapes[0][-1:]

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Takes the token."""
    return xs[0][:, 0, self.index]


def _by_head(joint: Array, heads: int) -> list[Array]:
  """Queries, keys and values ``[N, T, heads, d]`` of ``[N, 1, T, 3 C]``."""
  n, _, tokens, channels = joint.shape
  parts = joint.reshape(n, tokens, 3, heads, channels // (3 * heads))
  return [parts[:, :, i] for i in range(3)]
