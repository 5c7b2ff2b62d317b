import jax
import jax.numpy as jnp
import numpy as np
from tools import make_tiny

from vizlab import nets, rules
from vizlab.attribution import lrp
from vizlab.nets import layers
from vizlab.nets.graph import init_params
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
  steps = jax.make_jaxpr(fn)(x).eqns
  return sum(step.params.get('name') == '_part' for step in steps)


def test_a_program_ends_at_each_edit(tiny, images):
  plain = Rules(lambda x: rules.relu(x))  # a user's: layer by layer
  by_layer = nets.Network(
    't', tiny.ops, tiny.spec, nets.get_params(tiny), plain
  )
  for names, count in (((), 1), (('relu1', 'gap'), 3), (('pool1', 'fc'), 2)):
    edits = dict.fromkeys(names, lambda a: a * 1.5 - 0.1)
    assert programs(lambda x, e=edits: tiny(x, e)[0], images) == count
    assert programs(lambda x, e=edits: by_layer(x, e)[0], images) == 0
    (logits, acts), (wanted, same) = (
      n(images, edits) for n in (tiny, by_layer)
    )
    np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-6)
    assert [*acts] == [*same] == [*tiny.layer_names], 'in the order they run'
    for name, act in acts.items():
      np.testing.assert_allclose(act, same[name], rtol=1e-5, atol=1e-6)


def test_a_program_reads_layers_that_an_earlier_one_ran(images):
  ops = (
    Conv('stem', 4),
    layers.ReLU('a'),
    Conv('b', 4),
    layers.Add('sum', inputs=('b', 'a')),
    layers.Concat('joined', inputs=('sum', 'stem', None)),
  )
  spec = nets.InputSpec(16, (0.0,) * 3, (1.0,) * 3)
  params = init_params(ops, (16, 16, 3), jax.random.key(0))
  net = nets.Network('branches', ops, spec, params)
  edits = {'stem': lambda a: a + 1, 'b': lambda a: 2 * a}
  acts = net(images, edits)[1]
  stem = net(images)[1]['stem'] + 1
  np.testing.assert_allclose(acts['a'], jnp.maximum(stem, 0), rtol=1e-6)
  np.testing.assert_allclose(acts['sum'], acts['a'] + acts['b'], rtol=1e-6)
  joined = jnp.concatenate([acts['sum'], stem, images], -1)
  np.testing.assert_allclose(acts['joined'], joined, rtol=1e-6)
  assert programs(lambda x: net(x, edits)[1]['joined'], images) == 3


def test_rules_of_vizlab_run_as_one_program(tiny, images):
  explained = score(tiny, logit(1))
  guided = explained.with_rules(relu=rules.guided_relu)
  assert programs(guided, images) == programs(explained, images) == 1
  assert programs(lambda x: lrp(explained, x), images) >= 1
  own = explained.with_rules(relu=lambda x: jax.nn.relu(x))
  assert programs(own, images) == 0


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
