"""Architectures of one's own, written to a file and read again."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from tools import make_tiny

from vizlab import io, nets, rules
from vizlab.nets.graph import init_params
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.layers import (
  Add,
  BatchNorm,
  Conv,
  Dense,
  Flatten,
  Layer,
  Pool,
  ReLU,
)
from vizlab.nets.network import Network
from vizlab.rules import PoolWindow


@dataclasses.dataclass(frozen=True)
class Scale(Layer):
  """Every number times one that is no parameter."""

  by: float = 2.0

  def __call__(self, params, rules, *xs):
    return xs[0] * self.by


def network(*last, spec=InputSpec(12, (0.5,) * 3, (0.25,) * 3, order='bgr')):
  ops = (
    Conv('conv1', 4, kernel=(5, 3), stride=2, padding=(2, 1), bias=False),
    BatchNorm('norm1', epsilon=1e-3),
    ReLU('relu1'),
    Conv('conv2', 4),
    Add('add', inputs=('conv2', 'relu1')),
    Pool('pool', PoolWindow(3, 2, 1, ceil=True)),
    *last,
    Flatten('flat'),
    Dense('fc', 3),
  )
  size = (spec.size, spec.size, 3)
  params = init_params(ops, size, jax.random.key(0))
  params['norm1'] = {
    name: 1 + 0.1 * jax.random.normal(jax.random.key(i), (4,)) ** 2
    for i, name in enumerate(params['norm1'])
  }
  pooled = rules.Rules(pool=rules.avg_pool)
  return Network('mine', ops, spec, params, pooled)


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(1), (2, 12, 12, 3))


def assert_same(net, again, x):
  assert type(again) is Network
  assert (again.arch, again.ops, again.spec) == (net.arch, net.ops, net.spec)
  logits, acts = net(x)
  others = again(x)[1]
  assert acts.keys() == others.keys() and logits.any()
  for name, a in acts.items():
    np.testing.assert_array_equal(a, others[name], name)


def test_a_net_of_ones_own_comes_back(x, tmp_path):
  net = network(Scale('scale', 0.5))
  assert_same(net, nets.load(nets.save(net, tmp_path / 'a.safetensors')), x)
  again = nets.load(tmp_path / 'a.safetensors', pool='max')
  assert not np.allclose(net(x)[0], again(x)[0])
  tiny = make_tiny(0)
  assert_same(tiny, nets.load(nets.save(tiny, tmp_path / 'b.safetensors')), x)


def test_a_known_name_with_other_layers_comes_back(x, tmp_path):
  known = nets.create('squeezenet11', classes=2)
  path = nets.save(known, tmp_path / 'a.safetensors')
  assert 'layers' not in io.read_tensors(path)[1]
  ops = (*network().ops[:-1], Dense('fc', 5))
  params = init_params(ops, (12, 12, 3), jax.random.key(2))
  changed = Network('squeezenet11', ops, network().spec, params)
  assert_same(
    changed, nets.load(nets.save(changed, tmp_path / 'b.safetensors')), x
  )
  with pytest.raises(ValueError, match='does not hold the weights of squeeze'):
    nets.load(tmp_path / 'b.safetensors', arch='squeezenet11')


def test_a_class_that_cannot_be_imported_is_given(x, tmp_path):
  @dataclasses.dataclass(frozen=True)
  class Halve(Layer):
    def __call__(self, params, rules, *xs):
      return xs[0] / 2

  net = network(Halve('halve'))
  path = nets.save(net, tmp_path / 'a.safetensors')
  with pytest.raises(
    ValueError, match=r'cannot be imported .*expected layers='
  ):
    nets.load(path)
  assert_same(net, nets.load(path, layers=[Halve]), x)


def test_what_json_does_not_hold_is_not_written(tmp_path):
  net = network(Scale('scale', np.ones(3)))
  with pytest.raises(ValueError, match="net: layer 'scale' has a field of"):
    nets.save(net, tmp_path / 'a.safetensors')
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'kind': 'Cone'}, "got the class 'Cone', expected one of .* 'Conv'"),
    ({'kind': 'os:getcwd'}, "'os:getcwd', expected a subclass of Layer"),
    ({'kind': 'os:gone'}, "class 'gone' of 'os', which cannot be imported"),
    ({'kind': 'PoolWindow', 'size': 5}, 'PoolWindow has no field'),
    ({'features': 5}, r'misshapen .: conv2/kernel \(3, 3, 4, 4\), expected'),
    ({'name': 'conv3'}, 'missing 2: conv3/kernel, conv3/bias; extra 2: conv2'),
    ({'sides': 3}, "Conv has no field 'sides', expected some of .*'features'"),
  ],
)
def test_wrong_headers_are_told(change, message, tmp_path):
  path = nets.save(network(), tmp_path / 'a.safetensors')
  tensors, header = io.read_tensors(path)
  layers = json.loads(header['layers'])
  layers[3] |= change
  layers[4]['inputs'] = [layers[3]['name'], 'relu1']
  header['layers'] = json.dumps(layers)
  with pytest.raises(ValueError, match=f'path: .*a.safetensors.*{message}'):
    nets.load(io.write_tensors(path, tensors, header))


@pytest.mark.parametrize('text', ['{', '[3]', '7', '[{"kind": "Conv"}]'])
def test_damaged_headers_are_told(text, tmp_path):
  path = nets.save(network(), tmp_path / 'a.safetensors')
  tensors, header = io.read_tensors(path)
  with pytest.raises(ValueError, match=r'path: .*a\.safetensors'):
    nets.load(io.write_tensors(path, tensors, header | {'layers': text}))
  del header['input']
  with pytest.raises(ValueError, match='damaged header'):
    nets.load(io.write_tensors(path, tensors, header))
