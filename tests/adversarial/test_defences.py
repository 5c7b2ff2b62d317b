import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear_nets import greys, linear_net

from vizlab import adversarial, image
from vizlab.adversarial import Defence

KEY = jax.random.key(2)
smooth = image.median


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(KEY, (4, 12, 14, 3))


def test_a_net_behind_a_change_sees_only_that(tiny, x):
  net = adversarial.behind(smooth, tiny)
  logits, acts = net(x)
  want, there = tiny(smooth(x))
  np.testing.assert_array_equal(logits, want)
  np.testing.assert_array_equal(acts['relu2'], there['relu2'])
  logits, _ = net(x, {'relu2': jnp.zeros_like})
  np.testing.assert_array_equal(logits, tiny(x, {'relu2': jnp.zeros_like})[0])
  with pytest.raises(ValueError, match=r'change: gave shape \(4, 6, 14, 3\)'):
    adversarial.behind(lambda x: x[:, ::2], tiny)(x)


def darker(key, x):
  return x * jax.random.uniform(key, (), minval=0.2)


def test_probabilities_are_means_over_draws(tiny, x):
  net = adversarial.averaged(tiny, darker, KEY, draws=5)
  found = jax.nn.softmax(net(x)[0])
  factors = [
    darker(jax.random.fold_in(KEY, i), jnp.float32(1)) for i in range(5)
  ]
  each = [jax.nn.softmax(tiny(x * f)[0]) for f in factors]
  np.testing.assert_allclose(found, np.mean(each, 0), rtol=1e-4)
  with pytest.raises(ValueError, match='draws: got 0'):
    adversarial.averaged(tiny, darker, KEY, draws=0)


def test_squeezing_is_the_papers_distance(tiny, x):
  dark = functools.partial(jnp.multiply, jnp.float32(0.3))
  found = adversarial.squeezing_doubt(tiny, [smooth, dark])(x)
  p = jax.nn.softmax(tiny(x)[0])
  each = [
    np.abs(np.asarray(p - jax.nn.softmax(tiny(change(x))[0]))).sum(-1)
    for change in (smooth, dark)
  ]
  np.testing.assert_allclose(found, np.max(each, 0), rtol=1e-4)
  with pytest.raises(ValueError, match='changes: got none'):
    adversarial.squeezing_doubt(tiny, [])


def test_heads_are_the_ridge_regression_of_the_answers(tiny):
  tint = jax.random.uniform(jax.random.key(3), (40, 1, 1, 3))
  x = tint * jax.random.uniform(KEY, (40, 12, 12, 3))
  layers = 'relu1', 'fc'
  heads = adversarial.fit_heads(tiny, layers, x, ridge=0.2)
  logits, acts = tiny(x)
  answers = np.eye(logits.shape[-1])[np.asarray(logits.argmax(-1))]
  assert len(np.unique(answers.argmax(1))) > 1
  doubt = np.zeros(40)
  for name in layers:
    act = np.asarray(acts[name], np.float64)
    z = act.mean((1, 2)) if act.ndim == 4 else act
    deviation = z.std(0)
    scale = np.where(deviation > 0, 1 / np.maximum(deviation, 1e-9), 0)
    standard = (z - z.mean(0)) * scale
    # As rows that are appended to a least squares problem.
    rows = np.sqrt(0.2 * len(z)) * np.eye(z.shape[1])
    zeros = np.zeros((z.shape[1], answers.shape[1]))
    weights = np.linalg.lstsq(
      np.concatenate([standard, rows]),
      np.concatenate([answers - answers.mean(0), zeros]),
      rcond=None,
    )[0]
    values = standard @ weights + answers.mean(0)
    at = z @ np.asarray(heads[name][:-1]) + np.asarray(heads[name][-1])
    np.testing.assert_allclose(at, values, atol=1e-3)
    doubt += (values.max(1) - (values * answers).sum(1)) / 2
  found = adversarial.heads_doubt(tiny, heads)(x)
  np.testing.assert_allclose(found, doubt, atol=1e-3)
  assert found.max() > 0.01 and found.min() >= 0


def far_from_grey(x):
  return jnp.abs(x - 0.5).mean((-3, -2, -1))


def test_wrong_answers_are_withstood_if_they_are_refused():
  net, _ = linear_net(1, 4)
  x = greys(3, 6)
  label = jnp.asarray(net(x)[0].argmax(-1))
  wrong = (label + jnp.array([0, 1, 0, 2, 0, 3])) % 4
  right = np.array([True, False] * 3)
  plain = Defence(net)
  np.testing.assert_array_equal(adversarial.withstood(plain, x, wrong), right)
  doubt = np.asarray(far_from_grey(x))
  limit = float(np.median(doubt))
  guarded = Defence(net, jax.tree_util.Partial(far_from_grey), limit)
  want = right | (doubt > limit)
  np.testing.assert_array_equal(adversarial.withstood(guarded, x, wrong), want)
  assert want.sum() > 3
  # Doubt that is no number refuses; a net that says nothing is not right.
  undefined = jax.tree_util.Partial(lambda x: jnp.nan * far_from_grey(x))
  nothing = Defence(net, undefined)
  assert adversarial.withstood(nothing, x, wrong).all()
  for value in (jnp.nan, 0.0):
    dead = jax.tree_util.Partial(
      lambda value, x, edits=None: (value * net(x)[0], {}), value
    )
    assert not adversarial.withstood(Defence(dead), x, label).any()


def test_the_attack_that_knows_first_fools_and_then_hides():
  net, _ = linear_net(1, 4)
  x = greys(3, 6)
  logits = net(x)[0]
  label = jnp.where(jnp.arange(6) < 3, logits.argmax(-1), logits.argmin(-1))
  doubt = np.asarray(far_from_grey(x))
  limit = float(np.median(doubt))
  guarded = Defence(net, jax.tree_util.Partial(far_from_grey), limit)
  found = adversarial.aware(guarded, label)(x)
  plain = adversarial.mislead(net, label)(x)
  np.testing.assert_allclose(found['loss'][:3], plain['loss'][:3], rtol=1e-6)
  excess = np.maximum(doubt - limit, 0)
  np.testing.assert_allclose(
    found['loss'][3:], (np.log(4) + 1 / (1 + excess))[3:], rtol=1e-6
  )
  assert found['loss'][:3].max() < found['loss'][3:].min()
  let = doubt <= limit
  np.testing.assert_allclose(found['goal'][let], plain['goal'][let], rtol=1e-6)
  np.testing.assert_allclose(
    found['goal'][~let],
    np.minimum(plain['goal'], limit - doubt)[~let],
    atol=1e-6,
  )
  assert not let[3:].all()
  same = adversarial.aware(Defence(net), label)(x)
  np.testing.assert_allclose(same['loss'], plain['loss'])


def test_with_views_all_are_misled_alike(tiny, x):
  label, target = jnp.array([0, 1, 2, 3]), jnp.array([4, 0, 1, 2])
  views = adversarial.behind(smooth, tiny), adversarial.behind(jnp.square, tiny)
  doubt = adversarial.squeezing_doubt(tiny, [smooth, jnp.square])
  guarded = Defence(tiny, doubt, 0.01, views)
  nets = tiny, *views
  away = adversarial.aware(guarded, label)(x)['loss']
  each = [adversarial.mislead(net, label)(x)['loss'] for net in nets]
  np.testing.assert_allclose(away, np.mean(each, 0), rtol=1e-5)
  led = adversarial.aware(guarded, label, target)(x)['loss']
  each = [adversarial.lead(net, target)(x)['loss'] for net in nets]
  np.testing.assert_allclose(led, np.mean(each, 0), rtol=1e-5)


def test_detectors_are_broken_by_an_attack_that_knows(tiny):
  x = jax.random.uniform(KEY, (8, 16, 16, 3))
  label = tiny(x)[0].argmax(-1)
  doubt = adversarial.squeezing_doubt(tiny, [smooth])
  limit = float(doubt(x).max())
  guarded = Defence(tiny, doubt, limit, (adversarial.behind(smooth, tiny),))
  ball = {'epsilon': 0.12, 'steps': 30}
  blind = adversarial.pgd(adversarial.mislead(tiny, label), x, KEY, **ball)
  knowing = adversarial.pgd(adversarial.aware(guarded, label), x, KEY, **ball)
  held = [
    float(adversarial.withstood(guarded, found.projected, label).mean())
    for found in (blind, knowing)
  ]
  assert held[1] < held[0]


def test_an_attack_that_knows_breaks_what_looked_safe(tiny):
  """The median stops an attack on the net itself, but not one on both."""
  x = jax.random.uniform(KEY, (8, 16, 16, 3))
  defence = Defence(adversarial.behind(smooth, tiny))
  label = defence.net(x)[0].argmax(-1)
  settings = {'epsilon': 0.06, 'steps': 20, 'stop': True}
  blind = adversarial.pgd(adversarial.mislead(tiny, label), x, KEY, **settings)
  knowing = adversarial.pgd(
    adversarial.aware(defence, label), x, KEY, **settings
  )
  left = [
    float(adversarial.withstood(defence, found.projected, label).mean())
    for found in (blind, knowing)
  ]
  assert left[1] < left[0]
  np.testing.assert_array_equal(
    adversarial.withstood(defence, knowing.projected, label), ~knowing.success
  )


def test_defences_are_pytrees(tiny, x):
  heads = adversarial.fit_heads(tiny, ['relu1'], x[:, :12, :12])
  doubt = adversarial.heads_doubt(tiny, heads)
  noise = jax.tree_util.Partial(darker)
  net = adversarial.averaged(adversarial.behind(smooth, tiny), noise, KEY, 2)
  defence = Defence(net, doubt, 0.1, (tiny,))
  label = jnp.array([0, 1, 2, 3])
  traces = []

  @jax.jit
  def judge(defence, x, label):
    traces.append(1)
    return adversarial.withstood(defence, x, label)

  first = judge(defence, x, label)
  judge(defence._replace(limit=0.2), x, label + 1)
  assert len(traces) == 1
  np.testing.assert_array_equal(
    first, [adversarial.withstood(defence, x[i], label[i]) for i in range(4)]
  )
  whole = adversarial.aware(defence, label)(x)
  rows = jax.jit(jax.vmap(lambda x, y: adversarial.aware(defence, y)(x)))(
    x, label
  )
  for name in whole:
    np.testing.assert_allclose(rows[name], whole[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda net, x: adversarial.fit_heads(net, [], x), 'layers: got none'),
    (lambda net, x: adversarial.fit_heads(net, ['no'], x), "layers: got 'no'"),
    (lambda net, x: adversarial.fit_heads(net, ['fc1'], x[0]), 'x: got shape'),
    (
      lambda net, x: adversarial.fit_heads(net, ['fc1'], x, ridge=-1.0),
      'ridge: got -1',
    ),
  ],
)
def test_wrong_arguments_are_named(call, message, tiny, x):
  with pytest.raises(ValueError, match=message):
    call(tiny, x)
