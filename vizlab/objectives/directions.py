"""Objectives that read a layer as a whole, or compare the images of a batch."""

import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.objectives.base import (
  at_position,
  beside,
  feature_map,
  objective,
)
from vizlab.objectives.units import position_index
from vizlab.terms import at_least
from vizlab.types import Acts, Array, number, whole

__all__ = ['alignment', 'caricature', 'direction', 'diversity', 'guide']


@objective(vector=number, position=position_index)
def direction(
  logits: Array | None,
  acts: Acts,
  layer: str,
  vector: Array,
  *,
  power: float = 0.0,
  position: tuple[int | Array, int | Array] | None = None,
) -> Array:
  """Activation in a direction: ``mean <A, v> max(cos(A, v), 0.1)^p``.

  Args:
    layer: Name of a layer that gives a map.
    vector: ``[C]``, or ``[..., C]`` with one for each image.
    power: ``p``: 0 for the dot product alone; more ask for the direction rather
      than for its length.
    position: Row and column of the layer's map to read alone; the mean over all
      positions if ``None``.

  Raises:
    ValueError: The vector is not finite, or not of the layer's channels, or
      the position is not in the map (the last two when it is read).

  Reference:
    Olah et al. 2018 (The building blocks of interpretability); lucid's
    ``direction`` with ``cossim_pow``.
  """
  a = feature_map(acts, layer)
  if vector.ndim == 1:
    _check_channels(vector, a, 'vector', 1)
  elif vector.shape != (*a.shape[:-3], a.shape[-1]):
    raise ValueError(
      f'vector: got shape {vector.shape}, expected {a.shape[-1:]} or '
      f'{(*a.shape[:-3], a.shape[-1])}, the channels of {layer!r}'
    )
  vector = _as(vector, a)
  if position is not None:
    a = at_position(a, *position)[..., None, None, :]
  dot = jnp.einsum('...hwc,...c->...hw', a, vector, precision='highest')
  lengths = jnp.square(vector).sum(-1)[..., None, None]
  if vector.ndim == 1:
    lengths = lengths.reshape((1,) * (a.ndim - 1))
  size = jnp.square(a).sum(-1) * lengths
  some = jnp.where(size > 0, size, 1)
  cosine = extrema.maximum(dot / jnp.sqrt(some), 0.1)
  return (dot * cosine ** _as(power, a)).mean((-2, -1))


@objective(target=number)
def caricature(
  logits: Array | None,
  acts: Acts,
  layer: str,
  target: Array,
  *,
  power: float = 1.0,
) -> Array:
  """Similarity of a whole map to another image's, which it exaggerates.

  ``<A, T> max(cos(A, T), 0.1)^p / (H' W')``: the dot product grows without
  bound along what the layer saw in the image, and the cosine keeps it there.

  Args:
    layer: Name of a layer that gives a map.
    target: ``T``: ``[H', W', C]`` or with the batch of the images, the
      activations of an image of the same size.
    power: ``p``.

  Raises:
    ValueError: The target is not finite, or not of the layer's shape (when it
      is read).

  Reference:
    Olah et al. 2018 and lucid's feature inversion by ``dot * cossim``
    (caricatures).
  """
  a = feature_map(acts, layer)
  if target.shape not in (a.shape, a.shape[-3:]):
    raise ValueError(
      f'target: got shape {target.shape}, expected that of {layer!r}, '
      f'{a.shape[-3:]}'
    )
  target = beside(target, a)
  axes = (-3, -2, -1)
  dot = (a * target).sum(axes)
  size = jnp.square(a).sum(axes) * jnp.square(target).sum(axes)
  some = jnp.where(size > 0, size, 1)
  cosine = extrema.maximum(dot / jnp.sqrt(some), 0.1)
  scaled = dot * cosine ** _as(power, a)
  return scaled / (a.shape[-3] * a.shape[-2])


@objective(vectors=number)
def guide(
  logits: Array | None,
  acts: Acts,
  layer: str,
  vectors: Array,
) -> Array:
  """DeepDream's guide: dot product of each position with its best match.

  ``mean_ij max_k <A_ij, g_k>``, the guides being another image's activations.

  Args:
    layer: Name of a layer that gives a map.
    vectors: ``[K, C]``.

  Raises:
    ValueError: The vectors are not finite, or not of the layer's channels (the
      latter when it is read).

  Reference:
    Mordvintsev, Olah & Tyka 2015 (DeepDream): controlling dreams.
  """
  a = feature_map(acts, layer)
  _check_channels(vectors, a, 'vectors', 2)
  each = jnp.einsum('...hwc,kc->...hwk', a, _as(vectors, a))
  return extrema.max_over(each, -1).mean((-2, -1))


@objective
def diversity(
  logits: Array | None,
  acts: Acts,
  layer: str,
) -> Array:
  """Diversity of a batch: minus the cosine of the images' Gram matrices.

  The mean over the other images of the batch (the last leading axis).

  Args:
    layer: Name of a layer that gives a map.

  Raises:
    ValueError: There is no batch of two or more images (when it is read).

  Reference:
    Olah, Mordvintsev & Schubert 2017: diversity.
  """
  a = _batch(acts, layer)
  n, c = a.shape[-4], a.shape[-1]
  flat = a.reshape(*a.shape[:-3], -1, c)
  gram = jnp.einsum('...pc,...pd->...cd', flat, flat)
  gram = gram.reshape(*gram.shape[:-2], -1)
  square = jnp.square(gram).sum(-1, keepdims=True)
  gram = gram / jnp.sqrt(jnp.where(square > 0, square, 1))
  cosine = jnp.einsum('...ng,...mg->...nm', gram, gram)
  others = (1 - np.eye(n)).astype(a.dtype)
  others = others.reshape((1,) * (cosine.ndim - 2) + others.shape)
  return -(cosine * others).sum(-1) / (n - 1)


@objective(neighbours=whole, decay=at_least(0.0))
def alignment(
  logits: Array | None,
  acts: Acts,
  layer: str,
  *,
  neighbours: int = 1,
  decay: float = 0.5,
) -> Array:
  """Likeness of neighbours in a batch: minus their mean square difference.

  It keeps what images share in place while they go from one unit to another.

  Args:
    layer: Name of a layer that gives a map.
    neighbours: To how many images on each side an image is compared.
    decay: Weight of each further neighbour relative to the one before it.

  Raises:
    ValueError: There is no batch of two or more images (when it is read), no
      neighbour, or a negative decay.

  Reference:
    Mordvintsev et al. 2018 (Differentiable image parameterizations): aligned
    interpolation; lucid's ``alignment``.
  """
  a = _batch(acts, layer)
  count = a.shape[-4]
  total = jnp.zeros(a.shape[:-3], a.dtype)
  for far in range(1, min(neighbours, count - 1) + 1):
    first, second = a[..., far:, :, :, :], a[..., :-far, :, :, :]
    apart = jnp.square(first - second).mean((-3, -2, -1))
    none = [(0, 0)] * (apart.ndim - 1)
    both = [jnp.pad(apart, [*none, e]) for e in ((0, far), (far, 0))]
    total += _as(decay, a) ** (far - 1) * (both[0] + both[1])
  return -total


def _as(value: Array, a: Array) -> Array:
  """A number, in the dtype of what it is combined with."""
  return jnp.asarray(value).astype(a.dtype)


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
