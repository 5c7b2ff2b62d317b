"""Attention rollout: slow replicas, and the laws on a small transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import jit_once

from vizlab import attribution, nets
from vizlab.attribution.rollout import _names as names_of
from vizlab.nets.architectures.vit import vit
from vizlab.nets.graph import init_params
from vizlab.objectives import logit, score

LAYERS = [f'encoder.layers.encoder_layer_{i}.self_attention' for i in range(3)]
LAYERS = [f'{name}.weights' for name in LAYERS]


def small(key=0, depth=3):
  """A transformer of 4 x 4 patches, whose heads attend to few tokens."""
  ops = vit(5, patch=4, grid=4, depth=depth, heads=2, width=12, hidden=16)
  spec = nets.InputSpec(size=16)
  params = init_params(ops, spec.shape, jax.random.key(key))
  for name, values in params.items():
    if name.endswith('in_proj'):
      values['kernel'] *= 3
  return nets.Network('vit', ops, spec, params)


@pytest.fixture(scope='module')
def net():
  return small()


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(jax.random.key(1), (3, 16, 16, 3))


def attention(net, x):
  """Attention weights ``[L, B, T, T, heads]``, which are not uniform."""
  acts = jit_once(lambda net, x: net(x)[1])(net, x)
  found = np.stack([acts[name] for name in LAYERS])
  np.testing.assert_allclose(found.sum(-2), 1, rtol=1e-5)
  assert found.max() > 0.3 and found.min() < 0.02
  return found


@pytest.mark.parametrize('heads', ['mean', 'max', 'min'])
@pytest.mark.parametrize('token', [0, 7])
def test_rollout_equals_a_slow_replica(net, x, heads, token):
  weights = attention(net, x)
  wanted = []
  for n in range(len(x)):
    rolled = np.eye(17)
    for layer in weights[:, n]:
      factor = getattr(layer, heads)(-1) + np.eye(17)
      rolled = factor / factor.sum(-1, keepdims=True) @ rolled
    np.testing.assert_allclose(rolled.sum(-1), 1, rtol=1e-6)
    wanted.append(rolled[token, 1:].reshape(4, 4))
  found = attribution.attention_rollout(
    score(net, logit(2)), x, heads=heads, token=token, resize=False
  )
  np.testing.assert_allclose(found, wanted, rtol=1e-4)
  named = attribution.attention_rollout(
    score(net, logit(0)), x, heads=heads, token=token, layers=LAYERS[:1],
    resize=False,
  )  # fmt: skip
  half = getattr(weights[0], heads)(-1) + np.eye(17)
  half = half / half.sum(-1, keepdims=True)
  np.testing.assert_allclose(
    named, half[:, token, 1:].reshape(-1, 4, 4), rtol=1e-4
  )


def test_relevance_equals_a_slow_replica(net, x):
  asked = score(net, logit(2))
  weights = attention(net, x)
  slopes = []
  for i, name in enumerate(LAYERS):
    # Of the score by the weights, through an edit that puts them in place.
    def value(given, x, name=name):
      return net(x[None], {name: lambda _: given[None]})[0][0, 2]

    slopes.append(jax.jit(jax.vmap(jax.grad(value)))(weights[i], x))
  wanted = []
  for n in range(len(x)):
    rolled = np.eye(17)
    for layer, slope in zip(weights[:, n], slopes, strict=True):
      rolled += np.maximum(layer * np.asarray(slope[n]), 0).mean(-1) @ rolled
    wanted.append(rolled[0, 1:].reshape(4, 4))
  found = attribution.attention_relevance(asked, x, resize=False)
  np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6)
  assert (np.asarray(found) >= 0).all() and np.asarray(found).max() > 0


def test_layers_are_in_the_order_in_which_they_run(x):
  """Twelve layers, whose names sort otherwise: 0, 1, 10, 11, 2."""
  net = small(depth=12)
  names = [LAYERS[0].replace('layer_0', f'layer_{i}') for i in range(12)]
  assert sorted(names) != names
  asked = score(net, logit(2))
  rollout = jax.jit(
    attribution.attention_rollout, static_argnames=('layers', 'resize')
  )
  found = rollout(asked, x, resize=False)
  named = rollout(asked, x, layers=tuple(names), resize=False)
  np.testing.assert_array_equal(found, named)
  other = rollout(asked, x, layers=tuple(sorted(names)), resize=False)
  assert not np.allclose(found, other, rtol=0.01)
  # The names that both methods read.
  acts = jax.eval_shape(lambda x: net(x)[1], x)
  assert [*names_of(net, acts, None)] == names


def test_heads_that_share_no_token(net, x):
  """The minimum of heads that attend to one token each is no attention."""
  eye = jnp.eye(17)
  sharp = jnp.stack([eye[jnp.full(17, 3)], eye[jnp.full(17, 5)]], -1)
  edits = {name: lambda a: jnp.broadcast_to(sharp, a.shape) for name in LAYERS}

  class Edited(nets.Network):
    def __call__(self, x, more=None):
      return super().__call__(x, edits | (more or {}))

  edited = Edited(net.arch, net.ops, net.spec, nets.get_params(net))
  asked = score(edited, logit(0))
  found = attribution.attention_rollout(asked, x, heads='min', resize=False)
  assert not found.any()
  own = attribution.attention_rollout(
    asked, x, heads='min', token=4, resize=False
  )
  assert own[:, 0, 3].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
  ('size', 'grid'), [((16, 15), (4, 3)), ((12, 11), (3, 2)), ((19, 27), (4, 6))]
)
def test_images_that_patches_do_not_fill(net, size, grid):
  x = jax.random.uniform(jax.random.key(2), (*size, 3))
  found = attribution.attention_rollout(score(net, logit(1)), x, resize=False)
  assert found.shape == grid


METHODS = pytest.mark.parametrize(
  'method', [attribution.attention_rollout, attribution.attention_relevance]
)
TARGETS = jnp.array([0, 3, 4])


@METHODS
def test_laws(method, net, x):
  traces = []

  @jax.jit
  def explain(asked, x):
    traces.append(method)
    return method(asked, x)

  batch = explain(score(net, logit(TARGETS)), x)
  assert batch.shape == (3, 16, 16) and batch.dtype == jnp.float32
  assert explain(score(small(5), logit(TARGETS)), 1 - x).shape == (3, 16, 16)
  assert len(traces) == 1

  def close(found, wanted):
    top = jnp.abs(wanted).max()
    np.testing.assert_allclose(found / top, wanted / top, atol=1e-5)

  close(method(score(net, logit(TARGETS)), x), batch)
  close(method(score(net, logit(3)), x[1]), batch[1])
  nested = method(score(net, logit(TARGETS[None])), x[None])
  close(nested[0], batch)
  broken = explain(score(net, logit(TARGETS)), x.at[1, 3, 4].set(jnp.nan))
  assert jnp.isnan(broken[1]).all()
  close(broken[::2], batch[::2])
  wrong = explain(score(net, logit(jnp.array([0, 9, 4]))), x)
  assert jnp.isnan(wrong[1]).all() and jnp.isfinite(wrong[::2]).all()


@METHODS
def test_images_that_are_not_square(method, net):
  x = jax.random.uniform(jax.random.key(2), (2, 16, 24, 3))
  asked = score(net, logit(1))
  assert method(asked, x).shape == (2, 16, 24)
  assert method(asked, x, resize=False).shape == (2, 4, 6)


def test_relevance_is_of_the_target_and_rollout_is_not(net, x):
  one, other = (score(net, logit(k)) for k in (0, 3))
  rolled = [attribution.attention_rollout(s, x) for s in (one, other)]
  np.testing.assert_array_equal(*rolled)
  relevant = [attribution.attention_relevance(s, x) for s in (one, other)]
  assert not np.allclose(*relevant, rtol=0.1)


@METHODS
@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layers': 'x'}, "layers: got the text 'x', expected a list"),
    ({'layers': ['x']}, "layers: got 'x', expected one of"),
    (
      {'layers': ['encoder.ln']},
      r"layers: 'encoder.ln' gives \(3, 1, 17, 12\)",
    ),
    ({'layers': []}, 'layers: got none'),
    ({'token': 17}, 'token: got 17, expected 0 to 16'),
  ],
)
def test_bad_settings_are_named(method, change, message, net, x):
  with pytest.raises(ValueError, match=message):
    method(score(net, logit(0)), x, **change)


@METHODS
def test_networks_without_attention_are_refused(method, tiny, x):
  with pytest.raises(ValueError, match='layers: got none, and no layer of the'):
    method(score(tiny, logit(0)), x)
  with pytest.raises(ValueError, match='score: got function, expected'):
    method(lambda x: x.sum((1, 2, 3)), x)


def test_heads_are_named(net, x):
  with pytest.raises(ValueError, match="heads: got 'sum', expected one of"):
    attribution.attention_rollout(score(net, logit(0)), x, heads='sum')


def test_other_methods_on_a_transformer(net, x):
  """Gradients, occlusion and edits need no more than the nouns."""
  asked = score(net, logit(TARGETS))
  assert attribution.saliency(asked, x).shape == (3, 16, 16)
  found = attribution.occlusion(asked, x, patch=8, stride=4)
  whole = attribution.occlusion(lambda x: asked(x), x, patch=8, stride=4)
  np.testing.assert_allclose(found, whole, atol=1e-5)
  uniform = {name: lambda a: jnp.full_like(a, 1 / 17) for name in LAYERS}
  assert not np.allclose(net(x, uniform)[0], net(x)[0], atol=1e-3)


@METHODS
def test_under_vmap_and_inside_scan(method, net, x):
  wanted = method(score(net, logit(TARGETS)), x)

  def one(target, image):
    return method(score(net, logit(target)), image)

  mapped = jax.jit(jax.vmap(one))(TARGETS, x)
  np.testing.assert_allclose(mapped, wanted, rtol=1e-3, atol=1e-5)
  _, scanned = jax.lax.scan(lambda c, item: (c, one(*item)), 0, (TARGETS, x))
  np.testing.assert_allclose(scanned, wanted, rtol=1e-3, atol=1e-5)


def test_maps_of_tokens_are_no_maps_of_the_image(net, x):
  asked, layer = score(net, logit(0)), 'encoder.layers.encoder_layer_1'
  for method in (
    attribution.grad_cam,
    attribution.hires_cam,
    attribution.score_cam,
    attribution.guided_grad_cam,
  ):
    with pytest.raises(ValueError, match='gives tokens, expected a map of the'):
      method(asked, x, layer=layer)
  assert attribution.grad_cam(asked, x, layer='conv_proj').shape == (3, 16, 16)
  with pytest.raises(ValueError, match=r'no method biases\(\)'):
    attribution.fullgrad(asked, x)
  with pytest.raises(ValueError, match='gives tokens, expected maps'):
    nets.with_template_masks(net, [layer])
  assert 'conv_proj' not in net.token_layers
  assert {layer, *LAYERS, 'tokens', 'encoder.ln'} <= net.token_layers
  assert net.token_layers.isdisjoint(['class', 'heads.head'])


def test_relevance_by_rules_and_guided_slopes_are_refused(net, x):
  asked = score(net, logit(0))
  with pytest.raises(ValueError, match=r"'tokens' \(Tokens\) has no rule for"):
    attribution.lrp(asked, x)
  with pytest.raises(ValueError, match='relu'):
    attribution.guided_backprop(asked, x)
