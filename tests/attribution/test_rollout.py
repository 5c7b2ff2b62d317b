"""Attention rollout: slow replicas, and the laws on a small transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import jit_once

from vizlab import attribution, nets
from vizlab.nets.architectures.vit import vit
from vizlab.nets.graph import init_params
from vizlab.objectives import logit, score

LAYERS = [f'encoder.layers.encoder_layer_{i}.self_attention' for i in range(3)]
LAYERS = [f'{name}.weights' for name in LAYERS]


def small(key=0):
  """A transformer of 4 x 4 patches, whose heads attend to few tokens."""
  ops = vit(5, patch=4, grid=4, depth=3, heads=2, width=12, hidden=16)
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
      fused = getattr(layer, heads)(-1)
      fused = fused / fused.sum(-1, keepdims=True)
      rolled = (0.5 * fused + 0.5 * np.eye(17)) @ rolled
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
  fused = getattr(weights[0], heads)(-1)
  fused = fused / fused.sum(-1, keepdims=True)
  half = 0.5 * fused + 0.5 * np.eye(17)
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
  for i, target in enumerate(TARGETS):
    one = method(score(net, logit(target)), x[i])
    close(one, batch[i])
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
def test_networks_without_attention_are_told(method, tiny, x):
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
  whole = attribution.occlusion(asked.run and (lambda x: asked(x)), x, patch=8,
                                stride=4)  # fmt: skip
  np.testing.assert_allclose(found, whole, atol=1e-5)
  uniform = {name: lambda a: jnp.full_like(a, 1 / 17) for name in LAYERS}
  assert not np.allclose(net(x, uniform)[0], net(x)[0], atol=1e-3)


def test_relevance_by_rules_and_guided_slopes_are_refused(net, x):
  asked = score(net, logit(0))
  with pytest.raises(ValueError, match=r"'tokens' \(Tokens\) has no rule for"):
    attribution.lrp(asked, x)
  with pytest.raises(ValueError, match='relu'):
    attribution.guided_backprop(asked, x)
