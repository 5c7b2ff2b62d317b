import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.adversarial import balls

each_norm = pytest.mark.parametrize('norm', balls.NORMS)
HALF = jnp.full((5, 4, 3, 3), 0.5)
DELTA = jax.random.normal(jax.random.key(0), (5, 4, 3, 3))


def length(delta, norm):
  flat = np.asarray(delta, np.float64).reshape(len(delta), -1)
  order = {'linf': np.inf, 'l2': 2, 'l1': 1}[norm]
  return np.linalg.norm(flat, order, axis=1)


@each_norm
def test_distances_are_norms(norm):
  np.testing.assert_allclose(
    balls.distance(DELTA, norm), length(DELTA, norm), rtol=1e-6
  )


@each_norm
def test_a_projection_is_the_nearest_point_of_the_ball(norm):
  """No point of the ball is nearer: the oracle is convexity."""
  radius = 0.4 * length(DELTA, norm)
  near = balls.project(DELTA, jnp.asarray(radius, jnp.float32), norm)
  np.testing.assert_allclose(length(near, norm), radius, rtol=1e-5)
  away = np.asarray(DELTA - near, np.float64)
  key = jax.random.key(1)
  for i in range(50):
    unit = balls.random_point(jax.random.fold_in(key, i), (4, 3, 3), 1.0, norm)
    other = radius[:, None, None, None] * np.asarray(unit)[None]
    side = (away * (other - np.asarray(near))).sum((1, 2, 3))
    assert (side < 1e-4).all()
  inside = balls.project(DELTA, jnp.float32(1e3), norm)
  np.testing.assert_array_equal(inside, DELTA)


def test_projections_to_l1_are_those_of_a_bisection():
  flat = np.asarray(DELTA, np.float64).reshape(5, -1)
  for row, near in zip(
    flat, balls.project(DELTA, jnp.float32(2.0), 'l1'), strict=True
  ):
    low, high = 0.0, np.abs(row).max()
    for _ in range(60):
      middle = (low + high) / 2
      kept = np.maximum(np.abs(row) - middle, 0).sum()
      low, high = (middle, high) if kept > 2 else (low, middle)
    want = np.sign(row) * np.maximum(np.abs(row) - low, 0)
    np.testing.assert_allclose(near.ravel(), want, atol=1e-5)


@each_norm
def test_the_steepest_direction_has_length_one_and_the_dual_rise(norm):
  unit = balls.steepest(DELTA, norm, HALF)
  np.testing.assert_allclose(length(unit, norm), 1, rtol=1e-5)
  rise = np.asarray((unit * DELTA).sum((1, 2, 3)))
  other = {'linf': 'l1', 'l2': 'l2', 'l1': 'linf'}[norm]
  np.testing.assert_allclose(rise, length(DELTA, other), rtol=1e-5)
  zero = balls.steepest(jnp.zeros((1, 4, 3, 3)), norm, HALF[:1])
  assert not zero.any()


def test_steps_in_l1_are_spread_over_a_hundredth_of_the_coordinates():
  g = jax.random.normal(jax.random.key(2), (2, 10, 10, 3))
  unit = balls.steepest(g, 'l1', jnp.full(g.shape, 0.5))
  assert ((unit != 0).sum((1, 2, 3)) == 3).all()
  np.testing.assert_allclose(jnp.abs(unit).max((1, 2, 3)), 1 / 3, rtol=1e-6)


@each_norm
def test_random_points_fill_the_ball(norm):
  keys = jax.random.split(jax.random.key(3), 4000)
  points = jax.vmap(
    lambda key: balls.random_point(key, (1, 2, 1), jnp.float32(0.5), norm)
  )(keys)
  far = length(points, norm) / 0.5
  assert far.max() <= 1
  # In two dimensions the distances of uniform points have their mean at 2/3.
  assert far.mean() == pytest.approx(2 / 3, abs=0.02)
  assert np.abs(np.asarray(points).mean(0)).max() < 0.02
