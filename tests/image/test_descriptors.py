import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import optimize, synthesis
from vizlab.image import descriptors
from vizlab.image.descriptors import hog, sift

SOFT_HOG = functools.partial(hog, soft=True)


@pytest.fixture
def maps():
  a = jax.random.normal(jax.random.key(0), (3, 40, 33))
  return jnp.cumsum(jnp.cumsum(a, 1), 2)


def test_hog_is_scikit_images(maps):
  features = pytest.importorskip('skimage.feature')
  got = hog(maps)
  for i in range(3):
    expected = features.hog(
      np.asarray(maps[i]),
      orientations=9,
      pixels_per_cell=(8, 8),
      cells_per_block=(3, 3),
      feature_vector=False,
    )
    expected = expected.reshape(*expected.shape[:2], -1)
    np.testing.assert_allclose(got[i], expected, atol=2e-4)


def ramp(degrees):
  """Rises at an angle; of this size L2-Hys neither clips nor divides by 0."""
  rows, columns = jnp.mgrid[:32, :32].astype(float)
  angle = jnp.deg2rad(degrees)
  return (rows * jnp.sin(angle) + columns * jnp.cos(angle)) / 32


def test_soft_orientations_at_a_bins_centre_are_hard_ones():
  for kind in range(9):
    # The cell in the middle: at the border a gradient lies along the border.
    soft, hard = (
      np.asarray(descriptor(ramp(20 * kind + 10))).reshape(-1, 9, 9)[0, 4]
      for descriptor in (SOFT_HOG, hog)
    )
    assert hard.argmax() == kind
    np.testing.assert_allclose(soft, hard, atol=3e-3)


def test_between_two_bins_each_has_half_and_nothing_jumps():
  halves = np.asarray(SOFT_HOG(ramp(40.0))).reshape(-1, 9, 9)[0, 4]
  np.testing.assert_allclose(halves[1], halves[2], rtol=1e-4)
  assert halves[1] > 10 * np.delete(halves, [1, 2]).max()
  for descriptor, jump in ((SOFT_HOG, 0.002), (hog, 0.1)):
    change = jnp.abs(descriptor(ramp(40.01)) - descriptor(ramp(39.99))).max()
    assert (change < jump) == (descriptor is SOFT_HOG), change


def slow_sift(image, cell=8, bins=8):
  """Lowe's histograms, pixel by pixel."""
  height, width = image.shape
  rows, columns = height // cell, width // cell
  cells = np.zeros((rows, columns, bins))
  for y in range(height):
    for x in range(width):
      down = image[y + 1, x] - image[y - 1, x] if 0 < y < height - 1 else 0.0
      right = image[y, x + 1] - image[y, x - 1] if 0 < x < width - 1 else 0.0
      size, turn = math.hypot(down, right), math.atan2(down, right)
      place = (turn % (2 * math.pi)) / (2 * math.pi) * bins - 0.5
      low = math.floor(place)
      for i in range(rows):
        for j in range(columns):
          near = [
            max(0.0, 1 - abs((at + 0.5) / cell - (k + 0.5)))
            for at, k in ((y, i), (x, j))
          ]
          vote = size * near[0] * near[1]
          cells[i, j, low % bins] += vote * (1 - place + low)
          cells[i, j, (low + 1) % bins] += vote * (place - low)
  found = np.zeros((rows - 3, columns - 3, 4, 4, bins))
  for i in range(rows - 3):
    for j in range(columns - 3):
      for a in range(4):
        for b in range(4):
          far = (a - 1.5) ** 2 + (b - 1.5) ** 2
          weight = math.exp(-far / (2 * 2.0**2))
          found[i, j, a, b] = weight * cells[i + a, j + b]
      found[i, j] /= np.linalg.norm(found[i, j])
      found[i, j] = np.minimum(found[i, j], 0.2)
      found[i, j] /= np.linalg.norm(found[i, j])
  return found.reshape(rows - 3, columns - 3, -1)


def test_sift_is_its_slow_statement(maps):
  image = np.asarray(maps[0, :34], np.float64)
  np.testing.assert_allclose(sift(maps[0, :34]), slow_sift(image), atol=1e-4)


@pytest.mark.parametrize('descriptor', [hog, SOFT_HOG, sift])
def test_brightness_and_contrast_do_not_matter(descriptor, maps):
  np.testing.assert_allclose(
    descriptor(0.5 * maps + 7), descriptor(maps), atol=1e-3
  )
  length = jnp.square(descriptor(maps)).sum(-1)
  np.testing.assert_allclose(length, 1, atol=1e-3)


@pytest.mark.parametrize('descriptor', [SOFT_HOG, sift])
def test_gradients_are_those_of_finite_differences(descriptor, maps):
  with jax.enable_x64(True):  # at every clip and every bin there is a kink
    image = jnp.asarray(np.asarray(maps[0]) / 10, jnp.float64)
    shape = jax.eval_shape(descriptor, image).shape
    weight = jax.random.normal(jax.random.key(1), shape)
    way = jax.random.normal(jax.random.key(2), image.shape)

    @jax.jit
    def f(x):
      return (weight * descriptor(x)).sum()

    slope = jax.jit(jax.grad(f))
    got = (slope(image) * way).sum()
    step = 1e-6
    expected = (f(image + step * way) - f(image - step * way)) / (2 * step)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert jnp.isfinite(slope(jnp.zeros_like(image))).all()


@pytest.mark.parametrize('descriptor', [SOFT_HOG, sift])
def test_a_picture_is_found_again(descriptor):
  rows, columns = jnp.mgrid[:48, :48].astype(float)
  x = (0.5 + 0.4 * jnp.sin(rows / 5) * jnp.cos(columns / 7))[..., None]
  net = descriptors.as_net('map', descriptor)
  wish = synthesis.inversion(net, 'map', x, tv=0.01)
  end = optimize.final(
    optimize.run(
      wish.score,
      synthesis.pixels(0 * x + 0.5, noise=0.05),
      jax.random.key(0),
      steps=100,
      optimizer=optimize.adam(0.02),
      penalty=wish.penalty,
    )
  )
  before = wish.score(
    0.5 + 0.05 * jax.random.normal(jax.random.key(3), x.shape)
  )
  assert end.scores[-1] > 0.1 * before
  if descriptor is sift:  # a histogram of HOG does not tell where in its cell
    alike = np.corrcoef(np.ravel(end.image), np.ravel(x))[0, 1]
    assert alike > 0.7, alike


def test_as_a_net_it_reads_colours_and_grey_and_is_edited():
  x = jax.random.uniform(jax.random.key(0), (2, 40, 40, 3))
  net = descriptors.as_net('hog', hog)
  logits, acts = net(x)
  assert logits is None
  np.testing.assert_array_equal(
    net(descriptors.grey(x)[..., None])[1]['hog'], acts['hog']
  )
  edited = net(x, {'hog': lambda a: 2 * a})[1]['hog']
  np.testing.assert_array_equal(edited, 2 * acts['hog'])


def test_wrong_images_are_named():
  with pytest.raises(ValueError, match='of at least 24 pixels'):
    hog(jnp.zeros((23, 40)))
  with pytest.raises(ValueError, match='of at least 32 pixels'):
    sift(jnp.zeros((40, 31)))
  with pytest.raises(ValueError, match='cell, bins: got 0, 9'):
    hog(jnp.zeros((40, 40)), cell=0)
  with pytest.raises(ValueError, match='cell, bins: got 8, -1'):
    sift(jnp.zeros((40, 40)), bins=-1)
  with pytest.raises(ValueError, match='expected 3 channels or 1'):
    descriptors.grey(jnp.zeros((8, 8, 4)))
