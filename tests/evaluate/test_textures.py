import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import evaluate

KEY = jax.random.key(0)


@pytest.fixture
def grey():
  return jax.random.uniform(KEY, (40, 32)) ** 2


def test_co_occurrence_equals_scikit_image(grey):
  feature = pytest.importorskip('skimage.feature')
  shades = np.clip(np.floor(np.asarray(grey) * 16), 0, 15).astype(np.uint8)
  got = evaluate.co_occurrence(grey, distances=(1, 3))
  # Its diagonals are of one length with its rows, ours reach as far in both:
  # the directions are taken one by one.
  for name, values in got._asdict().items():
    for d, distance in enumerate((1, 3)):
      each = []
      for angle, reach in ((0, 1), (45, 2**0.5), (90, 1), (135, 2**0.5)):
        matrix = feature.graycomatrix(
          shades,
          [distance * reach],
          [np.deg2rad(angle)],
          levels=16,
          symmetric=True,
          normed=True,
        )
        each.append(feature.graycoprops(matrix, name).item())
      np.testing.assert_allclose(values[d], np.mean(each), rtol=1e-4)


def test_co_occurrence_by_hand():
  stripes = jnp.tile(jnp.array([0.0, 1.0]), (8, 4))
  got = evaluate.co_occurrence(stripes, levels=2, distances=(2,))
  np.testing.assert_allclose(
    [v[0] for v in got], [0, 1, 0.5**0.5, 1], atol=1e-6
  )
  # Neighbours in a row differ; one below the other they are equal.
  near = evaluate.co_occurrence(stripes, levels=2, distances=(1,))
  np.testing.assert_allclose(near.contrast[0], 3 / 4, atol=1e-6)
  flat = evaluate.co_occurrence(jnp.full((16, 16), 0.3))
  np.testing.assert_array_equal(flat.correlation, 1)


def test_a_small_map_is_named():
  with pytest.raises(ValueError, match='grey: got shape .8, 20.'):
    evaluate.co_occurrence(jnp.zeros((8, 20)))


def test_a_map_without_all_rings_is_named():
  with pytest.raises(ValueError, match='grey: got shape .20, 40.*24 pixels'):
    evaluate.radial_spectrum(jnp.zeros((20, 40)))


def test_the_spectrum_of_a_wave_is_in_its_ring():
  x = np.arange(64)
  for cycles in (5, 13, 22):
    wave = np.tile(np.sin(2 * np.pi * cycles * x / 64), (64, 1))
    power = evaluate.radial_spectrum(jnp.asarray(wave, jnp.float32), bins=16)
    # The window spreads it over the neighbours, by a cycle in 64.
    assert power.argmax() == cycles * 32 // 64
    assert power.max() > 0.8 * power.sum()


def test_the_spectrum_of_white_noise_is_its_variance():
  noise = 0.3 * jax.random.normal(KEY, (90, 64, 64))
  power = evaluate.radial_spectrum(noise).mean(0)
  np.testing.assert_allclose(power[1:], 0.09, rtol=0.1)


def test_two_draws_of_one_texture_are_near():
  a, b = jax.random.uniform(KEY, (2, 64, 64))
  assert evaluate.co_occurrence_distance(a, b) < 0.03
  assert evaluate.spectrum_distance(a, b) < 1.0
  blurred = jax.image.resize(a[::2, ::2], a.shape, 'linear')
  blurred = (blurred - blurred.mean()) * a.std() / blurred.std() + a.mean()
  assert evaluate.co_occurrence_distance(a, blurred) > 0.08


def test_the_same_texture_is_nearer_than_another(grey):
  other = jax.random.uniform(jax.random.key(1), (40, 32)) ** 2
  smooth = jax.image.resize(grey[::4, ::4], grey.shape, 'linear')
  for distance in (evaluate.co_occurrence_distance, evaluate.spectrum_distance):
    assert float(distance(grey, grey)) == 0
    assert distance(grey, other) < 0.3 * distance(grey, smooth)


def test_distances_by_hand(grey):
  """Ten times as strong is 20 decibel; features differ by their sum."""
  noise = jax.random.normal(KEY, (2, 40, 32))
  apart = evaluate.spectrum_distance(noise, 0.1 * noise)
  np.testing.assert_allclose(apart, 20, atol=1e-2)
  other = jnp.sqrt(grey[:32])
  one, two = (np.stack(evaluate.co_occurrence(v), 0) for v in (grey, other))
  apart = np.abs(one - two)
  apart[:3] /= (one + two)[:3]
  apart[3] /= 2
  got = evaluate.co_occurrence_distance(grey, other)
  np.testing.assert_allclose(got, apart.mean(), rtol=1e-4)
  assert 0.05 < float(got) < 0.9


def test_the_weakest_spectra_are_taken_for_rounding():
  flat = jnp.full((24, 24), 0.5)
  faint = flat + 1e-7 * jax.random.normal(KEY, (24, 24))
  assert float(evaluate.spectrum_distance(flat, faint)) < 0.01


def test_the_spectrum_by_hand():
  """Radial spectrum of an image, by a plain loop over its coefficients."""
  image = np.asarray(jax.random.uniform(KEY, (9, 12)), np.float64)
  window = np.outer(*(np.hanning(n + 2)[1:-1] for n in image.shape))
  window /= np.sqrt(np.square(window).mean())
  power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2 / image.size
  sums, counts = np.zeros(4), np.zeros(4)
  for (i, j), value in np.ndenumerate(power):
    y, x = min(i, 9 - i) / 9, min(j, 12 - j) / 12
    ring = int(np.hypot(y, x) * 8)
    if ring < 4:
      sums[ring], counts[ring] = sums[ring] + value, counts[ring] + 1
  got = evaluate.radial_spectrum(jnp.float32(image), bins=4)
  np.testing.assert_allclose(got, sums / counts, rtol=1e-4)
