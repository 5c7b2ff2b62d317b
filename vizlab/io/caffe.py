"""Weights in Caffe's files (``.caffemodel``), by the protobuf runtime.

Only the messages of ``caffe.proto`` that hold weights are declared; the runtime
skips all other fields.
"""

import functools
import math
import pathlib
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ['read_caffe']

_PACKAGE = 'vizlab.caffe'
# Field: its number and type, with a star if it is repeated. Packed numbers are
# bytes in the file, and are read as such: as a list they would take gigabytes.
_MESSAGES = {
  'Shape': {'dim': (1, '*int64')},
  'Blob': {
    'num': (1, 'int32'),
    'channels': (2, 'int32'),
    'height': (3, 'int32'),
    'width': (4, 'int32'),
    'data': (5, '*bytes'),
    'shape': (7, 'Shape'),
    'double_data': (8, '*bytes'),
  },
  'Layer': {
    'name': (1, 'string'),
    'type': (2, 'string'),
    'blobs': (7, '*Blob'),
  },
  'FormerLayer': {
    'name': (4, 'string'),
    'type': (5, 'int32'),
    'blobs': (6, '*Blob'),
  },
  'Net': {'layers': (2, '*FormerLayer'), 'layer': (100, '*Layer')},
}
_TYPES = {'int32': 5, 'int64': 3, 'string': 9, 'bytes': 12}
_DENSE = ('InnerProduct', 14)  # types of fully connected layers
_WEIGHTS = ('Convolution', 4, *_DENSE)


def read_caffe(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads the weights of a file.

  Args:
    path: A ``.caffemodel`` file.

  Returns:
    ``layer.weight``, ``[D, C, H, W]`` or ``[D, C]``, and ``layer.bias`` of
    convolutions and fully connected layers, ``layer.0`` and so on of others.

  Raises:
    ValueError: The file is damaged.
  """
  net = _message('Net')()
  net.ParseFromString(path.read_bytes())
  tensors = {}
  for layer in [*net.layers, *net.layer]:
    usual = layer.type in _WEIGHTS
    for i, blob in enumerate(layer.blobs):
      part = ('weight', 'bias')[i] if usual and i < 2 else str(i)
      value = _values(blob, layer.name)
      if part == 'bias':
        value = value.reshape(-1)
      elif part == 'weight' and layer.type in _DENSE:
        value = value.reshape(value.shape[-2:])  # formerly of four axes
      tensors[f'{layer.name}.{part}'] = value
  if not tensors:
    raise ValueError('it holds no weights')
  return tensors


def _values(blob: Any, layer: str) -> np.ndarray:
  """Numbers of a blob, in its shape."""
  wide = np.frombuffer(b''.join(blob.double_data), '<f8')
  values = np.frombuffer(b''.join(blob.data), '<f4') if blob.data else wide
  shape = tuple(blob.shape.dim)
  if not blob.HasField('shape'):
    shape = blob.num, blob.channels, blob.height, blob.width
  if len(values) != math.prod(shape):
    raise ValueError(
      f'{layer!r} has {len(values)} numbers, expected those of shape {shape}'
    )
  return values.astype(np.float32).reshape(shape)


@functools.cache
def _message(name: str) -> Any:
  """Class of a message."""
  file = descriptor_pb2.FileDescriptorProto(
    name='vizlab_caffe.proto', package=_PACKAGE, syntax='proto2'
  )
  for message, fields in _MESSAGES.items():
    made = file.message_type.add(name=message)
    for field, (number, kind) in fields.items():
      word = kind.removeprefix('*')
      added = made.field.add(
        name=field, number=number, label=3 if kind != word else 1
      )
      if word in _MESSAGES:
        added.type, added.type_name = 11, f'.{_PACKAGE}.{word}'
      else:
        added.type = _TYPES[word]
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  found = pool.FindMessageTypeByName(f'{_PACKAGE}.{name}')
  return message_factory.GetMessageClass(found)
