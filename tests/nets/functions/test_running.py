"""Control flow, pooling, edits and skip connections of functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax, nn
from jax.ad_checkpoint import checkpoint_name

from vizlab import attribution, nets, rules
from vizlab.objectives import logit, score

X = jax.random.uniform(jax.random.key(0), (2, 9, 9, 3))
OBJECTIVE = logit(1) - logit(0)


def guided(fn, *variables):
  net = nets.from_function(fn, X, *variables)
  return jax.jit(attribution.guided_backprop)(score(net, OBJECTIVE), X)


def by_hand(fn):
  """The gradient of a function that calls guided ReLUs."""
  return jax.grad(lambda x: (fn(x)[:, 1] - fn(x)[:, 0]).sum())(X)


def three(relu, x):
  for _ in range(3):
    x = relu(1.1 * x - 0.1)
  return x.mean((1, 2))


def scanned(x):
  def step(x, shift):
    return nn.relu(1.1 * x - shift), x.mean((1, 2, 3))

  y, means = lax.scan(step, x, jnp.full(3, 0.1))
  return y.mean((1, 2))


def switched(which, x):
  branches = [lambda x: x, lambda x: nn.relu(x - 0.5)]
  return lax.switch(which, branches, x).mean((1, 2))


def test_a_relu_in_a_scan():
  expected = by_hand(lambda x: three(rules.guided_relu, x))
  np.testing.assert_allclose(guided(scanned), expected, atol=1e-8)
  assert np.abs(expected).max() > 0


def test_a_relu_in_a_branch():
  expected = by_hand(lambda x: rules.guided_relu(x - 0.5).mean((1, 2)))
  np.testing.assert_array_equal(guided(switched, jnp.array(1)), expected)
  plain = by_hand(lambda x: x.mean((1, 2)))
  np.testing.assert_array_equal(guided(switched, jnp.array(0)), plain)


def test_a_relu_in_what_is_computed_again():
  fn = jax.checkpoint(jax.jit(lambda x: three(nn.relu, x)))
  expected = by_hand(lambda x: three(rules.guided_relu, x))
  np.testing.assert_allclose(guided(fn), expected, atol=1e-8)


def test_a_relu_in_a_loop_without_end_is_refused():
  def fn(x):
    x = lax.while_loop(lambda x: x.sum() > 1e9, lambda x: nn.relu(x), x)
    return x.mean((1, 2))

  with pytest.raises(ValueError, match='while in the function has a ReLU'):
    guided(fn)


def test_a_relu_in_a_function_with_its_own_gradient_is_refused():
  @jax.custom_vjp
  def both(x):
    return nn.relu(x).mean((1, 2))

  both.defvjp(lambda x: (both(x), None), lambda _, g: (g.sum() + 0 * X,))
  with pytest.raises(ValueError, match='custom_vjp_call in the function has a'):
    guided(both)
  net = nets.from_function(both, X)  # whose gradient others take
  gradient = attribution.gradient(score(net, OBJECTIVE), X)
  np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
@pytest.mark.parametrize(('size', 'stride'), [(2, 2), (3, 2), (3, 1)])
def test_max_pooling_is_that_of_jax(size, stride, padding):
  def fn(x):
    windows = (1, size, size, 1), (1, stride, stride, 1)
    x = lax.reduce_window(x, -jnp.inf, lax.max, *windows, padding)
    return (x**2).mean((1, 2))

  net = nets.from_function(fn, X)
  np.testing.assert_allclose(net(X)[0], fn(X), rtol=1e-6)
  gradient = attribution.gradient(score(net, OBJECTIVE), X)
  np.testing.assert_allclose(gradient, by_hand(fn), atol=1e-7)


def test_max_pooling_has_another_rule():
  def fn(x):
    windows = (1, 3, 3, 1), (1, 2, 2, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, *windows, 'SAME').mean(
      (1, 2)
    )

  net = rules.with_rules(nets.from_function(fn, X), pool=rules.avg_pool)
  expected = rules.avg_pool(X, rules.PoolWindow(3, 2, padding=1))
  np.testing.assert_allclose(net(X)[1]['max_pool'], expected, rtol=1e-6)


def test_oblong_max_pooling_keeps_its_rule():
  def fn(x):
    windows = (1, 3, 1, 1), (1, 3, 1, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, *windows, 'VALID').mean(
      (1, 2)
    )

  net = nets.from_function(fn, X)
  np.testing.assert_array_equal(net(X)[0], fn(X))
  with pytest.raises(ValueError, match='expected square windows'):
    rules.with_rules(net, pool=rules.avg_pool)(X)


class Residual(nnx.Module):
  def __init__(self):
    rngs = nnx.Rngs(0)
    self.stem = nnx.Conv(3, 4, (3, 3), strides=2, rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.conv = nnx.Conv(4, 4, (3, 3), feature_group_count=2, rngs=rngs)
    self.head = nnx.Linear(4, 5, rngs=rngs)
    key = jax.random.key(7)
    for i, value in enumerate(
      (self.norm.mean, self.norm.bias, self.stem.bias, self.conv.bias)
    ):
      draw = jax.random.normal(jax.random.fold_in(key, i), (4,))
      value[...] = 0.2 * draw

  def __call__(self, x):
    x = nn.relu(self.norm(self.stem(x)))
    x = nn.relu(x + 0.5 * self.conv(x))
    window = (1, 2, 2, 1)
    x = lax.reduce_window(x, 0.0, lax.add, window, window, 'VALID') / 4
    return self.head(x.mean((1, 2)))


@pytest.fixture(scope='module')
def residual():
  model = Residual()
  model.eval()
  return model


def test_names_of_a_model_without_a_name_stack(residual):
  net = nets.from_function(residual, X)
  assert [(row.name, row.kind) for row in nets.layer_info(net)] == [
    ('stem', 'Conv'), ('norm', 'BatchNorm'), ('relu', 'ReLU'),
    ('conv', 'Conv'), ('add', 'Add'), ('relu_1', 'ReLU'),
    ('avg_pool', 'Pool'), ('mean', 'GlobalPool'), ('head', 'Dense'),
  ]  # fmt: skip
  acts = net(X)[1]
  np.testing.assert_allclose(
    acts['norm'], residual.norm(residual.stem(X)), atol=1e-6
  )
  np.testing.assert_allclose(net(X)[0], residual(X), atol=1e-6)


def test_biases_and_the_input_sum_to_the_score(residual):
  net = nets.from_function(residual, X)
  assert {*net.biases()} == {'stem', 'norm', 'conv', 'head'}
  np.testing.assert_allclose(net.biases()['stem'], residual.stem.bias[...])
  norm = residual.norm
  shift = norm.bias[...] - norm.scale[...] * norm.mean[...] / jnp.sqrt(
    norm.var[...] + norm.epsilon
  )
  np.testing.assert_allclose(net.biases()['norm'], shift, atol=1e-6)
  whole = attribution.full_gradient(score(net, logit(3)), X)
  np.testing.assert_allclose(whole.sum(), net(X)[0][:, 3], atol=1e-6)


def test_preprocessing_of_mixed_channels_is_an_addition_to_the_image():
  kernel = jax.random.normal(jax.random.key(3), (3, 4))
  mixing = jax.random.normal(jax.random.key(4), (3, 3))

  def fn(params, x):
    z = (2 * x[..., ::-1] - 0.7) @ params['mixing']
    return nn.relu(z @ params['kernel']).mean((1, 2))

  # Mixed by a layer with weights: only what is before it is preprocessing.
  net = nets.from_function(fn, X, {'kernel': kernel, 'mixing': mixing})
  np.testing.assert_allclose(net.biases()['input'], -0.35, rtol=1e-5)

  def shifted(params, x):
    shift = jnp.array([0.1, 0.2, 0.4]).reshape(1, 1, 1, 3)
    return nn.relu((x[..., ::-1] - shift) @ params).mean((1, 2))

  net = nets.from_function(shifted, X, kernel)
  np.testing.assert_allclose(
    net.biases()['input'], [-0.4, -0.2, -0.1], rtol=1e-5
  )
  whole = attribution.full_gradient(score(net, logit(1)), X)
  np.testing.assert_allclose(whole.sum(), net(X)[0][:, 1], rtol=1e-5)


@pytest.mark.parametrize(
  ('settings', 'own'),
  [
    ({}, True),
    ({'window_strides': (2, 2), 'padding': [(1, 1), (1, 1)]}, True),
    ({'padding': [(0, 1), (0, 1)]}, False),
    ({'padding': [(-1, -1), (-1, -1)]}, False),
    ({'window_strides': (1, 2)}, False),
    ({'rhs_dilation': (2, 2)}, False),
    ({'lhs_dilation': (2, 2)}, False),
    ({'precision': 'highest'}, False),
    ({'dimension_numbers': ('NHWC', 'HWIO', 'NCHW')}, False),
    ({'feature_group_count': 3}, True),
  ],
)
def test_convolutions_are_those_of_jax(settings, own):
  given = {'window_strides': (1, 1), 'padding': [(1, 1), (1, 1)], **settings}
  given.setdefault('dimension_numbers', ('NHWC', 'HWIO', 'NHWC'))
  depth = 3 // given.get('feature_group_count', 1)
  kernel = jax.random.normal(jax.random.key(1), (3, 3, depth, 6))

  def fn(kernel, x):
    return lax.conv_general_dilated(x, kernel, **given).sum((1, 2))[:, :4]

  net = nets.from_function(fn, X, kernel)
  program = str(jax.make_jaxpr(lambda x: net(x)[0])(X))
  assert ('custom_vjp_call' in program) == own  # ours has its own gradient
  np.testing.assert_allclose(net(X)[0], fn(kernel, X), rtol=1e-4, atol=1e-4)
  cotangent = jnp.ones_like(fn(kernel, X))
  slope, expected = (
    jax.vjp(each, X)[1](cotangent)[0]
    for each in (lambda x: net(x)[0], lambda x: fn(kernel, x))
  )
  np.testing.assert_allclose(slope, expected, atol=1e-4)


def test_relevance_is_kept_through_a_skip_connection(residual):
  # Without biases and with the image as it is, nothing takes relevance.
  plain = nnx.clone(residual)
  for value in (plain.norm.mean, plain.norm.bias, plain.stem.bias):
    value[...] = jnp.zeros(4)
  plain.conv.bias[...] = jnp.zeros(4)
  net = score(nets.from_function(plain, X), logit(3))
  keep = rules.composite({'BatchNorm': rules.epsilon(1e-9)})
  relevance = attribution.lrp(net, X, keep).sum((1, 2, 3))
  np.testing.assert_allclose(relevance, net(X), rtol=1e-3)


def test_what_has_no_rule_of_relevance_is_named():
  def gated(x):
    return (x * x.mean((1, 2), keepdims=True)).mean((1, 2))

  net = nets.from_function(gated, X)
  with pytest.raises(ValueError, match='mul in the function has no rule of'):
    attribution.lrp(score(net, logit(1)), X)


def test_edits_reach_all_that_follows():
  def fn(x):
    y = checkpoint_name(2 * x, 'double')
    return nn.relu(y - 1).mean((1, 2)) + y.sum((1, 2))

  net = nets.from_function(fn, X)
  assert [row.name for row in nets.layer_info(net)][0] == 'double'
  logits, acts = net(X, {'double': jnp.zeros_like})
  np.testing.assert_array_equal(logits, 0)
  np.testing.assert_array_equal(acts['double'], 0)
  with pytest.raises(ValueError, match="'double', expected .2, 9, 9, 3"):
    net(X, {'double': lambda a: a[:1]})
  with pytest.raises(ValueError, match="did you mean 'double'"):
    net(X, {'doubl': lambda a: a})


def test_a_map_is_no_logits():
  net = nets.from_function(lambda x: nn.relu(x - 0.5), X)
  logits, acts = net(X)
  assert logits is None
  np.testing.assert_array_equal(acts['relu'], nn.relu(X - 0.5))


def dropped(x):
  keep = jax.random.bernoulli(jax.random.key(0), 0.5, x.shape)
  return jnp.where(keep, x, 0).mean((1, 2))


def printed(x):
  jax.debug.print('hello')
  return x.mean((1, 2))


@pytest.mark.parametrize(
  ('fn', 'example', 'message'),
  [
    (3, X, 'fn: got int, expected a function'),
    (three, X[0, 0], r'example: got shape \(9, 3\), expected images'),
    (three, X.astype(int), 'example: got int32, expected float32'),
    (three, 'x', 'example: got shape'),
    (lambda x: (x, x), X, 'returned a tuple, expected one array'),
    (dropped, X, 'fn: got random numbers, expected a model in evaluation'),
    (printed, X, 'fn: got side effects'),
  ],
)
def test_what_is_no_network_is_refused(fn, example, message):
  with pytest.raises(ValueError, match=message):
    nets.from_function(fn, example)


def test_a_model_in_training_mode_is_refused():
  model = Residual()
  model.train()
  with pytest.raises(ValueError, match='mixes the images of a batch'):
    nets.from_function(model, X)


@pytest.mark.parametrize(
  ('x', 'message'),
  [
    (X[0, 0], r'x: got shape \(9, 3\)'),
    (X[..., :2], r'expected \[..., H, W, 3\]'),
    (X.astype(int), 'x: got int32'),
    (X[:0], 'empty batch'),
  ],
)
def test_bad_images_are_refused(x, message):
  net = nets.from_function(lambda x: x.mean((1, 2)), X)
  with pytest.raises(ValueError, match=message):
    net(x)


def test_what_differs_over_positions_is_no_bias():
  def fn(places, x):
    return nn.relu(x + places).mean((1, 2))

  net = nets.from_function(fn, X, jnp.ones((1, 9, 9, 3)))
  with pytest.raises(ValueError, match='differ over positions'):
    attribution.fullgrad(score(net, logit(1)), X)


@pytest.mark.parametrize(
  ('fn', 'message'),
  [
    (lambda x: x.mean((1, 2)) > 0, 'fn: returned bool, expected logits'),
    (lambda x: x.mean((1, 2)).argmax(-1), 'fn: returned int32, expected'),
    (lambda x: jnp.ones((x.shape[0], 3)), 'fn: returned what does not depend'),
  ],
)
def test_results_that_are_no_function_of_images_are_refused(fn, message):
  with pytest.raises(ValueError, match=message):
    nets.from_function(fn, X)
