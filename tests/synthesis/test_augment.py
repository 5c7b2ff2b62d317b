import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from vizlab import synthesis

KEY = jax.random.key(5)
EVERY = {
  'jitter': synthesis.jitter(3),
  'crop': synthesis.crop(9, 8),
  'pad': synthesis.pad(2, fill=0.25),
  'scale': synthesis.scale(0.8, 1.3),
  'rotate': synthesis.rotate(20.0),
  'colour': synthesis.colour(0.2, 0.1),
  'noise': synthesis.noise(0.2),
  'resized_crop': synthesis.resized_crop(0.3, 0.9),
  'robust': synthesis.robust(12),
}
each = pytest.mark.parametrize('name', EVERY)


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (3, 12, 14, 3))


def test_every_augment_has_a_row():
  # One is tested on its own: it needs opacity.
  rows = {*EVERY, 'on_noise', 'compose', 'noisy_crops'}
  names = {
    name
    for module in ('augment', 'intensities')
    for name in importlib.import_module(f'vizlab.synthesis.{module}').__all__
  }
  assert rows == names


@each
def test_one_draw_for_a_batch_and_each_its_own_under_vmap(name, x):
  augment = jax.jit(EVERY[name])
  batch = augment(KEY, x)
  for i, image in enumerate(x):
    np.testing.assert_allclose(batch[i], augment(KEY, image), atol=1e-6)
  keys = jax.random.split(KEY, 3)
  mapped = jax.vmap(augment)(keys, x)
  for i, image in enumerate(x):
    np.testing.assert_allclose(mapped[i], augment(keys[i], image), atol=1e-6)


@each
def test_the_key_decides(name, x):
  augment = jax.jit(EVERY[name])
  first = augment(KEY, x)
  np.testing.assert_array_equal(first, augment(KEY, x))
  others = [augment(jax.random.fold_in(KEY, i), x) for i in range(6)]
  moved = any(float(jnp.abs(first - other).max()) > 1e-3 for other in others)
  assert moved == (name != 'pad')


@each
def test_the_slope_is_that_of_finite_differences(name, x):
  augment, image = EVERY[name], x[0]
  way = jax.random.normal(jax.random.key(1), image.shape)

  def read(image):
    return jnp.square(augment(KEY, image)).sum()

  slope = (jax.grad(read)(image) * way).sum()
  step = 1e-2  # it is a square, so a central difference is exact
  rise = read(image + step * way) - read(image - step * way)
  np.testing.assert_allclose(slope, rise / (2 * step), rtol=2e-3)


def look(augment, count=64, h=21, w=27):
  """Positions after an augment, read from images of their coordinates.

  Returns:
    For each of many keys, the place that the middle of the result shows,
    ``[count, 2]`` from the image's middle, and how it changes from pixel to
    pixel, ``[count, 2, 2]``.
  """
  rows, columns = np.mgrid[:h, :w] - np.array([h // 2, w // 2]).reshape(2, 1, 1)
  ramps = np.stack([rows, columns, 0 * rows], -1) / 100 + 0.5
  keys = jax.random.split(KEY, count)
  seen = jax.jit(jax.vmap(lambda key: augment(key, jnp.float32(ramps))))(keys)
  seen = (np.asarray(seen) - 0.5)[..., :2] * 100
  i, j = (n // 2 for n in seen.shape[1:3])
  down = (seen[:, i + 5, j] - seen[:, i - 5, j]) / 10
  right = (seen[:, i, j + 5] - seen[:, i, j - 5]) / 10
  return seen[:, i, j], np.stack([down, right], -1)


def spans(values, low, high):
  """Values fill a range: none outside, and some near both ends."""
  edge = (high - low) / 10
  assert low - edge / 8 < values.min() < low + edge
  assert high - edge < values.max() < high + edge / 8
  np.testing.assert_allclose(values.mean(), (low + high) / 2, atol=edge)


def test_rotations_are_about_the_middle_and_fill_their_range():
  middle, turn = look(synthesis.rotate(20.0))
  np.testing.assert_allclose(middle, 0, atol=1e-3)
  product = turn @ turn.swapaxes(1, 2)
  np.testing.assert_allclose(product, [np.eye(2)] * 64, atol=1e-3)
  np.testing.assert_allclose(np.linalg.det(turn), 1, atol=1e-3)
  spans(np.rad2deg(np.arcsin(turn[:, 0, 1])), -20, 20)


def test_scales_are_about_the_middle_and_fill_their_range():
  middle, turn = look(synthesis.scale(0.8, 1.4))
  np.testing.assert_allclose(middle, 0, atol=1e-3)
  np.testing.assert_allclose(turn[:, 0, 0], turn[:, 1, 1], atol=1e-3)
  np.testing.assert_allclose(turn[:, 0, 1], 0, atol=1e-3)
  spans(1 / turn[:, 0, 0], 0.8, 1.4)


def test_robust_turns_scales_and_shifts():
  square, still = {'h': 21, 'w': 21}, {'border': 0.05, 'shift': 0.0}
  turns = synthesis.robust(21, degrees=20.0, spread=0.0, **still)
  turned = look(turns, **square)[1]
  spans(np.rad2deg(np.arcsin(turned[:, 0, 1])), -20, 20)
  scales = synthesis.robust(21, degrees=0.0, spread=0.2, **still)
  factors = 1 / look(scales, **square)[1][:, 0, 0]
  # A ramp that is smoothed as it shrinks has its slope to one percent.
  spans(factors, 0.79, 1.21)
  shifts = look(synthesis.robust(41, degrees=0.0, spread=0.0), h=41, w=41)[0]
  assert len(np.unique(shifts.round(2), axis=0)) >= 9
  # Padding of an eighth and jitter of a fourteenth of the side.
  assert 5 < np.abs(shifts).max() < 5 + 3 + 0.1
  np.testing.assert_allclose(shifts.mean(0), 0, atol=1.5)


@pytest.mark.parametrize(
  'augment',
  [
    synthesis.jitter(0),
    synthesis.pad(0),
    synthesis.scale(1.0, 1.0),
    synthesis.rotate(0.0),
    synthesis.colour(0.0, 0.0),
    synthesis.crop(12, 14),
  ],
  ids=lambda augment: type(augment).__name__,
)
def test_no_strength_is_no_change(augment, x):
  np.testing.assert_allclose(augment(KEY, x), x, atol=1e-6)


@pytest.mark.parametrize(
  'augment',
  [
    synthesis.pad(1, fill=0.2),
    synthesis.scale(0.5, 0.5, fill=0.2),
    synthesis.rotate(60.0, fill=0.2),
  ],
  ids=lambda augment: type(augment).__name__,
)
def test_what_comes_in_at_a_border_is_the_fill(augment):
  seen = augment(jax.random.key(3), jnp.full((2, 9, 9, 3), 0.8))
  np.testing.assert_allclose(seen[:, 0, 0], 0.2, atol=1e-6)
  middle = seen.shape[1] // 2
  np.testing.assert_allclose(seen[:, middle, middle], 0.8, atol=1e-6)


def test_colour_multiplies_and_adds_within_its_strengths():
  keys = jax.random.split(KEY, 100)
  augment = jax.jit(jax.vmap(synthesis.colour(0.4, 0.1), (0, None)))
  black, white = (
    np.asarray(augment(keys, jnp.full((2, 1, 1, 3), v))) for v in (0.0, 1.0)
  )
  spans(black, -0.1, 0.1)
  spans(white - black, 0.6, 1.4)
  one = black[:, 0, 0, 0]
  assert np.abs(one[:, 0] - one[:, 1]).max() > 0.1, 'each channel its own'
  np.testing.assert_array_equal(black[:, 0], black[:, 1])
  gain = (white - black)[:, 0, 0, 0]
  assert abs(np.corrcoef(one.ravel(), gain.ravel())[0, 1]) < 0.2


def test_the_noise_behind_an_image():
  """A colour, uniform, with grains of the strength; opacity mixes."""
  keys = jax.random.split(KEY, 100)
  clear = jnp.zeros((1, 12, 12, 4))
  behind = jax.jit(jax.vmap(synthesis.on_noise(0.05), (0, None)))
  seen = np.asarray(behind(keys, clear))[:, 0]
  shade = seen.mean((1, 2))
  spans(shade, 0.0, 1.0)
  assert seen.min() == 0 and seen.max() == 1
  inner = (shade > 0.3) & (shade < 0.7)
  grain = (seen - shade[:, None, None]).std((1, 2))[inner]
  np.testing.assert_allclose(grain, 0.05, rtol=0.25)
  colours = np.corrcoef(shade.T)[np.triu_indices(3, 1)]
  assert np.abs(colours).max() < 0.3
  half = clear.at[..., :3].set(0.8).at[..., 3].set(0.25)
  np.testing.assert_allclose(
    behind(keys, half)[:, 0], 0.25 * 0.8 + 0.75 * seen, atol=1e-6
  )


def test_parts_have_keys_of_their_own(x):
  twice = synthesis.compose(synthesis.jitter(3), synthesis.jitter(3))
  first, second = (
    synthesis.jitter(3)(jax.random.fold_in(KEY, i), x[0]) for i in (0, 1)
  )
  assert float(jnp.abs(first - second).max()) > 0.1
  expected = synthesis.jitter(3)(jax.random.fold_in(KEY, 1), first)
  np.testing.assert_array_equal(twice(KEY, x[0]), expected)


def test_jitter_moves_up_to_its_pixels(x):
  seen = {
    tuple(np.argwhere(np.asarray(y)[..., 0] == 1)[0])
    for y in (
      synthesis.jitter(1)(
        jax.random.key(i), jnp.zeros((5, 5, 3)).at[2, 2].set(1)
      )
      for i in range(60)
    )
  }
  assert seen == {(i, j) for i in (1, 2, 3) for j in (1, 2, 3)}


def test_crop_reaches_every_place():
  image = jnp.broadcast_to(jnp.arange(12.0).reshape(3, 4, 1), (3, 4, 3))
  cut = jax.vmap(lambda key: synthesis.crop(2)(key, image)[0, 0, 0])
  corners, often = np.unique(
    cut(jax.random.split(KEY, 600)), return_counts=True
  )
  assert corners.tolist() == [0.0, 1.0, 2.0, 4.0, 5.0, 6.0]
  assert 70 < often.min() and often.max() < 130, 'about 100 each'


def test_pad():
  padded = synthesis.pad(2, fill=0.25)(KEY, jnp.ones((2, 3, 3)))
  assert padded.shape == (6, 7, 3)
  np.testing.assert_array_equal(padded[:2], 0.25)
  np.testing.assert_array_equal(padded[2:4, 2:5], 1.0)


@pytest.mark.parametrize('degrees', [7.0, 30.0])
def test_rotation_is_scipys(x, degrees):
  key = jax.random.key(2)
  turn = degrees * float(jax.random.uniform(key, (), minval=-1.0))
  got = synthesis.rotate(degrees, fill=0.0)(key, x)
  expected = ndimage.rotate(
    np.asarray(x[0]), -turn, (0, 1), reshape=False, order=1, cval=0.0
  )
  inside = np.s_[4:-4, 4:-4]
  alike = [
    np.abs(got[0][inside] - other[inside]).max()
    for other in (
      expected,
      ndimage.rotate(
        np.asarray(x[0]), turn, (0, 1), reshape=False, order=1, cval=0.0
      ),
    )
  ]
  assert min(alike) < 1e-4


def test_scale_enlarges_about_the_centre():
  ramp = jnp.linspace(0, 1, 21)[:, None, None] * jnp.ones((21, 21, 3))
  got = synthesis.scale(2.0, 2.0)(KEY, ramp)
  middle = got[5:16, 10, 0]
  np.testing.assert_allclose(
    middle, 0.5 + (jnp.arange(5, 16) - 10) / 40, atol=1e-5
  )
  shrunk = synthesis.scale(0.5, 0.5, fill=0.3)(KEY, ramp)
  np.testing.assert_allclose(shrunk[0, 0], 0.3, atol=1e-6)


def test_a_resized_crop_is_a_part_enlarged():
  """Two ramps, from which the place and size of a part can be read."""
  size = h, w = 12, 14
  rows, columns = np.mgrid[:h, :w]
  image = np.stack([rows, columns, np.ones(size)], -1).astype(np.float32)
  shares, corners = [], []
  for i in range(40):
    got = np.asarray(synthesis.resized_crop(0.2, 0.5)(jax.random.key(i), image))
    # Away from the image's border, where interpolation stops.
    slopes = (
      np.diff(got[2:-2, 2:-2, 0], axis=0),
      np.diff(got[2:-2, 2:-2, 1], axis=1),
    )
    share = slopes[0].mean()
    np.testing.assert_allclose(slopes[0], share, atol=1e-4)
    np.testing.assert_allclose(slopes[1], share, atol=1e-4)
    np.testing.assert_allclose(got[..., 2], 1, atol=1e-5)
    # Pixel centres: output i reads (i + 1/2) share - 1/2 + corner.
    corners.append(got[2, 2, :2] + 0.5 - 2.5 * share)
    shares.append(share)
  shares, corners = np.array(shares), np.array(corners)
  assert 0.2 <= shares.min() < 0.26 and 0.44 < shares.max() <= 0.5 + 1e-6
  free = (1 - shares[:, None]) * size
  assert (corners > -1e-3).all() and (corners < free + 1e-3).all()
  assert ((corners / free).min(0) < 0.2).all()
  assert ((corners / free).max(0) > 0.8).all()


def test_noise_has_its_deviation(x):
  draw = np.asarray(synthesis.noise(0.3)(KEY, jnp.zeros((2, 60, 60, 3))))
  np.testing.assert_array_equal(draw[0], draw[1])
  np.testing.assert_allclose(draw[0].std((0, 1)), 0.3, rtol=0.05)
  np.testing.assert_allclose(draw.mean(), 0, atol=0.01)
  assert abs(np.corrcoef(draw[0].reshape(-1, 3).T)[0, 1]) < 0.05
  np.testing.assert_array_equal(synthesis.noise(0.0)(KEY, x), x)


def test_robust_pads_shifts_enlarges_turns_and_crops():
  """Each share of the side as pixels, and each strength at its place."""
  parts = synthesis.robust(
    56, fill=0.25, degrees=20.0, spread=0.3, border=0.25, shift=0.125
  ).parts
  border, shift, spread, turn, cut = parts
  assert (border.pixels, int(shift.pixels), cut.size) == (14, 7, (56, 56))
  np.testing.assert_allclose((spread.low, spread.high), (0.7, 1.3), rtol=1e-6)
  assert float(turn.degrees) == 20
  fills = [float(part.fill) for part in (border, spread, turn)]
  assert fills == [0.25] * 3
  usual = synthesis.robust(224).parts
  assert usual[0].pixels == 28 and int(usual[1].pixels) == 16
  np.testing.assert_allclose((usual[2].low, usual[2].high), (0.75, 1.25))
  assert float(usual[3].degrees) == 15


def test_an_opaque_image_hides_the_noise_and_a_clear_one_does_not(x):
  augment = synthesis.on_noise()
  opaque = jnp.concatenate([x, jnp.ones_like(x[..., :1])], -1)
  np.testing.assert_allclose(augment(KEY, opaque), x, atol=1e-6)
  clear = opaque.at[..., 3].set(0)
  np.testing.assert_allclose(
    augment(KEY, clear), augment(KEY, clear.at[..., :3].set(0.9)), atol=1e-6
  )
  with pytest.raises(ValueError, match='expected 4 channels'):
    augment(KEY, x)


def test_strengths_may_be_traced(x):
  @jax.jit
  def look(strength):
    parts = synthesis.colour(strength), synthesis.scale(1 - strength, 1.0)
    return synthesis.compose(*parts)(KEY, x)

  plain = synthesis.compose(synthesis.colour(0.2), synthesis.scale(0.8, 1.0))
  np.testing.assert_allclose(look(0.2), plain(KEY, x), atol=1e-5)


def test_another_strength_does_not_recompile(x):
  traces = []

  @jax.jit
  def look(augment, x):
    traces.append(0)
    return augment(KEY, x)

  look(synthesis.robust(12, degrees=3.0), x)
  look(synthesis.robust(12, degrees=9.0, spread=0.2), x)
  assert len(traces) == 1


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: synthesis.jitter(-1), 'pixels: got -1'),
    (lambda: synthesis.jitter(1.5), 'pixels: got 1.5, expected a whole'),
    (lambda: synthesis.pad(-1), 'pixels: got -1'),
    (lambda: synthesis.crop(0), 'height, width: got'),
    (lambda: synthesis.scale(1.2, 0.9), 'low, high: got'),
    (lambda: synthesis.scale(0.0, 1.0), 'low, high: got 0.0, 1.0'),
    (lambda: synthesis.scale(-1.0, 1.0), 'low: got -1.0, expected at least 0'),
    (lambda: synthesis.rotate(float('nan')), 'degrees: got nan'),
    (lambda: synthesis.rotate(-1.0), 'degrees: got -1.0'),
    (lambda: synthesis.colour(-1.0), 'gain: got -1.0'),
    (lambda: synthesis.colour(0.1, -0.5), 'offset: got -0.5'),
    (lambda: synthesis.on_noise(-0.1), 'noise: got -0.1'),
    (lambda: synthesis.resized_crop(0.0, 1.0), 'low, high: got 0'),
    (lambda: synthesis.resized_crop(0.5, 1.5), 'low, high: got 0.5, 1.5'),
    (lambda: synthesis.noise(-0.1), 'deviation: got -0.1'),
    (lambda: synthesis.crop(99)(KEY, jnp.ones((9, 9, 3))), 'size: got'),
  ],
)
def test_bad_settings_are_named(make, message):
  with pytest.raises(ValueError, match=message):
    make()
