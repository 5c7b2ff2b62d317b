import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import generate


@pytest.fixture(scope='module')
def image():
  return 0.4 + 0.2 * jax.random.uniform(jax.random.key(0), (3, 64, 80, 3))


@pytest.mark.parametrize('period', [2, 4, 8])
def test_noise_has_no_grid_and_a_planted_one_is_found(image, period):
  ratio = jax.jit(generate.grid_energy, static_argnums=1)
  plain = ratio(image, period)
  np.testing.assert_allclose(plain, 1, atol=0.6)
  for axis in (1, 2):
    at = np.arange(image.shape[axis]) % period == 0
    grid = np.expand_dims(at * 0.1, [i for i in range(4) if i != axis])
    planted = ratio(image + jnp.asarray(grid, jnp.float32), period)
    assert (planted > 3 * plain).all()
  # It grows with the energy of the grid.
  strong = ratio(image + 2 * jnp.asarray(grid, jnp.float32), period)
  np.testing.assert_allclose((strong - plain) / (planted - plain), 4, rtol=0.2)


def test_a_grid_of_another_period_is_none(image):
  at = (np.arange(80) % 5 == 0) * 0.1
  grid = jnp.asarray(at[None, None, :, None], jnp.float32)
  other = generate.grid_energy(image + grid, 4)
  assert (other < 1.6).all()
  assert (generate.grid_energy(image + grid, 5) > 10).all()


def test_one_colour_has_no_energy():
  for colour, side in ((0.5, 32), (0.3, 50), (0.3, 100)):
    flat = jnp.full((side, side, 3), colour)
    assert generate.grid_energy(flat, 4) == 0
  assert generate.border_contrast(flat, flat) == 0


@pytest.mark.parametrize('period', [0, 1, 11])
def test_wrong_periods_are_named(image, period):
  with pytest.raises(ValueError, match=f'period: got {period} for an image'):
    generate.grid_energy(image, period)


def test_the_border_over_the_inside(image):
  inner = jnp.zeros((1, 64, 80, 1)).at[:, 8:-8, 8:-8].set(1)
  other = image + 0.1 * inner + 0.3 * (1 - inner)
  found = jax.jit(generate.border_contrast)(image, other)
  np.testing.assert_allclose(found, 3, rtol=1e-3)
  only = generate.border_contrast(image, image + 0.1 * (1 - inner))
  assert np.isinf(only).all()
  same = generate.border_contrast(image, image + 0.1)
  np.testing.assert_allclose(same, 1, rtol=1e-3)


@pytest.mark.parametrize('width', [0, 32])
def test_wrong_widths_are_named(image, width):
  with pytest.raises(ValueError, match='reference, width: got'):
    generate.border_contrast(image, image, width)
  with pytest.raises(ValueError, match='reference, width: got'):
    generate.border_contrast(image, image[0])


@pytest.mark.parametrize('period', [2, 4, 5])
def test_the_ratio_by_hand(image, period):
  found = generate.grid_energy(image, period)
  for x, got in zip(np.asarray(image, np.float64), found, strict=True):
    ratios = []
    for axis in (0, 1):
      grey = np.moveaxis(x.mean(-1), axis, -1)
      other, length = (n - n % period for n in grey.shape)
      grey = grey[:other, :length]
      away = grey - grey.mean(-1, keepdims=True)
      spectrum = np.abs(np.fft.fft(away * np.hanning(length))) ** 2
      energy = spectrum.mean(0)[: length // 2 + 1]
      at = [length * k // period for k in range(1, period // 2 + 1)]
      near = [
        k + i for i in (-3, -2, 2, 3) for k in at if 0 < k + i < len(energy)
      ]
      ratios.append(energy[at].mean() / energy[near].mean())
    np.testing.assert_allclose(got, np.mean(ratios), rtol=1e-3)
