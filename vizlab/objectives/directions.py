"""Objectives that read a layer as a whole, or compare the images of a batch."""

import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.objectives.base import (
  Objective,
  at_position,
  beside,
  feature_map,
  index,
)
from vizlab.types import Acts, Array, number, value, whole

__all__ = [
  'Alignment',
  'Caricature',
  'Direction',
  'Diversity',
  'Guide',
  'alignment',
  'caricature',
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
  row: Array | None
  column: Array | None

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``mean <A, v> max(cos(A, v), 0.1)^power``."""
    a = feature_map(acts, self.layer)
    _check_channels(self.vector, a, 'vector', 1)
    vector = _as(self.vector, a)
    if self.row is not None:
      a = at_position(a, self.row, self.column)[..., None, None, :]
    dot = jnp.einsum('...hwc,c->...hw', a, vector, precision='highest')
    size = jnp.square(a).sum(-1) * jnp.square(vector).sum(-1)
    some = jnp.where(size > 0, size, 1)
    cosine = extrema.maximum(dot / jnp.sqrt(some), 0.1)
    return (dot * cosine ** _as(self.power, a)).mean((-2, -1))


@value('layer')
class Caricature(Objective):
  """See `caricature`."""

  layer: str
  target: Array
  power: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``<A, T> max(cos(A, T), 0.1)^power / (H' W')``."""
    a, target = feature_map(acts, self.layer), self.target
    if target.shape not in (a.shape, a.shape[-3:]):
      raise ValueError(
        f'target: got shape {target.shape}, expected that of {self.layer!r}, '
        f'{a.shape[-3:]}'
      )
    target = beside(target, a)
    axes = (-3, -2, -1)
    dot = (a * target).sum(axes)
    size = jnp.square(a).sum(axes) * jnp.square(target).sum(axes)
    some = jnp.where(size > 0, size, 1)
    cosine = extrema.maximum(dot / jnp.sqrt(some), 0.1)
    power = _as(self.power, a)
    return dot * cosine**power / (a.shape[-3] * a.shape[-2])


@value('layer')
class Guide(Objective):
  """See `guide`."""

  layer: str
  vectors: Array

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """``mean_ij max_k <A_ij, g_k>``."""
    a = feature_map(acts, self.layer)
    _check_channels(self.vectors, a, 'vectors', 2)
    each = jnp.einsum('...hwc,kc->...hwk', a, _as(self.vectors, a))
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
    others = (1 - np.eye(n)).astype(a.dtype)
    others = others.reshape((1,) * (cosine.ndim - 2) + others.shape)
    return -(cosine * others).sum(-1) / (n - 1)


@value('layer', 'reach')
class Alignment(Objective):
  """See `alignment`."""

  layer: str
  decay: Array
  reach: int

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """Minus the mean square differences from neighbours in the batch."""
    a = _batch(acts, self.layer)
    count = a.shape[-4]
    total = jnp.zeros(a.shape[:-3], a.dtype)
    for far in range(1, min(self.reach, count - 1) + 1):
      first, second = a[..., far:, :, :, :], a[..., :-far, :, :, :]
      apart = jnp.square(first - second).mean((-3, -2, -1))
      none = [(0, 0)] * (apart.ndim - 1)
      both = [jnp.pad(apart, [*none, e]) for e in ((0, far), (far, 0))]
      total += _as(self.decay, a) ** (far - 1) * (both[0] + both[1])
    return -total


def direction(
  layer: str,
  vector: Array,
  *,
  power: float = 0.0,
  position: tuple[int | Array, int | Array] | None = None,
) -> Objective:
  """Activation in a direction: ``mean <A, v> max(cos(A, v), 0.1)^p``.

  Args:
    layer: Name of a layer that gives a map.
    vector: ``[C]``.
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
  row, column = (None, None) if position is None else position
  return Direction(
    layer,
    number(vector, 'vector'),
    number(power, 'power'),
    None if row is None else index(row, 'row'),
    None if column is None else index(column, 'column'),
  )


def caricature(layer: str, target: Array, *, power: float = 1.0) -> Objective:
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
  return Caricature(layer, number(target, 'target'), number(power, 'power'))


def guide(layer: str, vectors: Array) -> Objective:
  """DeepDream's guide: dot product of each position with its best match.

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
  """Diversity of a batch: minus the cosine of the images' Gram matrices.

  The mean over the other images of the batch (the last leading axis).

  Args:
    layer: Name of a layer that gives a map.

  Raises:
    ValueError: There is no batch of two or more images (when it is read).

  Reference:
    Olah, Mordvintsev & Schubert 2017: diversity.
  """
  return Diversity(layer)


def alignment(
  layer: str, *, neighbours: int = 1, decay: float = 0.5
) -> Objective:
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
  return Alignment(
    layer, number(decay, 'decay', 0.0), whole(neighbours, 'neighbours')
  )


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
