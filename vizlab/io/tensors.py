"""Reading and writing of named tensors."""

import json
import os
import pathlib
import pickle
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from vizlab.io.files import write_atomic

__all__ = [
  'FORMATS',
  'check_reader',
  'read_header',
  'read_tensors',
  'write_tensors',
]

Tensors = dict[str, np.ndarray]


def read_tensors(path: str | os.PathLike) -> tuple[Tensors, dict[str, str]]:
  """Reads the tensors and the header of a file.

  Args:
    path: A ``.safetensors``, ``.npz``, ``.pth``/``.pt`` (a state dict, read
      with ``weights_only``, so that no code of the file runs; needs torch),
      Keras ``.h5`` (needs h5py) or Caffe ``.caffemodel`` file.

  Returns:
    ``{name: array}``, and the header ``{key: text}`` (empty for formats
    without one).

  Raises:
    ValueError: The file is missing, damaged, or of an unknown format.
  """
  path = pathlib.Path(path)
  read = _READERS.get(path.suffix)
  if read is None:
    raise ValueError(
      f'path: got {path}, expected a file in one of {[*FORMATS]}'
    )
  if not path.is_file():
    raise ValueError(f'path: no such file: {path}')
  return read(path)


def write_tensors(
  path: str | os.PathLike,
  tensors: Mapping[str, np.ndarray],
  header: Mapping[str, str],
) -> pathlib.Path:
  """Writes a ``.safetensors`` file, atomically.

  The same tensors and header give the same bytes.
  """
  arrays = {
    name: np.ascontiguousarray(value) for name, value in tensors.items()
  }
  data = safetensors.numpy.save(arrays, dict(header))
  start = 8 + int.from_bytes(data[:8], 'little')
  # The library writes the entries of the header in a random order.
  written = json.dumps(json.loads(data[8:start]), sort_keys=True)
  head = written.encode() + b' ' * (-len(written.encode()) % 8)
  parts = len(head).to_bytes(8, 'little'), head, memoryview(data)[start:]
  return write_atomic(path, lambda file: file.writelines(parts))


def read_header(path: str | os.PathLike) -> dict[str, str]:
  """Reads the header of a ``.safetensors`` file; empty for another format."""
  path = pathlib.Path(path)
  if path.suffix != '.safetensors' or not path.is_file():
    return {}
  try:
    with safetensors.safe_open(path, 'numpy') as file:
      return dict(file.metadata() or {})
  except Exception as error:  # safetensors raises many types
    raise _damaged(path, error) from error


def _damaged(path: pathlib.Path, why: object) -> ValueError:
  reason = ' '.join(str(why).split())[:200]
  return ValueError(
    f'path: {path} is damaged or does not match its suffix: {reason}'
  )


def _read_safetensors(path: pathlib.Path) -> tuple[Tensors, dict[str, str]]:
  try:
    with safetensors.safe_open(path, 'numpy') as file:
      tensors = {name: file.get_tensor(name) for name in file.keys()}
      return tensors, dict(file.metadata() or {})
  except (safetensors.SafetensorError, TypeError, OSError) as error:
    raise _damaged(path, error) from error


def _read_numpy(path: pathlib.Path) -> tuple[Tensors, dict[str, str]]:
  if not zipfile.is_zipfile(path):  # NumPy would try other formats
    raise _damaged(path, 'it is no archive of arrays')
  try:
    with path.open('rb') as raw, np.load(raw, allow_pickle=False) as file:
      return dict(file), {}
  except Exception as error:  # NumPy and zipfile raise many types
    raise _damaged(path, error) from error


def _read_torch(path: pathlib.Path) -> tuple[Tensors, dict[str, str]]:
  torch = _need('torch', path)
  try:
    state = torch.load(path, map_location='cpu', weights_only=True)
    state = state.get('state_dict', state)
    # torch.nn.DataParallel puts every module into another one.
    wrapped = all(name.startswith('module.') for name in state)
    return {
      name.removeprefix('module.') if wrapped else name: t.float().numpy()
      for name, t in state.items()
    }, {}
  except pickle.UnpicklingError as error:
    expected = 'expected a state dict, torch.save(model.state_dict(), path)'
    raise _damaged(path, expected) from error
  except Exception as error:  # torch raises many types
    raise _damaged(path, error) from error


def _read_keras(path: pathlib.Path) -> tuple[Tensors, dict[str, str]]:
  h5py = _need('h5py', path)
  tensors: Tensors = {}

  def visit(name: str, item: Any) -> None:
    if isinstance(item, h5py.Dataset):
      # 'block1_conv1/block1_conv1/kernel:0' -> 'block1_conv1/kernel'
      layer, _, parameter = name.rpartition('/')
      layer = layer.partition('/')[0]
      tensors[f'{layer}/{parameter.partition(":")[0]}'] = item[()]

  try:
    with h5py.File(path, 'r') as file:
      file.get('model_weights', file).visititems(visit)
  except Exception as error:  # h5py raises many types
    raise _damaged(path, error) from error
  return tensors, {}


def _read_caffe(path: pathlib.Path) -> tuple[Tensors, dict[str, str]]:
  from vizlab.io.caffe import read_caffe  # imports protobuf, which takes long

  try:
    return read_caffe(path), {}
  except Exception as error:  # protobuf raises errors of its own
    raise _damaged(path, error) from error


def check_reader(path: str | os.PathLike) -> None:
  """Raises a `ValueError` if a package that reads such a file is missing."""
  path = pathlib.Path(path)
  if module := _NEEDED.get(path.suffix):
    _need(module, path)


def _need(module: str, path: pathlib.Path) -> Any:
  try:
    return __import__(module)
  except ModuleNotFoundError as error:
    raise ValueError(
      f'path: reading {path.suffix} files needs {module}; '
      "install it with: pip install 'vizlab[weights]'"
    ) from error


_NEEDED = {'.pth': 'torch', '.pt': 'torch', '.h5': 'h5py', '.hdf5': 'h5py'}
_READERS: dict[
  str, Callable[[pathlib.Path], tuple[Tensors, dict[str, str]]]
] = {
  '.safetensors': _read_safetensors,
  '.npz': _read_numpy,
  '.pth': _read_torch,
  '.pt': _read_torch,
  '.h5': _read_keras,
  '.hdf5': _read_keras,
  '.caffemodel': _read_caffe,
}
FORMATS = tuple(sorted(_READERS))  # suffixes of files of tensors
