"""Layers of transformers; tokens are the positions of a map of one row."""

import dataclasses
from typing import ClassVar

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

  complete_biases: ClassVar[bool] = False

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """``x Phi(x)`` by the error function."""
    rules.refuse_relevance(self)
    return jax.nn.gelu(xs[0], approximate=False)


@dataclasses.dataclass(frozen=True)
class LayerNorm(Pointwise):
  """Layer normalisation (Ba et al. 2016) of each position over its channels.

  ``(x - mean) / sqrt(var + epsilon) * scale + bias``; without a rule for
  relevance.
  """

  epsilon: float = 1e-6

  complete_biases: ClassVar[bool] = False

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
    rules.refuse_relevance(self)
    x = widened(xs[0])
    away = x - x.mean(-1, keepdims=True)
    var = jnp.square(away).mean(-1, keepdims=True)
    y = away * jax.lax.rsqrt(var + self.epsilon)
    scale, bias = (
      widened(params[name]).reshape(*(1,) * (x.ndim - 1), -1)
      for name in ('scale', 'bias')
    )
    return (y * scale + bias).astype(xs[0].dtype)


@dataclasses.dataclass(frozen=True)
class Tokens(Layer):
  """The positions of a map as one row of tokens, after a class token.

  An embedding of its position is added to each (Dosovitskiy et al. 2021,
  section 3.1). For maps of another size than in training, the embeddings are
  interpolated by cubic convolution (Keys 1981, a = -1/2) between the centres of
  the positions.

  Attributes:
    grid: Rows and columns of the maps in training.
  """

  grid: int

  complete_biases: ClassVar[bool] = False
  gives_tokens: ClassVar[bool] = True

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Class token ``[1, 1, C]`` and embeddings ``[1, 1 + grid^2, C]``."""
    return {
      'class_token': (1, 1, shape[-1]),
      'pos_embedding': (1, 1 + self.grid**2, shape[-1]),
    }

  def init(self, key: Array, shape: Shape) -> Params:
    """A class token of zeros, and normal embeddings of deviation 0.02."""
    shapes = self.param_shapes(shape)
    normal = jax.random.normal(key, shapes['pos_embedding'], jnp.float32)
    return {
      'class_token': jnp.zeros(shapes['class_token'], jnp.float32),
      'pos_embedding': 0.02 * normal,
    }

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(1, 1 + H W, C)``, or ``(1, 0, C)`` if the image has no patch."""
    h, w, c = shapes[0]
    return 1, 1 + h * w if h * w else 0, c

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Prepends the class token and adds the embeddings."""
    rules.refuse_relevance(self)
    n, h, w, c = xs[0].shape
    first, grid = jnp.split(params['pos_embedding'], [1], 1)
    if (h, w) != (self.grid, self.grid):
      grid = widened(grid).reshape(1, self.grid, self.grid, c)
      grid = jax.image.resize(grid, (1, h, w, c), 'cubic', antialias=False)
      grid = grid.reshape(1, h * w, c).astype(xs[0].dtype)
    token = jnp.broadcast_to(params['class_token'] + first, (n, 1, c))
    tokens = jnp.concatenate([token, xs[0].reshape(n, h * w, c) + grid], 1)
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

  complete_biases: ClassVar[bool] = False
  gives_tokens: ClassVar[bool] = True

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(T, T, heads)``."""
    tokens, channels = _need_row(self.name, shapes[0])
    if channels % (3 * self.heads):
      raise ValueError(
        f'heads: got {self.heads} for {self.name!r}, expected a divisor of a '
        f'third of its {channels} channels'
      )
    return tokens, tokens, self.heads

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """The weights ``[N, T, T, heads]``, which sum to 1 over the third axis."""
    rules.refuse_relevance(self)
    query, key, _ = _by_head(xs[0], self.heads)
    # In float32: products of half precision overflow before they are scaled.
    fit = jnp.einsum('nqhd,nkhd->nqkh', widened(query), widened(key))
    return jax.nn.softmax(fit * query.shape[-1] ** -0.5, 2).astype(xs[0].dtype)


@dataclasses.dataclass(frozen=True)
class Attend(Layer):
  """Values summed by attention weights, the heads side by side.

  Reads `AttentionWeights`, and what those read: its last third are the values.
  """

  complete_biases: ClassVar[bool] = False

  def out_shape(self, *shapes: Shape) -> Shape:
    """``(1, T, C)``, with a third of the channels."""
    return 1, shapes[0][0], shapes[1][-1] // 3

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Sums the values ``[N, 1, T, C]``."""
    rules.refuse_relevance(self)
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
    tokens, channels = _need_row(self.name, shapes[0])
    if not 0 <= self.index < max(tokens, 1):
      raise ValueError(
        f'index: got {self.index} for {self.name!r}, expected 0 to {tokens - 1}'
      )
    return (channels,)

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Takes the token."""
    return xs[0][:, 0, self.index]


def _need_row(name: str, shape: Shape) -> tuple[int, int]:
  """Number of tokens and of channels of a map of one row."""
  if len(shape) != 3 or shape[0] != 1:
    raise ValueError(
      f'ops: {name!r} reads {shape}, expected tokens (1, T, C), as of Tokens'
    )
  return shape[1:]


def _by_head(joint: Array, heads: int) -> list[Array]:
  """Queries, keys and values ``[N, T, heads, d]`` of ``[N, 1, T, 3 C]``."""
  n, _, tokens, channels = joint.shape
  parts = joint.reshape(n, tokens, 3, heads, channels // (3 * heads))
  return [parts[:, :, i] for i in range(3)]
