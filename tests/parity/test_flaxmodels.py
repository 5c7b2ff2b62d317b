"""Unmodified models of flaxmodels, as networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import jit_once

from vizlab import attribution, nets
from vizlab.objectives import channel, logit, score

fm = pytest.importorskip('flaxmodels')
pytestmark = [
  pytest.mark.slow,
  pytest.mark.usefixtures('users_promotion'),
]


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(jax.random.key(0), (2, 48, 48, 3))


@pytest.fixture
def resnet(x):
  model = fm.ResNet18(output='logits', pretrained=None, num_classes=10)
  variables = model.init(jax.random.key(1), x)
  draws = iter(jax.random.split(jax.random.key(2), 200))
  # As if it were trained: biases and means are not zero.
  variables = jax.tree.map(
    lambda a: a + 0.1 * jax.random.uniform(next(draws), a.shape), variables
  )

  def apply(variables, x):
    return model.apply(variables, x, train=False)

  return model, variables, nets.from_function(apply, x, variables)


def test_activations_are_those_that_flax_captures(resnet, x):
  model, variables, net = resnet
  logits, state = model.apply(
    variables,
    x,
    train=False,
    capture_intermediates=True,
    mutable=['intermediates'],
  )
  np.testing.assert_allclose(net(x)[0], logits, rtol=1e-4, atol=1e-5)
  acts = net(x)[1]
  captured = state['intermediates']
  for block in (0, 3, 7):
    for name in ('Conv_0', 'BatchNorm_1'):
      (expected,) = captured[f'BasicBlock_{block}'][name]['__call__']
      got = acts[f'BasicBlock_{block}/{name}']
      size = np.abs(expected).max()
      np.testing.assert_allclose(got / size, expected / size, atol=1e-5)
    (expected,) = captured[f'BasicBlock_{block}']['__call__']
    got = acts[f'BasicBlock_{block}/relu_1']
    size = np.abs(expected).max()
    np.testing.assert_allclose(got / size, expected / size, atol=1e-5)


def test_contributions_and_relevance_add_up_to_the_score(resnet, x):
  _, _, net = resnet
  scores = score(net, logit(3))
  whole = jit_once(attribution.full_gradient)(scores, x)
  np.testing.assert_allclose(whole.sum(), scores(x), rtol=1e-3)
  assert len(whole.biases) == 21  # 20 of normalisation, one of the head


def test_relevance_of_a_net_without_additions_is_the_score(resnet, x):
  model, variables, _ = resnet

  def without(path, a):
    zero = jax.tree_util.keystr(path, simple=True).endswith(('bias', 'mean'))
    return jnp.zeros_like(a) if zero else a

  variables = jax.tree_util.tree_map_with_path(without, variables)
  plain = model.clone(normalize=False)
  net = nets.from_function(
    lambda v, x: plain.apply(v, x, train=False), x, variables
  )
  scores = score(net, logit(3))
  relevance = attribution.lrp(scores, x, attribution.EPSILON_PLUS)
  np.testing.assert_allclose(relevance.sum((1, 2, 3)), scores(x), rtol=2e-3)


def test_vgg16_is_our_vgg16(x):
  model = fm.VGG16(output='activations', pretrained=None, include_head=False)
  variables = model.init(jax.random.key(1), x)

  def last(variables, x):
    return model.apply(variables, x, train=False)['relu5_3']

  net = nets.from_function(last, x, variables)
  ours = nets.create('vgg16', classifier=False)
  weights = {
    name: dict(variables['params'][name]) for name in nets.get_params(ours)
  }
  ours = nets.with_params(ours, weights)
  rows = {row.name: row for row in nets.layer_info(net)}
  own = {row.name: row for row in nets.layer_info(ours, 48)}
  for name in weights:
    assert rows[name].shape == own[name].shape
    assert rows[name].field == own[name].field
  agree(net, ours, channel('conv5_3', 7), x, 'relu_9', 'relu4_3')


def agree(net, ours, objective, x, layer, own_layer):
  """All maps of a model are those of our network of the same weights."""
  for name, (method, settings) in METHODS.items():
    found, expected = (
      jit_once(functools.partial(method, **settings(at)))(
        score(each, objective), x
      )
      for each, at in ((net, layer), (ours, own_layer))
    )
    size = np.abs(expected).max()
    assert size > 0, name
    np.testing.assert_allclose(
      found / size, expected / size, atol=2e-5, err_msg=name
    )


METHODS = {
  'gradient': (attribution.gradient, lambda layer: {}),
  'guided_backprop': (attribution.guided_backprop, lambda layer: {}),
  'deconvnet': (attribution.deconvnet, lambda layer: {}),
  'integrated_gradients': (
    attribution.integrated_gradients,
    lambda layer: {'steps': 4},
  ),
  'fullgrad': (attribution.fullgrad, lambda layer: {}),
  'layer_cam': (attribution.layer_cam, lambda layer: {'layer': layer}),
  'lrp': (attribution.lrp, lambda layer: {}),
  'lrp_flat': (
    attribution.lrp,
    lambda layer: {'composite': attribution.EPSILON_ALPHA2_BETA1_FLAT},
  ),
}


def our_resnet(variables):
  """Our ResNet-18 with the weights of flaxmodels'."""
  ours = nets.create('resnet18', classes=10)
  params = nets.get_params(ours)

  trained, counted = variables['params'], variables['batch_stats']

  def normalised(path):
    given, seen = trained, counted
    for part in path:
      given, seen = given[part], seen[part]
    return {**given, **seen}

  params['conv1'] = dict(trained['Conv_0'])
  params['bn1'] = normalised(['BatchNorm_0'])
  for k in range(8):
    block, ours_block = f'BasicBlock_{k}', f'layer{k // 2 + 1}.{k % 2}'
    names = ['conv1', 'conv2', 'downsample.0']
    norms = ['bn1', 'bn2', 'downsample.1']
    for i in range(len(trained[block]) // 2):
      params[f'{ours_block}.{names[i]}'] = dict(trained[block][f'Conv_{i}'])
      params[f'{ours_block}.{norms[i]}'] = normalised([block, f'BatchNorm_{i}'])
  params['fc'] = dict(trained['Dense_0'])
  return nets.with_params(ours, params)


def test_resnet18_is_our_resnet18(x):
  model = fm.ResNet18(output='logits', pretrained=None, num_classes=10)
  draws = iter(jax.random.split(jax.random.key(2), 200))

  def shaken(path, a):  # biases and statistics that are not those of a new one
    kernel = jax.tree_util.keystr(path, simple=True).endswith('kernel')
    return a if kernel else a + 0.1 * jax.random.uniform(next(draws), a.shape)

  variables = model.init(jax.random.key(1), x)
  variables = jax.tree_util.tree_map_with_path(shaken, variables)
  net = nets.from_function(
    lambda v, x: model.apply(v, x, train=False), x, variables
  )
  ours = our_resnet(variables)
  logits, acts = ours(x)
  np.testing.assert_allclose(net(x)[0], logits, rtol=1e-4, atol=1e-4)
  last = [name for name, a in acts.items() if a.ndim == 4][-1]
  agree(net, ours, logit(3), x, 'BasicBlock_7/relu_1', last)
