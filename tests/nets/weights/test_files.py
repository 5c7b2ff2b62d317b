import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import io, nets
from vizlab.nets.layers import BatchNorm, Conv, Dense, Flatten, Pool, ReLU
from vizlab.nets.weights.layouts import LAYOUTS, expected


def write(net, path, **header):
  tensors = {
    f'{layer}/{name}': np.asarray(value[...])
    for layer, params in net.params.items()
    for name, value in params.items()
  }
  return io.write_tensors(path, tensors, header)


@pytest.fixture(scope='module')
def squeezenet():
  return nets.create('squeezenet11', classes=7)


def tensors_of(path):
  return io.read_tensors(path)[0]


@pytest.mark.parametrize('half', [False, True])
def test_saved_and_loaded_again(half, squeezenet, tmp_path):
  source = write(squeezenet, tmp_path / 'source.safetensors')
  path = nets.save(
    squeezenet, tmp_path / 'net.safetensors', source=source, half=half
  )
  again = nets.load(path)
  assert again.arch == 'squeezenet11' and again.spec == squeezenet.spec
  tolerance = 1e-3 if half else 0
  for a, b in zip(
    jax.tree.leaves(squeezenet), jax.tree.leaves(again), strict=True
  ):
    assert b.dtype == jnp.float32
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance / 100)
  header = io.read_tensors(path)[1]
  assert header['source'] == 'source.safetensors'
  assert header['source_sha256'] == io.sha256(source)
  assert json.loads(header['input'])['size'] == 224


def test_what_float16_cannot_hold_is_refused(tmp_path):
  net = nets.create('minivgg')
  huge = jax.tree.map(lambda a: a * 1e6, net)
  with pytest.raises(ValueError, match='conv1_1/kernel holds numbers that'):
    nets.save(huge, tmp_path / 'a.safetensors', half=True)
  assert not list(tmp_path.iterdir())


def test_header_keeps_the_preprocessing(squeezenet, tmp_path):
  caffe = nets.create('squeezenet11', preprocess='caffe', classes=3)
  path = nets.save(caffe, tmp_path / 'net.safetensors')
  assert nets.load(path).spec.order == 'bgr'
  assert nets.load(path, preprocess='torchvision').spec.order == 'rgb'


def test_faults_are_one_error_that_lists_them(squeezenet, tmp_path):
  tensors = tensors_of(write(squeezenet, tmp_path / 'a.safetensors'))
  del tensors['conv1/bias']
  tensors['surprise'] = np.zeros(3)
  tensors['fire2/squeeze1x1/kernel'] = np.zeros((1, 1, 64, 17))
  with pytest.raises(ValueError) as error:
    nets.from_tensors(tensors, arch='squeezenet11')
  message = str(error.value)
  assert 'missing 1: conv1/bias' in message
  assert 'extra 1: surprise' in message
  assert 'misshapen 1: fire2/squeeze1x1/kernel (1, 1, 64, 17)' in message
  assert '\n' not in message


def test_weights_of_another_net_are_recognised(squeezenet, tmp_path):
  path = write(squeezenet, tmp_path / 'a.safetensors')
  with pytest.raises(ValueError, match='these look like squeezenet11 weights'):
    nets.load(path, arch='alexnet')
  with pytest.raises(ValueError, match='does not hold the weights of'):
    nets.from_tensors({'a': np.zeros(3)})


def test_convolution_only_files(tmp_path):
  for name in ('vgg11', 'squeezenet11', 'resnet18'):
    net = nets.create(name, classifier=False)
    path = write(net, tmp_path / f'{name}.safetensors')
    again = nets.load(path)
    assert again.arch == name and not again.has_classifier


def test_non_finite_weights_are_refused(squeezenet, tmp_path):
  tensors = tensors_of(write(squeezenet, tmp_path / 'a.safetensors'))
  tensors['conv1/bias'] = np.full(64, np.nan)
  with pytest.raises(ValueError, match="non-finite numbers in 'conv1/bias'"):
    nets.from_tensors(tensors)


def test_keras_file(tmp_path):
  h5py = pytest.importorskip('h5py')
  net = nets.create('vgg16', classifier=False)
  path = tmp_path / 'vgg16_notop.h5'
  with h5py.File(path, 'w') as file:
    for layer, params in net.params.items():
      stage, number = layer.removeprefix('conv').split('_')
      name = f'block{stage}_conv{number}'
      group = file.create_group(name)
      for key, value in params.items():
        group[f'{name}/{key}:0'] = np.asarray(value[...])
  again = nets.load(path)
  assert again.arch == 'vgg16' and again.spec.order == 'bgr'
  for a, b in zip(jax.tree.leaves(net), jax.tree.leaves(again), strict=True):
    np.testing.assert_array_equal(a, b)


def test_numpy_file_in_the_layout_of_torch(tmp_path):
  net = nets.create('resnet20', key=jax.random.key(3))
  torch_names = {'kernel': 'weight', 'scale': 'weight', 'mean': 'running_mean'}
  torch_names['var'] = 'running_var'
  axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
  tensors = {'bn1.num_batches_tracked': np.int64(7)}
  for layer, params in nets.get_params(net).items():
    for key, value in params.items():
      name = f'{layer}.{torch_names.get(key, key)}'
      tensors[name] = np.transpose(value, axes[value.ndim])
  np.savez(tmp_path / 'net.npz', **tensors)
  again = nets.load(tmp_path / 'net.npz')
  assert again.arch == 'resnet20' and again.spec.size == 32
  jax.tree.map(np.testing.assert_array_equal, again, net)


def test_damaged_numpy_files(tmp_path):
  path = tmp_path / 'net.npz'
  np.savez(path, a=np.zeros(10_000))
  path.write_bytes(path.read_bytes()[:5_000])
  with pytest.raises(ValueError, match='path: .*net.npz is damaged'):
    nets.load(path)
  path.write_text('hello')
  with pytest.raises(ValueError, match='net.npz .*: it is no archive'):
    nets.load(path)
  np.savez(path, a=np.array([{}], object))  # a pickle, which could run code
  with pytest.raises(ValueError, match='path: .*net.npz is damaged'):
    nets.load(path)


OWN = (
  Conv('conv1', 6),
  BatchNorm('norm1'),
  ReLU('relu1'),
  Pool('pool1'),
  Flatten('flat'),
  Dense('fc', 3),
)


def own_tensors():
  rng = np.random.default_rng(0)
  shapes = {
    'body.0.weight': (6, 3, 3, 3),
    'body.0.bias': (6,),
    'body.1.weight': (6,),
    'body.1.bias': (6,),
    'body.1.running_mean': (6,),
    'body.1.running_var': (6,),
    'fc.weight': (3, 6 * 4 * 4),
    'fc.bias': (3,),
  }
  tensors = {k: rng.uniform(0.1, 1, s) for k, s in shapes.items()}
  return tensors | {'body.1.num_batches_tracked': np.int64(1)}


def test_own_layers_and_tensors(tmp_path):
  names = {'conv1': 'body.0', 'norm1': 'body.1'}
  spec = nets.InputSpec(size=8, mean=(0.5,) * 3)
  tensors = own_tensors()
  net = nets.from_layers(OWN, spec, tensors, names=names, arch='mine')
  params = nets.get_params(net)
  ours = params['conv1']['kernel']
  np.testing.assert_allclose(
    ours, tensors['body.0.weight'].transpose(2, 3, 1, 0), rtol=1e-6
  )
  # Torch flattens channels first, vizlab last.
  dense = tensors['fc.weight'].reshape(3, 6, 4, 4).transpose(2, 3, 1, 0)
  np.testing.assert_allclose(
    params['fc']['kernel'], dense.reshape(96, 3), rtol=1e-6
  )
  again = nets.load(nets.save(net, tmp_path / 'mine.safetensors'))
  assert again.arch == 'mine' and again.spec == spec and again.ops == OWN
  jax.tree.map(np.testing.assert_array_equal, again, net)
  flat = {f'{k}/{p}': v for k, d in params.items() for p, v in d.items()}
  same = nets.from_layers(OWN, spec, flat, arch='mine')
  jax.tree.map(np.testing.assert_array_equal, same, net)
  assert nets.from_layers(OWN, spec, flat, pool='avg').rules != same.rules


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'names': {'conv9': 'body.0'}}, "names: got 'conv9', expected one of"),
    (
      {'names': {'conv1': 'body.0', 'norm1': 'body.0'}},
      "names: got 'body.0' for 'conv1' and 'norm1'",
    ),
    ({'names': None}, 'tensors: does not hold .* mine; missing 6: conv1'),
    ({'ops': OWN[:3]}, 'tensors: does not hold .* extra 2: fc.weight, fc.bias'),
    ({'ops': (*OWN, OWN[0])}, "ops: got two layers named 'conv1'"),
    ({'spec': nets.InputSpec(size=16)}, r'misshapen 1: fc.weight \(3, 96\)'),
    ({'pool': 'min'}, "pool: got 'min'"),
  ],
)
def test_own_layers_need_their_tensors(change, message):
  arguments = {
    'ops': OWN,
    'spec': nets.InputSpec(size=8),
    'tensors': own_tensors(),
    'names': {'conv1': 'body.0', 'norm1': 'body.1'},
    **change,
  }
  with pytest.raises(ValueError, match=message):
    nets.from_layers(**arguments, arch='mine')


def test_damaged_and_missing_files(squeezenet, tmp_path):
  path = write(squeezenet, tmp_path / 'a.safetensors')
  cut = tmp_path / 'cut.safetensors'
  cut.write_bytes(path.read_bytes()[:50_000])
  with pytest.raises(ValueError, match='path: .*cut.safetensors is damaged'):
    nets.load(cut)
  with pytest.raises(
    ValueError, match="source: got 'vgg19', expected a weight"
  ):
    nets.load('vgg19')
  with pytest.raises(ValueError, match="arch: got 'vgg99', expected one of"):
    nets.load(tmp_path / 'vgg99.safetensors', arch='vgg99')
  with pytest.raises(ValueError, match='path: no such file: .*b.safetensors'):
    nets.load(tmp_path / 'b.safetensors')
  with pytest.raises(ValueError, match='path: got .*zip, expected a file in'):
    nets.load(tmp_path / 'net.zip')
  with pytest.raises(ValueError, match='expected a name in .safetensors'):
    nets.save(squeezenet, tmp_path / 'net.h5')


SPEC = {'size': 224, 'mean': [0, 0, 0], 'std': [1, 1, 1], 'order': 'rgb'}


@pytest.mark.parametrize(
  ('header', 'message'),
  [
    ({'input': '{"size": "no'}, 'damaged header'),
    ({'input': json.dumps(SPEC | {'std': [1, 0, 1]})}, 'std not 0'),
    ({'input': json.dumps(SPEC | {'size': -1})}, 'size: got -1'),
    ({'input': json.dumps(SPEC | {'scale': None})}, 'scale: got'),
    ({'input': json.dumps(SPEC | {'order': 'xyz'})}, "order: got 'xyz'"),
    ({'format': 'vizlab-99'}, "has format 'vizlab-99', expected 'vizlab-1'"),
  ],
)
def test_wrong_headers_are_told(header, message, squeezenet, tmp_path):
  path = write(squeezenet, tmp_path / 'a.safetensors', **header)
  with pytest.raises(ValueError, match=f'path: .*a.safetensors .*{message}'):
    nets.load(path)


def test_a_part_of_the_classifier_is_a_fault(squeezenet, tmp_path):
  tensors = tensors_of(write(squeezenet, tmp_path / 'a.safetensors'))
  del tensors['conv10/bias']
  with pytest.raises(ValueError, match='missing 1: conv10/bias'):
    nets.from_tensors(tensors)


def test_damaged_keras_files(tmp_path):
  h5py = pytest.importorskip('h5py')
  path = tmp_path / 'a.h5'
  with h5py.File(path, 'w') as file:
    file['lonely'] = np.zeros(3)
  with pytest.raises(ValueError, match='does not hold the weights of'):
    nets.load(path)
  path.write_bytes(path.read_bytes()[:600])
  with pytest.raises(ValueError, match='path: .*a.h5 is damaged'):
    nets.load(path)


def test_torch_file(tmp_path):
  torch = pytest.importorskip('torch')
  net = nets.create('squeezenet11', classes=3)
  layout = LAYOUTS[1]
  entries = expected(layout, net.arch, net.ops, net.spec.shape)
  params = nets.get_params(net)
  state = {}
  for key, entry in entries.items():
    value = np.asarray(params[entry.layer][entry.parameter])
    turned = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
    state[key] = torch.tensor(turned.copy())
  torch.save(state, tmp_path / 'a.pth')
  again = nets.load(tmp_path / 'a.pth')
  wrapped = {f'module.{name}': value for name, value in state.items()}
  torch.save({'state_dict': wrapped}, tmp_path / 'b.pth')
  parallel = jax.tree.leaves(nets.load(tmp_path / 'b.pth'))
  for a, b in zip(parallel, jax.tree.leaves(again), strict=True):
    np.testing.assert_array_equal(a, b)
  torch.save(torch.nn.Linear(2, 2), tmp_path / 'c.pth')
  with pytest.raises(ValueError, match=r'expected a state dict, torch.save\(m'):
    nets.load(tmp_path / 'c.pth')
  for a, b in zip(jax.tree.leaves(net), jax.tree.leaves(again), strict=True):
    np.testing.assert_array_equal(a, b)


# Photos classified rightly of the 22, top-1 and top-5. One photo more or less
# is the difference that resampling makes.
REAL = {
  ('vgg19', 'safetensors'): (21, 22),
  ('vgg19', 'pth'): (21, 22),
  ('vgg19', 'h5'): (21, 22),
  ('squeezenet11', 'safetensors'): (18, 21),
}


def top(net, photos):
  """Numbers of photos whose class comes first, and among the first five."""
  x = jnp.stack([io.read_image(p, shorter=256, crop=224) for p in photos])
  labels = np.array([int(pathlib.Path(p).name[:3]) for p in photos])
  logits = jax.jit(lambda net, x: net(x)[0])(net, x)
  best = np.argsort(-np.asarray(logits), -1)[:, :5]
  hits = best == labels[:, None]
  return int(hits[:, 0].sum()), int(hits.any(1).sum())


@pytest.mark.slow
def test_googlenet_of_caffe_names_real_photos(assets):
  net = nets.load(assets / 'weights' / 'googlenet_bvlc.npz')
  assert net.arch == 'googlenet' and net.spec.order == 'bgr'
  assert top(net, sorted((assets / 'images' / 'labelled').iterdir())) == (
    18,
    22,
  )


@pytest.mark.slow
def test_resnet20_names_images_of_cifar(assets):
  net = nets.load(assets / 'weights' / 'cifar' / 'plain_resnet20.npz')
  with np.load(assets / 'data' / 'cifar10_5000.npz') as file:
    x, labels = file['x_test'] / np.float32(255), file['y_test']
  logits = jax.lax.map(lambda x: net(x)[0], x, batch_size=250)
  hits = np.asarray(logits).argmax(-1) == labels
  assert abs(hits.mean() - 0.915) <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'suffix'), REAL)
def test_real_weights_name_real_photos(name, suffix, assets, tmp_path):
  if suffix != 'safetensors':
    pytest.importorskip({'pth': 'torch', 'h5': 'h5py'}[suffix])
  source = tmp_path / f'{name}.{suffix}'
  unpack = assets / 'weights' / 'unpack.py'
  subprocess.run([sys.executable, unpack, name, source], check=True)
  net = nets.load(source, preprocess='caffe')
  source.unlink()
  photos = sorted((assets / 'images' / 'labelled').iterdir())
  first, five = top(net, photos)
  assert abs(first - REAL[name, suffix][0]) <= 1
  assert abs(five - REAL[name, suffix][1]) <= 1
