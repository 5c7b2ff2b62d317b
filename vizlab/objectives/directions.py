"""Objectives that read a layer as a whole, or compare the images of a batch."""

import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.objectives.base import Objective, feature_map
from vizlab.types import Acts, Array, number, value

__all__ = [
  'Alignment',
  'Direction',
  'Diversity',
  'Guide',
  'alignment',
  'direction',
  'diversity',
  'guide',
]


@value('layer')
class Direction(Objective):
  """See `direction`."""

  layer: str
  vector: Array
  power: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``mean <A, v> max(cos(A, v), 0.1)^power``."""
    a = feature_map(acts, self.layer)
    _check_channels(self.vector, a, 'vector', 1)
    dot = jnp.einsum('...hwc,c->...hw', a, self.vector, precision='highest')
    size = jnp.square(a).sum(-1) * jnp.square(self.vector).sum(-1)
    some = jnp.where(size > 0, size, 1)
    cosine = extrema.maximum(dot / jnp.sqrt(some), 0.1)
    return (dot * cosine**self.power).mean((-2, -1))


@value('layer')
class Guide(Objective):
  """See `guide`."""

  layer: str
  vectors: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``mean_ij max_k <A_ij, g_k>``."""
    a = feature_map(acts, self.layer)
    _check_channels(self.vectors, a, 'vectors', 2)
    each = jnp.einsum('...hwc,kc->...hwk', a, self.vectors)
    return extrema.max_over(each, -1).mean((-2, -1))


@value('layer')
class Diversity(Objective):
  """See `diversity`."""

  layer: str

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """Minus the mean cosine of an image's Gram matrix with the others'."""
    a = _batch(acts, self.layer)
    n, c = a.shape[-4], a.shape[-1]
    flat = a.reshape(*a.shape[:-3], -1, c)
    gram = jnp.einsum('...pc,...pd->...cd', flat, flat)
    gram = gram.reshape(*gram.shape[:-2], -1)
    square = jnp.square(gram).sum(-1, keepdims=True)
    gram = gram / jnp.sqrt(jnp.where(square > 0, square, 1))
    cosine = jnp.einsum('...ng,...mg->...nm', gram, gram)
    others = 1 - np.eye(n, dtype=np.float32)
    others = others.reshape((1,) * (cosine.ndim - 2) + others.shape)
    return -(cosine * others).sum(-1) / (n - 1)


@value('layer')
class Alignment(Objective):
  """See `alignment`."""

  layer: str

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """Minus the mean square difference from the neighbours in the batch."""
    a = _batch(acts, self.layer)
    apart = jnp.square(jnp.diff(a, axis=-4)).mean((-3, -2, -1))
    none = [(0, 0)] * (apart.ndim - 1)
    return -(jnp.pad(apart, [*none, (0, 1)]) + jnp.pad(apart, [*none, (1, 0)]))


def direction(layer: str, vector: Array, *, power: float = 0.0) -> Objective:
  """How far a map goes in a direction: ``mean <A, v> max(cos(A, v), 0.1)^p``.

  Args:
    layer: Name of a layer that gives a map.
    vector: ``[C]``.
    power: ``p``: 0 for the dot product alone; more ask for the direction rather
      than for its length.

  Raises:
    ValueError: The vector is not finite, or not of the layer's channels (when
      it is read).

  Reference:
    Olah et al. 2018 (The building blocks of interpretability); lucid's
    ``direction`` with ``cossim_pow``.
  """
  return Direction(layer, number(vector, 'vector'), number(power, 'power'))


def guide(layer: str, vectors: Array) -> Objective:
  """How well each place of a map matches its best guide: DeepDream's.

  ``mean_ij max_k <A_ij, g_k>``, the guides being another image's activations.

  Args:
    layer: Name of a layer that gives a map.
    vectors: ``[K, C]``.

  Raises:
    ValueError: As in `direction`.

  Reference:
    Mordvintsev, Olah & Tyka 2015 (DeepDream): controlling dreams.
  """
  return Guide(layer, number(vectors, 'vectors'))


def diversity(layer: str) -> Objective:
  """How unlike the images of a batch are: minus the cosine of their Grams.

  The mean over the other images of the batch (the last leading axis).

  Args:
    layer: Name of a layer that gives a map.

  Raises:
    ValueError: There is no batch of two or more images (when it is read).

  Reference:
    Olah, Mordvintsev & Schubert 2017: diversity.
  """
  return Diversity(layer)


def alignment(layer: str) -> Objective:
  """How alike neighbours in a batch are: minus their mean square difference.

  It keeps what images share in place while they go from one unit to another.

  Args:
    layer: Name of a layer that gives a map.

  Raises:
    ValueError: As in `diversity`.

  Reference:
    Mordvintsev et al. 2018 (Differentiable image parameterizations): aligned
    interpolation; lucid's ``alignment``.
  """
  return Alignment(layer)


def _batch(acts: Acts, layer: str) -> Array:
  a = feature_map(acts, layer)
  if a.ndim < 4 or a.shape[-4] < 2:
    raise ValueError(
      f'layer: {layer!r} has shape {a.shape}; images are compared with those '
      'beside them, so expected a batch of two or more'
    )
  return a


def _check_channels(vectors: Array, a: Array, name: str, rank: int) -> None:
  channels, shape = a.shape[-1], vectors.shape
  if len(shape) != rank or shape[-1] != channels or 0 in shape:
    wanted = (channels,) if rank == 1 else ('K', channels)
    raise ValueError(f'{name}: got shape {shape}, expected {wanted} channels')
