"""Bounds by intervals and certificates by noise, and attacks that obey them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vizlab import adversarial, nets
from vizlab.nets.graph import init_params
from vizlab.nets.layers import (
  LRN,
  Add,
  AveragePool,
  BatchNorm,
  Concat,
  Conv,
  Dense,
  GlobalPool,
  Pool,
  ReLU,
)
from vizlab.rules import PoolWindow

KEY = jax.random.key(0)
EPSILON = 0.02


def network(*ops, classes=5):
  ops = (*ops, GlobalPool('gap'), Dense('fc', classes))
  params = init_params(ops, (12, 12, 3), jax.random.key(1))
  draws = iter(jax.random.split(jax.random.key(2), 99))
  params = jax.tree.map(
    lambda a: a + 0.2 * jax.random.uniform(next(draws), a.shape), params
  )
  spec = nets.InputSpec(12, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
  return nets.Network('small', ops, spec, params)


@pytest.fixture(scope='module')
def net():
  return network(
    Conv('c1', 6),
    BatchNorm('n1'),
    ReLU('r1'),
    Pool('p1'),
    Conv('c2', 6),
    Add('sum', inputs=('c2', 'p1')),
    ReLU('r2'),
    AveragePool('p2', PoolWindow(3, 1, 1)),
    Concat('both', inputs=('p2', 'p1')),
  )


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(KEY, (4, 12, 12, 3))


def test_no_image_in_the_ball_leaves_the_bounds(net, x):
  low, high = jax.jit(adversarial.interval_bounds)(net, x, EPSILON)
  assert low.shape == high.shape == (4, 5)
  for i in range(20):
    key = jax.random.fold_in(KEY, i)
    # Ends of the ball are farther than what lies within.
    step = EPSILON * jnp.sign(jax.random.normal(key, x.shape))
    logits, _ = net(jnp.clip(x + step, 0, 1))
    assert (logits >= low - 1e-5).all()
    assert (logits <= high + 1e-5).all()
  for k in range(5):
    raised = adversarial.pgd(
      adversarial.lead(net, k), x, KEY, epsilon=EPSILON, steps=10
    )
    logits, _ = net(raised.projected)
    assert (logits[:, k] <= high[:, k] + 1e-5).all()


def test_bounds_of_one_linear_layer_are_reached():
  net = network(Conv('c1', 3))
  x = 0.3 + 0.4 * jax.random.uniform(KEY, (2, 12, 12, 3))
  low, high = adversarial.interval_bounds(net, x, 0.1)
  logits, _ = net(x)
  # Of a linear net the logit rises by epsilon times the sum of all slopes; the
  # layers one after another add sizes before they are summed.
  slope = jax.jacrev(lambda x: net(x[None])[0][0])(x[0])
  reach = 0.1 * jnp.abs(slope).sum((1, 2, 3))
  assert (high[0] - logits[0] >= reach - 1e-5).all()
  np.testing.assert_allclose(high - logits, logits - low, atol=1e-5)


def test_without_hidden_layers_the_bounds_are_exact():
  net = network()  # the mean of each colour, and a dense layer
  x = 0.3 + 0.4 * jax.random.uniform(KEY, (2, 12, 12, 3))
  epsilon = jnp.array([0.1, 0.05])
  low, high = adversarial.interval_bounds(net, x, epsilon)
  slope = jax.jacrev(lambda x: net(x[None])[0][0])(x[0])
  reach = epsilon[:, None] * jnp.abs(slope).sum((1, 2, 3))[None]
  logits, _ = net(x)
  np.testing.assert_allclose(high, logits + reach, atol=1e-5)
  np.testing.assert_allclose(low, logits - reach, atol=1e-5)
  white = jnp.ones_like(x)  # where the ball ends at 1
  _, high = adversarial.interval_bounds(net, white, 0.1)
  falls = jnp.clip(-slope, 0).sum((1, 2, 3))
  np.testing.assert_allclose(high[0], net(white)[0][0] + 0.1 * falls, rtol=1e-5)


def test_a_radius_of_zero_is_the_net_itself(net, x):
  low, high = adversarial.interval_bounds(net, x, 0.0)
  np.testing.assert_allclose(low, net(x)[0], atol=1e-5)
  np.testing.assert_allclose(high, net(x)[0], atol=1e-5)


def test_what_is_certified_no_attack_changes(net, x):
  label = net(x)[0].argmax(-1)
  for epsilon in (0.001, 0.005, 0.02):
    bounds = adversarial.interval_bounds(net, x, epsilon)
    sure = adversarial.sure_class(*bounds) == label
    attacked = adversarial.pgd(
      adversarial.mislead(net, label), x, KEY, epsilon=epsilon, steps=20
    )
    assert not (attacked.success & sure).any()
  assert sure.shape == (4,)
  tiny = adversarial.interval_bounds(net, x, 1e-6)
  np.testing.assert_array_equal(adversarial.sure_class(*tiny), label)


def test_bounds_of_odd_preprocessing():
  ops = network(Conv('c1', 4), ReLU('r1')).ops
  spec = nets.InputSpec(12, (0.4, 0.5, 0.6), (-0.2, 0.3, 0.25), order='bgr')
  net = nets.Network('odd', ops, spec, init_params(ops, (12, 12, 3), KEY))
  x = jax.random.uniform(KEY, (1, 2, 12, 12, 3))  # any leading batch
  low, high = adversarial.interval_bounds(net, x, EPSILON)
  step = EPSILON * jnp.sign(jax.random.normal(jax.random.key(8), x.shape))
  logits, _ = net(jnp.clip(x + step, 0, 1))
  assert low.shape == (1, 2, 5)
  assert (low <= logits + 1e-5).all() and (logits <= high + 1e-5).all()
  assert (high - low > 0).all()


def test_a_net_of_its_own_way_has_no_bounds(net, x):
  class Negated(nets.Network):
    def __call__(self, x, edits=None):
      logits, acts = super().__call__(x, edits)
      return -logits, acts

  other = Negated('small', net.ops, net.spec, nets.get_params(net))
  with pytest.raises(ValueError, match='got Negated, expected a network of'):
    adversarial.interval_bounds(other, x, 0.1)


def test_an_image_that_is_not_finite_has_no_certificate(net, x):
  bad = x.at[1].set(jnp.nan)
  votes = adversarial.noisy_votes(net, bad, KEY, sigma=0.1, samples=20)
  np.testing.assert_array_equal(votes.sum(-1), [20, 0, 20, 20])
  sure = adversarial.certified_radius(votes, votes, sigma=0.1)
  assert (sure.prediction[1], sure.radius[1], sure.share[1]) == (-1, 0, 0)


def test_a_class_is_sure_if_no_other_may_pass_it():
  low = jnp.array([[1.0, 3.0, 0.0], [1.0, 3.0, 0.0]])
  high = jnp.array([[2.9, 9.0, 0.5], [3.1, 9.0, 0.5]])
  np.testing.assert_array_equal(adversarial.sure_class(low, high), [1, -1])


def test_intervals_refuse_what_they_do_not_know(x):
  with pytest.raises(
    ValueError, match="got 'norm' of kind LRN, expected kinds"
  ):
    adversarial.interval_bounds(network(LRN('norm')), x, 0.1)
  with pytest.raises(ValueError, match='expected a network of layers'):
    adversarial.interval_bounds(lambda x, edits=None: (x, {}), x, 0.1)
  with pytest.raises(ValueError, match='epsilon: got -1'):
    adversarial.interval_bounds(network(), x, -1.0)
  with pytest.raises(ValueError, match='epsilon: got -0.5'):
    adversarial.interval_bounds(network(), x, jnp.float32(-0.5))
  with pytest.raises(ValueError, match='x: got values from 0 to 3'):
    adversarial.interval_bounds(network(), x.at[0].set(3.0), 0.1)


@pytest.fixture(scope='module')
def linear():
  """Two classes that a plane parts, and the distances of images to it."""
  weight = jax.random.normal(jax.random.key(5), (8, 8, 3))

  def net(x, edits=None):
    f = (x * weight[None]).sum((1, 2, 3)) - 0.5 * weight.sum()
    return jnp.stack([jnp.zeros_like(f), f], -1), {}

  x = jax.random.uniform(KEY, (6, 8, 8, 3))
  f = net(x)[0][:, 1]
  return net, x, f / jnp.linalg.norm(weight)


def test_the_certificate_of_a_plane_is_its_distance(linear):
  net, x, distance = linear
  sigma = 1.0
  votes = [
    adversarial.noisy_votes(
      net, x, jax.random.key(seed), sigma=sigma, samples=samples
    )
    for seed, samples in ((1, 200), (2, 20_000))
  ]
  share = votes[1][:, 1] / 20_000
  np.testing.assert_allclose(share, stats.norm.cdf(distance / sigma), atol=0.02)
  sure = adversarial.certified_radius(*votes, sigma=sigma)
  far = np.abs(distance) > 0.1
  assert far.sum() >= 3
  np.testing.assert_array_equal(
    sure.prediction[far], np.asarray(distance > 0)[far]
  )
  # Never more than the true one, and not much less.
  assert (sure.radius <= np.abs(distance) + 1e-6).all()
  assert (sure.radius[far] > np.abs(distance)[far] - 0.06).all()


def test_votes_do_not_depend_on_the_chunk(linear):
  net, x, _ = linear
  count = [
    adversarial.noisy_votes(net, x, KEY, sigma=0.5, samples=23, chunk=chunk)
    for chunk in (1, 12, 60, 1000)
  ]
  assert (count[0].sum(-1) == 23).all()
  for other in count[1:]:
    np.testing.assert_array_equal(count[0], other)
  still = adversarial.noisy_votes(net, x, KEY, sigma=0.0, samples=3)
  np.testing.assert_array_equal(still.argmax(-1), net(x)[0].argmax(-1))
  assert (still.max(-1) == 3).all()


@pytest.mark.parametrize('alpha', [0.001, 0.05])
def test_the_share_is_the_bound_of_the_binomial(alpha):
  votes = np.array([[0, 100], [60, 40], [48, 52], [5, 95], [100, 0]])
  selection = np.array([[1, 9], [9, 1], [1, 9], [1, 9], [1, 9]])
  sure = adversarial.certified_radius(selection, votes, sigma=0.25, alpha=alpha)
  hits = np.array([100, 60, 52, 95, 0])
  for k, share in zip(hits[:4], sure.share[:4], strict=True):
    np.testing.assert_allclose(stats.binom.sf(k - 1, 100, share), alpha)
  np.testing.assert_allclose(sure.share[0], alpha ** (1 / 100))
  assert sure.share[4] == 0  # the class of the selection got no vote
  np.testing.assert_array_equal(sure.prediction[[0, 2, 3, 4]], [1, -1, 1, -1])
  np.testing.assert_array_equal(sure.radius > 0, sure.prediction >= 0)
  np.testing.assert_allclose(
    sure.radius[0], 0.25 * stats.norm.ppf(sure.share[0])
  )


def test_smoothed_classes_do_not_change_within_the_radius(net, x):
  sigma = 0.1
  votes = [
    adversarial.noisy_votes(
      net, x, jax.random.key(seed), sigma=sigma, samples=400, chunk=400
    )
    for seed in (1, 2)
  ]
  sure = adversarial.certified_radius(*votes, sigma=sigma)
  known = sure.prediction >= 0
  assert known.any()
  attacked = adversarial.pgd(
    adversarial.mislead(net, jnp.maximum(sure.prediction, 0)),
    x,
    KEY,
    epsilon=0.95 * sure.radius[known].min(),
    norm='l2',
    steps=20,
  )
  again = adversarial.noisy_votes(
    net, attacked.projected, KEY, sigma=sigma, samples=400, chunk=400
  )
  np.testing.assert_array_equal(again.argmax(-1)[known], sure.prediction[known])


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'alpha': 0.0}, 'alpha: got 0.0'),
    ({'alpha': 1.0}, 'alpha: got 1.0'),
    ({'sigma': 0.0}, 'sigma: got 0.0'),
    ({'sigma': np.nan}, 'sigma: got nan'),
    ({'votes': np.ones((2, 3))}, r'got shapes \(1, 2\) and \(2, 3\)'),
  ],
)
def test_bad_numbers_are_refused(change, message):
  given = {'votes': np.ones((1, 2)), 'sigma': 1.0, **change}
  with pytest.raises(ValueError, match=message):
    adversarial.certified_radius(np.ones((1, 2)), **given)


def test_bad_images_are_refused(linear):
  net, x, _ = linear
  with pytest.raises(ValueError, match='x: got shape'):
    adversarial.noisy_votes(net, x[0], KEY, sigma=1.0, samples=3)
  with pytest.raises(ValueError, match='samples: got 0'):
    adversarial.noisy_votes(net, x, KEY, sigma=1.0, samples=0)
  with pytest.raises(ValueError, match='sigma: got shape'):
    adversarial.noisy_votes(net, x, KEY, sigma=jnp.ones(3), samples=3)
  with pytest.raises(ValueError, match='net: got no logits'):
    adversarial.noisy_votes(
      lambda x, edits=None: (None, {}), x, KEY, sigma=1.0, samples=3
    )
