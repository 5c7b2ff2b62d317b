"""Images from coarse to fine: each size starts from the one before."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import jax
import numpy as np

from vizlab.types import Array, whole

__all__ = ['coarse_to_fine', 'octave_sizes']

Size = tuple[int, int]


class _HasImage(Protocol):
  image: Array


_Snapshot = TypeVar('_Snapshot', bound=_HasImage)


def octave_sizes(
  height: int,
  width: int,
  octaves: int,
  scale: float = 2.0,
  least: int = 32,
) -> list[Size]:
  """Heights and widths of octaves, the smallest first.

  Args:
    height: Height of the last octave in pixels.
    width: Width of the last octave in pixels.
    octaves: Number of sizes, at least 1.
    scale: Ratio of each size to the one before, above 1.
    least: Pixels; octaves with a smaller side are left out, but for the last.

  Raises:
    ValueError: No octave, or a scale that is not above 1.
  """
  octaves = whole(octaves, 'octaves')
  if not 1 < scale < np.inf:
    raise ValueError(f'scale: got {scale}, expected a number above 1')
  sizes = [
    (round(height / scale**i), round(width / scale**i)) for i in range(octaves)
  ]
  return [s for s in sizes[:0:-1] if min(s) >= least] + sizes[:1]


def coarse_to_fine(
  optimize_at: Callable[[int, Size, Array], Iterable[_Snapshot]],
  start: Array,
  sizes: Sequence[Size],
  *,
  enlarge: Callable[[Array, Size], Array] | None = None,
) -> Iterator[_Snapshot]:
  """Optimizes an image at each size, starting from the one before.

  Args:
    optimize_at: Function ``(octave, size, start)`` that returns snapshots with
      an ``image``, such as those of `vizlab.optimize.run`.
    start: ``[..., H, W, C]``, the first image, of the first size.
    sizes: Heights and widths in pixels, the smallest first.
    enlarge: Function ``(image, size)`` that returns the start at the next size;
      cubic interpolation by default.

  Yields:
    All snapshots of every size; the last one has the last size.

  Raises:
    ValueError: No size, or a start of another size than the first.
  """
  if not sizes or tuple(np.shape(start)[-3:-1]) != tuple(sizes[0]):
    raise ValueError(
      f'start: got shape {np.shape(start)}, expected that of sizes, {[*sizes]}'
    )
  image = start
  for octave, size in enumerate(sizes):
    if octave:
      start = (enlarge or _cubic)(image, size)
    for snapshot in optimize_at(octave, size, start):
      image = snapshot.image
      yield snapshot


def _cubic(image: Array, size: Size) -> Array:
  *lead, _, _, channels = image.shape
  return jax.image.resize(image, (*lead, *size, channels), 'cubic')
