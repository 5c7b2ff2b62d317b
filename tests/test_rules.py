import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vizlab import attribution, extrema, nets, rules
from vizlab.objectives import logit, score
from vizlab.rules import PoolWindow, Rules

RULES = [rules.relu, rules.deconv_relu, rules.guided_relu]


def test_relu_rules_worked_by_hand():
  x = jnp.array([-2.0, -1.0, 0.0, 1.0, 2.0])
  g = jnp.array([1.0, -1.0, 1.0, -1.0, 1.0])
  expected = {
    rules.relu: [0, 0, 0, -1, 1],
    rules.deconv_relu: [1, 0, 1, 0, 1],
    rules.guided_relu: [0, 0, 0, 0, 1],
  }
  for rule, gradient in expected.items():
    y, backward = jax.vjp(rule, x)
    np.testing.assert_array_equal(y, [0, 0, 0, 1, 2])
    np.testing.assert_array_equal(backward(g)[0], gradient)


def test_windows_are_counted_one_by_one():
  """All that begin inside; without ``ceil``, all that end inside as well."""
  for size, stride, padding, n in np.ndindex(5, 4, 3, 12):
    size, stride, n = size + 1, stride + 1, n + 1
    if 2 * padding > size or n + 2 * padding < size:
      continue
    starts = [i * stride - padding for i in range(20)]
    ends = [start + size for start in starts]
    full = sum(end <= n + padding for end in ends)
    # One more may hang over, if what is left holds pixels of the image.
    over = ends[full - 1] < n + padding and starts[full] < n
    case = f'{size=} {stride=} {padding=} {n=}'
    assert PoolWindow(size, stride, padding).length(n) == full, case
    assert PoolWindow(size, stride, padding, True).length(n) == full + over, (
      case
    )


def two_layers(rule, x):
  """conv (1x1, weight -1 and 1) -> relu -> max pool -> weights 1 and -2."""
  maps = rule(jnp.concatenate([-x, x], -1))
  pooled = rules.max_pool(maps, PoolWindow())
  weight = jnp.array([1.0, -2.0])
  return (pooled * weight[None, None, None]).sum()


def test_two_layer_net_worked_by_hand():
  x = jnp.array(
    [[1.0, -3, 2, 2], [0, 2, 2, 1], [-1, -1, 4, -5], [-2, -1, 0, 3]]
  )[None, ..., None]
  # The map of -x peaks at -3, nowhere, -2 and -5; that of x at 2, 2, -, 4.
  true = np.zeros((4, 4))
  true[0, 1] = -1  # 1 * -1
  true[3, 0] = -1
  true[2, 3] = -1
  true[1, 1] = -2  # -2 * 1
  true[0, 2] = -2  # the first of three equal
  true[2, 2] = -2
  np.testing.assert_array_equal(
    jax.grad(functools.partial(two_layers, rules.relu))(x)[0, ..., 0], true
  )
  guided = np.where(true == -1, true, 0)
  np.testing.assert_array_equal(
    jax.grad(functools.partial(two_layers, rules.guided_relu))(x)[0, ..., 0],
    guided,
  )
  deconv = guided.copy()
  deconv[0, 2] = -1  # all zero after the ReLU: the switch is at the first place
  np.testing.assert_array_equal(
    jax.grad(functools.partial(two_layers, rules.deconv_relu))(x)[0, ..., 0],
    deconv,
  )


def slow_pool(x, window):
  """Loops; returns the maxima, means and the position of each winner."""
  n, h, w, c = x.shape
  rows, columns = window.length(h), window.length(w)
  best = np.zeros((n, rows, columns, c))
  mean, where = np.zeros_like(best), np.zeros((*best.shape, 2), int)
  for b, i, j, k in np.ndindex(best.shape):
    top, left = (v * window.stride - window.padding for v in (i, j))
    values = {
      (y, z): x[b, y, z, k]
      for y in range(max(top, 0), min(top + window.size, h))
      for z in range(max(left, 0), min(left + window.size, w))
    }
    place = max(values, key=lambda p: values[p])  # the first on a tie
    best[b, i, j, k], where[b, i, j, k] = values[place], place
    mean[b, i, j, k] = np.mean(list(values.values()))
  return best, mean, where


WINDOWS = [
  PoolWindow(),
  PoolWindow(3, 2),
  PoolWindow(3, 2, padding=1),
  PoolWindow(3, 2, ceil=True),
  PoolWindow(2, 2, ceil=True),
  PoolWindow(3, 3),
  PoolWindow(3, 1, padding=1),
  PoolWindow(2, 3),
  PoolWindow(5, 2, padding=2),
  PoolWindow(4, 3, ceil=True),
]


@pytest.mark.parametrize('window', WINDOWS, ids=str)
@pytest.mark.parametrize('shape', [(2, 7, 8, 3), (1, 6, 9, 2)])
def test_pooling_equals_a_slow_replica(window, shape):
  key = jax.random.key(0)
  x = jnp.round(2 * jax.random.normal(key, shape))  # with many ties
  best, mean, where = slow_pool(np.asarray(x), window)
  max_pool = jax.jit(lambda x: rules.max_pool(x, window))
  avg_pool = jax.jit(lambda x: rules.avg_pool(x, window))
  y, backward = jax.vjp(max_pool, x)
  np.testing.assert_array_equal(y, best)
  np.testing.assert_allclose(avg_pool(x), mean, rtol=1e-6)
  g = jax.random.normal(key, y.shape)
  expected = np.zeros(shape)
  for place in np.ndindex(y.shape):
    b, i, j, k = place
    expected[(b, *where[place], k)] += g[b, i, j, k]
  np.testing.assert_allclose(backward(g)[0], expected, rtol=1e-5, atol=1e-6)


def test_max_pool_passes_nan_on():
  x = jnp.zeros((1, 4, 4, 1)).at[0, 0, 1, 0].set(jnp.nan)
  assert jnp.isnan(rules.max_pool(x, PoolWindow())[0, 0, 0, 0])


@pytest.mark.parametrize('rule', RULES, ids=lambda r: r.__name__)
def test_with_rules_keeps_the_forward_and_the_weights(rule, tiny, images):
  other = rules.with_rules(tiny, relu=rule)
  np.testing.assert_array_equal(tiny(images)[0], other(images)[0])
  ours, theirs = jax.tree.leaves(tiny), jax.tree.leaves(other)
  assert all(a is b for a, b in zip(ours, theirs, strict=True))
  assert tiny.rules == rules.Rules()


def test_with_rules_names_what_is_wrong(tiny):
  with pytest.raises(ValueError, match="rules: got.*'rellu'.*expected.*'relu'"):
    rules.with_rules(tiny, rellu=rules.relu)
  with pytest.raises(ValueError, match='net: object has no attribute `rules`'):
    rules.with_rules(object(), relu=rules.relu)


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'size': 0}, 'size: got 0'),
    ({'size': 17}, 'size: got 17, expected 1 to 16'),
    ({'stride': 0}, 'stride: got 0'),
    ({'padding': 2}, 'padding: got 2, expected 0 to half the size, 1'),
  ],
)
def test_impossible_windows_are_named(settings, message):
  with pytest.raises(ValueError, match=message):
    PoolWindow(**settings)


def test_rules_are_values():
  assert rules.Rules() == dataclasses.replace(rules.Rules())
  assert hash(PoolWindow()) == hash(PoolWindow(2, 2))


def test_redirected_relu_wakes_only_images_that_get_nothing():
  x = jnp.array([[[[-1.0, 2.0, -3.0]]], [[[-1.0, -2.0, -3.0]]]])
  g = jnp.array([[[[-5.0, 4.0, 3.0]]], [[[-5.0, 4.0, 3.0]]]])
  y, back = jax.vjp(rules.redirected_relu, x)
  np.testing.assert_array_equal(y, jnp.maximum(x, 0))
  # The first image has a live unit, so its gradient is the true one; in the
  # second only the unit that would lower the loss by rising gets its gradient.
  np.testing.assert_array_equal(
    back(g)[0][:, 0, 0], [[0.0, 4.0, 0.0], [-5.0, 0.0, 0.0]]
  )
  _, back = jax.vjp(rules.redirected_relu, x[:, 0, 0])
  np.testing.assert_array_equal(
    back(g[:, 0, 0])[0], [[0.0, 4.0, 0.0], [-5.0, 0.0, 0.0]]
  )


class Block(nnx.Module):
  """A convolution and a ReLU by rules of its own, or by JAX's."""

  def __init__(self, rngs, ruled=True):
    self.conv = nnx.Conv(3, 3, (3, 3), rngs=rngs)
    self.rules = Rules()
    self.ruled = ruled

  def __call__(self, x):
    relu = self.rules.relu if self.ruled else jax.nn.relu
    return relu(self.conv(x))


class Nested(nnx.Module):
  """Blocks in a list and in a dict; it has no rules itself."""

  def __init__(self, ruled=True):
    rngs = nnx.Rngs(0)
    self.blocks = nnx.List([Block(rngs, ruled), Block(rngs, ruled)])
    self.named = nnx.Dict(last=Block(rngs, ruled))
    self.shared = self.blocks[0]

  def __call__(self, x, edits=None):
    for block in (*self.blocks, self.named['last'], self.shared):
      x = block(x)
    return x.mean((-3, -2)), {}


def test_a_rule_goes_into_every_module():
  net = Nested()
  other = rules.with_rules(net, relu=rules.guided_relu)
  held = [*other.blocks, other.named['last'], other.shared]
  assert [block.rules.relu for block in held] == [rules.guided_relu] * 4
  assert other.shared is other.blocks[0], 'what is shared stays shared'
  assert held[1].conv is net.blocks[1].conv, 'weights are not copied'
  assert net.blocks[0].rules == Rules(), 'the net itself is as it was'
  x = jax.random.normal(jax.random.key(5), (2, 6, 6, 3))
  np.testing.assert_array_equal(net(x)[0], other(x)[0])
  guided = attribution.guided_backprop(score(net, logit(1)), x)
  plain = attribution.gradient(score(net, logit(1)), x)
  assert not jnp.allclose(guided, plain)


@pytest.mark.parametrize('jitted', [False, True])
def test_a_rule_that_is_never_called_is_an_error(jitted):
  asked = score(Nested(ruled=False), logit(1))
  x = jnp.ones((1, 6, 6, 3))
  for method in (attribution.guided_backprop, attribution.deconvnet):
    call = jax.jit(method) if jitted else method
    with pytest.raises(ValueError, match='relu: Block holds rules but never'):
      call(asked, x)
  attribution.gradient(asked, x)  # nothing was put in
  pooled = asked.with_rules(pool=rules.avg_pool)
  with pytest.raises(ValueError, match='pool: Block holds rules but never'):
    pooled(x)


def test_one_module_that_does_not_call_its_rule_is_an_error():
  net = Nested()
  net.blocks[1].ruled = False
  with pytest.raises(ValueError, match='relu: Block holds rules but never'):
    attribution.guided_backprop(score(net, logit(1)), jnp.ones((1, 6, 6, 3)))


def test_rules_of_a_class_are_those_of_its_instances():
  class Plain:
    rules = Rules()

    def __call__(self, x, edits=None):
      return self.rules.relu(x - 0.5).sum((-3, -2)), {}

  net, x = Plain(), jnp.ones((1, 4, 4, 3))
  asked = score(net, logit(1)).with_rules(relu=rules.deconv_relu)
  assert (attribution.gradient(asked, x) >= 0).all()
  assert net.rules.relu is Plain.rules.relu is rules.relu


def test_rules_in_containers_and_frozen_objects_are_found():
  @dataclasses.dataclass(frozen=True)
  class Frozen:
    rules: Rules = Rules()

  class Pair(NamedTuple):
    first: Frozen
    second: str

  class Holder:
    def __init__(self):
      self.parts = {
        'a': [Frozen()],
        'b': (Frozen(), 3),
        'c': Pair(Frozen(), ''),
      }
      self.untouched = {'d': [1, 2]}
      self.itself = self

  holder = Holder()
  new = rules.with_rules(holder, relu=rules.deconv_relu)
  found = [new.parts['a'][0], new.parts['b'][0], new.parts['c'].first]
  assert [each.rules.relu for each in found] == [rules.deconv_relu] * 3
  assert isinstance(new.parts['c'], Pair)
  assert new.untouched is holder.untouched
  assert holder.parts['a'][0].rules.relu is rules.relu


@pytest.mark.parametrize(
  'rule',
  [rules.relu, rules.deconv_relu, rules.guided_relu, rules.redirected_relu],
)
def test_relu_keeps_nan_and_infinity(rule):
  x = jnp.array([jnp.nan, jnp.inf, -jnp.inf, -2.0, 3.0])
  np.testing.assert_array_equal(rule(x), [jnp.nan, jnp.inf, 0, 0, 3])


@pytest.mark.parametrize('place', [0, 3, 5])
def test_a_pool_keeps_nan_wherever_it_is(place):
  x = jnp.arange(9.0).at[place].set(jnp.nan).reshape(1, 3, 3, 1)
  y, backward = jax.vjp(lambda x: rules.max_pool(x, PoolWindow(3, 3)), x)
  assert jnp.isnan(y).all()
  (dx,) = backward(jnp.ones_like(y))
  assert dx.reshape(-1).tolist() == [float(i == place) for i in range(9)]


def test_extrema_keep_nan():
  a, b = (
    jnp.array([1.0, jnp.nan, 3.0, 2.0]),
    jnp.array([2.0, 0.0, jnp.nan, 2.0]),
  )
  np.testing.assert_array_equal(extrema.maximum(a, b), [2, jnp.nan, jnp.nan, 2])
  np.testing.assert_array_equal(extrema.minimum(a, b), [1, jnp.nan, jnp.nan, 2])
  np.testing.assert_array_equal(
    extrema.positive(jnp.array([-1.0, 4.0, jnp.nan])), [0, 4, jnp.nan]
  )
  x = jnp.array([[3.0, -1.0], [jnp.nan, 5.0]])
  np.testing.assert_array_equal(extrema.max_over(x, 1), [3, jnp.nan])
  np.testing.assert_array_equal(extrema.min_over(x, (0,)), [jnp.nan, -1])
  assert extrema.max_over(x, [0, 1], keepdims=True).shape == (1, 1)
  assert float(extrema.min_over(x[0])) == -1
  slope = jax.grad(lambda a: extrema.minimum(a, 1.0))
  assert (slope(0.5), slope(2.0)) == (1.0, 0.0)


def test_layers_without_a_rule_refuse_relevance_and_nothing_else():
  x = jnp.zeros((1, 16, 16, 3))
  for name, kind in (
    ('fast_style', 'InstanceNorm'),
    ('super_resolution_x4', 'Upsample'),
  ):
    net = jax.eval_shape(lambda name=name: nets.create(name))
    replaced = rules.with_rules(
      net, linear=lambda layer, params, xs, first: layer.linear(params, *xs)
    )
    jax.eval_shape(lambda net, x: net(x), replaced, x)
    relevant = rules.with_relevance(net, rules.composite({}))
    with pytest.raises(ValueError, match=rf'\({kind}\) has no rule for relev'):
      jax.eval_shape(lambda net, x: net(x), relevant, x)
