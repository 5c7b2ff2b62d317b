"""Models that are not ours: Linen, NNX and plain functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from vizlab import attribution, rules
from vizlab.objectives import channel, logit, score
from vizlab.rules import Rules


class Linen(linen.Module):
  rules: Rules = Rules()

  @linen.compact
  def __call__(self, x, edits=None):
    a = self.rules.relu(linen.Conv(8, (3, 3), name='conv')(x))
    a = (edits or {}).get('relu', lambda a: a)(a)
    return linen.Dense(4, name='fc')(a.mean((-3, -2))), {'relu': a}


class Nnx(nnx.Module):
  def __init__(self):
    self.rules = Rules()
    self.conv = nnx.Conv(3, 8, (3, 3), rngs=nnx.Rngs(0))

  def __call__(self, x, edits=None):
    a = self.rules.relu(self.conv(x))
    a = (edits or {}).get('relu', lambda a: a)(a)
    return a.mean((-3, -2)), {'relu': a}


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (3, 12, 12, 3))


@pytest.fixture
def variables(x):
  return Linen().init(jax.random.key(1), x)


def linen_net(variables, relu=rules.relu):
  model = Linen(Rules(relu=relu))
  return jax.tree_util.Partial(model.apply, variables)


def test_linen_as_a_function_does_not_recompile(x, variables):
  traces = []

  def apply(variables, x):
    traces.append(1)
    return Linen().apply(variables, x)[0][..., 2]

  explain = jax.jit(attribution.saliency)
  first = explain(jax.tree_util.Partial(apply, variables), x)
  other = jax.tree.map(lambda a: a + 1, variables)
  explain(jax.tree_util.Partial(apply, other), x)
  assert len(traces) == 1 and first.shape == (3, 12, 12)


def test_linen_as_a_net(x, variables):
  asked = score(linen_net(variables), logit(jnp.array([0, 1, 2])))
  cam = attribution.grad_cam(asked, x, layer='relu', resize=False)
  a = asked.net(x)[1]['relu']
  weight = variables['params']['fc']['kernel'].T[:3] / 144
  expected = np.maximum(jnp.einsum('bhwc,bc->bhw', a, weight), 0)
  np.testing.assert_allclose(cam, expected, atol=1e-6)
  guided = score(linen_net(variables, rules.guided_relu), asked.objective)
  assert not jnp.allclose(
    attribution.gradient(guided, x), attribution.gradient(asked, x)
  )


def test_nnx_as_a_net(x):
  asked = score(Nnx(), channel('relu', 3))
  guided = jax.jit(attribution.guided_backprop)(asked, x)
  direct = attribution.gradient(
    score(rules.with_rules(Nnx(), relu=rules.guided_relu), asked.objective), x
  )
  np.testing.assert_allclose(guided, direct, atol=1e-7)
  assert guided.any()


def test_nnx_as_a_function_does_not_recompile(x):
  traces = []

  def ask(model, x):
    traces.append(1)
    return model(x)[0][..., 2]

  explain, model = jax.jit(attribution.saliency), Nnx()
  first = explain(jax.tree_util.Partial(ask, model), x)
  model.conv.kernel[...] *= 2
  second = explain(jax.tree_util.Partial(ask, model), x)
  assert len(traces) == 1 and not jnp.allclose(first, second)


def test_a_plain_function(x):
  def brightness(x):
    return x.mean((-3, -2, -1))

  np.testing.assert_allclose(attribution.gradient(brightness, x), 1 / 432)
  drop = attribution.occlusion(brightness, x, patch=12, stride=12, fill=0.0)
  np.testing.assert_allclose(drop[:, 0, 0], x.mean((1, 2, 3)), rtol=1e-5)
  with pytest.raises(ValueError, match='expected a vizlab.objectives.score'):
    attribution.grad_cam(brightness, x, layer='relu')


def test_a_net_without_rules_is_told_how(x, variables):
  asked = score(linen_net(variables), logit(0))
  with pytest.raises(ValueError, match='has no attribute `rules`'):
    attribution.guided_backprop(asked, x)


CONTRACT = r'expected net\(x, edits=None\) -> \(logits, acts\)'


@pytest.mark.parametrize(
  ('net', 'came'),
  [
    (lambda x, edits=None: x.mean((1, 2)), r'an array of shape \(3, 3\)'),
    (lambda x, edits=None: (x, x, x), 'a tuple of 3'),
    (lambda x, edits=None: (x[:, 0, 0], x), 'shape .* and an array of shape'),
    (lambda x, edits=None: {'relu': x}, 'returned a dict'),
    (lambda x: (None, {'relu': x}), 'does not take images and edits'),
  ],
)
def test_what_is_no_net_is_told_the_contract(net, came, x):
  asked = score(net, logit(0))
  for call in (
    asked,
    jax.jit(lambda x: asked(x)),
    lambda x: attribution.grad_cam(asked, x, layer='relu'),
  ):
    with pytest.raises(ValueError, match=f'net: .*{came}.*{CONTRACT}'):
      call(x)


def test_an_error_inside_of_a_net_stays_as_it_is(x):
  def net(x, edits=None):
    return edits.items()(x)  # a mistake of its own

  with pytest.raises(AttributeError, match='items'):
    score(net, logit(0))(x)

  def typed(x, edits=None):
    return len(3), {}

  with pytest.raises(TypeError, match='has no len'):
    score(typed, logit(0))(x)
