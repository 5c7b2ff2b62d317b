import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.data import curve, curves

PLACE = {'size': 41, 'centre': (20.0, 20.0)}


def bright(image):
  """Rows and columns of the brightest pixels, from the centre."""
  return np.argwhere(np.asarray(image)[..., 0] > 0.8) - 20


@pytest.mark.parametrize('angle', [0.0, 0.7, 2.0, 3.5, 5.5])
def test_an_arc_is_a_part_of_its_circle(angle):
  image = curve(angle, 1 / 10, width=0.7, reach=1e6, **PLACE)
  y, x = bright(image).T
  away = np.hypot(x - 10 * np.cos(angle), y - 10 * np.sin(angle))
  assert len(y) > 30
  np.testing.assert_allclose(away, 10, atol=1)


@pytest.mark.parametrize('angle', [0.0, 0.4, 1.5])
def test_without_curvature_it_is_a_line(angle):
  image = curve(angle, 0.0, width=0.7, reach=1e6, **PLACE)
  y, x = bright(image).T
  assert len(y) >= 41
  assert np.abs(x * np.cos(angle) + y * np.sin(angle)).max() < 1
  # So is one whose radius is very large, and both directions are the same.
  for other in ((angle, 1e-7), (angle + np.pi, 0.0)):
    same = curve(*other, width=0.7, reach=1e6, **PLACE)
    np.testing.assert_allclose(same, image, atol=1e-4)


def test_it_fades_and_may_be_dark():
  image = np.asarray(curve(0.0, 0.0, reach=5.0, contrast=-0.4, **PLACE))
  np.testing.assert_allclose(image[20, 20], 0.1, atol=1e-6)
  np.testing.assert_allclose(image[25, 20], 0.5 - 0.4 * np.exp(-0.5), atol=1e-6)
  assert image[0, 0].tolist() == [0.5] * 3 and image.shape == (41, 41, 3)


def test_all_curves_are_those_one_by_one():
  angles, curvatures = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.1])
  both = jax.jit(lambda a: curves(a, curvatures, **PLACE))(angles)
  assert both.shape == (3, 2, 41, 41, 3)
  np.testing.assert_allclose(both[2, 1], curve(2.0, 0.1, **PLACE), atol=1e-5)
  assert jnp.isfinite(both).all()
