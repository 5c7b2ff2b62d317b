import jax
import jax.numpy as jnp
import numpy as np
import pytest
from relevance_nets import CHAIN, COMPOSITES, KEY, NETS, PLAIN, network

from vizlab import attribution, nets, rules
from vizlab.nets.layers import (
  Add,
  BatchNorm,
  Conv,
  Dense,
  Flatten,
  GlobalPool,
  ReLU,
)
from vizlab.objectives import channel, logit, neuron, score

lrp = jax.jit(attribution.lrp, static_argnames='composite')

# Alpha-beta loses the share of a side on which nothing contributes, as happens
# where a 1x1 convolution sees few active channels.
CASES = [
  (name, composite)
  for name in NETS
  for composite in COMPOSITES
  if (name, composite) != ('branches', 'alpha_beta')
]


@pytest.mark.parametrize('pool', ['max', 'avg'])
@pytest.mark.parametrize(('name', 'composite'), CASES)
def test_relevance_is_conserved_without_biases(name, composite, pool):
  net = network(NETS[name], pool=pool)
  x = jax.random.uniform(KEY, (3, 8, 9, 3))[:, :8, :8]
  asked = score(net, logit(1))
  relevance = lrp(asked, x, COMPOSITES[composite])
  np.testing.assert_allclose(
    relevance.sum((1, 2, 3)), asked(x), rtol=2e-3, atol=2e-4
  )
  assert relevance.any()


@pytest.mark.parametrize('name', ['chain', 'residual'])
def test_the_epsilon_rule_is_gradient_times_input(name):
  """Ancona et al. 2018, proposition 1: for ReLUs and a stabiliser of zero."""
  net = network(NETS[name])
  x = jax.random.uniform(KEY, (2, 8, 8, 3))
  asked = score(net, logit(2))
  composite = rules.composite({'*': rules.epsilon(1e-9)})
  np.testing.assert_allclose(
    lrp(asked, x, composite),
    jax.jit(attribution.gradient_x_input)(asked, x),
    rtol=1e-3,
    atol=1e-4,
  )


X = np.array([[0.5, -1.0, 2.0, 0.3]])
W = np.array([[1.0, -0.5, 0.2], [0.3, 2.0, -1.0], [-0.7, 0.1, 0.4], [2, -2, 1]])
B = np.array([0.1, -0.4, 0.2])
R = np.array([[1.0, -2.0, 0.5]])


def shared(contributions, whole, relevance=R, stabiliser=1e-6):
  """By hand: ``R_i = sum_j c_ij / whole_j R_j``, of ``[I, J]``."""
  sign = np.where(whole >= 0, 1, -1)
  return (contributions / (whole + stabiliser * sign) * relevance).sum(1)[None]


def split(sign):
  """Contributions of one sign, and with the bias of it."""
  c = X.T * W
  c = c * (np.sign(c) == sign)
  return c, c.sum(0) + np.where(np.sign(B) == sign, B, 0)


def gamma_by_hand(share):
  x, y = X.T, X @ W + B
  up, down = (np.maximum(sign * W, 0) * sign for sign in (1, -1))
  positive = np.where(x > 0, x * (W + share * up), x * (W + share * down))
  negative = np.where(x > 0, x * (W + share * down), x * (W + share * up))
  z = (
    positive.sum(0) + B + share * np.maximum(B, 0),
    negative.sum(0) + B + share * np.minimum(B, 0),
  )
  return shared(positive, z[0], R * (y > 0)) + shared(
    negative, z[1], R * (y < 0)
  )


def box_by_hand(low, high):
  c = X.T * W - low * np.maximum(W, 0) - high * np.minimum(W, 0)
  return shared(c, c.sum(0))


BY_HAND = {
  'epsilon': (
    rules.epsilon(0.3),
    lambda: shared(X.T * W, (X @ W + B)[0], stabiliser=0.3),
  ),
  'z_plus': (rules.z_plus(), lambda: shared(*split(1))),
  'alpha_beta': (
    rules.alpha_beta(3.0, 2.0),
    lambda: 3 * shared(*split(1)) - 2 * shared(*split(-1)),
  ),
  'gamma': (rules.gamma(0.4), lambda: gamma_by_hand(0.4)),
  'w_square': (
    rules.w_square(),
    lambda: shared(W**2, (W**2).sum(0) + B**2),
  ),
  'flat': (rules.flat(), lambda: shared(np.ones((4, 3)), np.full(3, 4.0))),
  'z_box': (rules.z_box(), lambda: box_by_hand(-1.5, 2.5)),
  'norm': (rules.norm(), lambda: shared(X.T * W, (X @ W + B)[0])),
}


@pytest.mark.parametrize('name', BY_HAND)
def test_rules_by_hand(name):
  """A dense layer of four inputs, of both signs, and three outputs."""
  rule, by_hand = BY_HAND[name]
  layer = Dense('fc', 3)
  params = {'kernel': jnp.asarray(W), 'bias': jnp.asarray(B)}
  composite = rules.composite({'fc': rule})

  def first(x):  # black is -1.5 after it, white is 2.5
    return 4 * x - 1.5

  def layer_of(x):
    return composite(layer, params, (x,), first)

  y, backward = jax.vjp(layer_of, jnp.asarray(X, jnp.float32))
  np.testing.assert_allclose(y, X @ W + B, rtol=1e-5)
  (found,) = backward(jnp.asarray(R, jnp.float32))
  np.testing.assert_allclose(found, by_hand(), rtol=1e-4, atol=1e-5)


def test_the_pass_rule_leaves_relevance_as_it_is():
  layer = Dense('fc', 4)
  params = {'kernel': jnp.asarray(W @ W.T), 'bias': jnp.ones(4)}
  composite = rules.composite({'fc': rules.passed()})
  x = jnp.asarray(X, jnp.float32)
  _, backward = jax.vjp(lambda x: composite(layer, params, (x,), None), x)
  relevance = jnp.arange(4.0)[None]
  np.testing.assert_array_equal(backward(relevance)[0], relevance)


def test_the_box_is_that_of_the_preprocessing():
  spec = nets.InputSpec(2, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
  ops = (Conv('conv', 4, 2, 1, 0, bias=False), Flatten('flat'))
  net = network(ops, spec)
  x = jax.random.uniform(KEY, (1, 2, 2, 3))
  asked = score(net, logit(1))
  relevance = lrp(asked, x, rules.composite({'first': rules.z_box()}))
  seen, low, high = (
    np.asarray(spec(jnp.broadcast_to(v, x.shape))) for v in (x, 0.0, 1.0)
  )
  w = np.asarray(nets.get_params(net)['conv']['kernel'])[None, ..., 1]
  c = seen * w - low * np.maximum(w, 0) - high * np.minimum(w, 0)
  np.testing.assert_allclose(
    relevance, c / c.sum() * float(asked(x)[0]), rtol=1e-4
  )


def test_the_first_pattern_that_fits_decides():
  flat, plus, weak = rules.flat(), rules.z_plus(), rules.epsilon(0.5)
  table = rules.composite({'conv2*': weak, 'first': flat, 'Conv': plus})
  assert table.rule(Conv('conv1', 1), True) == flat
  assert table.rule(Conv('conv2_1', 1), True) == weak
  assert table.rule(Conv('conv3', 1), False) == plus
  assert table.rule(Dense('fc', 1), False) == rules.epsilon()
  with pytest.raises(ValueError, match="table: got 0.5 for 'Conv', expected"):
    rules.composite({'Conv': 0.5})


def test_equal_composites_run_one_program():
  net = network(CHAIN)
  x = jnp.ones((1, 8, 8, 3))
  before = lrp._cache_size()
  for _ in range(2):
    lrp(score(net, logit(1)), x, rules.composite({'Conv': rules.gamma(0.1)}))
  assert lrp._cache_size() == before + 1


def test_sums_and_means_share_in_proportion():
  ops = (
    Conv('a', 3, 1, 1, 0, bias=False),
    Conv('b', 3, 1, 1, 0, bias=False, inputs=(None,)),
    Add('sum', inputs=('a', 'b')),
    GlobalPool('gap'),
    Dense('fc', 3),
  )
  eye = jnp.eye(3)[None, None]
  params = {
    'a': {'kernel': eye},
    'b': {'kernel': 3 * eye},
    'fc': {'kernel': jnp.eye(3), 'bias': jnp.zeros(3)},
  }
  net = nets.Network('sum', ops, PLAIN, params)
  x = jax.random.uniform(KEY, (1, 8, 8, 3))
  relevance = lrp(score(net, logit(1)), x)
  wanted = np.zeros(x.shape)
  wanted[..., 1] = 4 * x[..., 1] / 64  # the share of each pixel of the mean
  np.testing.assert_allclose(relevance, wanted, atol=1e-5)


def test_preprocessing_passes_relevance_to_its_channel():
  spec = nets.InputSpec(8, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), 2.0, 'bgr')
  ops = (GlobalPool('gap'), Dense('fc', 3))
  params = {'fc': {'kernel': jnp.eye(3), 'bias': jnp.zeros(3)}}
  net = nets.Network('mean', ops, spec, params)
  x = jax.random.uniform(KEY, (2, 8, 8, 3))
  relevance = lrp(score(net, logit(0)), x)
  assert not relevance[..., :2].any()  # the first channel is blue
  inputs = np.asarray(spec(x))[..., 0]
  np.testing.assert_allclose(relevance[..., 2], inputs / 64, atol=1e-5)


def test_relevance_of_a_unit(minivgg, images):
  asked = score(minivgg, neuron('relu3_2', 5, (4, 4)))
  x = images + 0.0
  relevance = lrp(asked, x)
  near = np.asarray(relevance.sum((1, 2, 3)))
  np.testing.assert_array_equal(near == 0, np.asarray(asked(x)) == 0)
  assert near.any()
  # Only what the unit sees.
  field = next(r for r in nets.layer_info(minivgg) if r.name == 'relu3_2').field
  rows = slice(*field.pixels(4))
  outside = np.asarray(relevance).copy()
  outside[:, max(rows.start, 0) : rows.stop, max(rows.start, 0) : rows.stop] = 0
  assert not outside.any()


def test_merged_batch_normalisation_gives_the_same(images):
  net = nets.create('resnet20')
  params = nets.get_params(net)
  for i, (name, own) in enumerate(params.items()):
    if 'mean' in own:
      draws = jax.random.uniform(
        jax.random.fold_in(KEY, i), (4, *own['mean'].shape)
      )
      params[name] = dict(
        zip(('scale', 'bias', 'mean', 'var'), draws + 0.5, strict=True)
      )
  net = nets.with_params(net, params)
  merged = nets.merge_batch_norm(net)
  kinds = {type(op).__name__ for op in merged.ops}
  assert 'BatchNorm' not in kinds and 'Conv' in kinds
  (ours, acts), (theirs, others) = merged(images), net(images)
  np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-3)
  shared = [op.name for op in merged.ops if type(op).__name__ != 'Conv']
  for name in shared:
    scale = np.abs(others[name]).max()
    np.testing.assert_allclose(acts[name], others[name], atol=1e-4 * scale)
  assert lrp(score(merged, logit(0)), images).any()


def test_a_last_normalisation_stays():
  ops = (
    Conv('a', 4), Conv('b', 5, inputs=(None,)), BatchNorm('bn', inputs=('a',))
  )  # fmt: skip
  merged = nets.merge_batch_norm(network(ops))
  assert [op.name for op in merged.ops] == ['a', 'b', 'bn']


def test_normalisation_stays_where_it_cannot_be_merged():
  ops = (
    BatchNorm('bn0'), Conv('conv1', 4), BatchNorm('bn1'), ReLU('relu1'),
    Conv('conv2', 4, inputs=('conv1',)), BatchNorm('bn2'),
    Add('sum', inputs=('bn2', 'relu1')), GlobalPool('gap'),
  )  # fmt: skip
  merged = nets.merge_batch_norm(network(ops))
  # conv1 is read by conv2, too.
  assert [op.name for op in merged.ops] == [
    'bn0', 'conv1', 'bn1', 'relu1', 'conv2', 'sum', 'gap'
  ]  # fmt: skip
  x = jax.random.uniform(KEY, (2, 8, 8, 3))
  np.testing.assert_allclose(
    merged(x)[0], network(ops)(x)[0], rtol=1e-4, atol=1e-5
  )


def test_relevance_of_sums_of_objectives(minivgg, images):
  first, second = (lrp(score(minivgg, logit(k)), images) for k in (13, 12))
  for objective, wanted in (
    (2.0 * logit(13), 2 * first),
    (-1.0 * logit(13), -first),
    (logit(13) - logit(12), first - second),
  ):
    found = lrp(score(minivgg, objective), images)
    np.testing.assert_allclose(
      found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max()
    )


def test_relevance_of_a_channel_is_that_of_its_activations(minivgg, images):
  asked = score(minivgg, channel('relu3_2', 5))
  composite = rules.composite({'*': rules.epsilon(1e-9)})
  net = network(CHAIN)
  own = score(net, channel('relu2', 3))
  x = jax.random.uniform(KEY, (2, 8, 8, 3))
  np.testing.assert_allclose(
    lrp(own, x, composite).sum((1, 2, 3)), own(x), rtol=1e-3
  )
  assert lrp(asked, images).shape == images.shape


def test_a_net_that_begins_with_normalisation():
  ops = (BatchNorm('bn0'), *CHAIN)
  net = network(ops)
  x = jax.random.uniform(KEY, (2, 8, 8, 3))
  asked = score(net, logit(1))
  for composite in (attribution.EPSILON_PLUS_FLAT, attribution.EPSILON_PLUS):
    np.testing.assert_allclose(
      lrp(asked, x, composite).sum((1, 2, 3)), asked(x), rtol=2e-3
    )
  with pytest.raises(ValueError, match="composite: 'bn0' .* has no kernel"):
    lrp(asked, x, rules.composite({'bn0': rules.flat()}))


def test_wrong_arguments_are_named(tiny):
  x = jnp.ones((1, 16, 16, 3))
  asked = score(tiny, logit(0))
  with pytest.raises(ValueError, match="'cnov1' is no linear layer, .*'conv2'"):
    attribution.lrp(asked, x, rules.composite({'cnov1': rules.flat()}))
  with pytest.raises(ValueError, match=r'composite: got \[.* expected {patt'):
    attribution.lrp(asked, x, [rules.flat()])
  with pytest.raises(ValueError, match="table: got 3 for 'Conv', expected a"):
    attribution.lrp(asked, x, {'Conv': 3})
  table = {'Conv': rules.flat(), 'conv1': rules.gamma(0.1)}
  np.testing.assert_array_equal(
    attribution.lrp(asked, x, table),
    attribution.lrp(asked, x, rules.composite(table)),
  )
  with pytest.raises(ValueError, match="composite: 'gap' .* has no kernel"):
    attribution.lrp(asked, x, rules.composite({'gap': rules.z_plus()}))
  for wrong in (0.0, -1.0, np.nan):
    with pytest.raises(ValueError, match='stabiliser: got'):
      rules.epsilon(wrong)
  for wrong in (-0.1, np.nan, np.inf):
    with pytest.raises(ValueError, match='share: got'):
      rules.gamma(wrong)
  with pytest.raises(ValueError, match='alpha, beta: got nan'):
    rules.alpha_beta(np.nan, 1.0)
  with pytest.raises(ValueError, match='alpha, beta: got 2.0 and 2.0'):
    rules.alpha_beta(2.0, 2.0)
  box = rules.composite({'Conv': rules.z_box()})
  with pytest.raises(ValueError, match='composite: got the z-box rule for a'):
    attribution.lrp(asked, x, box)
  through = rules.composite({'fc': rules.passed()})
  with pytest.raises(ValueError, match="composite: 'fc' changes the shape"):
    attribution.lrp(asked, x, through)
  with pytest.raises(ValueError, match='score: '):
    attribution.lrp(lambda x: x.sum((1, 2, 3)), x)
