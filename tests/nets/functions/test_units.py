"""Activation functions, recognised by their values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import nn

from vizlab import attribution, nets, rules
from vizlab.nets.functions.scalars import kind_of
from vizlab.objectives import logit, score

X = jax.random.uniform(jax.random.key(0), (2, 6, 6, 3))
RELUS = {
  'relu': nn.relu,
  'maximum': lambda x: jnp.maximum(x, 0),
  'maximum_first': lambda x: jnp.maximum(0.0, x),
  'where': lambda x: jnp.where(x > 0, x, 0),
  'mask': lambda x: x * (x > 0).astype(x.dtype),
  'clip': lambda x: jnp.clip(x, 0),
  'abs': lambda x: (x + abs(x)) / 2,
  'array': lambda x: jnp.maximum(x, jnp.zeros_like(x)),
  'ours': rules.relu,
}
OTHERS = {
  'relu6': nn.relu6,
  'leaky_relu': nn.leaky_relu,
  'elu': nn.elu,
  'selu': nn.selu,
  'gelu': nn.gelu,
  'silu': nn.silu,
  'hard_silu': nn.hard_silu,
  'mish': nn.mish,
  'sigmoid': nn.sigmoid,
  'hard_sigmoid': nn.hard_sigmoid,
  'tanh': jnp.tanh,
  'hard_tanh': nn.hard_tanh,
  'softplus': nn.softplus,
  'log_sigmoid': nn.log_sigmoid,
  'soft_sign': nn.soft_sign,
  'abs': jnp.abs,
}
SPELLED = (
  ('relu6', lambda x: jnp.minimum(jnp.maximum(x, 0), 6)),
  ('gelu', lambda x: nn.gelu(x, approximate=False)),
  ('leaky_relu', lambda x: jnp.maximum(x, 0) + 0.25 * jnp.minimum(x, 0)),
  ('silu', lambda x: x / (1 + jnp.exp(-x))),
  ('expm1', jnp.expm1),
)


def centred(fn):
  """A function of numbers of both signs, with one number per channel."""
  return lambda x: fn(2 * x - 1).mean((1, 2))


def kinds(fn):
  net = nets.from_function(fn, X)
  return [row.kind for row in nets.layer_info(net)]


def others(fn):
  net = nets.from_function(fn, X)
  return net.function.program((), X).others


@pytest.mark.parametrize('name', RELUS)
def test_a_relu_has_the_rule_however_it_is_written(name):
  fn = centred(RELUS[name])
  assert kinds(fn) == ['Affine', 'ReLU', 'GlobalPool']
  assert others(fn) == ()
  objective = logit(1) - logit(0)
  map_ = attribution.guided_backprop(
    score(nets.from_function(fn, X), objective), X
  )
  ruled = centred(rules.guided_relu)
  expected = jax.grad(lambda x: (ruled(x)[:, 1] - ruled(x)[:, 0]).sum())(X)
  np.testing.assert_array_equal(map_, expected)
  assert (expected[..., 0] == 0).all()  # a true gradient is negative there


@pytest.mark.parametrize('name', OTHERS)
def test_other_functions_are_told_apart(name):
  fn = centred(OTHERS[name])
  assert others(fn) == (name,)
  assert 'ReLU' not in kinds(fn)
  net = score(nets.from_function(fn, X), logit(1))
  with pytest.raises(ValueError, match=f'has no ReLU, .*; it has {name}'):
    attribution.guided_backprop(net, X)


@pytest.mark.parametrize(('name', 'fn'), SPELLED)
def test_other_functions_in_other_words(name, fn):
  assert others(centred(fn)) == (name,)


def test_functions_around_a_relu_are_apart():
  def fn(x):
    return 1.7 * nn.relu(2 * x - 1) ** 2 + 0.5

  assert kinds(lambda x: fn(x).mean((1, 2))) == [
    'Affine', 'ReLU', 'Square', 'Affine', 'GlobalPool',
  ]  # fmt: skip


def test_two_relus_of_one_value():
  def fn(x):
    x = x - 0.5
    both = jnp.concatenate([nn.relu(x), nn.relu(-x)], -1)
    return both.mean((1, 2))

  assert kinds(fn).count('ReLU') == 2


def test_a_clipped_variance_is_no_relu():
  def fn(x):
    mean = x.mean(-1, keepdims=True)
    variance = (x**2).mean(-1, keepdims=True) - mean**2
    x = (x - mean) / jnp.sqrt(jnp.maximum(variance, 0) + 1e-3)
    return nn.relu(x).mean((1, 2))

  assert kinds(fn).count('ReLU') == 1
  assert others(fn) == ()
  # In front of the ReLU the function keeps its own gradient.
  net = score(nets.from_function(fn, X), logit(0))
  map_ = attribution.guided_backprop(net, X)
  assert np.isfinite(map_).all()
  assert abs(map_).max() > 0


def test_probabilities_are_no_activation_functions():
  def fn(x):
    return nn.log_softmax(nn.relu(x - 0.5).mean((1, 2)))

  assert others(fn) == ()
  assert others(lambda x: nn.softmax(nn.relu(x - 0.5).mean((1, 2)))) == ()


def test_a_mixture_is_refused_unless_it_need_not_be_strict():
  def fn(x):
    return nn.relu(nn.silu(x) - 0.2).mean((1, 2))

  def ruled(x):
    return rules.guided_relu(nn.silu(x) - 0.2).mean((1, 2))

  net = nets.from_function(fn, X)
  with pytest.raises(ValueError, match='other activation functions, silu'):
    attribution.guided_backprop(score(net, logit(1)), X)
  with pytest.raises(ValueError, match='silu in the function is not linear'):
    attribution.fullgrad(score(net, logit(1)), X)
  lenient = nets.from_function(fn, X, strict=False)
  map_ = attribution.guided_backprop(score(lenient, logit(1)), X)
  expected = jax.grad(lambda x: ruled(x)[:, 1].sum())(X)
  np.testing.assert_allclose(map_, expected, atol=1e-7)


@pytest.mark.parametrize(
  ('fn', 'kind'),
  [
    (lambda x: 3 * x - 2, 'affine'),
    (lambda x: np.maximum(x, 0), 'relu'),
    (lambda x: np.maximum(x, 1e-3), 'other'),
    (lambda x: np.maximum(x, 0) + 1e-3 * x, 'other'),
    (lambda x: 1.001 * np.maximum(x, 0), 'other'),
    (lambda x: np.where(x > 0, x, 0.02 * x), 'leaky_relu'),
    (np.log, 'other'),
    (np.sin, 'other'),
  ],
)
def test_kinds_of_functions(fn, kind):
  assert kind_of(fn) == kind
