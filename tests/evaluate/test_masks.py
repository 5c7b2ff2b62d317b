import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.evaluate import energy_inside, iou, pointing_game

MASK = jnp.zeros((6, 8)).at[1:3, 2:5].set(1.0)


def test_share_is_that_of_the_positive_part():
  a = jax.random.normal(jax.random.key(0), (3, 6, 8))
  mask = jnp.broadcast_to(MASK, (3, 6, 8))
  positive = np.maximum(np.asarray(a), 0)
  expected = positive[:, 1:3, 2:5].sum((1, 2)) / positive.sum((1, 2))
  np.testing.assert_allclose(energy_inside(a, mask), expected, rtol=1e-5)


def test_nothing_positive_is_zero_and_a_flat_map_is_chance():
  np.testing.assert_array_equal(energy_inside(-jnp.ones((6, 8)), MASK), 0)
  np.testing.assert_allclose(energy_inside(jnp.ones((6, 8)), MASK), 6 / 48)
  np.testing.assert_allclose(pointing_game(jnp.ones((6, 8)), MASK), 6 / 48)
  np.testing.assert_array_equal(iou(jnp.zeros((6, 8)), MASK), 0)


@pytest.mark.parametrize(
  ('peak', 'tolerance', 'hit'),
  [
    ((1, 2), 0, 1),
    ((2, 4), 0, 1),
    ((3, 4), 0, 0),
    ((3, 5), 1, 1),
    ((4, 4), 1, 0),
    ((4, 4), 2, 1),
    ((5, 7), 2, 0),
  ],
)
def test_pointing_game_looks_at_the_peak(peak, tolerance, hit):
  a = jnp.zeros((2, 6, 8)).at[:, 5, 0].set(-9.0).at[:, *peak].set(3.0)
  mask = jnp.broadcast_to(MASK, (2, 6, 8))
  got = jax.jit(lambda a, m: pointing_game(a, m, tolerance=tolerance))(a, mask)
  np.testing.assert_array_equal(got, [hit, hit])


def test_half_a_pixel_is_inside_and_less_is_not():
  mask = jnp.array([[[0.5, 0.49], [0.0, 1.0]]])
  places = jnp.eye(4).reshape(4, 1, 2, 2)  # a peak at each pixel in turn
  inside = [float(pointing_game(a, mask)[0]) for a in places]
  assert inside == [1, 0, 0, 1]
  assert [float(iou(a, mask)[0]) for a in places] == [0.5, 0, 0, 0.5]
  shares = [float(energy_inside(a, mask)[0]) for a in places]
  np.testing.assert_allclose(shares, [0.5, 0.49, 0, 1])


def test_a_map_that_is_nowhere_positive_overlaps_nothing():
  np.testing.assert_array_equal(iou(-jnp.ones((6, 8)), MASK), 0)
  a = jnp.full((6, 8), -2.0).at[1, 2].set(-1.0)
  np.testing.assert_array_equal(iou(a, MASK), 0)
  np.testing.assert_array_equal(energy_inside(a, MASK), 0)
  np.testing.assert_array_equal(pointing_game(a, MASK), 1)


def test_equal_peaks_count_in_part():
  a = jnp.zeros((6, 8)).at[1, 2].set(1.0).at[5, 5].set(1.0)
  assert float(pointing_game(a, MASK)) == 0.5


@pytest.mark.parametrize('threshold', [0.2, 0.5, 1.0])
def test_iou_counts_pixels(threshold):
  a = jax.random.normal(jax.random.key(0), (3, 6, 8))
  mask = jnp.broadcast_to(MASK, a.shape)
  got = iou(a, mask, threshold=threshold)
  for i in range(3):
    strong = np.asarray(a[i]) >= threshold * float(a[i].max())
    inside = np.asarray(MASK) > 0
    expected = (strong & inside).sum() / (strong | inside).sum()
    np.testing.assert_allclose(got[i], expected, rtol=1e-6)
  np.testing.assert_array_equal(iou(mask, mask), 1)


@pytest.mark.parametrize('metric', [energy_inside, iou, pointing_game])
def test_wrong_shapes_are_named(metric):
  with pytest.raises(ValueError, match=r'mask: got shape \(6, 8\), expected'):
    metric(jnp.zeros((2, 6, 8)), MASK)


def test_wrong_settings_are_named():
  with pytest.raises(ValueError, match='tolerance: got -1'):
    pointing_game(MASK, MASK, tolerance=-1)
  with pytest.raises(ValueError, match='threshold: got 0'):
    iou(MASK, MASK, threshold=0.0)
