"""The examples of .github/your_own_model.md against calculations by hand.

What `page` gives is the very code that the page shows.
"""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from tools import definitions

from vizlab import attribution, nets
from vizlab.objectives import logit, neuron, score

PAGE = '.github/your_own_model.md'


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (3, 12, 12, 3))


def page(name):
  return types.SimpleNamespace(**definitions(PAGE, name))


def filled(shapes, seed):
  """Random arrays of the shapes of a tree: biases are not zero, either."""
  leaves, tree = jax.tree.flatten(shapes)
  draw = np.random.default_rng(seed).normal
  return tree.unflatten([jnp.float32(0.3 * draw(size=a.shape)) for a in leaves])


def variables_of(model, x, seed=0):
  return filled(jax.eval_shape(model.init, jax.random.key(0), x), seed)


def conv(params, x):
  dimensions = ('NHWC', 'HWIO', 'NHWC')
  y = jax.lax.conv_general_dilated(
    x, params['kernel'], (1, 1), 'SAME', dimension_numbers=dimensions
  )
  return y + params['bias'].reshape(1, 1, 1, -1)


def positive(a):
  return jnp.where(a > 0, a, 0)


def by_hand(variables, x, edits=None, start=None):
  """The page's Linen model as a chain of layers; from one of them on."""
  params = variables['params']

  def halve(a):
    n, h, w, c = a.shape
    return a.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))

  def head(a):
    kernel, bias = (params['Dense_0'][name] for name in ('kernel', 'bias'))
    return a @ kernel + bias.reshape(1, -1)

  chain = {
    'Block_0/Conv_0': lambda a: conv(params['Block_0']['Conv_0'], a),
    'Block_0/relu': positive,
    'max_pool': halve,
    'Block_1/Conv_0': lambda a: conv(params['Block_1']['Conv_0'], a),
    'Block_1/relu': positive,
    'mean': lambda a: a.mean((1, 2)),
    'Dense_0': head,
  }
  names, acts = list(chain), {}
  for name in names[0 if start is None else names.index(start) + 1 :]:
    x = acts[name] = (edits or {}).get(name, lambda a: a)(chain[name](x))
  return x, acts


@pytest.fixture(scope='module')
def adapted():
  """The page's Linen model as a network, its apply and its variables."""
  model, x = page('Block').Small(), jnp.zeros((1, 12, 12, 3))
  variables = variables_of(model, x)
  return nets.from_function(model.apply, x, variables), model.apply, variables


def test_a_linen_model_gives_its_logits_and_activations(adapted, x):
  net, apply, variables = adapted
  logits, acts = net(x)
  plain = apply(variables, x)
  np.testing.assert_allclose(logits, plain, atol=1e-6)
  expected = by_hand(variables, x)[1]
  assert acts.keys() == expected.keys()
  for name, a in acts.items():
    np.testing.assert_allclose(a, expected[name], atol=1e-5, err_msg=name)


def test_edits_reach_the_rest_of_the_model(adapted, x):
  net, _, variables = adapted
  logits, acts = net(x, {'Block_1/relu': lambda a: 0 * a})
  bias = variables['params']['Dense_0']['bias']
  np.testing.assert_array_equal(logits, np.broadcast_to(bias, (3, 4)))
  assert not acts['Block_1/relu'].any() and acts['Block_1/Conv_0'].any()


@pytest.mark.parametrize(
  'layer', ['Block_0/Conv_0', 'Block_0/relu', 'Block_1/Conv_0', 'Block_1/relu']
)
def test_grad_cam_of_a_model_is_the_one_by_hand(adapted, x, layer):
  net, _, variables = adapted

  @jax.jit
  def expected(variables, x):
    a = by_hand(variables, x)[1][layer]
    g = jax.grad(lambda a: by_hand(variables, a, start=layer)[0][:, 2].sum())(a)
    return positive((g.mean((1, 2), keepdims=True) * a).sum(-1))

  explain = jax.jit(attribution.grad_cam, static_argnames=('layer', 'resize'))
  cam = explain(score(net, logit(2)), x, layer=layer, resize=False)
  assert cam.any()
  np.testing.assert_allclose(cam, expected(variables, x), atol=1e-6)


@pytest.mark.parametrize('method', ['layer_cam', 'score_cam'])
def test_other_maps_of_a_model_are_those_by_hand(adapted, x, method):
  net, _, variables = adapted
  hand = jax.tree_util.Partial(by_hand, variables)
  explain = jax.jit(getattr(attribution, method), static_argnames='layer')
  map_, expected = (
    explain(score(each, logit(1)), x, layer='Block_1/relu')
    for each in (net, hand)
  )
  assert map_.any()
  np.testing.assert_allclose(map_, expected, atol=1e-5)


def test_a_module_that_is_called_twice_has_two_activations(x):
  class Twice(linen.Module):
    @linen.compact
    def __call__(self, x):
      same = linen.Conv(3, (3, 3), name='same')
      return linen.Dense(2, name='head')(same(same(x)).mean((-3, -2)))

  variables = variables_of(Twice(), x)
  net = nets.from_function(Twice().apply, x, variables)
  acts = net(x)[1]
  assert list(acts) == ['same', 'same_1', 'mean', 'head']
  params = variables['params']['same']
  first = conv(params, x)
  np.testing.assert_allclose(acts['same'], first, atol=1e-5)
  np.testing.assert_allclose(acts['same_1'], conv(params, first), atol=1e-5)


@pytest.mark.parametrize('lift', [linen.remat, linen.jit])
def test_modules_that_flax_lifts_are_read_and_edited(x, lift):
  class Lifted(linen.Module):
    @linen.compact
    def __call__(self, x):
      return lift(linen.Conv)(4, (3, 3), name='conv')(x).mean((-3, -2))

  model = Lifted()
  net = nets.from_function(model.apply, x, variables_of(model, x))
  plain = net(x)[0]
  logits, acts = net(x, {'conv': lambda a: a + 2})
  np.testing.assert_allclose(logits, plain + 2, rtol=1e-5)
  np.testing.assert_allclose(acts['conv'].mean((1, 2)), logits, rtol=1e-5)
  cam = attribution.grad_cam(
    score(net, logit(0)), x, layer='conv', rectify=False, resize=False
  )
  places = acts['conv'][..., 0].size / len(x)
  expected = (acts['conv'][..., 0] - 2) / places
  np.testing.assert_allclose(cam, expected, atol=1e-5)


def guided_by_hand(first, weight, x):
  """Guided backprop of ``weight . mean relu(first(x))``."""
  a, back = jax.vjp(first, x)
  g = jnp.where(a > 0, positive(weight).reshape(1, 1, 1, -1), 0)
  return back(g / (a.shape[1] * a.shape[2]))[0]


def test_nnx_example_is_the_one_by_hand(x):
  net = page('nnx').Small(nnx.Rngs(0))
  net.conv.bias[...] = filled(net.conv.bias[...], 0)
  net.head.bias[...] = filled(net.head.bias[...], 1)
  weight = net.head.kernel[...][:, 1]
  params = {'kernel': net.conv.kernel[...], 'bias': net.conv.bias[...]}
  asked = score(net, logit(1))

  parts = jax.jit(attribution.full_gradient)(asked, x)
  assert parts.biases.keys() == {'conv', 'head'}
  np.testing.assert_allclose(parts.sum(), asked(x), rtol=1e-4)
  explain = jax.jit(attribution.grad_cam, static_argnames=('layer', 'resize'))
  cam = explain(asked, x, layer='relu', resize=False)
  expected = positive(positive(conv(params, x)) @ weight / 144)
  assert expected.any()
  np.testing.assert_allclose(cam, expected, atol=1e-6)
  guided = jax.jit(attribution.guided_backprop)(asked, x)
  expected = guided_by_hand(lambda x: conv(params, x), weight, x)
  np.testing.assert_allclose(guided, expected, atol=1e-6)


@pytest.fixture
def embedding(x):
  """The page's code for embeddings, and its net."""
  code = page('similarity')
  model = linen.Sequential(
    [linen.Conv(8, (3, 3)), linen.relu, linen.Conv(6, (3, 3))]
  )
  code.embed.__globals__['model'] = model
  code.net = jax.tree_util.Partial(code.embed, variables_of(model, x))
  return code


def test_similarity_has_the_slope_of_finite_differences(embedding, x):
  def double(tree):
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), tree)

  @jax.jit
  def rise_and_slope(net, x, step):
    reference = net(x[::-1])[1]['embedding']  # one per image; x[1] has its own
    asked = score(net, embedding.similarity('embedding', reference))
    rise = (asked(x + step) - asked(x - step)) / 2
    slope = (attribution.gradient(asked, x) * step).sum((1, 2, 3))
    return asked(x), rise, slope

  x = x[:, :6, :6]
  step = 1e-7 * np.random.default_rng(5).normal(size=x.shape)
  with jax.enable_x64(True):
    found = rise_and_slope(*map(double, (embedding.net, x, step)))
  y, rise, slope = map(np.asarray, found)
  np.testing.assert_allclose(y[1], 1, atol=1e-14)  # nothing is more alike
  np.testing.assert_allclose([rise[1], slope[1]], 0, atol=1e-14)
  assert np.abs(slope[::2]).min() > 1e-11
  np.testing.assert_allclose(rise[::2], slope[::2], rtol=1e-4)


def test_similarity_takes_a_new_reference_without_recompiling(embedding, x):
  traces = []

  @jax.jit
  def explain(asked, x):
    traces.append(1)
    return attribution.gradient(asked, x)

  alike = [
    embedding.similarity('embedding', reference)
    for reference in embedding.net(x)[1]['embedding']
  ]
  first, second = (explain(score(embedding.net, each), x) for each in alike[:2])
  assert len(traces) == 1 and not jnp.allclose(first, second)
  both = explain(score(embedding.net, alike[0] - 0.5 * alike[1]), x)
  np.testing.assert_allclose(both, first - 0.5 * second, atol=1e-6)


@pytest.fixture
def segmentation(x):
  """The page's code for segmentation, and its net."""
  code = page('segment')
  layers = {'body': linen.Conv(8, (3, 3)), 'head': linen.Conv(5, (3, 3))}
  code.segment.__globals__.update(layers)
  code.variables = {
    'body': variables_of(layers['body'], x),
    'head': variables_of(layers['head'], jnp.zeros((1, 12, 12, 8))),
  }
  code.net = jax.tree_util.Partial(code.segment, code.variables)
  return code


def test_a_pixel_sees_its_receptive_field_and_no_more(segmentation, x):
  traces = []

  @jax.jit
  def explain(asked, x):
    traces.append(1)
    return attribution.saliency(asked, x)

  ready = jax.jit(attribution.saliency)
  for row, column in ((5, 7), (0, 11), (10, 2)):
    pixel = jax.tree_util.Partial(segmentation.pixel, row, column, 2)
    map_ = explain(score(segmentation.net, pixel), x)
    away = np.maximum(*np.abs(np.indices((12, 12)).T - [row, column]).T)
    seen = np.broadcast_to(away <= 2, map_.shape)  # two 3x3 convolutions
    np.testing.assert_array_equal(np.asarray(map_ > 0), seen)
    same = score(segmentation.net, neuron('classes', 2, (row, column)))
    np.testing.assert_allclose(ready(same, x), map_, atol=1e-6)
  assert len(traces) == 1


def test_grad_cam_of_a_region_is_the_one_by_hand(segmentation, x):
  params = {k: v['params'] for k, v in segmentation.variables.items()}
  region = jax.tree_util.Partial(segmentation.region, 3)
  asked = score(segmentation.net, region)
  a = positive(conv(params['body'], x))
  maps = conv(params['head'], a)
  inside = maps.argmax(-1) == 3
  np.testing.assert_allclose(
    asked(x), [m[i, 3].sum() for m, i in zip(maps, inside, strict=True)]
  )
  seed = jnp.zeros_like(maps).at[..., 3].set(inside.astype(jnp.float32))
  g = jax.vjp(lambda a: conv(params['head'], a), a)[1](seed)[0]
  expected = positive((g.mean((1, 2), keepdims=True) * a).sum(-1))
  cam = attribution.grad_cam(asked, x, layer='relu', resize=False)
  assert expected.any()
  np.testing.assert_allclose(cam, expected, atol=1e-5)
