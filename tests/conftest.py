"""Settings of the whole suite, and the nets and images that tests share."""

import os
import pathlib

import jax
import jax.numpy as jnp
import pytest

from vizlab import nets
from vizlab.data.scenes import scenes
from vizlab.nets.graph import init_params
from vizlab.nets.layers import Conv, Dense, Pool, ReLU
from vizlab.nets.net import InputSpec, Network
from vizlab.nets.plumbing import GlobalPool

jax.config.update('jax_numpy_rank_promotion', 'raise')

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope='session')
def assets():
  """The folder of real weights and photos; without it these tests skip."""
  folder = os.environ.get('VIZLAB_ASSETS')
  if not folder or not pathlib.Path(folder).is_dir():
    pytest.skip('VIZLAB_ASSETS is not set')
  return pathlib.Path(folder)


@pytest.fixture(scope='session')
def minivgg():
  return nets.load('minivgg')


@pytest.fixture(scope='session')
def images():
  """Five scenes of 48 pixels."""
  return scenes(jax.random.key(0), 5, size=48).image


@pytest.fixture(scope='session')
def tiny():
  return make_tiny(0)


def make_tiny(seed):
  """A small chain with every kind of layer that a VGG has, and biases."""
  ops = (
    Conv('conv1', 8),
    ReLU('relu1'),
    Pool('pool1'),
    Conv('conv2', 12),
    ReLU('relu2'),
    Pool('pool2'),
    GlobalPool('gap'),
    Dense('fc', 6),
  )
  spec = InputSpec(16, (0.5,) * 3, (0.25,) * 3)
  key = jax.random.key(seed)
  params = init_params(ops, (16, 16, 3), key)
  for i, layer in enumerate(params.values()):
    bias = jax.random.normal(jax.random.fold_in(key, i), layer['bias'].shape)
    layer['bias'] = 0.1 * bias
  return Network('tiny', ops, spec, params)


@pytest.fixture
def linear():
  """A linear score ``sum(weight * x) + 2``, with its weight."""
  weight = jax.random.normal(jax.random.key(3), (12, 16, 3))

  def score(x):
    return jnp.einsum('...hwc,hwc->...', x, weight, precision='highest') + 2.0

  return score, weight
