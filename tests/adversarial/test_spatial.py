"""Rotations and shifts that are known, and a search that finds them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from vizlab import adversarial

X = jax.random.uniform(jax.random.key(0), (2, 9, 9, 3))


def test_quarter_turns_and_whole_shifts_are_exact():
  still = jnp.zeros(2)
  np.testing.assert_array_equal(adversarial.moved(X, 0.0, still), X)
  left = adversarial.moved(X, 90.0, still)
  np.testing.assert_allclose(left, np.rot90(X, 1, (1, 2)), atol=1e-5)
  right = adversarial.moved(X, -90.0, still)
  np.testing.assert_allclose(right, np.rot90(X, -1, (1, 2)), atol=1e-5)
  down = adversarial.moved(X, 0.0, jnp.array([2.0, -1.0]))
  np.testing.assert_array_equal(down[:, 2:, :-1], X[:, :-2, 1:])
  assert (down[:, :2] == 0).all() and (down[:, :, -1] == 0).all()


def test_any_turn_is_that_of_scipy():
  turned = adversarial.moved(X[0], 20.0, jnp.zeros(2))
  expected = ndimage.rotate(
    np.asarray(X[0]), 20, reshape=False, order=1, mode='constant'
  )
  np.testing.assert_allclose(
    turned[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1e-5
  )


def dots(*places):
  """Black images with one white pixel each."""
  x = jnp.zeros((len(places), 9, 9, 3))
  for i, (row, column) in enumerate(places):
    x = x.at[i, row, column].set(1.0)
  return x


def brightness(x):
  """Above 0 where the pixel to the right of the middle is bright."""
  return x[..., 4, 6, 0] - 0.5


def test_the_worst_motion_of_each_image_is_found():
  x = dots((4, 6), (3, 5), (2, 4), (8, 8))
  found = adversarial.spatial(
    brightness, x, degrees=90.0, shift=1 / 9, rotations=3, shifts=3
  )
  np.testing.assert_array_equal(found.already, [True, False, False, False])
  np.testing.assert_array_equal(found.success, [True, True, True, False])
  np.testing.assert_array_equal(found.degrees, [0, 0, -90, 0])
  np.testing.assert_allclose(
    found.shift, [[0, 0], [1, 1], [0, 0], [0, 0]], atol=1e-6
  )
  assert (found.queries == 3 * 3 * 3 + 1).all()
  for i in range(3):
    again = adversarial.moved(x[i], found.degrees[i], found.shift[i])
    np.testing.assert_allclose(found.image[i], again, atol=1e-6)
  np.testing.assert_array_equal(found.image[3], x[3])


def test_a_motion_of_nothing_is_the_image(tiny):
  x = jax.random.uniform(jax.random.key(1), (3, 16, 16, 3))
  label = tiny(x)[0].argmax(-1)
  score = adversarial.mislead(tiny, label)
  for settings in (
    {'degrees': 0.0, 'shift': 0.0},
    {'rotations': 1, 'shifts': 1},
  ):
    found = adversarial.spatial(score, x, **settings)
    np.testing.assert_array_equal(found.image, x)
    assert not found.success.any()


def test_success_is_misprediction(tiny):
  x = jax.random.uniform(jax.random.key(1), (6, 16, 16, 3))
  label = tiny(x)[0].argmax(-1).at[0].add(1) % 6
  score = adversarial.mislead(tiny, label)
  found = adversarial.spatial(score, x, degrees=180.0, shift=0.4, rotations=9)
  said = tiny(found.image)[0].argmax(-1)
  np.testing.assert_array_equal(found.success, said != label)
  np.testing.assert_array_equal(found.already, [True] + 5 * [False])
  few = adversarial.spatial(score, x, degrees=180.0, shift=0.4, rotations=3)
  assert (found.success >= few.success).all()


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'rotations': 2}, 'rotations: got 2, expected an odd'),
    ({'shifts': 0}, 'shifts: got 0'),
    ({'degrees': -1.0}, 'degrees: got -1'),
    ({'shift': np.nan}, 'shift: got nan'),
  ],
)
def test_bad_numbers_are_refused(settings, message):
  with pytest.raises(ValueError, match=message):
    adversarial.spatial(brightness, X, **settings)
  with pytest.raises(ValueError, match='x: got values'):
    adversarial.spatial(brightness, X + 1)
