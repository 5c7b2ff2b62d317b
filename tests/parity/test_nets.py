"""Every net equals its torch statement: logits and three inner layers."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import jit_once

from vizlab import nets

pytestmark = pytest.mark.slow

torch = pytest.importorskip('torch')
torch_nets = pytest.importorskip('torch_nets')
torch_inner = pytest.importorskip('torch_inner')

SIZES = {
  'alexnet': 95,
  'caffe_alexnet': 99,
  'alexnet_cam': 99,
  'zfnet': 97,
  'minivgg': 48,
  'inception_v3': 107,
  'vit_b_16': 224,
}


def relative(ours, theirs):
  theirs = theirs.detach().numpy()
  if theirs.ndim == 4:
    theirs = theirs.transpose(0, 2, 3, 1)
  if ours.ndim == 4 and theirs.ndim == 3:  # tokens, a map of one row
    theirs = theirs[:, None]
  assert ours.shape == theirs.shape
  return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


CLASSIFIERS = [n for n in nets.names() if nets.architecture(n).head]


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_net_equals_torch(name):
  model = torch_nets.build(name, classes=10)
  seen = {}
  for path, layer in torch_inner.INNER[name].items():
    model.get_submodule(path).register_forward_hook(
      lambda module, args, y, layer=layer: seen.__setitem__(layer, y.clone())
    )
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  net = nets.from_tensors(state, arch=name)
  size = SIZES.get(name, 64)
  # An odd size and one that is not square.
  x = jax.random.uniform(jax.random.key(1), (2, size, size + 9, 3))
  inputs = np.asarray(net.spec(x)).transpose(0, 3, 1, 2)
  with torch.no_grad():
    expected = model(torch.tensor(inputs))
  del model, state, inputs  # several hundred megabytes each
  # One as users compile it.
  jit = jax.jit if name == 'resnet18' else jit_once
  logits, acts = jit(lambda net, x: net(x))(net, x)
  assert relative(logits, expected) < 1e-4
  assert set(seen) == set(torch_inner.INNER[name].values())
  for layer, value in seen.items():
    assert relative(acts[layer], value) < 1e-4, layer


@pytest.mark.parametrize(
  'name', ['alexnet', 'squeezenet11', 'resnet50', 'vgg11_bn', 'inception_v3']
)
def test_the_architecture_is_found_from_the_names(name):
  model = torch_nets.build(name, classes=7)
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  assert nets.from_tensors(state).arch == name


def test_names_of_the_published_densenet():
  model = torch_nets.build('densenet121', classes=3)
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  former = {
    re.sub(r'(denselayer\d+)\.(norm|conv)([12])', r'\1.\2.\3', k): v
    for k, v in state.items()
  }
  assert former.keys() != state.keys()
  assert 'features.denseblock2.denselayer3.norm.1.running_var' in former
  one, other = map(nets.from_tensors, (state, former))
  assert one.arch == other.arch == 'densenet121'
  for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
    np.testing.assert_array_equal(a, b)


def test_names_of_the_published_vision_transformer():
  """``mlp.linear_1`` in the file, ``mlp.0`` in the models of today."""
  model = torch_nets.build('vit_b_16', classes=3)
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  former = {
    k.replace('mlp.0.', 'mlp.linear_1.').replace('mlp.3.', 'mlp.linear_2.'): v
    for k, v in state.items()
  }
  assert former.keys() != state.keys()
  assert 'encoder.layers.encoder_layer_11.mlp.linear_2.bias' in former
  net = nets.from_tensors(former)
  assert net.arch == 'vit_b_16'
  for i, part in ((0, 'linear_1'), (3, 'linear_2')):
    name = 'encoder.layers.encoder_layer_11.mlp.'
    kernel = nets.get_params(net)[name + part]['kernel']
    np.testing.assert_array_equal(kernel, state[f'{name}{i}.weight'].T)


def test_average_pooling_equals_torch():
  model = torch_nets.build('vgg11', classes=3)
  features = [
    torch.nn.AvgPool2d(2) if isinstance(m, torch.nn.MaxPool2d) else m
    for m in model.features
  ]
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  net = nets.from_tensors(state, pool='avg')
  x = jnp.ones((1, 45, 40, 3)) * jnp.linspace(0, 1, 40)[None, None, :, None]
  with torch.no_grad():
    inputs = torch.tensor(np.array(net.spec(x).transpose(0, 3, 1, 2)))
    expected = torch.nn.Sequential(*features)(inputs)
  assert relative(net(x)[1]['pool5'], expected) < 1e-4
