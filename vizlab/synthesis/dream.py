"""DeepDream: a picture grows what a layer sees in it, octave by octave."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vizlab import optimize
from vizlab.image.filters import rescale, resize
from vizlab.synthesis.augment import jitter as jitter_by
from vizlab.synthesis.images import pixels
from vizlab.synthesis.multiscale import coarse_to_fine, octave_sizes
from vizlab.synthesis.transforms import ascent
from vizlab.types import (
  Array,
  Augment,
  ScoreFn,
  check_image,
  number,
  pytree_dataclass,
  whole,
)

__all__ = ['Tiled', 'dream', 'mean_over_tiles', 'zoom']


@pytree_dataclass(static=('size',))
class Tiled:
  """See `mean_over_tiles`."""

  score: ScoreFn
  size: int

  def __call__(self, x: Array) -> Array:
    """The mean of the tiles' scores."""
    h, w = x.shape[-3:-1]
    rows, columns = (_starts(n, self.size) for n in (h, w))
    places = jnp.asarray([(i, j) for i in rows for j in columns], jnp.int32)
    side = min(self.size, h), min(self.size, w)
    covers = _covers(rows, side[0], h)[:, None] * _covers(columns, side[1], w)
    x = _share_gradient(x, jnp.asarray(1 / covers[..., None], x.dtype))

    def one(place: Array) -> Array:
      start = [0] * (x.ndim - 3) + [place[0], place[1], 0]
      tile = jax.lax.dynamic_slice(
        x, start, (*x.shape[:-3], *side, x.shape[-1])
      )
      return self.score(tile)

    # One tile at a time: its activations are computed again on the way back.
    return jax.lax.map(jax.checkpoint(one), places).mean(0)


def mean_over_tiles(score: ScoreFn, size: int = 512) -> Tiled:
  """The score of images larger than memory, as the mean over square tiles.

  Tiles that do not fit overlap. The gradient at a pixel is the mean over the
  tiles that cover it (divided by the number of tiles), so that no part of the
  image counts more than another. Seams vanish where the image is shifted at
  random at each step, as `dream` does.

  Args:
    score: ``[..., H, W, C] -> [...]``, of images of any size.
    size: Side of a tile in pixels.

  Raises:
    ValueError: Less than one pixel.

  Reference:
    Mordvintsev 2015 (DeepDream with TensorFlow): tiled gradients.
  """
  return Tiled(score, whole(size, 'size'))


def dream(
  score: ScoreFn,
  x: Array,
  key: Array,
  *,
  octaves: int = 4,
  scale: float = 1.4,
  steps: int = 10,
  rate: float = 0.006,
  jitter: int = 32,
  optimizer: optimize.Optimizer | None = None,
) -> Iterator[Array]:
  """Raises a score in a picture, from coarse to fine.

  The picture is shrunk; in each octave the score is raised by steps along the
  gradient, divided by its mean size, while the picture is shifted at random;
  what came in is enlarged and added to the next octave.

  Args:
    score: ``[..., H, W, C] -> [...]``, for images of any size:
      ``score(net, layer_energy('relu4_2'))``; see
      `mean_over_tiles` for large ones.
    x: Pictures ``[..., H, W, 3]`` in [0, 1].
    key: A JAX random key, for the shifts.
    octaves: How many sizes.
    scale: The ratio of one to the next.
    steps: Steps in each octave.
    rate: How much a pixel changes in a step, in the mean; not read with an
      ``optimizer``.
    jitter: Pixels of the largest shift.
    optimizer: How a step is taken, as of `vizlab.optimize.run`; by default
      ``ascent(rate)``. ``ascent(rate, levels=4)`` gives all frequencies the
      same strength.

  Yields:
    The picture after each octave, at its size; the last one has that of ``x``.

  Raises:
    ValueError: Not images in [0, 1], no octave or step, a negative rate, or a
      scale that is not above 1; or the score of an image is not finite.

  Reference:
    Mordvintsev, Olah & Tyka 2015 (Inceptionism), and their notebook.
  """
  check_image(x, 'x')
  sizes = octave_sizes(*x.shape[-3:-1], octaves, scale)
  steps = whole(steps, 'steps')
  rate = number(rate, 'rate', 0.0)
  optimizer = Partial(ascent, rate) if optimizer is None else optimizer
  shift = jitter_by(jitter)
  return _octaves(score, jnp.asarray(x), key, sizes, steps, optimizer, shift)


def _octaves(
  score: ScoreFn,
  x: Array,
  key: Array,
  sizes: list[tuple[int, int]],
  steps: int,
  optimizer: optimize.Optimizer,
  shift: Augment,
) -> Iterator[Array]:
  def optimize_at(
    octave: int, size: tuple[int, int], start: Array
  ) -> Iterator[optimize.Progress]:
    return optimize.run(
      score,
      pixels(start),
      jax.random.fold_in(key, octave),
      steps=steps,
      chunk=steps,
      optimizer=optimizer,
      augment=shift,
    )

  def enlarge(image: Array, size: tuple[int, int]) -> Array:
    detail = image - resize(x, image.shape[-3:-1])
    return jnp.clip(resize(x, size) + resize(detail, size), 0, 1)

  start = jnp.clip(resize(x, sizes[0]), 0, 1)
  for end in coarse_to_fine(optimize_at, start, sizes, enlarge=enlarge):
    if failed := [*np.argwhere(end.failed >= 0)]:
      which = ', '.join(str(tuple(map(int, i))) for i in failed)
      where = f' of the images {which} of the batch' if end.failed.ndim else ''
      height, width = end.image.shape[-3:-1]
      raise ValueError(
        f'score: was not finite at step {end.failed.max()}{where}, in '
        f'{height}x{width} pixels'
      )
    yield end.image


def zoom(x: Array, factor: float = 1.05) -> Array:
  """The middle of images, enlarged to their size: the next frame of a zoom.

  Args:
    x: Images ``[..., H, W, C]``.
    factor: By how much, more than 1.
  """
  if not 1 < factor < np.inf:
    raise ValueError(f'factor: got {factor}, expected a number above 1')
  return rescale(x, factor, 'cubic').clip(0, 1)


def _covers(starts: list[int], size: int, n: int) -> np.ndarray:
  """Number of tiles that cover each pixel of an axis: ``[n]``."""
  at = np.arange(n)
  return sum((at >= i) & (at < i + size) for i in starts).astype(np.float32)


@jax.custom_vjp
def _share_gradient(x: Array, weight: Array) -> Array:
  """``x``, whose gradient is weighted by ``[H, W, 1]``."""
  del weight
  return x


def _share_bwd(weight: Array, g: Array) -> tuple[Array, None]:
  return g * weight.reshape((1,) * (g.ndim - 3) + weight.shape), None


_share_gradient.defvjp(lambda x, weight: (x, weight), _share_bwd)


def _starts(n: int, size: int) -> list[int]:
  """The first pixels of tiles that cover an axis of ``n``."""
  count = -(-n // size)
  return np.linspace(0, max(0, n - size), count).round().astype(int).tolist()
