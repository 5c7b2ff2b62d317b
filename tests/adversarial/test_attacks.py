import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from linear_nets import SHAPE, greys, linear_net

from vizlab import adversarial
from vizlab.adversarial.apgd import checkpoints
from vizlab.objectives import content, dlr, logit, margin, score

KEY = jax.random.key(1)
NORMS = ('linf', 'l2', 'l1')
each_norm = pytest.mark.parametrize('norm', NORMS)


def dual(w, norm):
  """Largest rise of a linear score with slope ``w`` in a unit ball."""
  w = np.abs(np.asarray(w, np.float64))
  return {'linf': w.sum(), 'l2': np.sqrt((w**2).sum()), 'l1': w.max()}[norm]


def binary(seed=3):
  """Two classes whose logits differ by a linear function of the image."""
  net, w = linear_net(seed, 2)
  x = greys(seed, 4)
  label = net(x)[0].argmax(-1)
  gap = jnp.abs(net(x)[0][:, 0] - net(x)[0][:, 1])
  return net, x, label, np.asarray(gap), np.asarray(w[..., 0] - w[..., 1])


@each_norm
def test_a_linear_score_rises_by_the_dual_norm(norm):
  net, w = linear_net()
  x = greys(0, 3)
  score_fn = score(net, logit(2))
  epsilon = {'linf': 0.02, 'l2': 0.1, 'l1': 0.15}[norm]
  want = epsilon * dual(w[..., 2], norm)
  settings = {'epsilon': epsilon, 'norm': norm}
  attacks = {
    'fgsm': adversarial.fgsm(score_fn, x, **settings),
    'pgd': adversarial.pgd(
      score_fn, x, KEY, steps=25, random_start=norm == 'linf', **settings
    ),
  }
  if norm != 'l1':
    attacks['apgd'] = adversarial.apgd(score_fn, x, KEY, steps=40, **settings)
  for name, found in attacks.items():
    rise = score_fn(found.projected) - score_fn(x)
    # APGD comes nearer and nearer; L1 goes by shares of the coordinates.
    close = 1e-5 if norm != 'l1' and name != 'apgd' else 2e-3
    np.testing.assert_allclose(rise, want, rtol=close, err_msg=name)
    np.testing.assert_allclose(found.distance, epsilon, rtol=1e-4)


def test_the_fast_gradient_sign_is_the_papers(tiny):
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  label = jnp.array([1, 4])
  score_fn = adversarial.mislead(tiny, label)

  def loss(x):
    p = jax.nn.log_softmax(tiny(x)[0])
    return -jnp.take_along_axis(p, label[:, None], -1).sum()

  want = jnp.clip(x + 0.03 * jnp.sign(jax.grad(loss)(x)), 0, 1)
  found = adversarial.fgsm(score_fn, x, epsilon=0.03)
  np.testing.assert_allclose(found.raw, want, atol=1e-6)
  wrong = tiny(want)[0].argmax(-1) != label
  np.testing.assert_array_equal(found.success, wrong)


def test_momentum_is_the_papers(tiny):
  """Dong et al. 2018, algorithm 1, whose last point is the best here."""
  x = jax.random.uniform(KEY, (1, 12, 12, 3), minval=0.3, maxval=0.7)
  score_fn = score(tiny, logit(3))
  at, g = x, jnp.zeros_like(x)
  for _ in range(3):
    slope = jax.grad(lambda v: score_fn(v).sum())(at)
    g = 0.9 * g + slope / jnp.abs(slope).mean()
    at = jnp.clip(at + 0.004 * jnp.sign(g), x - 0.01, x + 0.01)
  found = adversarial.pgd(
    score_fn, x, KEY, epsilon=0.01, steps=3, rate=0.4, momentum=0.9,
    random_start=False,
  )  # fmt: skip
  np.testing.assert_allclose(found.raw, at, atol=1e-6)


def test_restarts_keep_the_best_and_early_stops_save_queries(tiny):
  x = jax.random.uniform(KEY, (4, 12, 12, 3))
  label = tiny(x)[0].argmax(-1)
  score_fn = adversarial.mislead(tiny, label)
  loss = {}
  for restarts in (1, 3):
    found = adversarial.pgd(
      score_fn, x, KEY, epsilon=0.02, steps=2, restarts=restarts
    )
    loss[restarts] = score_fn(found.raw)['loss']
    assert (found.queries == 2 + 3 * restarts).all()
  assert (loss[3] >= loss[1]).all()
  assert (loss[3] > loss[1]).any()
  full = adversarial.pgd(score_fn, x, KEY, epsilon=0.2, steps=30)
  short = adversarial.pgd(score_fn, x, KEY, epsilon=0.2, steps=30, stop=True)
  assert full.success.all() and short.success.all()
  assert (short.queries < 20).all()


def test_success_with_an_augment_is_judged_on_images_as_they_are():
  def dark(key, x):
    return 0 * x

  x = jnp.stack([jnp.full((2, 2, 3), v) for v in (0.2, 0.4, 0.6)])
  found = adversarial.pgd(
    Partial(lambda x: x.mean((-3, -2, -1)) - 0.5), x, KEY,
    epsilon=0.15, steps=1, augment=dark, rate=1.0, random_start=False,
  )  # fmt: skip
  # In the dark there is no slope and no goal, so that nothing moves.
  np.testing.assert_array_equal(found.raw, x)
  np.testing.assert_array_equal(found.already, [False, False, True])
  np.testing.assert_array_equal(found.success, [False, False, True])


def test_the_checkpoints_are_those_of_the_paper():
  assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
  assert checkpoints(1) == []


@pytest.mark.parametrize('norm', ['l2', 'linf'])
def test_deepfool_reaches_the_border_of_a_linear_net(norm):
  net, x, label, gap, w = binary()
  found = adversarial.deepfool(net, x, label, norm=norm)
  assert found.success.all()
  want = 1.02 * gap / dual(w, norm)
  np.testing.assert_allclose(found.distance, want, rtol=0.01, atol=2e-4)
  # But for what takes it beyond the border it is exact.
  bare = adversarial.deepfool(net, x, label, norm=norm, overshoot=0.0)
  np.testing.assert_allclose(
    bare.distance - 1e-4, gap / dual(w, norm), rtol=1e-4, atol=1e-6
  )
  # One step of a look and a gradient of the other class, and two looks.
  assert (found.queries == 4).all()


def test_deepfool_goes_to_the_nearest_of_many_borders():
  net, w = linear_net(5, 6)
  x = greys(5, 4)
  logits = np.asarray(net(x)[0], np.float64)
  label = logits.argmax(-1)
  found = adversarial.deepfool(net, x, jnp.asarray(label))
  for i, own in enumerate(label):
    far = [
      (logits[i, own] - logits[i, k]) / dual(w[..., k] - w[..., own], 'l2')
      for k in range(6)
      if k != own
    ]
    assert found.distance[i] == pytest.approx(1.02 * min(far), rel=0.01)


@pytest.mark.parametrize('norm', NORMS)
def test_the_fast_minimum_norm_finds_the_border_of_a_linear_net(norm):
  net, x, label, gap, w = binary()
  score_fn = adversarial.mislead(net, label)
  found = adversarial.fmn(score_fn, x, norm=norm, steps=200)
  assert found.success.all()
  want = gap / dual(w, norm)
  assert (found.distance >= 0.999 * want).all()
  tolerance = 1.6 if norm == 'l1' else 1.02
  assert (found.distance <= tolerance * want).all()


def test_carlini_and_wagner_find_the_border_of_a_linear_net():
  net, x, label, gap, w = binary()
  score_fn = adversarial.mislead(net, label)
  found = adversarial.carlini_wagner(score_fn, x)
  assert found.success.all()
  want = gap / dual(w, 'l2')
  np.testing.assert_allclose(found.distance, want, rtol=0.03)
  sure = adversarial.carlini_wagner(score_fn, x, confidence=2.0)
  assert (score_fn(sure.raw)['goal'] >= 1.99).all()
  np.testing.assert_allclose(
    sure.distance, (gap + 2) / dual(w, 'l2'), rtol=0.03
  )


def below(score_fn, x):
  """A goal that is never reached."""
  return score_fn(x) - 1000.0


def saturated(seed=3):
  """Half of the pixels are black or white."""
  net, w = linear_net(seed, 2)
  x = np.array(greys(seed, 4, spread=0.9))
  x[:, :3] = x[:, :3] > 0.5
  x = jnp.asarray(x)
  return net, x, net(x)[0].argmax(-1)


@each_norm
def test_images_with_black_and_white_pixels_are_fooled_as_well(norm):
  net, x, label = saturated()
  score_fn = adversarial.mislead(net, label)
  near = adversarial.fmn(score_fn, x, norm=norm, steps=200)
  assert near.success.all()
  if norm == 'l2':
    far = adversarial.deepfool(net, x, label)
    wagner = adversarial.carlini_wagner(score_fn, x)
    assert far.success.all() and wagner.success.all()
    assert (near.distance <= 1.05 * far.distance).all()
    assert (wagner.distance <= 1.05 * far.distance).all()
  radius = 1.5 * near.distance.max()
  found = adversarial.pgd(
    score_fn, x, KEY, epsilon=radius, norm=norm, steps=60, random_start=False
  )
  assert found.success.all()


def test_slopes_in_l1_that_lead_out_of_range_are_left_alone():
  x = jnp.ones((1, 10, 10, 3)).at[:, 5:].set(0.5)

  def ramp(x):
    return 9 * x[:, :5].sum((1, 2, 3)) + x[:, 5:].sum((1, 2, 3))

  found = adversarial.fgsm(ramp, x, epsilon=0.3, norm='l1')
  np.testing.assert_allclose(ramp(found.raw) - ramp(x), 0.3, rtol=1e-3)


@pytest.mark.parametrize('attack', ['fgsm', 'apgd'])
def test_tiny_slopes_are_climbed_in_l2(attack):
  """Their squares are 0 in float32."""
  x = greys(0, 2)

  def slight(x):
    return 1e-25 * (x * jnp.arange(3.0)[None, None, None]).sum((1, 2, 3))

  if attack == 'fgsm':
    found = adversarial.fgsm(slight, x, epsilon=0.1, norm='l2')
  else:
    found = adversarial.apgd(slight, x, KEY, epsilon=0.1, norm='l2', steps=30)
  want = 1e-25 * 0.1 * np.sqrt(30 * 5)
  np.testing.assert_allclose(slight(found.raw) - slight(x), want, rtol=0.02)


def test_squares_climb_a_linear_score_to_the_corners():
  net, w = linear_net(2)
  x = greys(2, 2)
  score_fn = Partial(below, score(net, logit(1)))
  gained = []
  for steps in (1, 40, 1500):
    found = adversarial.square(score_fn, x, KEY, epsilon=0.05, steps=steps)
    gained.append(score_fn(found.raw) - score_fn(x))
    assert (found.queries == steps + 2).all()
  assert (gained[1] > gained[0]).all()
  most = 0.05 * dual(w[..., 1], 'linf')
  assert (gained[2] > 0.9 * most).all()
  assert (gained[2] <= most + 1e-4).all()


def test_targets_are_reached_and_plain_scores_are_their_own_goals():
  net, w = linear_net(7)
  x = greys(7, 3)
  target = (net(x)[0].argmax(-1) + 1) % 4
  found = adversarial.pgd(adversarial.lead(net, target), x, KEY, epsilon=0.3)
  assert found.success.all()
  np.testing.assert_array_equal(net(found.projected)[0].argmax(-1), target)
  label = net(x)[0].argmax(-1)
  plain = adversarial.pgd(score(net, -margin(label)), x, KEY, epsilon=0.3)
  assert plain.success.all()
  assert not plain.already.any()


def test_what_is_held_to_a_smaller_ball_has_not_always_succeeded():
  net, x, label, gap, w = binary()
  least = gap / dual(w, 'l2')
  radii = [0.5 * least.min(), 1.1 * least.max()]
  found = adversarial.deepfool(net, x, label, epsilon=radii)
  assert found.raw.shape == x.shape
  assert found.projected.shape == (2, *x.shape)
  assert not found.success[0].any()
  assert found.success[1].all()
  np.testing.assert_allclose(found.distance[0], radii[0], rtol=1e-4)


@each_norm
def test_wrong_images_are_reported_as_such(norm):
  net, x, label, _, _ = binary()
  found = adversarial.pgd(
    adversarial.mislead(net, 1 - label), x, KEY, epsilon=0.0, norm=norm, steps=2
  )
  assert found.already.all() and found.success.all()
  assert SHAPE == found.raw.shape[1:]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'steps': 0}, 'steps: got 0'),
    ({'restarts': 0}, 'restarts: got 0'),
    ({'restarts': 2, 'random_start': False}, 'restarts: got 2 without a rand'),
    ({'draws': 2}, 'draws: got 2 without an augment'),
    ({'rate': -1.0}, 'rate: got -1.0'),
    ({'norm': 'l3'}, "norm: got 'l3', expected one of"),
    ({'epsilon': -0.1}, 'epsilon: got -0.1, expected at least 0'),
    ({'epsilon': float('nan')}, 'epsilon: got nan'),
    ({'epsilon': np.zeros((2, 2))}, r'epsilon: got shape \(2, 2\)'),
    ({'epsilon': []}, r'epsilon: got shape \(0,\)'),
    ({'epsilon': jnp.float32(-0.1)}, 'epsilon: got -0.1'),
  ],
)
def test_wrong_settings_are_named(change, message):
  net, x, label, _, _ = binary()
  settings = {'epsilon': 0.1, **change}
  with pytest.raises(ValueError, match=message):
    adversarial.pgd(adversarial.mislead(net, label), x, KEY, **settings)


@pytest.mark.parametrize(
  ('change', 'message'),
  [({'weight': 0.0}, 'weight: got 0.0'), ({'rate': 0.0}, 'rate: got 0.0')],
)
def test_a_search_needs_a_weight_and_a_rate(change, message):
  net, x, label, _, _ = binary()
  with pytest.raises(ValueError, match=message):
    adversarial.carlini_wagner(adversarial.mislead(net, label), x, **change)


def test_one_class_has_no_border():
  net, _ = linear_net(0, 1)
  with pytest.raises(ValueError, match='net: got 1 class, expected 2 or more'):
    adversarial.deepfool(net, greys(0, 1), jnp.array([0]))


@pytest.mark.parametrize('attack', ['pgd', 'apgd', 'square', 'fgsm'])
def test_a_score_of_exactly_zero_is_no_success(attack):
  key = () if attack == 'fgsm' else (KEY,)
  steps = {} if attack == 'fgsm' else {'steps': 2}
  found = getattr(adversarial, attack)(
    Partial(lambda x: 0 * x.mean((-3, -2, -1))), greys(2, 2), *key,
    epsilon=0.1, **steps,
  )  # fmt: skip
  assert not found.success.any() and not found.already.any()


@pytest.mark.parametrize(
  'loss',
  [dlr, lambda label: -margin(label), lambda label: -logit(label)],
  ids=['dlr', 'margin', 'logit'],
)
@pytest.mark.parametrize('goal', ['mislead', 'lead'])
def test_attacks_climb_any_loss_and_succeed_by_the_class(tiny, loss, goal):
  x = jax.random.uniform(KEY, (3, 12, 12, 3))
  label = tiny(x)[0].argmax(-1)
  if goal == 'lead':
    label = (label + 1) % 6
  make = getattr(adversarial, goal)
  wish = make(tiny, label, loss)
  found = adversarial.pgd(wish, x, KEY, epsilon=0.2, steps=20)
  sign = 1 if goal == 'mislead' else -1
  rise = sign * (loss(label)(*tiny(found.raw)) - loss(label)(*tiny(x)))
  assert (rise > 0).all()
  said = tiny(found.raw)[0].argmax(-1)
  want = said != label if goal == 'mislead' else said == label
  np.testing.assert_array_equal(found.success, want)
  assert goal == 'lead' or want.all()


def test_features_of_another_image_are_reached(tiny):
  """Sabour et al. 2016: an image with the features of another one."""
  x = jax.random.uniform(KEY, (2, 12, 12, 3))
  layer = [*tiny(x)[1]][1]
  target = tiny(x[::-1])[1][layer]
  wish = score(tiny, -content(layer, target, mean=True))
  found = adversarial.pgd(wish, x, KEY, epsilon=0.3, steps=60)
  assert (wish(found.raw) > 0.5 * wish(x)).all()  # both below 0
  assert not found.success.any()  # a plain score succeeds above 0


@pytest.mark.parametrize('attack', [adversarial.pgd, adversarial.apgd])
def test_images_stop_one_by_one(attack):
  net, x, label, gap, _ = binary()
  # The last can be reached nowhere in the ball.
  x = jnp.concatenate([x[:1], x[:1]])
  label = jnp.array([label[0], label[0]])
  slow = Partial(slower, adversarial.mislead(net, label))
  found = attack(slow, x, KEY, epsilon=0.3, steps=12, stop=True)
  np.testing.assert_array_equal(found.success, [True, False])
  assert found.queries[0] < found.queries[1] == 15


def slower(score_fn, x):
  """The goal of the first image, and one that the second never reaches."""
  y = score_fn(x)
  return {'loss': y['loss'], 'goal': y['goal'] - jnp.array([0.0, 1e6])}


@pytest.mark.parametrize('epsilon', [0.1, [0.1]])
def test_chunks_are_checked_for_any_radius(epsilon):
  net, _ = linear_net()
  for attack in (adversarial.fgsm, adversarial.fmn):
    with pytest.raises(ValueError, match='chunk: got 0, expected at least 1'):
      attack(score(net, logit(1)), greys(0, 2), epsilon=epsilon, chunk=0)
