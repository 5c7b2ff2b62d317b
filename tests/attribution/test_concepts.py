"""Relevance of the units of a layer, and relevance through some of them."""

import foreign
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from relevance_nets import BRANCHES, CHAIN, COMPOSITES, KEY, RESIDUAL, network

from vizlab import attribution
from vizlab.objectives import logit, neuron, score

lrp = jax.jit(attribution.lrp, static_argnames='composite')
layer_relevance = jax.jit(
  attribution.layer_relevance, static_argnames=('layer', 'composite')
)
X = jax.random.uniform(KEY, (3, 8, 8, 3))


def asked(ops):
  return score(network(ops), logit(1))


def through_each(asked, layer, composite, count):
  """Relevance through each channel, ``[channel, B, H, W, C]``."""
  part = jax.vmap(
    lambda mask: attribution.lrp(asked, X, composite, {layer: mask})
  )
  return jax.jit(part)(jnp.eye(count))


@pytest.mark.parametrize('name', ['plus', 'gamma box'])
@pytest.mark.parametrize(
  ('ops', 'layer', 'count'),
  [(CHAIN, 'relu1', 6), (CHAIN, 'gap', 8), (BRANCHES, 'norm', 9)],
  ids=lambda v: v if isinstance(v, str) else '',
)
def test_the_parts_of_all_channels_are_the_whole(name, ops, layer, count):
  composite, target = COMPOSITES[name], asked(ops)
  parts = through_each(target, layer, composite, count)
  whole = lrp(target, X, composite)
  top = float(np.abs(whole).max())
  np.testing.assert_allclose(parts.sum(0), whole, rtol=0, atol=1e-4 * top)
  assert float(np.abs(parts[0] - parts[1]).max()) > 1e-3 * top
  # Nothing is lost between the layer and the image.
  there = layer_relevance(target, X, layer, composite)
  if there.ndim == 4:
    there = there.sum((1, 2))
  np.testing.assert_allclose(
    parts.sum((2, 3, 4)).T, there, rtol=2e-3, atol=1e-3 * np.abs(there).max()
  )


def test_what_goes_around_a_layer_is_in_every_part():
  target, composite = asked(RESIDUAL), COMPOSITES['epsilon']
  whole = lrp(target, X, composite)
  around = lrp(target, X, composite, {'conv2': jnp.zeros(6)})
  parts = through_each(target, 'conv2', composite, 6) - around[None]
  assert float(np.abs(around).max()) > 1e-2 * float(np.abs(whole).max())
  np.testing.assert_allclose(
    parts.sum(0) + around, whole, rtol=0, atol=1e-4 * np.abs(whole).max()
  )


def test_with_the_epsilon_rule_it_is_gradients_times_activations():
  target, composite = asked(CHAIN), COMPOSITES['epsilon']
  found = attribution.layer_gradients(target, X, ['relu1', 'relu2'])
  for layer in ('relu1', 'relu2'):
    np.testing.assert_allclose(
      layer_relevance(target, X, layer, composite),
      found.acts[layer] * found.gradients[layer],
      rtol=1e-3,
      atol=1e-5,
    )
  # Through chosen units of two layers: Jacobians, with a mask behind each.
  low = jnp.array([1.0, 0, 1, 0, 1, 0])
  high = jnp.array([0.0, 1, 1, 0, 0, 1, 0, 1])
  net = target.net

  def upper(offset):
    return net(X, {'relu1': lambda a: a + offset})[1]['relu2']

  masked = found.gradients['relu2'] * high[None, None, None]
  (below,) = jax.vjp(upper, jnp.zeros_like(found.acts['relu1']))[1](masked)
  _, pull = jax.vjp(lambda x: net(x)[1]['relu1'], X)
  want = X * pull(below * low[None, None, None])[0]
  got = lrp(target, X, composite, {'relu1': low, 'relu2': high})
  np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5)
  # And of what the units of the higher layer are composed.
  units = layer_relevance(target, X, 'relu1', composite, {'relu2': high})
  np.testing.assert_allclose(
    units, found.acts['relu1'] * below, rtol=1e-3, atol=1e-5
  )
  # What arrives at a layer is not what passes it.
  units = layer_relevance(target, X, 'relu2', composite, {'relu2': high})
  want = found.acts['relu2'] * found.gradients['relu2']
  np.testing.assert_allclose(units, want, rtol=1e-3, atol=1e-5)


def test_masks_of_places_and_of_images():
  target, composite = asked(CHAIN), COMPOSITES['epsilon']
  whole = lrp(target, X, composite)
  left = jnp.zeros((8, 8, 1)).at[:, :4].set(1)
  one = lrp(target, X, composite, {'relu1': left})
  other = lrp(target, X, composite, {'relu1': 1 - left})
  np.testing.assert_allclose(one + other, whole, rtol=1e-3, atol=1e-5)
  # A kernel of 3 positions reads one column beyond.
  assert not one[:, :, 5:].any() and one[:, :, :5].any()
  each = jnp.array([1.0, 0, 2])[:, None, None, None]
  scaled = lrp(target, X, composite, {'relu1': each})
  np.testing.assert_allclose(scaled, whole * each, rtol=1e-4, atol=1e-6)


def test_an_objective_on_the_layer_itself():
  net = network(CHAIN)
  target = score(net, neuron('relu1', 2, (3, 3)))
  units = layer_relevance(target, X, 'relu1', COMPOSITES['epsilon'])
  want = jnp.zeros_like(units).at[:, 3, 3, 2].set(target(X))
  np.testing.assert_allclose(units, want, rtol=1e-5, atol=1e-6)
  none = lrp(target, X, COMPOSITES['epsilon'], {'relu1': jnp.zeros(6)})
  assert not none.any()


def test_relevance_of_a_model_of_ones_own():
  x = jax.random.uniform(KEY, (2, foreign.SIZE, foreign.SIZE, 3))
  params = foreign.params()
  mine, theirs = foreign.ours(params), foreign.linen(params, x)
  mask = jnp.eye(8)[3]
  for method in (
    lambda net, names: attribution.layer_relevance(
      score(net, logit(1)), x, names['relu1']
    ),
    lambda net, names: attribution.lrp(
      score(net, logit(1)), x, through={names['relu1']: mask}
    ),
  ):
    want = method(mine, {name: name for name in foreign.NAMES})
    got = method(theirs, foreign.NAMES)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    assert want.any()


def test_undefined_scores_are_nan():
  target = asked(CHAIN)
  x = X.at[1, 0, 0, 0].set(jnp.nan)
  units = layer_relevance(target, x, 'relu1')
  part = lrp(target, x, through={'relu1': jnp.ones(6)})
  for found in (units, part):
    undefined = jnp.isnan(found).all((1, 2, 3))
    assert undefined.tolist() == [False, True, False]
    assert jnp.isfinite(found[::2]).all()


@pytest.mark.parametrize(
  ('through', 'message'),
  [
    ({'relu3': jnp.ones(6)}, "through: got 'relu3', expected one of"),
    ({'relu1': 3}, "through: got 3 for 'relu1', expected a mask, such as"),
    ({'relu1': None}, 'through: got None'),
    ({'relu1': np.full(6, 1j)}, 'through: got a complex128 mask'),
    ('relu1', "through: got 'relu1', expected {layer: mask}"),
    (
      {'relu1': jnp.ones(5)},
      r"mask of shape \(5,\) for 'relu1', expected real",
    ),
    (
      {'relu1': jnp.ones((2, 3, 8, 8, 6))},
      'through: got a float32 mask of shape',
    ),
  ],
)
def test_wrong_masks(through, message):
  with pytest.raises(ValueError, match=message):
    attribution.lrp(asked(CHAIN), X, through=through)


def test_wrong_layers():
  with pytest.raises(ValueError, match="layer: got 'relu3', expected one of"):
    attribution.layer_relevance(asked(CHAIN), X, 'relu3')
  with pytest.raises(ValueError, match='score: got function, expected'):
    attribution.layer_relevance(lambda x: x.sum((1, 2, 3)), X, 'relu1')
