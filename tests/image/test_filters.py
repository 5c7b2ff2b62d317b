import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from vizlab.image import filters


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (2, 17, 22, 3))


@pytest.mark.parametrize('sigma', [0.6, 2.0, 5.0])
def test_blur_is_scipys(x, sigma):
  radius = int(np.ceil(3 * sigma))
  expected = ndimage.gaussian_filter(
    np.asarray(x[0]),
    (sigma, sigma, 0),
    mode='reflect',
    radius=(radius,) * 2 + (0,),
  )
  np.testing.assert_allclose(filters.blur(x, sigma)[0], expected, atol=2e-6)


def test_no_blur_and_a_traced_one(x):
  np.testing.assert_allclose(filters.blur(x, 0.0), x, atol=1e-6)
  traced = jax.jit(filters.blur)(x, 1.5)
  np.testing.assert_allclose(traced, filters.blur(x, 1.5), atol=1e-6)


@pytest.mark.parametrize('levels', [1, 2, 3, 9])
def test_bands_sum_to_the_image(x, levels):
  parts = filters.bands(x, levels)
  assert len(parts) <= levels
  np.testing.assert_allclose(filters.sum_of_bands(parts), x, atol=1e-6)


def test_bands_are_of_rising_scale():
  at = jnp.arange(32.0)[:, None, None] * jnp.ones((1, 32, 1))
  wave, slow = jnp.cos(at * jnp.pi), jnp.cos(at * jnp.pi / 16)
  fine, coarse = (
    [float(jnp.square(b).mean()) for b in filters.bands(image, 3)]
    for image in (wave, slow)
  )
  assert fine[0] > 0.9 and fine[2] < 0.01
  assert coarse[0] < 0.01 and coarse[2] > 0.3


def test_bilateral_by_hand(x):
  got = filters.bilateral(x, space=1.5, colour=0.2, radius=2)
  image = np.asarray(x[0])
  padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode='edge')
  for i, j in ((0, 0), (3, 7), (16, 21)):
    total, weights = 0.0, 0.0
    for di in range(-2, 3):
      for dj in range(-2, 3):
        other = padded[i + di + 2, j + dj + 2]
        apart = ((other - image[i, j]) ** 2).sum()
        weight = np.exp(-(di**2 + dj**2) / 4.5 - apart / 0.08)
        total, weights = total + weight * other, weights + weight
    np.testing.assert_allclose(got[0, i, j], total / weights, rtol=1e-5)


def test_bilateral_keeps_an_edge_that_blur_does_not():
  edge = jnp.zeros((8, 8, 3)).at[:, 4:].set(1.0)
  np.testing.assert_allclose(filters.bilateral(edge), edge, atol=1e-4)
  assert float(jnp.abs(filters.blur(edge, 1.0) - edge).max()) > 0.2


@pytest.mark.parametrize('size', [(12, 16), (9, 15)])
def test_tilt_multiplies_spectra(size):
  x = jax.random.normal(jax.random.key(0), (2, *size, 3))
  got = np.fft.fft2(filters.tilt(x, -0.5), axes=(1, 2))
  y, z = (np.fft.fftfreq(n) for n in size)
  f = np.maximum(max(size) * np.hypot(y[:, None], z), 1)
  want = np.fft.fft2(x, axes=(1, 2)) / f[None, ..., None] ** 0.5
  np.testing.assert_allclose(got, want, atol=1e-4)
  back = filters.tilt(filters.tilt(x, -0.5), 0.5)
  np.testing.assert_allclose(back, x, atol=1e-5)


@pytest.mark.parametrize('size', [(12, 30), (7, 9), (40, 50), (24, 20)])
def test_cubic_interpolation_equals_that_of_pillow_inside(size):
  x = jax.random.uniform(jax.random.key(0), (24, 20, 1))
  wanted = np.asarray(
    Image.fromarray(np.asarray(x[..., 0])).resize(size[::-1], Image.BICUBIC)
  )
  found = np.asarray(filters.bicubic(x, size))[..., 0]
  # Pillow leaves out what lies beyond the border; ours is mirrored.
  rows, columns = (
    max(2, round(2 * max(1, m / n)) + 1)
    for m, n in zip(size, (24, 20), strict=True)
  )
  inside = slice(rows, -rows), slice(columns, -columns)
  np.testing.assert_allclose(found[inside], wanted[inside], atol=2e-6)


def test_cubic_interpolation_mirrors_the_border():
  x = jax.random.uniform(jax.random.key(0), (2, 6, 8, 3))
  wide = jnp.pad(x, [(0, 0), (4, 4), (4, 4), (0, 0)], 'symmetric')
  found = filters.bicubic(x, (12, 16))
  wanted = filters.bicubic(wide, (28, 32))[:, 8:-8, 8:-8]
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  np.testing.assert_allclose(filters.bicubic(x, (6, 8)), x, atol=1e-6)


@pytest.mark.parametrize('size', [1, 3, 5])
def test_median_is_scipys(x, size):
  expected = ndimage.median_filter(
    np.asarray(x[0]), (size, size, 1), mode='mirror'
  )
  np.testing.assert_allclose(filters.median(x, size)[0], expected, rtol=1e-6)


@pytest.mark.parametrize('bits', [1, 3, 8])
def test_fewer_bits_leave_few_values_and_the_gradient(bits, x):
  found = filters.fewer_bits(x, bits)
  most = 2**bits - 1
  np.testing.assert_allclose(found, np.round(x * most) / most, atol=1e-6)
  slope = jax.grad(lambda x: (filters.fewer_bits(x, bits) ** 2).sum())(x)
  np.testing.assert_allclose(slope, 2 * found, rtol=1e-5)


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (lambda x: filters.median(x, 2), 'size: got 2, expected an odd number'),
    (lambda x: filters.median(x, 99), 'size: got 99, expected an odd'),
    (lambda x: filters.fewer_bits(x, 9), 'bits: got 9, expected 1 to 8'),
    (lambda x: filters.fewer_bits(x, 0), 'bits: got 0'),
  ],
)
def test_wrong_strengths_are_named(call, message, x):
  with pytest.raises(ValueError, match=message):
    call(x)
