"""Caffe's files, written by the protobuf runtime with Caffe's own types."""

import jax
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from vizlab import io, nets

# Of caffe.proto: number, type and whether it is repeated.
SCHEMA = {
  'BlobShape': {'dim': (1, 'int64', True)},
  'BlobProto': {
    'num': (1, 'int32', False),
    'channels': (2, 'int32', False),
    'height': (3, 'int32', False),
    'width': (4, 'int32', False),
    'data': (5, 'float', True),
    'diff': (6, 'float', True),
    'shape': (7, 'BlobShape', False),
    'double_data': (8, 'double', True),
  },
  'LayerParameter': {
    'name': (1, 'string', False),
    'type': (2, 'string', False),
    'bottom': (3, 'string', True),
    'blobs': (7, 'BlobProto', True),
  },
  'V1LayerParameter': {
    'bottom': (2, 'string', True),
    'name': (4, 'string', False),
    'type': (5, 'int32', False),
    'blobs': (6, 'BlobProto', True),
  },
  'NetParameter': {
    'name': (1, 'string', False),
    'layers': (2, 'V1LayerParameter', True),
    'layer': (100, 'LayerParameter', True),
  },
}
TYPES = {'double': 1, 'float': 2, 'int64': 3, 'int32': 5, 'string': 9}
NUMBERS = {'Convolution': 4, 'InnerProduct': 14, 'Bias': 0}


@pytest.fixture(scope='module')
def net_class():
  file = descriptor_pb2.FileDescriptorProto(
    name='caffe.proto', package='caffe', syntax='proto2'
  )
  for message, fields in SCHEMA.items():
    made = file.message_type.add(name=message)
    for name, (number, kind, repeated) in fields.items():
      field = made.field.add(name=name, number=number, label=1 + 2 * repeated)
      if kind in SCHEMA:
        field.type, field.type_name = 11, f'.caffe.{kind}'
        continue
      field.type = TYPES[kind]
      if repeated and kind != 'string':
        field.options.packed = True
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  found = pool.FindMessageTypeByName('caffe.NetParameter')
  return message_factory.GetMessageClass(found)


def add(net, name, kind, *blobs, former=False, double=False):
  """Adds a layer, as of today or of the time of the VGGs and GoogLeNet."""
  layer = net.layers.add() if former else net.layer.add()
  layer.name, layer.type = name, NUMBERS[kind] if former else kind
  layer.bottom.append('data')
  for value in blobs:
    blob = layer.blobs.add()
    (blob.double_data if double else blob.data).extend(value.ravel().tolist())
    if former:
      four = (1,) * (4 - value.ndim) + value.shape
      blob.num, blob.channels, blob.height, blob.width = four
    else:
      blob.shape.dim.extend(value.shape)


def write(net, path):
  path.write_bytes(net.SerializeToString())
  return path


@pytest.fixture(scope='module')
def arrays():
  draw = np.random.default_rng(0).normal
  return {
    'conv/1x1.weight': draw(size=(4, 3, 1, 1)).astype(np.float32),
    'conv/1x1.bias': draw(size=4).astype(np.float32),
    'fc.weight': draw(size=(2, 4)).astype(np.float32),
    'fc.bias': draw(size=2).astype(np.float32),
    'scale.0': draw(size=(1, 4, 1, 1)).astype(np.float32),
  }


@pytest.mark.parametrize('double', [False, True])
@pytest.mark.parametrize('former', [False, True])
def test_weights_are_read(former, double, net_class, arrays, tmp_path):
  net, how = net_class(name='small'), {'former': former, 'double': double}
  conv, bias, fc, offset, scale = arrays.values()
  add(net, 'conv/1x1', 'Convolution', conv, bias, **how)
  add(net, 'relu', 'Bias', **how)
  add(net, 'fc', 'InnerProduct', fc, offset, **how)
  add(net, 'scale', 'Bias', scale, **how)
  found, header = io.read_tensors(write(net, tmp_path / 'a.caffemodel'))
  assert header == {} and found.keys() == arrays.keys()
  for name, value in found.items():
    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, arrays[name], name)


def test_a_network_of_the_catalog(net_class, tmp_path):
  ours = nets.create('vgg11', classifier=False)
  net = net_class()
  for name, params in nets.get_params(ours).items():
    kernel = np.asarray(params['kernel']).transpose(3, 2, 0, 1)
    bias = np.asarray(params['bias'])
    add(net, name, 'Convolution', kernel, bias, former=True)
  loaded = nets.load(write(net, tmp_path / 'vgg.caffemodel'))
  assert loaded.arch == 'vgg11' and loaded.spec.order == 'bgr'
  for name, params in nets.get_params(ours).items():
    for part, value in params.items():
      same = nets.get_params(loaded)[name][part]
      np.testing.assert_array_equal(same, value, f'{name} {part}')


def test_classifiers_of_the_training_are_left_out(net_class, tmp_path):
  ours = nets.create('googlenet', classes=2)
  net = net_class()
  for name, params in nets.get_params(ours).items():
    kernel, bias = (np.asarray(params[part]) for part in ('kernel', 'bias'))
    conv = kernel.ndim == 4
    kernel = kernel.transpose(3, 2, 0, 1) if conv else kernel.T
    add(net, name, 'Convolution' if conv else 'InnerProduct', kernel, bias)
  add(net, 'loss1/classifier', 'InnerProduct', np.ones((2, 4)), np.ones(2))
  loaded = nets.load(write(net, tmp_path / 'googlenet.caffemodel'))
  assert loaded.arch == 'googlenet'
  for a, b in zip(*map(jax.tree.leaves, (ours, loaded)), strict=True):
    np.testing.assert_array_equal(a, b)


def test_damaged_files(net_class, arrays, tmp_path):
  net = net_class()
  add(net, 'fc', 'InnerProduct', arrays['fc.weight'], arrays['fc.bias'])
  path = write(net, tmp_path / 'a.caffemodel')
  whole = path.read_bytes()
  for part in (whole[:-1], whole[: len(whole) // 2], b'', b'<html>' + whole):
    path.write_bytes(part)
    with pytest.raises(ValueError, match='a.caffemodel is damaged or does not'):
      io.read_tensors(path)
  net.layer[0].blobs[0].shape.dim[0] = 3
  with pytest.raises(ValueError, match="'fc' has 8 numbers, expected those of"):
    io.read_tensors(write(net, path))
