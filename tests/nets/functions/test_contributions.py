"""Contributions and relevance: what is linear, and what is refused."""

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, nn
from small_functions import (
  BIASED,
  WEIGHTS,
  X,
  agree,
  conv,
  draw,
  names,
  network,
  refused,
  small,
  two,
  whole,
)

from vizlab import attribution, rules
from vizlab.objectives import logit, score

pytestmark = pytest.mark.usefixtures('users_promotion')


def test_contributions_with_padding():
  sides = ((0, 0), (2, 2), (2, 2), (0, 0))
  whole(lambda p, x: small(p, jnp.pad(x, sides)), BIASED)
  refused(
    lambda p, x: small(p, jnp.pad(x, sides, constant_values=0.5)),
    BIASED,
    'pad in the function is not linear',
  )


def test_contributions_with_a_mean_image():
  mean = np.random.default_rng(0).uniform(size=(16, 16, 3)).astype('float32')
  refused(lambda p, x: small(p, x - mean), BIASED, 'differ over positions')


def test_contributions_with_biases_that_differ_over_positions():
  weights = {
    'c': draw(1, 3, 3, 3, 32),
    'b': draw(7, 4, 4, 1),
    'fc': draw(3, 32, 4),
  }

  def fn(p, x):
    return nn.relu(conv(x, p['c'], 4) + p['b']).mean((1, 2)) @ p['fc']

  refused(fn, weights, 'differ over positions')


def test_contributions_with_a_layer_inside_a_module():
  weights = {
    'block': {'shift': draw(5, 3), 'scale': draw(6, 8), 'conv': BIASED['c']},
    'fc': BIASED['fc'],
  }

  def fn(p, x):
    block = p['block']
    x = conv(x + block['shift'], block['conv']['w']) + block['conv']['b']
    return nn.relu(x * block['scale']).mean((1, 2)) @ p['fc']

  whole(fn, weights)
  attribution.lrp(score(network(fn, weights), logit(0)), X)


def test_contributions_of_layers_that_are_added_later():
  weights = {
    'w1': draw(1, 3, 3, 3, 8), 'w2': draw(2, 3, 3, 3, 8), 'b1': draw(3, 8),
    'b2': draw(4, 8), 'fc': draw(5, 8, 4),
  }  # fmt: skip

  def fn(p, x):
    first, second = conv(x, p['w1']), conv(x, p['w2'])
    x = nn.relu(first + p['b1']) + nn.relu(second + p['b2'])
    return x.mean((1, 2)) @ p['fc']

  whole(fn, weights)
  assert names(fn, weights)[:2] == ['w1', 'relu']


def test_average_pooling_that_counts_pixels_only():
  def fn(p, x):
    x = nn.relu(conv(x, p['c']['w']) + p['c']['b'])
    x = linen.avg_pool(x, (3, 3), (1, 1), 'SAME', count_include_pad=False)
    return x.mean((1, 2)) @ p['fc']

  whole(fn, BIASED)
  assert names(fn, BIASED) == ['c', 'relu', 'avg_pool', 'mean', 'fc']
  attribution.lrp(score(network(fn, BIASED), logit(0)), X)


def test_a_factor_behind_weights_is_a_layer_of_its_own():
  weights = {**WEIGHTS, 'a': {**WEIGHTS['a'], 's': jnp.full(8, 2.0)}}
  merged = {**WEIGHTS, 'a': {'w': 2 * WEIGHTS['a']['w']}}

  def fn(p, x):
    x = conv(x, p['a']['w'])
    x = nn.relu(x * p['a']['s'] if 's' in p['a'] else x)
    return nn.relu(conv(x, p['b']['w'])).mean((1, 2)) @ p['fc']['w']

  agree(
    attribution.lrp(score(network(fn, weights), logit(0)), X),
    attribution.lrp(score(network(fn, merged), logit(0)), X),
  )


def test_a_product_of_two_activations_is_not_linear():
  def gram(p, x):
    y = nn.relu(conv(x, p['a']['w'])).reshape(2, 256, 8)
    products = jnp.einsum('nic,nid->ncd', y, y)
    return products.mean(1) @ p['fc']['w']

  refused(gram, WEIGHTS, 'dot_general in .* is not linear')
  with pytest.raises(ValueError, match='dot_general in .* has no rule of'):
    attribution.lrp(score(network(gram), logit(0)), X)


def test_a_number_between_weights_and_bias():
  def fn(p, x, number):
    x = conv(x, p['c']['w']) + number + p['c']['b']
    return nn.relu(x).mean((1, 2)) @ p['fc']

  shifted = {**BIASED, 'c': {**BIASED['c'], 'b': 1.5 + BIASED['c']['b']}}
  whole(lambda p, x: fn(p, x, 1.5), BIASED)
  keep = rules.composite({})
  maps = [
    attribution.lrp(score(network(f, weights), logit(0)), X, keep)
    for f, weights in (
      (lambda p, x: fn(p, x, 1.5), BIASED),
      (lambda p, x: fn(p, x, 0.0), shifted),
    )
  ]
  agree(*maps, atol=1e-4)  # of small denominators


def test_a_layer_ends_where_others_read_it():
  keys = 'w1 b1 s t w2 b2 s2 t2'.split()
  shapes = [(3, 3, 3, 8), 8, 8, 8, (3, 3, 8, 8), 8, 8, 8]
  weights = {
    key: draw(i, *np.atleast_1d(shape))
    for i, (key, shape) in enumerate(zip(keys, shapes, strict=True))
  }
  weights['fc'] = draw(9, 8, 4)

  def fn(p, x):
    x = conv(x, p['w1']) + p['b1']
    y = conv(nn.relu(x * p['s'] + p['t']), p['w2']) + p['b2']
    x = nn.relu((x + y) * p['s2'] + p['t2'])
    return x.mean((1, 2)) @ p['fc']

  assert names(fn, weights) == [
    'w1', 's', 'relu', 'w2', 'add', 's2', 'relu_1', 'mean', 'fc',
  ]  # fmt: skip
  whole(fn, weights)
  attribution.lrp(score(network(fn, weights), logit(0)), X)


def test_a_stopped_gradient_is_not_linear():
  def fn(p, x):
    x = nn.relu(conv(x, p['a']['w']))
    return (x + 2 * lax.stop_gradient(x)).mean((1, 2)) @ p['fc']['w']

  refused(fn, WEIGHTS, 'is not linear')


def test_preprocessing_by_parameters_passes_relevance_on():
  weights = {**WEIGHTS, 'mean': jnp.array([0.4, 0.5, 0.6])}

  def fn(p, x):
    x = nn.relu(conv((x - p['mean']) / 0.2, p['a']['w']))
    return x.mean((1, 2)) @ p['fc']['w']

  def closed(p, x):
    return fn({**p, 'mean': weights['mean']}, x)

  agree(
    attribution.lrp(score(network(fn, weights), logit(0)), X),
    attribution.lrp(score(network(closed), logit(0)), X),
  )


def test_a_mean_has_one_name_in_a_composite():
  net = score(network(two(nn.relu)), logit(0))
  by_name = rules.composite({'mean': rules.epsilon(0.1), 'fc': rules.epsilon()})
  map_ = attribution.lrp(net, X, by_name)
  assert np.abs(map_ - attribution.lrp(net, X)).max() > 0
  with pytest.raises(ValueError, match="'reduce_sum' is no linear layer"):
    attribution.lrp(net, X, rules.composite({'reduce_sum': rules.epsilon()}))
