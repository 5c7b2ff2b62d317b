"""Similarity of representations: closed forms, replicas and invariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vizlab import probes

MEASURES = {
  'cka': jax.jit(probes.linear_cka),
  'svcca': jax.jit(probes.svcca, static_argnames='kept'),
}


def draw(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize('name', MEASURES)
def test_a_rotation_a_scale_and_a_shift_change_nothing(name):
  a = draw(0, 60, 7)
  turn = stats.ortho_group.rvs(7, random_state=1).astype(np.float32)
  b = 3 * a @ turn + draw(2, 7)[None]
  np.testing.assert_allclose(MEASURES[name](a, b), 1, atol=1e-5)
  np.testing.assert_allclose(MEASURES[name](a, a), 1, atol=1e-5)
  c = draw(3, 60, 5)
  one, other = MEASURES[name](a, c), MEASURES[name](b, c)
  np.testing.assert_allclose(one, other, atol=1e-5)
  np.testing.assert_allclose(one, MEASURES[name](c, a), atol=1e-5)
  assert 0 < float(one) < 0.9


@pytest.mark.parametrize('name', MEASURES)
def test_features_without_correlation(name):
  waves = np.fft.fft(np.eye(32)).real[:, 1:9].astype(np.float32)
  found = MEASURES[name](waves[:, :4], waves[:, 4:])
  np.testing.assert_allclose(found, 0, atol=1e-5)


def test_two_features_by_their_correlation():
  a = draw(0, 50, 1)
  b = a + draw(1, 50, 1)
  r = np.corrcoef(a[:, 0], b[:, 0])[0, 1]
  np.testing.assert_allclose(probes.linear_cka(a, b), r**2, rtol=1e-4)
  np.testing.assert_allclose(probes.svcca(a, b), abs(r), rtol=1e-4)


def test_cka_is_the_formula_over_features():
  a, b = draw(0, 12, 3, 4, 2), draw(1, 12, 9)
  x = (a.reshape(12, -1) - a.reshape(12, -1).mean(0)).astype(np.float64)
  y = (b - b.mean(0)).astype(np.float64)
  norm = np.linalg.norm
  expected = norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y))
  np.testing.assert_allclose(probes.linear_cka(a, b), expected, rtol=1e-4)


def test_svcca_keeps_the_directions_of_the_variance():
  shared, noise = draw(0, 80, 2), draw(1, 80, 3)
  a = np.concatenate([10 * shared, 0.1 * noise], 1)
  b = np.concatenate([10 * shared[:, ::-1], 0.1 * draw(2, 80, 4)], 1)
  np.testing.assert_allclose(probes.svcca(a, b), 1, atol=1e-3)
  every = float(probes.svcca(a, b, 1.0))
  x, y = (np.linalg.svd(v - v.mean(0))[0] for v in (a, b))
  r = np.linalg.svd(x[:, :5].T @ y[:, :6], compute_uv=False)
  np.testing.assert_allclose(every, r.mean(), atol=1e-4)
  assert every < 0.8


def test_more_features_than_images_and_copies_of_features():
  a = draw(0, 6, 40)
  assert (
    float(probes.svcca(a, draw(1, 6, 30), 1.0)) > 0.999
  )  # all spaces are one
  b = draw(2, 40, 3)
  doubled = np.concatenate([b, b], 1)
  np.testing.assert_allclose(probes.svcca(b, doubled, 1.0), 1, atol=1e-4)


@pytest.mark.parametrize('name', MEASURES)
def test_vmap_and_what_does_not_vary(name):
  a, b = draw(0, 3, 20, 4), draw(1, 3, 20, 5)
  each = jax.vmap(MEASURES[name])(a, b)
  for i in range(3):
    np.testing.assert_allclose(each[i], MEASURES[name](a[i], b[i]), atol=1e-5)
  assert jnp.isnan(MEASURES[name](jnp.ones((8, 3)), draw(0, 8, 2)))


@pytest.mark.parametrize('name', MEASURES)
def test_bad_input(name):
  for a, b in ((4, 5), (1, 1)):
    with pytest.raises(ValueError, match=f'got features of {a} and {b} images'):
      MEASURES[name](draw(0, a, 3), draw(1, b, 3))
  with pytest.raises(ValueError, match='kept: got 0.0, expected above 0'):
    probes.svcca(draw(0, 4, 3), draw(1, 4, 3), 0.0)
