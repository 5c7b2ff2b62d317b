"""New classes, copied layers and groups of parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vizlab import nets, rules
from vizlab.nets.graph import init_params
from vizlab.nets.layers import BatchNorm, Conv, Dense, GlobalPool, ReLU


def small(key=0, width=4, classes=3):
  ops = (
    Conv('conv1', width),
    BatchNorm('bn1'),
    ReLU('relu1'),
    Conv('conv2', 5),
    GlobalPool('gap'),
    Dense('fc', classes),
  )
  spec = nets.InputSpec(size=8)
  params = init_params(ops, spec.shape, jax.random.key(key))
  return nets.Network('small', ops, spec, params)


PARAMS = nets.get_params(small())


def test_new_classes_keep_all_other_layers():
  net = rules.with_rules(small(), relu=rules.guided_relu)
  net = nets.with_dtype(net, 'bfloat16')
  new = nets.with_classes(net, 7, key=jax.random.key(1))
  x = jax.random.uniform(jax.random.key(2), (2, 8, 8, 3))
  logits, acts = new(x)
  assert logits.shape == (2, 7) and acts['gap'].shape == (2, 5)
  np.testing.assert_array_equal(acts['gap'], net(x)[1]['gap'])
  assert new.rules == net.rules and new.dtype == 'bfloat16'
  kernel = nets.get_params(new)['fc']['kernel']
  drawn = init_params(new.ops, new.spec.shape, jax.random.key(1))['fc']
  np.testing.assert_array_equal(kernel, drawn['kernel'])
  other = nets.with_classes(net, 7, key=jax.random.key(3))
  assert not jnp.allclose(kernel, nets.get_params(other)['fc']['kernel'])
  assert kernel.std() > 0 and not nets.get_params(new)['fc']['bias'].any()
  assert net(x)[0].shape == (2, 3)


def test_classes_may_come_from_a_convolution():
  net = nets.with_classes(nets.create('squeezenet11'), 5, key=jax.random.key(0))
  assert nets.layer_info(net, 64)[-1].shape == (5,)
  assert nets.get_params(net)['conv10']['kernel'].shape[-1] == 5


def test_new_classes_keep_the_class_of_the_network():
  class Own(nets.Network):
    def __call__(self, x, edits=None):
      logits, acts = super().__call__(x, edits)
      return 2 * logits, acts

  own = Own('own', *(getattr(small(), k) for k in ('ops', 'spec')), PARAMS)
  new = nets.with_classes(own, 4, key=jax.random.key(0))
  assert isinstance(new, Own) and nets.trained_layers(new)[-1] == 'fc'
  x = jax.random.uniform(jax.random.key(2), (8, 8, 3))
  acts = new(x)[1]
  np.testing.assert_allclose(new(x)[0], 2 * acts['fc'], rtol=1e-6)


def test_an_untrained_network_is_drawn_as_a_new_one():
  key = jax.random.key(5)
  net = nets.untrained(nets.load('minivgg'), key=key)
  jax.tree.map(
    np.testing.assert_array_equal,
    nets.get_params(net),
    nets.get_params(nets.create('minivgg', key=key)),
  )


def test_layers_that_others_read_past_are_no_cut():
  net = nets.create('resnet18')
  for layer in ('maxpool', 'layer1.0', 'avgpool'):
    nets.check_cut(net, layer)
  with pytest.raises(
    ValueError, match="layer: got 'layer1.0.bn1', expected a lay"
  ):
    nets.check_cut(net, 'layer1.0.bn1')
  branch = (
    Conv('conv1', 3),
    ReLU('relu1'),
    Conv('conv2', 3, inputs=('conv1',)),
    GlobalPool('gap'),
    Dense('fc', 2),
  )
  params = init_params(branch, (8, 8, 3), jax.random.key(0))
  own = nets.Network('own', branch, nets.InputSpec(size=8), params)
  nets.check_cut(own, 'conv2')
  with pytest.raises(
    ValueError, match=r"got 'relu1', .* one of \['conv1', 'conv2', 'gap'\]"
  ):
    nets.check_cut(own, 'relu1')
  with pytest.raises(
    ValueError, match="got 'fc', expected a layer of own|resnet18"
  ):
    nets.check_cut(net, 'fc')
  with pytest.raises(ValueError, match="got 'x', expected one of"):
    nets.check_cut(net, 'x')


def test_layers_are_copied():
  net, source = small(0), small(1)
  new = nets.get_params(nets.transplant(net, source, ['conv1', 'relu1']))
  old, other = nets.get_params(net), nets.get_params(source)
  np.testing.assert_array_equal(
    new['conv1']['kernel'], other['conv1']['kernel']
  )
  np.testing.assert_array_equal(new['conv2']['kernel'], old['conv2']['kernel'])
  assert not jnp.allclose(old['conv1']['kernel'], other['conv1']['kernel'])


def test_labels_part_the_parameters_for_optax():
  net = small()
  labels = nets.param_labels(net, {'conv1': 'frozen', 'conv*': 'slow'})
  assert labels == {
    'conv1': {'kernel': 'frozen', 'bias': 'frozen'},
    'bn1': {
      'scale': 'tuned',
      'bias': 'tuned',
      'mean': 'frozen',
      'var': 'frozen',
    },
    'conv2': {'kernel': 'slow', 'bias': 'slow'},
    'fc': {'kernel': 'tuned', 'bias': 'tuned'},
  }
  steps = {'tuned': 1.0, 'slow': 0.1, 'frozen': 0.0}
  tx = optax.partition({k: optax.sgd(v) for k, v in steps.items()}, labels)
  params = nets.get_params(net)
  ones = jax.tree.map(jnp.ones_like, params)
  updates, _ = tx.update(ones, tx.init(params), params)
  jax.tree.map(
    lambda label, update: np.testing.assert_allclose(update, -steps[label]),
    labels,
    updates,
  )
  fixed = nets.param_labels(net, {}, default='a', frozen='b')
  assert fixed['bn1']['mean'] == 'b' and fixed['bn1']['scale'] == 'a'


def test_wrong_arguments_are_named():
  net, key = small(), jax.random.key(0)
  with pytest.raises(ValueError, match='classes: got 0'):
    nets.with_classes(net, 0, key=key)
  with pytest.raises(ValueError, match='net: got vgg11 without a classifier'):
    body = nets.create('vgg11', classifier=False)
    nets.with_classes(body, 3, key=key)
  with pytest.raises(ValueError, match="layer: got 'conv3', expected one of"):
    nets.transplant(net, net, ['conv3'])
  with pytest.raises(ValueError, match="layers: 'conv1' has .* in the source"):
    nets.transplant(net, small(width=6), ['conv1'])
  with pytest.raises(ValueError, match=r"groups: 'fc\[12\]' matches no layer"):
    nets.param_labels(net, {'fc[12]': 'frozen'})
