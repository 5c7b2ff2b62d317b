"""Laws of all attacks."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import make_tiny

from vizlab import adversarial

KEY = jax.random.key(0)
LABELS = jnp.array([0, 3, 5])
EPSILON = 0.03
NOT_ATTACKS = {
  'Attacked', 'Certificate', 'Moved', 'RobustAccuracy', 'Trial', 'Universal',
  'ascend', 'moved', 'paste', 'patch', 'spatial', 'universal',
  'certified_radius', 'free_ascent', 'free_loss', 'interval_bounds', 'lead',
  'madry_loss', 'mislead',
  'noisy_votes', 'robust_accuracy', 'summary', 'sure_class', 'trades_loss',
  'trial',
  'Defence', 'averaged', 'aware', 'behind', 'fit_heads', 'heads_doubt',
  'squeezing_doubt', 'withstood',
}  # fmt: skip


def on_score(attack, *args, **settings):
  def call(net, x, label, epsilon=EPSILON):
    score_fn = adversarial.mislead(net, label)
    return attack(score_fn, x, *args, epsilon=epsilon, **settings)

  return call


def deepfool(net, x, label, epsilon=EPSILON):
  return adversarial.deepfool(
    net, x, label, steps=3, candidates=3, epsilon=epsilon
  )


# Each attack, and the norm of its distance.
ATTACKS = {
  'fgsm': (on_score(adversarial.fgsm), 'linf'),
  'pgd': (on_score(adversarial.pgd, KEY, steps=3, norm='l2'), 'l2'),
  'apgd': (on_score(adversarial.apgd, KEY, steps=5, stop=True), 'linf'),
  'square': (on_score(adversarial.square, KEY, steps=6), 'linf'),
  'square_l2': (on_score(adversarial.square, KEY, steps=6, norm='l2'), 'l2'),
  'fmn': (on_score(adversarial.fmn, norm='l1', steps=4), 'l1'),
  'carlini_wagner': (
    on_score(adversarial.carlini_wagner, steps=3, searches=2),
    'l2',
  ),
  'deepfool': (deepfool, 'l2'),
}
PROGRAMS = {
  name: f'vizlab.adversarial.{name}' for name in ('pgd', 'apgd', 'square')
}
PROGRAMS['fgsm'], PROGRAMS['square_l2'] = PROGRAMS['pgd'], PROGRAMS['square']
for _name in ('fmn', 'carlini_wagner', 'deepfool'):
  PROGRAMS[_name] = 'vizlab.adversarial.nearest'
each_attack = pytest.mark.parametrize('name', ATTACKS)


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(KEY, (3, 8, 10, 3))


@pytest.fixture(scope='module')
def found(tiny, x):
  """Each attack's result on the same images, made once."""
  made = {}

  def get(name):
    if name not in made:
      made[name] = ATTACKS[name][0](tiny, x, LABELS)
    return made[name]

  return get


def same(a, b, atol=1e-5):
  for field in a._fields:
    one, other = (np.asarray(getattr(v, field)) for v in (a, b))
    assert one.dtype == other.dtype, field
    np.testing.assert_allclose(
      one.astype(float), other.astype(float), atol=atol, err_msg=field
    )


def test_every_public_attack_has_a_row():
  public = set(adversarial.__all__) - NOT_ATTACKS
  assert {name.removesuffix('_l2') for name in ATTACKS} == public


@each_attack
def test_images_stay_in_the_ball_and_in_range(name, x, found):
  got, norm = found(name), ATTACKS[name][1]
  assert got.raw.shape == got.projected.shape == x.shape
  for images in (got.raw, got.projected):
    assert (images >= 0).all() and (images <= 1).all()
  flat = np.asarray(got.projected - x).reshape(3, -1)
  order = {'linf': np.inf, 'l2': 2, 'l1': 1}[norm]
  length = np.linalg.norm(flat, order, axis=1)
  assert (length <= EPSILON * (1 + 1e-4)).all()
  np.testing.assert_allclose(got.distance, length, rtol=1e-3, atol=1e-6)
  assert (np.asarray(got.queries) > 0).all()


@each_attack
def test_success_is_misprediction(name, tiny, x, found):
  got = found(name)
  said, before = (tiny(v)[0].argmax(-1) for v in (got.projected, x))
  np.testing.assert_array_equal(got.success, said != LABELS)
  np.testing.assert_array_equal(got.already, before != LABELS)


@each_attack
def test_batch_equals_loop_and_jit_equals_eager(name, tiny, x, found):
  got = found(name)
  jitted = jax.jit(ATTACKS[name][0])
  rows = [jitted(tiny, x[i : i + 1], LABELS[i : i + 1]) for i in range(3)]
  same(jax.tree.map(lambda *v: jnp.concatenate(v), *rows), got)


@each_attack
def test_vmap_and_any_leading_batch(name, tiny, x, found):
  call, got = ATTACKS[name][0], found(name)
  same(jax.vmap(lambda x, y: call(tiny, x, y))(x, LABELS), got)
  nested = call(tiny, x[:, None], LABELS[:, None])
  same(jax.tree.map(lambda v: v[:, 0], nested), got)


@each_attack
def test_a_list_of_epsilons_is_each_of_them_and_zero_is_clean(
  name, tiny, x, found
):
  several = ATTACKS[name][0](tiny, x, LABELS, [0.0, EPSILON])
  first, second = (
    several._replace(**{
      key: value[i]
      for key, value in several._asdict().items()
      if value.shape[0] == 2
    })
    for i in (0, 1)
  )  # fmt: skip
  same(second, found(name))
  np.testing.assert_array_equal(first.projected, x)
  np.testing.assert_array_equal(first.success, first.already)
  assert not first.distance.any()


@each_attack
def test_new_weights_labels_and_radii_are_no_new_program(name, x):
  call = ATTACKS[name][0]
  traces = []

  @jax.jit
  def attack(net, x, label, epsilon):
    traces.append(name)
    return call(net, x, label, epsilon)

  for seed, radius in ((0, 0.01), (1, 0.02)):
    attack(make_tiny(seed), x, (LABELS + seed) % 6, radius)
  assert len(traces) == 1
  # And neither where nothing else is compiled.
  function = f'_{name.removesuffix("_l2")}'
  program = getattr(importlib.import_module(PROGRAMS[name]), function)
  call(make_tiny(0), x, LABELS, 0.01)
  before = program._cache_size()
  call(make_tiny(1), 1 - x, LABELS[::-1], 0.02)
  assert program._cache_size() == before > 0


@each_attack
def test_nan_stays_where_it_is(name, tiny, x, found):
  got = ATTACKS[name][0](tiny, x.at[1, 2, 2].set(jnp.nan), LABELS)
  assert not got.success[1]
  clean = jax.tree.map(lambda v: v[jnp.array([0, 2])], (got, found(name)))
  same(*clean)


@each_attack
def test_wrong_arguments_are_named(name, tiny, x):
  call = ATTACKS[name][0]
  for images, label, epsilon, message in (
    (x + 0.5, LABELS, 0.1, r'x: got values from .*, expected \[0, 1\]'),
    (jnp.zeros((2, 2)), LABELS, 0.1, r'x: got shape \(2, 2\)'),
    (x, 6, 0.1, 'target: got 6, expected 0 to 5'),
    (x, LABELS, -0.1, 'epsilon: got -0.1'),
  ):
    with pytest.raises(ValueError, match=message):
      call(tiny, images, label, epsilon)


@each_attack
def test_float64_images_give_the_same_in_float64(name, tiny, x, found):
  with jax.enable_x64(True):
    images = jnp.asarray(np.asarray(x, np.float64))
    got = ATTACKS[name][0](tiny, images, np.asarray(LABELS, np.int32))
    assert got.raw.dtype == got.distance.dtype == jnp.float64
  raw = np.asarray(got.raw, np.float32)
  # A sign may differ where the slope is next to nothing.
  assert (np.abs(raw - np.asarray(found(name).raw)) < 1e-4).mean() > 0.98
  np.testing.assert_array_equal(np.asarray(got.already), found(name).already)
