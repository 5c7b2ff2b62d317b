"""Images of a data set, read when they are needed: scenes, or photos."""

import functools
import pathlib
from collections.abc import Callable, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab.data.scenes import scene
from vizlab.runs import stopping
from vizlab.runs.inputs import picture_paths, read_square
from vizlab.runs.settings import need_positive

__all__ = ['Images', 'crops', 'load_images', 'of_photos', 'of_scenes']

# Bytes up to which images are kept once they were read.
_KEPT = 2**30
_DRAWN = (8, 32)  # scenes drawn by one call: few, or many


class Images:
  """Square images ``[N, size, size, 3]`` in [0, 1], read by index.

  ``images[i]``, ``images[2:5]`` and ``images[[4, 1]]`` are arrays. All images
  are kept in memory if they fit into one gigabyte; others are read again each
  time, so that the memory does not grow with their number.

  Attributes:
    size: Their side in pixels.
    names: Name of each image, for titles.
  """

  def __init__(
    self,
    names: Sequence[str],
    size: int,
    read: Callable[[np.ndarray], np.ndarray],
  ) -> None:
    """Images that ``read`` returns for an array of indices."""
    self.names = tuple(names)
    self.size = size
    self._read = read
    fits = len(self) * size * size * 3 * 4 <= _KEPT
    self._kept: dict[int, np.ndarray] | None = {} if fits else None

  def __len__(self) -> int:
    return len(self.names)

  def __getitem__(self, rows: int | slice | Sequence[int]) -> np.ndarray:
    """Reads some images; raises an `IndexError` for one that is not there."""
    if isinstance(rows, slice):
      rows = range(len(self))[rows]
    at = np.asarray(rows, int)
    if at.size and not 0 <= at.min() <= at.max() < len(self):
      raise IndexError(f'images: got {rows}, expected 0 to {len(self) - 1}')
    images = self._some(at.reshape(-1))
    return images.reshape(*at.shape, *images.shape[1:])

  def _some(self, at: np.ndarray) -> np.ndarray:
    if not at.size:
      return np.zeros((0, self.size, self.size, 3), np.float32)
    if self._kept is None:
      return self._read(at)
    missing = np.array([i for i in at if i not in self._kept], int)
    if missing.size:
      for i, image in zip(missing, self._read(missing), strict=True):
        self._kept[int(i)] = image.copy()  # a view would keep them all
    return np.stack([self._kept[i] for i in at])


def load_images(config: ConfigDict, size: int) -> Images:
  """Images that ``config.photos`` names, or else ``config.scenes`` scenes.

  Scenes of two objects, drawn from ``config.seed``. Photos are all decoded
  once, so that a damaged one is an error before anything is written.
  """
  need_positive(config, 'scenes')
  if config.photos:
    return of_photos(picture_paths(config, 'photos'), size)
  return of_scenes(config.seed, config.scenes, size)


def of_scenes(seed: int, count: int, size: int) -> Images:
  """The first ``count`` scenes of two objects of a seed."""

  def read(at: np.ndarray) -> np.ndarray:
    key = jax.random.key(seed)
    # Of two lengths, so that two programs draw all.
    some = _DRAWN[len(at) > _DRAWN[0]]
    padded = np.resize(at, -(-len(at) // some) * some)
    drawn = [
      np.asarray(_drawn(key, padded[i : i + some], size))
      for i in range(0, len(padded), some)
    ]
    return np.concatenate(drawn)[: len(at)]

  return Images([f'scene {i}' for i in range(count)], size, read)


@functools.partial(jax.jit, static_argnames='size')
def _drawn(key: jax.Array, at: jax.Array, size: int) -> jax.Array:
  return jax.lax.map(
    lambda i: scene(jax.random.fold_in(key, i), objects=2, size=size).image, at
  )


def of_photos(
  paths: Sequence[str], size: int, setting: str = 'photos'
) -> Images:
  """Central squares of the photos of a setting, all of which can be decoded."""

  def read(at: np.ndarray) -> np.ndarray:
    return np.stack([read_square(setting, paths[i], size) for i in at])

  images = Images([pathlib.Path(path).name for path in paths], size, read)
  for i in range(len(images)):
    stopping.check()
    images[i]
  return images


def crops(
  config: ConfigDict, images: Images, step: int, count: int
) -> np.ndarray:
  """Squares of random images, half of them mirrored.

  Args:
    config: Its ``size`` and ``seed`` are read.
    images: The images, at least as large.
    step: Step of the training, which determines them.
    count: Number of squares.
  """
  key = jax.random.fold_in(jax.random.key(config.seed), step)
  chosen, top, left, mirrored = (
    np.asarray(jax.random.randint(k, (count,), 0, most))
    for k, most in zip(
      jax.random.split(key, 4),
      (len(images), *[images.size - config.size + 1] * 2, 2),
      strict=True,
    )
  )
  size = config.size
  return np.stack(
    [
      image[y : y + size, x : x + size][:, :: 1 - 2 * m]
      for image, y, x, m in zip(
        images[chosen], top, left, mirrored, strict=True
      )
    ]
  )
