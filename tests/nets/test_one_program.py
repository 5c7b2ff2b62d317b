import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import make_tiny

from vizlab import nets, rules
from vizlab.nets import layers, network
from vizlab.nets.graph import init_params, wiring
from vizlab.nets.layers import Conv
from vizlab.objectives import logit, score
from vizlab.rules import Rules


def test_nets_of_other_weights_are_one_program(images, monkeypatch):
  """One trace, too, whatever it is a part of."""
  calls, call = [], layers.ReLU.__call__

  def counted(self, *given):
    calls.append(self.name)
    return call(self, *given)

  monkeypatch.setattr(layers.ReLU, '__call__', counted)
  ours, theirs = (
    nets.Network('traced once', net.ops, net.spec, nets.get_params(net))
    for net in (make_tiny(5), make_tiny(6))
  )
  logits = ours(images)[0]
  assert len(calls) == 2, 'one for each ReLU'
  assert not jnp.allclose(theirs(images)[0], logits)
  jitted = jax.jit(lambda net, x: 2 * net(x)[0])(ours, images)
  np.testing.assert_allclose(jitted, 2 * logits, rtol=1e-5)
  assert len(calls) == 2
  edited = ours(images, {'fc': lambda a: a + 1})[0]
  np.testing.assert_allclose(edited, logits + 1, rtol=1e-5)


def programs(fn, x):
  """Number of programs that a call outside of jit runs for a network."""
  names = [step.params.get('name') for step in jax.make_jaxpr(fn)(x).eqns]
  return names.count('_whole') + names.count('_part')


def layer_by_layer(net, x, edits):
  """Activations of a network in float32, as its layers say."""
  values, acts, params = {None: net.spec(x)}, {}, nets.get_params(net)
  for op, inputs in wiring(net.ops):
    read = [values[name] for name in inputs]
    y = op(params.get(op.name, {}), Rules(), *read)
    values[op.name] = acts[op.name] = edits.get(op.name, lambda a: a)(y)
  return acts


def assert_same(net, x, edits):
  logits, acts = net(x, edits)
  expected = layer_by_layer(net, x, edits)
  assert [*acts] == [*expected], 'in the order they run'
  for name, act in acts.items():
    np.testing.assert_allclose(act, expected[name], rtol=1e-5, atol=1e-6)
  if logits is not None:
    np.testing.assert_array_equal(logits, acts[net.ops[-1].name])


@pytest.mark.parametrize(
  ('names', 'count'),
  [((), 1), (('relu1', 'gap'), 1), (('pool1', 'fc'), 3), (('conv2',), 2)],
)
def test_stretches_without_edits_are_programs(
  tiny, images, monkeypatch, names, count
):
  monkeypatch.setattr(network, '_STRETCH', 3)
  edits = dict.fromkeys(names, lambda a: a * 1.5 - 0.1)
  assert programs(lambda x: tiny(x, edits)[0], images) == count
  assert_same(tiny, images, edits)


def test_edits_of_another_layer_compile_nothing_new(tiny, images, monkeypatch):
  monkeypatch.setattr(network, '_STRETCH', 3)
  ends, part = set(), network._compiled_part

  def noting(net, x, image, earlier, start, stop):
    ends.add((start, stop))
    return part(net, x, image, earlier, start, stop)

  monkeypatch.setattr(network, '_compiled_part', noting)
  for name in tiny.layer_names:
    tiny(images, {name: lambda a: 2 * a})
  assert ends == {(0, 3), (3, 6), (6, 8)}


@pytest.mark.parametrize('stretch', [1, 2, 3, 16])
def test_a_stretch_reads_what_earlier_ones_ran(images, monkeypatch, stretch):
  monkeypatch.setattr(network, '_STRETCH', stretch)
  ops = (
    Conv('stem', 4),
    layers.ReLU('a'),
    Conv('b', 4),
    layers.Add('sum', inputs=('b', 'a')),
    layers.Concat('joined', inputs=('sum', 'stem', None)),
  )
  spec = nets.InputSpec(16, (0.5,) * 3, (0.25,) * 3)
  params = init_params(ops, (16, 16, 3), jax.random.key(0))
  net = nets.Network('branches', ops, spec, params)
  assert_same(net, images, {'stem': lambda a: a + 1, 'b': lambda a: 2 * a})
  assert_same(net, images, {'joined': lambda a: a - 1})


def test_rules_of_vizlab_run_as_one_program(tiny, images):
  explained = score(tiny, logit(1))
  guided = explained.with_rules(relu=rules.guided_relu)
  assert programs(guided, images) == programs(explained, images) == 1
  # A user's may do something else later.
  own = functools.wraps(rules.relu)(lambda x: jax.nn.relu(x))
  assert programs(explained.with_rules(relu=own), images) == 0


def test_a_module_around_a_network_is_not_taken_for_it(tiny, images):
  class Around:
    def __init__(self, net):
      self.net, self.rules = net, Rules()

    def __getattr__(self, name):
      if name.startswith('__'):
        raise AttributeError(name)
      return getattr(self.net, name)

    def __call__(self, x, edits=None):
      logits, acts = self.net(x, edits)
      return jax.nn.relu(logits), acts

  guided = rules.with_rules(Around(tiny), relu=rules.guided_relu)
  with pytest.raises(ValueError, match='relu: Around holds rules but never'):
    score(guided, logit(1))(images)


def test_rules_and_layers_of_a_user_may_change(tiny, images):
  class Leaky:
    slope = 0.0

    def __call__(self, x):
      return jnp.where(x > 0, x, self.slope * x)

  class Louder(Conv):
    factor = 1.0

    def __call__(self, params, rules, *xs):
      return self.factor * super().__call__(params, rules, *xs)

  params = nets.get_params(tiny)
  rule, layer = Leaky(), Louder('conv1', 8)
  for holder, name, net in (
    (
      rule,
      'slope',
      nets.Network('t', tiny.ops, tiny.spec, params, Rules(rule)),
    ),
    (
      Louder,
      'factor',
      nets.Network('t', (layer, *tiny.ops[1:]), tiny.spec, params),
    ),
  ):
    before = net(images)[0]
    np.testing.assert_allclose(before, tiny(images)[0], rtol=1e-4, atol=1e-5)
    setattr(holder, name, 0.5)
    assert not jnp.allclose(net(images)[0], before, atol=1e-3)
