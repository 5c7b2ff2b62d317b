import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from vizlab import data, probes

ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
PLACE = {'size': 21, 'centre': (10.0, 10.0), 'reach': 6.0, 'width': 1.2}


def around(got, wanted, period):
  """Largest difference of angles on a circle."""
  away = np.abs(np.asarray(got) - wanted) % period
  return np.minimum(away, period - away).max()


def test_a_gabor_prefers_its_orientation_and_no_direction():
  """Units that are Gabors: the peak of each is the angle it was made with."""
  wanted = np.array([0.0, 0.5, 1.3, 2.6])
  y, x = np.mgrid[-10:11, -10:11]
  gabors = np.stack(
    [
      np.exp(-(x**2 + y**2) / 30)
      * np.cos(1.2 * (x * np.cos(a) + y * np.sin(a)))
      for a in wanted
    ]
  )
  images = data.curves(ANGLES, np.array([0.0, 1 / 6]), **PLACE)[..., 0] - 0.5
  responses = jnp.einsum('akhw,chw->akc', images, gabors.astype(np.float32))
  found = probes.tuning(responses, ANGLES)
  assert found.curvature.tolist() == [0] * 4
  assert around(found.orientation, wanted, np.pi) < 0.05
  assert found.directed.max() < 0.02 and found.oriented.min() > 0.5
  assert (found.orientation < np.float32(np.pi)).all()


def test_a_template_of_an_arc_prefers_its_direction_and_radius():
  wanted = np.array([0.3, 2.2, 4.4])
  curvatures = np.array([0.0, 1 / 16, 1 / 5])
  units = data.curves(wanted, curvatures[2:], **PLACE)[:, 0, ..., 0] - 0.5
  images = data.curves(ANGLES, curvatures, **PLACE)[..., 0] - 0.5
  responses = jnp.einsum('akhw,chw->akc', images, units)
  responses = responses - 0.7 * responses.max((0, 1))[None, None]
  found = jax.jit(probes.tuning)(responses, ANGLES)
  assert found.curvature.tolist() == [2] * 3
  assert around(found.direction, wanted, 2 * np.pi) < 0.1
  assert found.directed.min() > 0.5


def test_selectivity_by_hand():
  angles = np.array([0, 0.5, 1, 1.5]) * np.pi
  responses = np.array(
    [[3.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [-9.0, 1.0, 0.0]]
  )[:, None]
  found = probes.tuning(jnp.asarray(responses), angles)
  np.testing.assert_allclose(found.directed, [10**0.5 / 4, 0, 0], atol=1e-6)
  np.testing.assert_allclose(found.direction[0], np.arctan2(1, 3), rtol=1e-5)
  np.testing.assert_allclose(found.oriented, [0.5, 0, 0], atol=1e-6)


def test_who_prefers_none_has_the_direction_0():
  """Opposite responses cancel up to rounding, and those of all orientations."""
  angles = np.linspace(0, 2 * np.pi, 4, endpoint=False)
  responses = np.array([[0.497, 1.68], [0, 1.68], [0.4970001, 1.68], [0, 1.68]])
  found = probes.tuning(jnp.asarray(responses[:, None]), angles)
  assert not found.direction.any()
  np.testing.assert_allclose(found.oriented, [1, 0], atol=1e-6)
  np.testing.assert_allclose(found.orientation, 0, atol=1e-6)
  wake = jnp.asarray([1.0, 0, 1.001, 0])[:, None, None]
  np.testing.assert_allclose(probes.tuning(wake, angles).direction, np.pi, 1e-3)


@pytest.mark.parametrize('angle', [0.0, np.pi / 2, np.pi, 0.6])
def test_turned_weights_equal_those_of_scipy(angle):
  weight = np.asarray(jax.random.normal(jax.random.key(0), (7, 7)))
  got = probes.in_one_frame(weight[None], np.array([angle]))[0]
  wanted = ndimage.rotate(weight, np.degrees(angle), reshape=False, order=1)
  np.testing.assert_allclose(got[1:-1, 1:-1], wanted[1:-1, 1:-1], atol=1e-4)


def test_what_lies_in_its_direction_comes_to_the_right():
  weights = np.zeros((4, 5, 5), np.float32)
  for i, (y, x) in enumerate(((2, 4), (4, 2), (2, 0), (0, 2))):
    weights[i, y, x] = 1
  turned = probes.in_one_frame(weights, np.arange(4) * np.pi / 2)
  np.testing.assert_allclose(turned[:, 2, 4], 1, atol=1e-5)


def test_wrong_arguments_are_named():
  with pytest.raises(ValueError, match='responses, angles: got'):
    probes.tuning(jnp.zeros((4, 2)), np.zeros(4))
  with pytest.raises(ValueError, match='responses, angles: got'):
    probes.tuning(jnp.zeros((4, 2, 3)), np.zeros(5))
