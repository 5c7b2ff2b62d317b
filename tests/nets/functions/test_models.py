"""Parts of common models, and what looks like them."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, nn
from small_functions import (
  WEIGHTS,
  X,
  agree,
  by_hand,
  conv,
  draw,
  guided,
  names,
  network,
  two,
)

from vizlab import attribution, nets, rules
from vizlab.objectives import logit, score

pytestmark = pytest.mark.usefixtures('users_promotion')


@pytest.mark.parametrize(
  'norm',
  [
    lambda: linen.GroupNorm(2),
    lambda: linen.GroupNorm(8),  # of as many groups as channels
    linen.LayerNorm,
    linen.InstanceNorm,
    linen.RMSNorm,
    lambda: linen.LayerNorm(use_fast_variance=False),
  ],
)
def test_the_variance_of_a_normalisation_is_no_relu(norm):
  class Model(linen.Module):
    act: object

    @linen.compact
    def __call__(self, x):
      for _ in range(2):
        x = self.act(norm()(linen.Conv(8, (3, 3))(x)))
      return linen.Dense(4)(x.mean((1, 2)))

  variables = Model(nn.relu).init(jax.random.key(1), X)
  net = nets.from_function(Model(nn.relu).apply, X, variables)
  relus = [row.name for row in nets.layer_info(net) if row.kind == 'ReLU']
  assert relus == ['relu', 'relu_1']
  expected = by_hand(Model(rules.guided_relu).apply, variables)
  agree(attribution.guided_backprop(score(net, logit(0)), X), expected)


def scanned(act, relu=nn.relu):
  def fn(p, x):
    x = relu(conv(x, p['a']['w']))
    step = lambda x, _: (act(conv(x, p['b']['w'])), None)  # noqa: E731
    x, _ = lax.scan(step, x, None, length=2)
    return x.mean((1, 2)) @ p['fc']['w']

  return fn


def test_a_scan_over_layers():
  assert names(scanned(nn.relu)) == ['a', 'relu', 'mean', 'fc']
  agree(guided(scanned(nn.relu)), by_hand(scanned(*[rules.guided_relu] * 2)))
  with pytest.raises(ValueError, match='scan in the function has no rule of'):
    attribution.lrp(score(network(scanned(nn.relu)), logit(0)), X)
  with pytest.raises(ValueError, match='other activation functions, gelu'):
    guided(scanned(nn.gelu))


@pytest.mark.parametrize(
  'act',
  [
    lambda x: jnp.clip(x, 0, 10),
    lambda x: jnp.clip(x, -10, 10),
    lambda x: jnp.clip(x, 0, 255),
    lambda x: jnp.maximum(x, 1e-6),
    lambda x: jnp.minimum(jnp.maximum(x, 0), 3),
    lambda x: jnp.where(x > 1e-3, x, 0),
    lambda x: jnp.log(1 + nn.relu(x)),
  ],
)
def test_clips_and_logarithms_are_no_relus(act):
  with pytest.raises(ValueError, match='has other activation functions'):
    guided(two(act))
  net = score(network(two(act)), logit(0))
  with pytest.raises(ValueError, match='is not linear'):
    attribution.full_gradient(net, X)
  lenient = score(network(two(act), strict=False), logit(0))
  ruled = lenient.with_rules(relu=rules.guided_relu)
  np.testing.assert_allclose(ruled(X), two(act)(WEIGHTS, X)[:, 0], rtol=1e-4)


def test_a_relu_within_what_has_no_name():
  def cube(relu):
    return two(lambda x: relu(x) ** 3, relu)

  with pytest.raises(ValueError, match='integer_pow'):
    guided(cube(nn.relu))
  agree(guided(cube(nn.relu), strict=False), by_hand(cube(rules.guided_relu)))


def test_a_gate_is_another_activation_function():
  def gated(axes):
    return two(lambda x: nn.relu(x) * nn.sigmoid(x.mean(axes, keepdims=True)))

  for axes in ((1, 2), (3,)):  # of channels, of positions
    with pytest.raises(ValueError, match='sigmoid'):
      guided(gated(axes))


@pytest.mark.parametrize(
  'change',
  [
    lambda x: jnp.concatenate([jnp.zeros_like(x[:, :3]), x], 1),
    lambda x: jnp.concatenate([x, x], 2),
    lambda x: jnp.cumsum(x, 1),
    lambda x: jnp.sort(x, 1),
    lambda x: x[:, ::2, ::2].repeat(2, 1).repeat(2, 2),
    lambda x: jnp.tile(x, (1, 2, 1, 1)),
  ],
)
def test_fields_that_a_window_does_not_have(change):
  net = network(lambda p, x: conv(change(x), p['a']['w']).mean((1, 2)))
  rows = [row for row in nets.layer_info(net) if len(row.shape) == 3]
  assert rows[-1:] == [] or rows[-1].field is None


@pytest.mark.parametrize(
  'change',
  [
    lambda x: x - x[:1],
    lambda x: x[::-1],
    lambda x: jnp.roll(x, 1, 0),
    lambda x: jnp.cumsum(x, 0),
    lambda x: x[jnp.array([1, 0])],
    lambda x: x * (x.mean((1, 2)) @ x.mean((1, 2)).T).mean(),
    lambda x: (x.reshape(-1, 3) - x.reshape(-1, 3).mean(0)).reshape(x.shape),
  ],
)
def test_images_that_are_mixed_are_refused(change):
  with pytest.raises(ValueError, match='mixes the images of a batch'):
    network(lambda p, x: change(x).mean((1, 2)))


@pytest.mark.parametrize('shape', [(3, 1), (1, 3), (3, 5)])
def test_oblong_kernels_of_many_channels(shape):
  weights = {'a': draw(1, 3, 3, 3, 64), 'b': draw(2, *shape, 64, 64)}

  def fn(p, x):
    x = nn.relu(conv(x, p['a']))
    return nn.relu(conv(x, p['b'], 1, 'VALID')).mean((1, 2))[:, :4]

  net = network(fn, weights)
  np.testing.assert_allclose(net(X)[0], fn(weights, X), rtol=1e-4, atol=1e-5)


def test_one_image_has_the_names_of_many():
  def fn(p, x):
    n, h, w, c = x.shape
    x = nn.relu(x.reshape(-1, c) @ p['a']['w'][0, 0]).reshape(n, h, w, 8)
    return x.mean((1, 2)) @ p['fc']['w']

  net = network(fn)
  assert [*net(X[:1])[1]] == [*net(X)[1]] == ['mean', 'fc']


def test_rules_of_pooling_reach_a_scan_or_are_refused():
  def fn(p, x):
    def step(x, _):
      window = (1, 3, 3, 1)
      return lax.reduce_window(
        x, -jnp.inf, lax.max, window, (1, 1, 1, 1), 'SAME'
      ), None

    x = nn.relu(conv(x, p['a']['w']))
    return lax.scan(step, x, None, length=2)[0].mean((1, 2)) @ p['fc']['w']

  net = network(fn)
  np.testing.assert_allclose(net(X)[0], fn(WEIGHTS, X), rtol=1e-5)
  with pytest.raises(ValueError, match='pool: got max pooling'):
    rules.with_rules(net, pool=rules.avg_pool)(X)


def test_settings_of_one_value_and_two_types_are_two_functions():
  def fn(v, x):
    factor = 1.0 if v['flag'] is True else 2.0
    return factor * x.mean((1, 2)) * v['w']

  run = jax.jit(lambda net, x: net(x)[0])
  for flag, factor in ((True, 1), (1, 2)):
    net = network(fn, {'flag': flag, 'w': jnp.ones(3)})
    np.testing.assert_allclose(run(net, X), factor * X.mean((1, 2)), rtol=1e-6)


def test_the_precision_of_products_is_that_of_the_call():
  net = network(two(nn.relu))
  for precision in (None, 'highest'):
    with jax.default_matmul_precision(precision):
      text = str(jax.make_jaxpr(lambda x: net(x)[0])(X))
    assert ('HIGHEST' in text) == (precision == 'highest')


def test_a_model_in_half_precision():
  class Model(linen.Module):
    dtype: object

    @linen.compact
    def __call__(self, x):
      x = nn.relu(linen.Conv(8, (3, 3), dtype=self.dtype)(x))
      x = linen.max_pool(x, (2, 2), (2, 2)).mean((1, 2))
      return linen.Dense(4, dtype=self.dtype)(x).astype(jnp.float32)

  variables = Model(None).init(jax.random.key(1), X)
  half, full = (
    score(nets.from_function(Model(each).apply, X, variables), logit(1))
    for each in (jnp.bfloat16, jnp.float32)
  )
  for method in ('gradient', 'guided_backprop', 'lrp', 'fullgrad'):
    call = jax.jit(getattr(attribution, method))
    map_, expected = (call(s, X) for s in (half, full))
    assert map_.dtype == jnp.float32
    assert np.corrcoef(map_.ravel(), expected.ravel())[0, 1] > 0.99


def test_names_in_usual_layouts():
  def digits(p, x):
    y = x[..., :1].reshape(-1, 1, 16, 16)  # channels first
    layout = ('NCHW', 'HWIO', 'NCHW')
    y = lax.conv_general_dilated(
      y, p['a']['w'][:, :, :1], (1, 1), 'SAME', dimension_numbers=layout
    )
    return nn.relu(y).mean((2, 3)) @ p['fc']['w']

  assert names(digits) == ['a', 'relu', 'mean', 'fc']

  def enlarged(resize):
    def fn(p, x):
      y = conv(resize(nn.relu(conv(x, p['a']['w'], 2))), p['b']['w'])
      return y.mean((1, 2)) @ p['fc']['w']

    return fn

  for resize in (
    lambda x: jax.image.resize(x, (2, 16, 16, 8), 'nearest'),
    lambda x: jax.image.resize(x, (2, 16, 16, 8), 'bilinear'),
    lambda x: x.repeat(2, 1).repeat(2, 2),
  ):
    assert names(enlarged(resize)) == ['a', 'relu', 'b', 'mean', 'fc']
  assert names(lambda p, x: conv(x, p['a']['w']).sum((1, 2)))[-1] == 'sum'


def test_the_largest_value_of_a_map_has_a_name():
  def fn(p, x):
    return conv(x, p['a']['w']).max((1, 2)) @ p['fc']['w']

  assert names(fn) == ['a', 'max', 'fc']
  brightest = names(lambda p, x: conv(x, p['a']['w']).max((1, 3)))
  assert brightest == ['a']  # of each column


def test_operations_that_nobody_knows_are_other_functions():
  with pytest.raises(ValueError, match='other activation functions, lgamma'):
    guided(two(lambda x: lax.lgamma(2 + nn.relu(x))))


def test_what_misses_its_variables_is_told():
  model = linen.Dense(4)
  with pytest.raises(ValueError, match='fn: got Dense, whose variables are ap'):
    nets.from_function(model, X)
  with pytest.raises(ValueError, match='variables: got none, expected those'):
    nets.from_function(model.apply, X)


def test_a_relu_in_a_function_for_devices_is_refused():
  """Its plain gradient would pass for that of the rule."""
  mesh = jax.make_mesh((1,), ('d',))
  at = jax.sharding.PartitionSpec()

  def fn(p, x):
    shared = jax.shard_map(
      lambda a, b: nn.relu(a) + b, mesh=mesh, in_specs=(at, at), out_specs=at
    )
    y = conv(x, p['a']['w'])
    return shared(y, 2 * y).mean((1, 2)) @ p['fc']['w']

  with pytest.raises(ValueError, match='shard_map in the function has a ReLU'):
    guided(fn)


@pytest.mark.parametrize(
  ('act', 'name'),
  [
    (lambda x: jnp.maximum(x, jnp.flip(x, -1)), 'max'),  # maxout
    (lambda x: jnp.minimum(x, jnp.roll(x, 1, 1)), 'min'),
    (jnp.exp, 'exp'),
  ],
)
def test_a_maximum_of_two_maps_is_no_relu(act, name):
  def fn(p, x):
    return act(0.1 * nn.relu(conv(x, p['a']['w']))).mean((1, 2)) @ p['fc']['w']

  with pytest.raises(ValueError, match=f'other activation functions, {name}'):
    guided(fn)


@pytest.mark.parametrize(
  'end',
  [
    nn.softmax,
    nn.log_softmax,
    lambda y: y - nn.logsumexp(y, -1, keepdims=True),
    lambda y: y - jnp.log(jnp.exp(y).sum(-1, keepdims=True)),
    lambda y: nn.softmax(y.astype(jnp.bfloat16)).astype(jnp.float32),
  ],
  ids=['softmax', 'log_softmax', 'logsumexp', 'by hand', 'bfloat16'],
)
def test_a_softmax_is_no_activation_function(end):
  def fn(relu):
    def run(p, x):
      y = relu(conv(x, p['a']['w'])).mean((1, 2)) @ p['fc']['w']
      return end(y)

    return run

  agree(guided(fn(nn.relu)), by_hand(fn(rules.guided_relu)), 1e-2)


def test_pooling_by_hand_is_no_activation_function():
  def fn(relu):
    def run(p, x):
      y = relu(conv(x, p['a']['w']))
      y = jnp.maximum(y[:, ::2], y[:, 1::2])
      return y.mean((1, 2)) @ p['fc']['w']

    return run

  agree(guided(fn(nn.relu)), by_hand(fn(rules.guided_relu)))


def test_a_linen_model_that_changes_its_variables_is_named():
  class Model(linen.Module):
    @linen.compact
    def __call__(self, x):
      x = linen.BatchNorm(use_running_average=False)(x)
      return linen.Dense(2)(x.mean((1, 2)))

  variables = Model().init(jax.random.key(0), X)
  with pytest.raises(ValueError, match='fn: Model changes its variables, exp'):
    nets.from_function(Model().apply, X, variables)
