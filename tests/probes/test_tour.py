import jax
import numpy as np
import pytest

from vizlab import probes


@pytest.mark.parametrize(
  ('dimensions', 'onto'), [(3, 2), (4, 3), (7, 2), (9, 3)]
)
def test_frames_are_orthonormal(dimensions, onto):
  frames = probes.grand_tour(
    jax.random.key(0), dimensions, onto=onto, turns=3, steps=5
  )
  assert frames.shape == (16, dimensions, onto)
  products = np.einsum('tdi,tdj->tij', frames, frames)
  np.testing.assert_allclose(products - np.eye(onto), 0, atol=1e-6)


def test_the_motion_is_smooth_and_of_constant_speed():
  frames = probes.grand_tour(jax.random.key(1), 8, turns=4, steps=20)
  speed = np.linalg.norm(np.diff(frames, axis=0), axis=(1, 2))
  assert speed.max() < 0.12 and speed.min() > 0.01
  for leg in speed.reshape(4, 20):
    np.testing.assert_allclose(leg, leg[0], rtol=1e-2)


def test_a_leg_is_the_shortest_way_and_does_not_spin():
  frames = probes.grand_tour(jax.random.key(2), 5, turns=1, steps=10)
  # Halfway the plane is as far from the end as from the start.
  cosines = np.linalg.svd(frames[0].T @ frames[-1])[1]
  half = np.linalg.svd(frames[0].T @ frames[5])[1]
  np.testing.assert_allclose(np.arccos(half), np.arccos(cosines) / 2, atol=1e-6)
  # Nothing turns within the plane: what is left of the frame is symmetric.
  product = frames[0].T @ frames[5]
  np.testing.assert_allclose(product, product.T, atol=1e-6)


def test_the_tour_goes_everywhere():
  """Every axis is seen from nearly all sides."""
  frames = probes.grand_tour(jax.random.key(3), 4, turns=60, steps=4)
  length = np.linalg.norm(frames, axis=2)
  assert (length.max(0) > 0.9).all() and (length.min(0) < 0.3).all()


def test_keys_make_other_tours():
  one, other, again = (
    probes.grand_tour(jax.random.key(i), 6, turns=1, steps=2) for i in (0, 1, 0)
  )
  assert np.abs(one - other).max() > 0.1
  np.testing.assert_array_equal(one, again)


def test_wrong_arguments_are_named():
  key = jax.random.key(0)
  for dimensions, onto in ((2, 2), (3, 3), (5, 4), (5, 1)):
    with pytest.raises(ValueError, match='dimensions, onto: got'):
      probes.grand_tour(key, dimensions, onto=onto)
  with pytest.raises(ValueError, match='turns: got 0'):
    probes.grand_tour(key, 4, turns=0)
  with pytest.raises(ValueError, match='steps: got 0'):
    probes.grand_tour(key, 4, steps=0)
