"""Parts of common models, and what looks like them."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, nn

from vizlab import attribution, nets, rules
from vizlab.objectives import logit, score

X = jax.random.uniform(jax.random.key(0), (2, 16, 16, 3))


@pytest.fixture(autouse=True)
def _promotion():
  """Users' models broadcast vectors and mix integers with floats."""
  with jax.numpy_rank_promotion('allow'), jax.numpy_dtype_promotion('standard'):
    yield


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


def test_a_mean_has_one_name_in_a_composite():
  net = score(network(two(nn.relu)), logit(0))
  by_name = rules.composite({'mean': rules.epsilon(0.1), 'fc': rules.epsilon()})
  map_ = attribution.lrp(net, X, by_name)
  assert np.abs(map_ - attribution.lrp(net, X)).max() > 0
  with pytest.raises(ValueError, match="'reduce_sum' is no linear layer"):
    attribution.lrp(net, X, rules.composite({'reduce_sum': rules.epsilon()}))


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
    map_, expected = (getattr(attribution, method)(s, X) for s in (half, full))
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
