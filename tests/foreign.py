"""One small network, as ours and as models of other libraries."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from vizlab import nets
from vizlab.nets.graph import init_params
from vizlab.nets.layers import Conv, Dense, GlobalPool, Pool, ReLU

SIZE = 16
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
OPS = (
  Conv('conv1', 8),
  ReLU('relu1'),
  Pool('pool1'),
  Conv('conv2', 6),
  ReLU('relu2'),
  GlobalPool('gap'),
  Dense('fc', 4),
)
# Names of the same activations in a function.
NAMES = {
  'conv1': 'conv1',
  'relu1': 'relu',
  'pool1': 'max_pool',
  'conv2': 'conv2',
  'relu2': 'relu_1',
  'gap': 'mean',
  'fc': 'fc',
}


def params(seed=0):
  key = jax.random.key(seed)
  params = init_params(OPS, (SIZE, SIZE, 3), key)
  for i, layer in enumerate(params.values()):
    shape = layer['bias'].shape
    layer['bias'] = 0.3 * jax.random.normal(jax.random.fold_in(key, i), shape)
  return params


def ours(params):
  spec = nets.InputSpec(SIZE, MEAN, STD)
  return nets.Network('own', OPS, spec, params)


def along(x, values):
  """Numbers per channel, as an array of the rank of ``x``."""
  return jnp.asarray(values).reshape((1,) * (x.ndim - 1) + (-1,))


def preprocess(x):
  return (x - along(x, MEAN)) / along(x, STD)


class Linen(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.relu(nn.Conv(8, (3, 3), name='conv1')(preprocess(x)))
    x = nn.max_pool(x, (2, 2), (2, 2))
    x = nn.relu(nn.Conv(6, (3, 3), name='conv2')(x))
    return nn.Dense(4, name='fc')(x.mean((1, 2)))


def linen(params, x):
  return nets.from_function(Linen().apply, x, {'params': params})


class Nnx(nnx.Module):
  def __init__(self, params):
    rngs = nnx.Rngs(0)
    self.conv1 = nnx.Conv(3, 8, (3, 3), rngs=rngs)
    self.conv2 = nnx.Conv(8, 6, (3, 3), rngs=rngs)
    self.fc = nnx.Linear(6, 4, rngs=rngs)
    for name, layer in params.items():
      getattr(self, name).kernel[...] = layer['kernel']
      getattr(self, name).bias[...] = layer['bias']

  def __call__(self, x):
    x = jnp.maximum(self.conv1(preprocess(x)), 0)
    x = self.conv2(nnx.max_pool(x, (2, 2), (2, 2)))
    return self.fc(jnp.where(x > 0, x, 0).mean((1, 2)))


def nnx_(params, x):
  return nets.from_function(Nnx(params), x)


def haiku(params, x):
  hk = pytest.importorskip('haiku')

  def forward(x):
    x = jax.nn.relu(hk.Conv2D(8, 3, name='conv1')(preprocess(x)))
    x = hk.max_pool(x, (2, 2, 1), (2, 2, 1), 'VALID')
    x = jax.nn.relu(hk.Conv2D(6, 3, name='conv2')(x))
    return hk.Linear(4, name='fc')(x.mean((1, 2)))

  model = hk.without_apply_rng(hk.transform(forward))
  renamed = {
    name: {'w': layer['kernel'], 'b': layer['bias']}
    for name, layer in params.items()
  }
  return nets.from_function(model.apply, x, renamed)


def equinox(params, x):
  eqx = pytest.importorskip('equinox')
  key = jax.random.key(0)

  def filled(layer, weight, bias):
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, bias))

  def conv(before, after, name):
    return filled(
      eqx.nn.Conv2d(before, after, 3, padding=1, key=key),
      params[name]['kernel'].transpose(3, 2, 0, 1),
      params[name]['bias'][:, None, None],
    )

  class Model(eqx.Module):  # of one image, channels first
    conv1: eqx.nn.Conv2d
    conv2: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    fc: eqx.nn.Linear

    def __call__(self, x):
      x = jax.nn.relu(self.conv1(preprocess(x).transpose(2, 0, 1)))
      x = jax.nn.relu(self.conv2(self.pool(x)))
      return self.fc(x.mean((1, 2)))

  fc = params['fc']
  model = Model(
    conv(3, 8, 'conv1'),
    conv(8, 6, 'conv2'),
    eqx.nn.MaxPool2d(2, 2),
    filled(eqx.nn.Linear(6, 4, key=key), fc['kernel'].T, fc['bias']),
  )
  return nets.from_function(model, x[0])


def apply_plain(params, x):
  def conv(x, layer):
    layout = ('NHWC', 'HWIO', 'NHWC')
    return along(x, layer['bias']) + jax.lax.conv_general_dilated(
      x, layer['kernel'], (1, 1), 'SAME', dimension_numbers=layout
    )

  x = jnp.clip(conv(preprocess(x), params['conv1']), 0)
  window = (1, 2, 2, 1)
  x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, 'VALID')
  x = jax.nn.relu(conv(x, params['conv2'])).mean((1, 2))
  y = jnp.einsum('nc,ck->nk', x, params['fc']['kernel'])
  return y + along(y, params['fc']['bias'])


def plain(params, x):
  return nets.from_function(apply_plain, x, params)


MODELS = {
  'linen': linen,
  'nnx': nnx_,
  'haiku': haiku,
  'equinox': equinox,
  'plain': plain,
}
