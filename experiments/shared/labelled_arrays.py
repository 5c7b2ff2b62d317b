"""Images and their labels in an .npz file, as data sets are kept."""

import pathlib
import zipfile

import numpy as np
from ml_collections import ConfigDict

__all__ = ['read_arrays']

_MOST = 1_000_000  # classes


def read_arrays(
  config: ConfigDict, *parts: str, count: int | None = None
) -> tuple[np.ndarray, ...]:
  """Reads images and labels from ``config.data``.

  Args:
    config: The config.
    parts: Names such as ``'test'``, of the arrays ``x_test``, uint8
      ``[N, H, W, 3]``, and ``y_test``, whole numbers ``[N]``.
    count: Number of the first images that are read; all by default.

  Returns:
    Images of each part as float32 in [0, 1], and their labels as int32.
  """
  path = pathlib.Path(config.data).expanduser()
  if not path.is_file():
    raise ValueError(f'config.data: no such file: {path}')
  names = [f'{kind}_{part}' for part in parts for kind in 'xy']
  try:
    with path.open('rb') as stream, np.load(stream) as file:
      held = {name: file[name] for name in file.files if name in names}
      others = file.files
  except (
    AttributeError, EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile
  ) as error:  # fmt: skip
    raise ValueError(f'config.data: {path} is no .npz of arrays') from error
  if {*names} - {*held}:
    raise ValueError(
      f'config.data: {path} holds {others}, expected {" and ".join(names)}'
    )
  arrays = []
  for images, labels in zip(names[::2], names[1::2], strict=True):
    x, y = held[images][:count], held[labels][:count]
    right = x.ndim == 4 and x.shape[3] == 3 and x.dtype == np.uint8
    right = right and y.shape == x.shape[:1] and y.dtype.kind in 'iu'
    if not right or not len(x) or not 0 <= y.min() <= y.max() < _MOST:
      raise ValueError(
        f'config.data: got {images} {x.dtype} {x.shape} and {labels} '
        f'{y.dtype} {y.shape}, expected uint8 [N, H, W, 3] and whole numbers '
        f'from 0, below {_MOST}'
      )
    arrays += [x / np.float32(255), y.astype(np.int32)]
  return tuple(arrays)
