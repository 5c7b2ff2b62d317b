"""All methods on models of other libraries, beside our net of equal weights."""

import foreign
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vizlab import attribution, nets, optimize, rules, style, synthesis
from vizlab.objectives import channel, logit, score

KEY = jax.random.key(3)
LAYERED = ('grad_cam', 'grad_cam_pp', 'hires_cam', 'layer_cam', 'score_cam')
# Denominators of some rules are small differences of large numbers.
CANCELLING = {'EPSILON_GAMMA_BOX': 5e-5, 'by_name': 5e-5}


def every_map(net, x, names):
  """Maps by each method, of a class and of a unit, and of a style."""
  second = score(net, logit(2))
  layer = names['relu2']
  maps = {
    'gradient': attribution.gradient(second, x),
    'saliency': attribution.saliency(second, x),
    'gradient_x_input': attribution.gradient_x_input(second, x),
    'guided_backprop': attribution.guided_backprop(second, x),
    'deconvnet': attribution.deconvnet(second, x),
    'smoothgrad': attribution.smoothgrad(second, x, KEY, samples=3),
    'integrated': attribution.integrated_gradients(second, x, steps=4),
    'occlusion': attribution.occlusion(second, x, patch=8, stride=4),
    'fullgrad': attribution.fullgrad(second, x),
    'whole': attribution.full_gradient(second, x).sum(),
    'cam': attribution.cam(second, x, layer=layer, pooled=names['gap']),
    'guided_cam': attribution.guided_grad_cam(second, x, layer=layer),
    'unit': attribution.guided_backprop(
      score(net, channel(names['conv2'], 3)), x
    ),
  }
  for name in LAYERED:
    maps[name] = getattr(attribution, name)(second, x, layer=layer)
  for name in (
    'EPSILON_PLUS',
    'EPSILON_PLUS_FLAT',
    'EPSILON_ALPHA2_BETA1',
    'EPSILON_GAMMA_BOX',
  ):
    maps[name] = attribution.lrp(second, x, getattr(attribution, name))
  by_name = rules.composite({'conv2': rules.gamma(0.5)})
  maps['by_name'] = attribution.lrp(second, x, by_name)
  painted = style.style_loss(net, x[::-1], [names['relu1'], names['pool1']])
  maps['style'] = attribution.gradient(score(net, painted), x)
  return maps


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(jax.random.key(5), (2, foreign.SIZE, 16, 3))


@pytest.fixture(scope='module')
def expected(x):
  names = {name: name for name in foreign.NAMES}
  ours = foreign.ours(foreign.params())
  return jax.jit(lambda net, x: every_map(net, x, names))(ours, x)


@pytest.mark.parametrize('model', foreign.MODELS)
def test_maps_are_those_of_our_net(model, x, expected):
  net = foreign.MODELS[model](foreign.params(), x)
  maps = jax.jit(lambda net, x: every_map(net, x, foreign.NAMES))(net, x)
  for name, map_ in maps.items():
    size = np.abs(expected[name]).max()
    assert size > 0
    np.testing.assert_allclose(
      map_ / size,
      expected[name] / size,
      atol=CANCELLING.get(name, 1e-5),
      err_msg=name,
    )


def optimized(net, x, names):
  """A unit visualized, and a photo painted, by a few steps."""
  seen = optimize.run(
    score(net, channel(names['conv2'], 3)),
    synthesis.fourier((1, foreign.SIZE, 16, 3)),
    KEY,
    steps=4,
  )
  painted = style.transfer(
    net,
    x[0],
    [x[1]],
    steps=4,
    content_layer=names['conv2'],
    style_layers=[names['relu1'], names['pool1']],
    optimizer=optax.sgd(3.0),  # L-BFGS would enlarge what is rounded
  )
  return {
    name: optimize.final(progress).image
    for name, progress in {'seen': seen, 'painted': painted}.items()
  }


@pytest.fixture(scope='module')
def expected_images(x):
  names = {name: name for name in foreign.NAMES}
  return optimized(foreign.ours(foreign.params()), x, names)


@pytest.mark.slow
@pytest.mark.parametrize('model', foreign.MODELS)
def test_images_are_those_of_our_net(model, x, expected_images):
  net = foreign.MODELS[model](foreign.params(), x)
  # Where rounding decides which of two numbers a pooling takes, the photo goes
  # another way, as do its pixels.
  within = {'seen': 1e-4, 'painted': 0.04}
  for name, image in optimized(net, x, foreign.NAMES).items():
    np.testing.assert_allclose(
      image, expected_images[name], atol=within[name], err_msg=name
    )
    start = x[0] if name == 'painted' else 0.5
    assert np.abs(image - start).max() > 4 * within[name]


@pytest.mark.parametrize('model', foreign.MODELS)
def test_layers_are_those_of_our_net(model, x):
  net = foreign.MODELS[model](foreign.params(), x)
  rows = {row.name: row for row in nets.layer_info(net)}
  own = foreign.ours(foreign.params())
  for row in nets.layer_info(own):
    same = rows.pop(foreign.NAMES[row.name])
    assert (same.kind, same.shape, same.field) == row[1:]
  assert [*rows] == ['affine']  # the preprocessing
  logits, acts = net(x)
  expected_logits, expected_acts = own(x)
  np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
  for ours, theirs in foreign.NAMES.items():
    np.testing.assert_allclose(acts[theirs], expected_acts[ours], atol=1e-5)


def test_new_weights_and_targets_do_not_recompile(x):
  traces = []

  def apply(params, x):
    traces.append(1)
    return foreign.apply_plain(params, x)

  # Not of `lrp` itself: others compile it, too.
  explain = jax.jit(lambda score_fn, x: attribution.lrp(score_fn, x))
  for seed in range(3):
    net = nets.from_function(apply, x, foreign.params(seed))
    map_ = explain(score(net, logit(seed)), x)
    own = score(foreign.ours(foreign.params(seed)), logit(seed))
    np.testing.assert_allclose(
      map_, attribution.lrp(own, x), atol=1e-5 * np.abs(map_).max()
    )
  assert explain._cache_size() == 1
  assert len(traces) == 3  # one for each network, none within `explain`


@pytest.mark.parametrize('model', ['linen', 'equinox'])
def test_any_leading_batch_and_vmap(model, x):
  net = score(foreign.MODELS[model](foreign.params(), x), logit(1))

  @jax.jit
  def cam(x):
    return attribution.grad_cam(net, x, layer='relu_1')

  expected = cam(x)
  assert cam(x[0]).shape == (foreign.SIZE, 16)
  np.testing.assert_allclose(cam(x[0]), expected[0], atol=1e-6)
  np.testing.assert_allclose(cam(x[:, None])[:, 0], expected, atol=1e-6)
  np.testing.assert_allclose(jax.vmap(cam)(x), expected, atol=1e-6)
  _, rows = jax.lax.scan(lambda _, x: (None, cam(x)), None, x)
  np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_a_network_made_within_jit_closes_over_its_weights(x):
  @jax.jit
  def explain(params, x):
    net = nets.from_function(lambda x: foreign.apply_plain(params, x), x)
    return attribution.guided_backprop(score(net, logit(1)), x)

  own = score(foreign.ours(foreign.params()), logit(1))
  map_ = explain(foreign.params(), x)
  np.testing.assert_allclose(
    map_,
    attribution.guided_backprop(own, x),
    atol=1e-5 * jnp.abs(map_).max(),
  )
