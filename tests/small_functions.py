"""Small functions of images, and what tests ask of them."""

import jax
import numpy as np
import pytest
from jax import lax, nn

from vizlab import attribution, nets
from vizlab.objectives import logit, score

X = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))


def draw(seed, *shape):
  return 0.3 * jax.random.normal(jax.random.key(seed), shape)


def conv(x, w, stride=1, padding='SAME'):
  layout = ('NHWC', 'HWIO', 'NHWC')
  strides = (stride, stride)
  return lax.conv_general_dilated(
    x, w, strides, padding, dimension_numbers=layout
  )


WEIGHTS = {
  'a': {'w': draw(1, 3, 3, 3, 8)},
  'b': {'w': draw(2, 3, 3, 8, 8)},
  'fc': {'w': draw(3, 8, 4)},
}


def network(fn, weights=WEIGHTS, **settings):
  return nets.from_function(fn, X, weights, **settings)


def guided(fn, weights=WEIGHTS, **settings):
  net = network(fn, weights, **settings)
  return attribution.guided_backprop(score(net, logit(0)), X)


def by_hand(fn, weights=WEIGHTS):
  return jax.grad(lambda x: fn(weights, x)[:, 0].sum())(X)


def names(fn, weights=WEIGHTS):
  return [row.name for row in nets.layer_info(network(fn, weights))]


def agree(map_, expected, atol=1e-5):
  size = np.abs(expected).max()
  assert size > 0
  np.testing.assert_allclose(map_ / size, expected / size, atol=atol)


def two(middle, relu=nn.relu):
  """A convolution, a ReLU, something, another convolution and so on."""

  def fn(p, x):
    x = relu(conv(x, p['a']['w']))
    x = middle(conv(x, p['b']['w']))
    return x.mean((1, 2)) @ p['fc']['w']

  return fn


def whole(fn, weights):
  net = score(network(fn, weights), logit(0))
  np.testing.assert_allclose(
    attribution.full_gradient(net, X).sum(), net(X), rtol=1e-4, atol=1e-6
  )


BIASED = {'c': {'w': draw(1, 3, 3, 3, 8), 'b': draw(2, 8)}, 'fc': draw(3, 8, 4)}


def small(p, x):
  return nn.relu(conv(x, p['c']['w']) + p['c']['b']).mean((1, 2)) @ p['fc']


def refused(fn, weights, message):
  with pytest.raises(ValueError, match=message):
    attribution.fullgrad(score(network(fn, weights), logit(0)), X)
