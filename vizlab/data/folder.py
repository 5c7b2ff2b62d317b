"""Resumable batches of photos from a folder, decoded by threads."""

import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from vizlab.io import read_image

__all__ = ['Batch', 'folder', 'photos']

_SUFFIXES = frozenset(
  ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
)


class Batch(NamedTuple):
  """Batch of photos.

  Attributes:
    images: float32 ``[B, size, size, 3]``, RGB in [0, 1]. ``B`` is smaller than
      the batch size at the end of the folder or if photos are skipped; it may
      be 0.
    names: Name of each image's file, relative to the folder.
    skipped: Name and reason for each file of the batch that cannot be read.
  """

  images: np.ndarray
  names: tuple[str, ...]
  skipped: tuple[tuple[str, str], ...]


class _Photo(NamedTuple):
  """Photo that was read, or the reason why it could not be read."""

  name: str
  image: np.ndarray | None
  reason: str


def photos(path: str | os.PathLike) -> tuple[str, ...]:
  """Lists the photos of a folder and its subfolders.

  A photo is a file with the suffix bmp, gif, jpeg, jpg, png, tif, tiff or webp,
  in any case. Hidden files and folders (names that start with a dot) are
  ignored.

  Args:
    path: The folder.

  Returns:
    Names relative to the folder with ``/`` between the parts, sorted by code
    point, so that the order is the same on every machine.

  Raises:
    ValueError: The folder does not exist or holds no photo.
  """
  root = pathlib.Path(path).expanduser()
  if not root.is_dir():
    what = 'a file' if root.exists() else 'no such folder'
    raise ValueError(f'path: got {path} ({what}), expected a folder of photos')
  files = (
    file.relative_to(root)
    for file in root.rglob('*')
    if file.suffix.lower() in _SUFFIXES and not file.is_dir()
  )
  names = sorted(
    file.as_posix()
    for file in files
    if not any(part.startswith('.') for part in file.parts)
  )
  if not names:
    raise ValueError(
      f'path: got {path} with no photo in it, expected a folder of files '
      f'that end in {", ".join(sorted(_SUFFIXES))}'
    )
  return tuple(names)


def folder(
  path: str | os.PathLike,
  *,
  size: int,
  shorter: int | None = None,
  batch_size: int,
  start: int = 0,
  step: int = 1,
  workers: int = 0,
) -> Iterator[Batch]:
  """Streams a folder of photos in batches.

  Batch ``k`` holds the files from index ``k * batch_size`` of `photos` on,
  without those that cannot be read. So a stream that starts at batch ``k`` is
  the tail of a stream that starts at 0, several processes can divide the
  batches, and neither a damaged file nor the number of workers changes them. At
  most two batches and the yielded one are in memory.

  Args:
    path: A folder of photos, in the formats that `photos` lists.
    size: Side in pixels of the square cut from the centre.
    shorter: Length in pixels to which the shorter side is resized before the
      crop, at least ``size``. ``None`` does not resize and skips smaller
      photos.
    batch_size: Number of files per batch; the last one may have fewer.
    start: Index of the first batch; the stream is empty if it is past the last
      one.
    step: Step between batches: every ``step``-th batch is read.
    workers: Number of threads that decode ahead; 0 decodes each photo when its
      batch is requested.

  Returns:
    An iterator of `Batch`.

  Raises:
    ValueError: The folder does not exist or holds no photo, a number is out of
      range, or Grain is not installed.
  """
  names = photos(path)
  least = {'size': size, 'batch_size': batch_size, 'step': step}
  for name, value in least.items():
    if value < 1:
      raise ValueError(f'{name}: got {value}, expected at least 1')
  for name, value in {'start': start, 'workers': workers}.items():
    if value < 0:
      raise ValueError(f'{name}: got {value}, expected 0 or more')
  if shorter is not None and shorter < size:
    raise ValueError(
      f'shorter: got {shorter}, expected at least the size of {size} pixels'
    )
  grain = _need_grain()
  Image.init()  # loads all decoders; not thread-safe
  # Threads and not processes: decoding releases the interpreter's lock, and a
  # process that runs JAX must not fork.
  reading = grain.ReadOptions(
    num_threads=workers,
    prefetch_buffer_size=max(workers, 2 * batch_size) if workers else 0,
  )
  firsts = range(start * batch_size, len(names), step * batch_size)
  chosen = [name for i in firsts for name in names[i : i + batch_size]]
  stream = (
    grain.MapDataset.source(chosen)
    .map(_reader(pathlib.Path(path).expanduser(), size, shorter))
    .to_iter_dataset(reading)
    .batch(batch_size, batch_fn=_collate(size))
  )
  return _closing(stream)


def _closing(stream: Any) -> Iterator[Batch]:
  """Iterates over a Grain dataset and closes its threads at the end."""
  batches = iter(stream)
  try:
    yield from batches
  finally:
    batches.close()


def _reader(
  root: pathlib.Path, size: int, shorter: int | None
) -> Callable[[str], _Photo]:
  def read(name: str) -> _Photo:
    try:
      image = read_image(root / name, shorter=shorter, crop=size)
    except Exception as error:  # decoders raise many types
      reason = str(error) if isinstance(error, ValueError) else repr(error)
      reason = ' '.join(reason.replace(f'{root}{os.sep}', '').split())
      return _Photo(name, None, reason)
    return _Photo(name, image, '')

  return read


def _collate(size: int) -> Callable[[Sequence[_Photo]], Batch]:
  def collate(read: Sequence[_Photo]) -> Batch:
    good = [photo for photo in read if photo.image is not None]
    images = np.array([photo.image for photo in good], np.float32)
    return Batch(
      images.reshape(-1, size, size, 3),
      tuple(photo.name for photo in good),
      tuple(
        (photo.name, photo.reason) for photo in read if photo.image is None
      ),
    )

  return collate


def _need_grain() -> Any:
  try:
    import grain
  except ImportError as error:
    raise ValueError(
      'path: streaming a folder needs grain; install it with: '
      "pip install -e '.[scale]'"
    ) from error
  return grain
