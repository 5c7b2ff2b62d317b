"""MACO: fixed magnitudes, photos' spectrum, transparency."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vizlab import io, optimize, rules, synthesis
from vizlab.image import colour as image_colour
from vizlab.image.filters import frequencies
from vizlab.objectives import channel, score

KEY = jax.random.key(0)
RATE = 0.2  # of `maco`


def spectrum_of(images):
  """numpy's full spectrum of the values along the colour axes."""
  values = np.asarray(image_colour.from_rgb(jnp.asarray(images)), np.float64)
  return np.fft.fft2(values, axes=(-3, -2), norm='ortho')


def real_places(h, w):
  """Coefficients that are their own mirror image, of a full spectrum."""
  rows, columns = np.mgrid[:h, :w]
  return (2 * rows % h == 0) & (2 * columns % w == 0)


@pytest.mark.parametrize('size', [(16, 20), (15, 21), (9, 8)])
def test_the_magnitude_is_kept_at_every_step(size):
  """On a full spectrum by numpy, the columns of mirror images included."""
  h, w = size
  photos = jax.random.uniform(KEY, (4, h, w, 3), minval=0.3, maxval=0.7)
  magnitude = np.asarray(synthesis.magnitude_of(photos))
  weight = jax.random.normal(KEY, (1, h, w, 3))
  image = synthesis.maco((2, h, w, 3), magnitude=magnitude)
  assert float(jnp.abs(image.decode(image.init(KEY)) - 0.5).max()) < 0.45
  moved = []
  for now in optimize.run(
    lambda x: (x * weight).sum((-3, -2, -1)),
    image,
    KEY,
    steps=6,
    chunk=1,
    optimizer=optimize.adam(0.5),
  ):
    got = np.abs(spectrum_of(now.image))
    half = got[:, :, : w // 2 + 1]
    real = real_places(h, w)[:, : w // 2 + 1]
    np.testing.assert_allclose(
      half[:, ~real], np.stack([magnitude] * 2)[:, ~real], rtol=2e-3
    )
    assert (half[:, real] <= magnitude[real] * (1 + 2e-3)).all()
    moved.append(now.image)
  assert float(jnp.abs(moved[-1] - moved[0]).max()) > 0.01


def test_the_periodic_part_has_no_jump_at_the_borders():
  """Against a dense linear system: Poisson's equation on a torus."""
  h, w = 5, 6
  image = np.asarray(jax.random.uniform(KEY, (h, w, 3)))
  values = np.asarray(image_colour.from_rgb(image), np.float64)
  around = np.zeros((h, w, h, w))
  jumps = np.zeros_like(values)
  for i in range(h):
    for j in range(w):
      for k, m in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
        around[i, j, k % h, m % w] += 1
        around[i, j, i, j] -= 1
        if (k, m) != (k % h, m % w):  # across the border
          jumps[i, j] += values[k % h, m % w] - values[i, j]
  system = around.reshape(h * w, h * w)
  smooth = np.linalg.lstsq(system, jumps.reshape(h * w, 3))[0]
  smooth = (smooth - smooth.mean(0)).reshape(h, w, 3)
  want = np.abs(np.fft.rfft2(values - smooth, axes=(0, 1), norm='ortho'))
  got = synthesis.magnitude_of(image[None], periodic=True)
  np.testing.assert_allclose(got, want, atol=1e-5)
  plain = np.abs(np.fft.rfft2(values, axes=(0, 1), norm='ortho'))
  np.testing.assert_allclose(
    synthesis.magnitude_of(image[None]), plain, atol=1e-5
  )
  assert np.abs(plain - want).max() > 0.1


def test_photos_have_the_magnitude_that_ships(assets):
  """At sizes that are not the table's, and of photos that are few."""
  photos = [
    io.read_image(path, shorter=96, crop=96)
    for path in sorted((assets / 'images' / 'many').iterdir())[::2]
  ]
  for n in (96, 48):
    k = 96 // n
    small = np.stack(photos).reshape(-1, n, k, n, k, 3).mean((2, 4))
    own = np.asarray(synthesis.magnitude_of(small, periodic=True))
    got = synthesis.photo_magnitude(n, n)
    assert got.shape == own.shape
    f = frequencies(n, n)
    for low, high in ((1, 2), (2, 5), (5, 10)):
      ring = (f >= low) & (f < high)
      np.testing.assert_allclose(
        (got / own)[ring].mean(0), 1, atol=0.15, err_msg=f'{n} {low}'
      )


def test_the_magnitude_of_any_size_is_that_of_a_photo():
  """Times frequency and over the side it is the same at all sizes."""

  def level(h, w):
    f = frequencies(h, w)[..., None]
    return synthesis.photo_magnitude(h, w) * f / np.sqrt(h * w)

  square = level(64, 64)
  large = level(200, 200)
  np.testing.assert_allclose(large[:32, :32], square[:32, :32], rtol=1e-6)
  np.testing.assert_allclose(large[-31:, :32], square[-31:, :32], rtol=1e-6)
  # Twice as wide as high: cycles a longer side, so every other row.
  wide = level(32, 64)
  np.testing.assert_allclose(wide[:16], square[:32:2], rtol=1e-6)
  # Beyond the table it goes on as it ends, in all directions.
  np.testing.assert_allclose(large[0, 93], large[0, 31], rtol=1e-6)
  np.testing.assert_allclose(large[90, 90], large[31, 31], rtol=1e-6)


def test_the_default_is_as_colourful_as_photos(minivgg):
  shape = (4, 96, 96, 3)
  image = synthesis.maco(shape)
  wish = score(minivgg, channel('relu4_2', np.array([18, 54, 90, 127])))
  progress = optimize.run(
    wish.with_rules(relu=rules.redirected_relu),
    image,
    KEY,
    steps=24,
    optimizer=optimize.adam(RATE),
    augment=synthesis.noisy_crops(),
  )
  end = optimize.final(progress)
  for made in (image.decode(image.init(KEY)), end.image):
    # Photos have 0.22.
    assert 0.18 < float(made.std((1, 2, 3)).mean()) < 0.28
  assert (end.scores[-4:].mean(0) > end.scores[:4].mean(0)).all()


@pytest.mark.parametrize('draws', [1, 3])
def test_transparency_sums_absolute_gradients(draws):
  """The same for a linear score, with the shifts one by one in numpy."""
  weight = np.asarray(jax.random.normal(KEY, (4, 5, 3)))
  start = np.full((4, 5, 3), 0.5, np.float32)
  plain = synthesis.pixels(start)
  ends = [
    optimize.final(
      optimize.run(
        lambda x: (x * weight).sum((-3, -2, -1)),
        image,
        KEY,
        steps=3,
        chunk=2,
        optimizer=optimizer,
        augment=synthesis.jitter(2),
        draws=draws,
      )
    )
    for image, optimizer in (
      (plain, optax.adam(0.1)),
      (synthesis.tracked(plain), synthesis.track(optax.adam(0.1))),
    )
  ]
  total = np.zeros_like(weight)
  for step in range(3):
    now = jax.random.fold_in(KEY, step)
    keys = [now, *(jax.random.fold_in(now, 2**31 - i) for i in range(1, draws))]
    shifts = [np.asarray(jax.random.randint(k, (2,), -2, 3)) for k in keys]
    total += np.abs(np.mean([np.roll(weight, -by, (0, 1)) for by in shifts], 0))
  np.testing.assert_allclose(ends[1].state.z.total, total, rtol=1e-5)
  # The image and its steps are those of the image that is not tracked.
  np.testing.assert_allclose(ends[1].image, ends[0].image, atol=1e-6)


def test_opacity_by_hand():
  total = jnp.array([1.0, 2.0, 3.0, 4.0, 8.0]).reshape(1, 5, 1, 1)
  # Over channels a mean of one.
  total = total * jnp.array([0.0, 1.0, 2.0]).reshape(1, 1, 1, 3)
  got = synthesis.opacity_of(total, percentile=75.0)[0, :, 0, 0]
  np.testing.assert_allclose(got, [0.25, 0.5, 0.75, 1, 1])
  assert synthesis.opacity_of(total).shape == (1, 5, 1, 1)
  sparse = jnp.zeros((2, 9, 9, 3)).at[0, 4, 4].set(2.0).at[0, 4, 5].set(1.0)
  got = synthesis.opacity_of(sparse)[..., 0]
  assert float(got[0, 4, 4]) == 1 and float(got[0, 4, 5]) == 0.5
  assert float(got[0].sum()) == 1.5 and not got[1].any()
  with pytest.raises(ValueError, match='percentile: got 0'):
    synthesis.opacity_of(total, percentile=0.0)
