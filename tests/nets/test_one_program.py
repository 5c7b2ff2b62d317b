import jax
import jax.numpy as jnp
import numpy as np
from tools import make_tiny

from vizlab import nets
from vizlab.nets import layers
from vizlab.nets.layers import Conv
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
