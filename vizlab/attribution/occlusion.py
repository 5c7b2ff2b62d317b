"""Occlusion: the change of a score when a part of the image is covered.

Networks of `vizlab.nets` recompute only the activations that the occluder can
change, with the same result; any other function is run on every occluded image.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vizlab.batching import at_once
from vizlab.image.checks import as_image, check_images
from vizlab.objectives import Score
from vizlab.objectives.base import check_score
from vizlab.types import Array, ScoreFn

__all__ = ['Occluder', 'occlusion', 'occlusion_scores']


@dataclasses.dataclass(frozen=True)
class Occluder:
  """Positions of a square that slides over the image.

  The first position is the top left corner. The last position along each axis
  reaches the border or extends beyond it, so every pixel is covered.

  Attributes:
    patch: Side of the square in pixels.
    stride: Step in pixels.
  """

  patch: int
  stride: int

  def __post_init__(self) -> None:
    """Checks the numbers."""
    if self.patch < 1:
      raise ValueError(f'patch: got {self.patch}, expected at least 1 pixel')
    if not 1 <= self.stride <= self.patch:
      raise ValueError(
        f'stride: got {self.stride}, expected 1 to the patch of {self.patch}'
      )

  def count(self, n: int) -> int:
    """Number of positions along an axis of ``n`` pixels."""
    if self.patch > n:
      raise ValueError(
        f'patch: got {self.patch}, expected at most the image side of {n}'
      )
    return math.ceil((n - self.patch) / self.stride) + 1

  def spans(self, n: int) -> list[tuple[int, int]]:
    """First and one past the last pixel of each position along an axis."""
    starts = [i * self.stride for i in range(self.count(n))]
    return [(start, min(start + self.patch, n)) for start in starts]

  def inside(self, i: Array, n: int) -> Array:
    """Mask ``[n]`` of the pixels of an axis that lie in position ``i``."""
    pixel = jnp.arange(n)
    start = i * self.stride
    return (pixel >= start) & (pixel < start + self.patch)


def occlusion_scores(
  fn: Callable[[Array], Any],
  x: Array,
  *,
  patch: int = 32,
  stride: int = 16,
  fill: float | Array = 0.5,
  chunk: int = 16,
  places: Array | None = None,
) -> Any:
  """Evaluates ``fn`` with an occluder at every position of the image.

  To record the three quantities of the paper, evaluate several objectives at
  once:

      occlusion_scores(score(net, {
        'probability': probability(target),
        'label': top_label(),
        'activation': total('relu5_1', 7),
      }), x)

  Args:
    fn: Function of images ``[..., H, W, C]`` that returns a pytree of arrays
      ``[..., *rest]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    patch: Side of the occluder in pixels.
    stride: Step between positions in pixels, at most ``patch``.
    fill: Content of the occluder: a grey value, a colour ``[C]``, or an image
      ``[..., H, W, C]``.
    chunk: Images evaluated at once, but at least two positions for the whole
      batch. Memory grows with ``chunk``, not with the number of positions.
    places: Positions to evaluate, int ``[P]``, counted row by row; all by
      default. Calls with equally many positions share one compiled program.

  Returns:
    The output of ``fn``, with each array as ``[..., rows, columns, *rest]``, or
    as ``[..., P, *rest]`` if ``places`` is given.

  Raises:
    ValueError: A patch larger than the image, a stride larger than the patch,
      or an empty batch.

  Reference:
    Zeiler & Fergus 2014, section 4.2 and figure 6.
  """
  check_images(x)
  occluder = Occluder(patch, stride)
  h, w = x.shape[-3:-1]
  rows, columns = occluder.spans(h), occluder.spans(w)
  fill = as_image(fill, x, 'fill')
  if isinstance(fn, Score) and getattr(fn.net, 'occlude', None):
    other = jnp.broadcast_to(fill, x.shape)
    some = {} if places is None else {'places': places}
    return fn.net.occlude(fn.read, x, other, rows, columns, chunk, **some)
  return _whole_images(fn, x, fill, occluder, chunk, places)


def _whole_images(
  fn: Callable[[Array], Any],
  x: Array,
  fill: Array,
  occluder: Occluder,
  chunk: int,
  places: Array | None,
) -> Any:
  """Runs ``fn`` on every occluded image."""
  h, w = x.shape[-3:-1]
  rows, columns = occluder.count(h), occluder.count(w)
  batch = x.ndim - 3

  def one(place: Array) -> Any:
    row = occluder.inside(place // columns, h)
    column = occluder.inside(place % columns, w)
    cover = (row[:, None] & column[None])[..., None]
    cover = cover.reshape((1,) * batch + cover.shape)
    return fn(jnp.where(cover, fill, x))

  every = jnp.arange(rows * columns) if places is None else jnp.asarray(places)
  swept = jax.lax.map(one, every, batch_size=at_once(x, chunk))

  def arrange(values: Array) -> Array:
    values = jnp.moveaxis(values, 0, batch)
    if places is not None:
      return values
    shape = values.shape
    return values.reshape(*shape[:batch], rows, columns, *shape[batch + 1 :])

  return jax.tree.map(arrange, swept)


def occlusion(
  score: ScoreFn,
  x: Array,
  *,
  patch: int = 32,
  stride: int = 16,
  fill: float | Array = 0.5,
  chunk: int = 16,
  places: Array | None = None,
) -> Array:
  r"""Occlusion: the drop of the score when a pixel is covered.

  .. math::
    M_{ij} = \frac{1}{|\{P \ni (i, j)\}|} \sum_{P \ni (i, j)}
    y(x) - y(x_{\setminus P})

  ``P`` runs over the occluder positions that cover pixel ``(i, j)``.

  Args:
    score: ``[..., H, W, C] -> [...]``.
    x: Images ``[..., H, W, C]`` in [0, 1].
    patch: Side of the occluder in pixels.
    stride: Step between positions in pixels, at most ``patch``.
    fill: Content of the occluder: a grey value, a colour ``[C]``, or an image
      ``[..., H, W, C]``.
    chunk: Images evaluated at once, but at least two positions for the whole
      batch. Memory grows with ``chunk``, not with the number of positions.
    places: Occluder positions to evaluate, int ``[P]``, counted row by row; all
      by default. The map is then their contribution: the maps of all positions
      add up to the full map. Indices beyond the last position are ignored, so
      that all parts can have the same length.

  Returns:
    ``[..., H, W]`` in score units; positive where covering the pixel lowers the
    score.

  Raises:
    ValueError: A patch larger than the image, a stride larger than the patch,
      or an empty batch.

  Reference:
    Zeiler & Fergus 2014, section 4.2.
  """
  check_images(x)
  y = score(x)
  check_score(y, x)
  occluder = Occluder(patch, stride)
  shape = (*y.shape, *map(occluder.count, x.shape[-3:-1]))
  occluded = occlusion_scores(
    score, x, patch=patch, stride=stride, fill=fill, chunk=chunk, places=places
  )
  if places is None:
    drop = y[..., None, None] - occluded
  else:
    drop = jnp.zeros((*y.shape, math.prod(shape[-2:])), occluded.dtype)
    drop = drop.at[..., jnp.asarray(places)].set(y[..., None] - occluded)
    drop = drop.reshape(shape)

  def cover(n: int) -> Array:  # [places, n], each column sums to 1
    places = jnp.arange(occluder.count(n))
    inside = jax.vmap(lambda i: occluder.inside(i, n))(places)
    inside = inside.astype(y.dtype)
    return inside / inside.sum(0, keepdims=True)

  h, w = x.shape[-3:-1]
  full = jax.lax.Precision.HIGHEST  # cheap: a mean of few numbers
  return jnp.einsum(
    '...rc,rh,cw->...hw', drop, cover(h), cover(w), precision=full
  )
