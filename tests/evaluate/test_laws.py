"""Laws that hold for every metric."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import evaluate

KEY = jax.random.key(3)
HELPERS = {
  'Bias',
  'CoOccurrence',
  'Curve',
  'DropIncrease',
  'cascading',
  'co_occurrence',
  'decide',
  'independent',
  'radial_spectrum',
  'shape_bias',
}


def probability(x):
  return jax.nn.sigmoid(3 * (x[..., 3:9, 2:7, :].mean((-3, -2, -1)) - 0.5))


def explain(x):
  return (x**2).sum(-1)


def squares(x, edits=None):
  return None, {'squares': x**2}


# Each as (images [..., 32, 24, 3], map, mask) -> [...].
METRICS = {
  'energy_inside': lambda x, a, m: evaluate.energy_inside(a, m),
  'pointing_game': lambda x, a, m: evaluate.pointing_game(a, m, tolerance=2),
  'iou': lambda x, a, m: evaluate.iou(a, m),
  'deletion': lambda x, a, m: evaluate.deletion(probability, x, a).area,
  'insertion': lambda x, a, m: evaluate.insertion(probability, x, a).area,
  'removal_curve': lambda x, a, m: evaluate.removal_curve(
    probability,
    x,
    a,
    lambda x, gone: jnp.where(gone[..., None], 0, x),
    shares=(0.1, 0.3),
  ).scores[..., 1],
  'road': lambda x, a, m: evaluate.road(
    probability, x, a, KEY, shares=(0.2, 0.6)
  ),
  'impute': lambda x, a, m: evaluate.impute(x, a > 0.7).mean((-3, -2, -1)),
  'drop_increase': lambda x, a, m: (
    evaluate.drop_increase(probability, x, a).drop
  ),
  'infidelity': lambda x, a, m: evaluate.infidelity(
    probability, x, a, KEY, samples=5
  ),
  'max_sensitivity': lambda x, a, m: evaluate.max_sensitivity(
    explain, x, KEY, samples=3
  ),
  'sparseness': lambda x, a, m: evaluate.sparseness(a),
  'ssim': lambda x, a, m: evaluate.ssim(a, m),
  'spearman': lambda x, a, m: evaluate.spearman(a, m),
  'hog_correlation': lambda x, a, m: evaluate.hog_correlation(a, m),
  'co_occurrence_distance': lambda x, a, m: evaluate.co_occurrence_distance(
    a, m
  ),
  'psnr': lambda x, a, m: evaluate.psnr(a, m),
  'lpips': lambda x, a, m: evaluate.lpips(
    squares, {'squares': jnp.array([0.5, 1.0, 2.0])}, x, x * a[..., None]
  ),
  'spectrum_distance': lambda x, a, m: evaluate.spectrum_distance(a, m),
}
each_metric = pytest.mark.parametrize('name', METRICS)


@pytest.fixture(scope='module')
def case():
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.uniform(keys[0], (5, 32, 24, 3))
  a = jax.random.uniform(keys[1], (5, 32, 24))
  mask = jnp.zeros((5, 32, 24)).at[:, 5:20, 4:16].set(1.0)
  return x, a, mask


def test_every_public_metric_has_a_row():
  assert {*METRICS} == {*evaluate.__all__} - HELPERS


@each_metric
def test_batch_equals_loop_and_jit_equals_eager(name, case):
  metric = METRICS[name]
  batch = jax.jit(metric)(*case)
  assert batch.shape == (5,)
  one = jax.jit(metric)
  for i in range(5):
    np.testing.assert_allclose(batch[i], one(*(v[i] for v in case)), atol=1e-5)
  np.testing.assert_allclose(metric(*case), batch, atol=1e-5)


@each_metric
def test_any_leading_batch_and_vmap(name, case):
  metric = jax.jit(METRICS[name])
  flat = metric(*case)
  nested = metric(*(v.reshape(5, 1, *v.shape[1:]) for v in case))
  assert nested.shape == (5, 1)
  np.testing.assert_allclose(nested[:, 0], flat, atol=1e-5)
  np.testing.assert_allclose(jax.jit(jax.vmap(metric))(*case), flat, atol=1e-5)


@each_metric
def test_a_map_with_nan_is_nan_and_the_others_are_not(name, case):
  if name in ('impute', 'max_sensitivity'):
    return  # they judge no given map
  x, a, mask = case
  got = jax.jit(METRICS[name])(x, a.at[2, 3, 4].set(jnp.nan), mask)
  assert jnp.isnan(got[2])
  assert jnp.isfinite(got[jnp.array([0, 1, 3, 4])]).all()


SCORED = (
  'deletion',
  'insertion',
  'road',
  'drop_increase',
  'infidelity',
)


@pytest.mark.parametrize('name', SCORED)
def test_a_score_with_nan_is_nan_and_the_others_are_not(name, case):
  x, a, mask = case
  got = jax.jit(METRICS[name])(x.at[2, 5, 4].set(jnp.nan), a, mask)
  assert jnp.isnan(got).tolist() == [False, False, True, False, False]


def test_a_nan_score_has_neither_drop_nor_increase(case):
  x, a, _ = case
  got = evaluate.drop_increase(probability, x.at[2, 5, 4].set(jnp.nan), a)
  for values in got:
    assert jnp.isnan(values).tolist() == [False, False, True, False, False]


def test_an_undefined_map_hits_nothing_at_the_size_of_photos():
  a = jnp.ones((2, 224, 224)).at[1, 100, 90].set(jnp.nan)
  mask = jnp.zeros((2, 224, 224)).at[:, :56].set(1.0)
  for metric, flat in (
    (evaluate.pointing_game, 0.25),
    (evaluate.energy_inside, 0.25),
    (evaluate.iou, 0.25),
  ):
    got = jax.jit(metric)(a, mask)
    np.testing.assert_allclose(got[0], flat, rtol=1e-6)
    assert jnp.isnan(got[1])


SIDE = 2600  # where sums of squared ranks no longer fit into float32


@pytest.fixture(scope='module')
def large():
  return jax.random.uniform(jax.random.key(9), (SIDE, SIDE))


@pytest.mark.slow
@pytest.mark.parametrize(
  ('metric', 'wanted'),
  [
    (lambda a: evaluate.spearman(a, -a), -1),
    (lambda a: evaluate.hog_correlation(a, a), 1),
    (lambda a: evaluate.ssim(a, a), 1),
    (evaluate.sparseness, 1 / 3),  # of uniform numbers
    (lambda a: evaluate.energy_inside(a, _left(a)), 1 / 4),
    (lambda a: evaluate.pointing_game(jnp.ones_like(a), _left(a)), 1 / 4),
    (lambda a: evaluate.iou(1 + a, _left(a)), 1 / 4),
    (lambda a: evaluate.co_occurrence_distance(a, a[:1300, :1300]), 0),
    (lambda a: evaluate.spectrum_distance(a, a.T), 0),
    (lambda a: _by_score(evaluate.deletion, a).scores[1], 1 / 8),
    (lambda a: _by_score(evaluate.insertion, a).scores[1], 3 / 8),
    (lambda a: _removed(a).scores[1], 3 / 8),
    (lambda a: evaluate.drop_increase(_mean, _rgb(a), a).drop, 1 / 3),
  ],
)
def test_a_large_map_overflows_nothing(metric, wanted, large):
  """Expectations of uniform numbers, of which there are 6.8 million."""
  np.testing.assert_allclose(jax.jit(metric)(large), wanted, atol=5e-3)


def _left(a):
  return jnp.zeros_like(a).at[:, : SIDE // 4].set(1.0)


def _rgb(a):
  return jnp.broadcast_to(a[..., None], (*a.shape, 3))


def _mean(x):
  return x.mean((-3, -2, -1))


def _by_score(metric, a):
  return metric(_mean, _rgb(a), a, steps=2, baseline=0.0)


def _removed(a):
  def remove(x, gone):
    return jnp.where(gone[..., None], 0, x)

  return evaluate.removal_curve(_mean, _rgb(a), -a, remove, shares=(0, 0.5))


@pytest.mark.parametrize('scale', [1e-25, 1e25])
@pytest.mark.parametrize('name', ['infidelity', 'sparseness', 'energy_inside'])
def test_the_unit_of_a_map_does_not_matter(name, scale, case):
  x, a, mask = case
  metric = jax.jit(METRICS[name])
  np.testing.assert_allclose(
    metric(x, a * scale, mask), metric(x, a, mask), rtol=1e-3
  )
