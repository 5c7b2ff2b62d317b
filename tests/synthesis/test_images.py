import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import io, nets, optimize, rules, synthesis
from vizlab.image import colour as image_colour
from vizlab.nets.architectures.transformation import decoder
from vizlab.nets.graph import init_params
from vizlab.objectives import (
  channel,
  direction,
  layer_energy,
  logit,
  neuron,
  peak,
  probability,
  score,
)

ROOMS = tuple(
  f'vizlab.synthesis.{name}' for name in ('cppn', 'generated', 'images', 'maco')
)
SHAPE = (2, 16, 20, 3)
KEY = jax.random.key(0)


def decoded(shape):
  *lead, h, w, _ = shape
  ops = decoder((12, 12, 8))
  spec = nets.InputSpec(4, (0.0,) * 4, (1.0,) * 4)
  params = init_params(ops, spec.shape, jax.random.key(4))
  net = nets.Network('decoder', ops, spec, params)
  code = (*lead, h // 4, w // 4, 4)
  return synthesis.generated(net, code, bound=3.0, start=1.0)


MAKERS = {
  'generated': (decoded, 0.2),
  'pixels': (
    lambda shape: synthesis.pixels(jnp.full(shape, 0.5), noise=0.05),
    0.02,
  ),
  'fourier': (synthesis.fourier, 0.05),
  'plain fourier': (
    functools.partial(synthesis.fourier, decorrelated=False),
    0.05,
  ),
  'pyramid': (functools.partial(synthesis.pyramid, levels=3), 0.05),
  'cppn': (functools.partial(synthesis.cppn, width=8, depth=3), 0.02),
  'maco': (synthesis.maco, 0.2),
  'tracked': (lambda shape: synthesis.tracked(synthesis.maco(shape)), 0.2),
  # The shared grid serves all objectives at once: their own part is the larger.
  'shared': (
    lambda shape: synthesis.shared(
      synthesis.fourier(shape, decay=1.0), sides=(2,)
    ),
    0.05,
  ),
}
IMAGES = {name: make(SHAPE) for name, (make, _) in MAKERS.items()}
WISHES = {
  'channel': channel('relu2', 3),
  'negative channel': -channel('conv2', 3),
  'neuron': neuron('relu2', 3, (2, 2)),
  'peak': peak('relu2', 3),
  'energy': layer_energy('relu2'),
  'logit': logit(2),
  'probability': probability(2),
  'joint': channel('relu2', 3) + 0.5 * logit(1),
  'direction': direction('relu2', np.eye(12)[4] + np.eye(12)[5], power=1.0),
}
each = pytest.mark.parametrize('name', MAKERS)


def classes(*modules):
  """The public classes of modules."""
  names = {name for module in modules for name in module.__all__}
  return {name for name in names if name[0].isupper()} - {'AXES'}


def test_every_parameterisation_has_a_row():
  rows = {type(image).__name__ for image in IMAGES.values()}
  assert rows == classes(*map(importlib.import_module, ROOMS))


@each
def test_decodes_to_images_of_the_shape(name):
  image = IMAGES[name]
  made = jax.jit(lambda image: image.decode(image.init(KEY)))(image)
  assert made.shape == SHAPE and made.dtype == jnp.float32
  assert jnp.isfinite(made).all()
  if name != 'pixels':
    assert float(made.min()) >= 0 and float(made.max()) <= 1


@each
def test_every_objective_rises(name, tiny):
  """One image for each objective, all in one program: they are independent."""
  make, rate = MAKERS[name]
  wishes = list(WISHES.values())

  def own(net, x):
    logits, acts = net(x)
    each = [wish(logits, acts)[i] for i, wish in enumerate(wishes)]
    return jnp.stack(each)

  net = rules.with_rules(tiny, relu=rules.redirected_relu)
  end = optimize.final(
    optimize.run(
      jax.tree_util.Partial(own, net),
      make((len(wishes), *SHAPE[1:])),
      KEY,
      steps=40,
      chunk=40,
      optimizer=optimize.adam(rate),
    )
  )
  first, last = end.scores[0], end.scores[-5:].mean(0)
  assert (end.failed == -1).all()
  risen = last > first + 0.01 * np.abs(first)
  assert risen.all(), [k for k, up in zip(WISHES, risen, strict=True) if not up]


def test_a_unit_that_is_dead_at_the_start_becomes_active(minivgg):
  image = synthesis.fourier((48, 48, 3))
  start = image.decode(image.init(KEY))
  peaks = minivgg(start)[1]['relu3_2'].max((0, 1))
  dead = int(peaks.argmin())
  assert float(peaks[dead]) == 0

  def end(wish):
    return optimize.final(optimize.run(wish, image, KEY, steps=48, chunk=48))

  wish = score(minivgg, channel('relu3_2', dead))
  assert float(end(wish).scores[-1]) == 0, 'a dead ReLU has no slope'
  woken = end(wish.with_rules(relu=rules.redirected_relu))
  assert float(woken.scores[-1]) > 0.01


def unmixed(image):
  """The free numbers of an image, along the colour axes; by hand."""
  image = np.asarray(image, np.float64)
  return np.log(image / (1 - image)) @ np.linalg.inv(image_colour.AXES.T)


def mixed(values):
  """The image of free numbers."""
  return 1 / (1 + np.exp(-np.asarray(values, np.float64) @ image_colour.AXES.T))


@pytest.mark.parametrize(
  ('width', 'decay'), [(20, 1.0), (21, 1.0), (20, 1.5), (20, 0.0)]
)
@pytest.mark.parametrize('at', [(0, 0), (2, 3), (15, 1), (1, 0)])
def test_one_coefficient_is_a_cosine(width, decay, at):
  h, w = 16, width
  image = synthesis.fourier((h, w, 3), decorrelated=False, decay=decay)
  z = jnp.zeros((h, w // 2 + 1, 3, 2)).at[(*at, 1, 0)].set(0.5)
  got = image.decode(z)
  rows, columns = np.mgrid[:h, :w]
  row = at[0] if at[0] <= h // 2 else at[0] - h
  f = max(max(h, w) * np.hypot(row / h, at[1] / w), 1) ** decay
  wave = np.cos(2 * np.pi * (row * rows / h + at[1] * columns / w))
  # Coefficients of the first column have no mirror image in the other half.
  twice = 1 if at[1] == 0 else 2
  values = twice * 0.5 * np.sqrt(h * w) / 4 / f / np.sqrt(h * w) * wave
  np.testing.assert_allclose(got[..., 1], 1 / (1 + np.exp(-values)), atol=1e-6)
  np.testing.assert_allclose(got[..., 0], 0.5, atol=1e-6)


@pytest.mark.parametrize('decorrelated', [True, False])
@pytest.mark.parametrize('channels', [3, 4])
def test_fourier_starts_from_an_image(decorrelated, channels):
  shape = 2, 6, 7, channels
  start = jax.random.uniform(KEY, shape, minval=0.05, maxval=0.95)
  settings = {'start': start, 'decorrelated': decorrelated}
  image = synthesis.fourier(shape, noise=0.0, **settings)
  z = image.init(KEY)
  np.testing.assert_allclose(image.decode(z), start, atol=2e-5)
  # Noise is added to it, as without a start.
  noisy = synthesis.fourier(shape, noise=0.3, **settings).init(KEY)
  alone = synthesis.fourier(shape, noise=0.3).init(KEY)
  np.testing.assert_allclose(noisy - z, alone, atol=1e-4)


@pytest.mark.parametrize('name', ['fourier', 'pyramid', 'pixels'])
def test_the_start_is_noise_of_the_strength(name):
  """Normal, of mean 0, and no two numbers alike."""
  shape = 3, 24, 20, 3
  image = {
    'fourier': synthesis.fourier(shape, noise=0.2),
    'pyramid': synthesis.pyramid(shape, levels=2, noise=0.2),
    'pixels': synthesis.pixels(jnp.zeros(shape), noise=0.2),
  }[name]
  leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(image.init(KEY))]
  assert len(leaves) == (2 if name == 'pyramid' else 1)
  for leaf in leaves:
    np.testing.assert_allclose(leaf.std(), 0.2, rtol=0.1)
    np.testing.assert_allclose(leaf.mean(), 0, atol=0.03)
  every = np.concatenate(leaves)
  assert len(np.unique(every)) > 0.99 * len(every)
  other = image.init(jax.random.key(1))
  assert np.abs(np.ravel(jax.tree.leaves(other)[0]) - leaves[0]).max() > 0.1


def test_pixels_start_at_their_start():
  start = jax.random.uniform(KEY, (2, 3, 4, 3))
  plain, noisy = (
    synthesis.pixels(start, noise=noise).init(KEY) for noise in (0.0, 0.5)
  )
  np.testing.assert_array_equal(plain, start)
  drawn = 0.5 * jax.random.normal(KEY, start.shape)
  np.testing.assert_allclose(noisy, start + drawn, atol=1e-6)


@pytest.mark.parametrize('decorrelated', [True, False])
def test_a_pyramid_is_the_sum_of_its_levels(decorrelated):
  """A coarse level counts twice as much as the one before."""
  shape = 2, 5, 8, 3
  image = synthesis.pyramid(shape, levels=3, decorrelated=decorrelated)
  sizes = [z.shape for z in image.init(KEY)]
  assert sizes == [(2, 5, 8, 3), (2, 3, 4, 3), (2, 2, 2, 3)]
  z = [jax.random.normal(jax.random.key(i), n) for i, n in enumerate(sizes)]
  total = sum(
    2**level * np.asarray(jax.image.resize(each, shape, 'linear'))
    for level, each in enumerate(z)
  )
  expected = mixed(total) if decorrelated else 1 / (1 + np.exp(-total))
  np.testing.assert_allclose(image.decode(tuple(z)), expected, atol=1e-5)


def test_as_many_levels_as_there_are_halves():
  assert len(synthesis.pyramid((8, 9, 3), levels=4).init(KEY)) == 4


def test_colours_go_there_and_back():
  values = jax.random.normal(KEY, (5, 3))
  back = image_colour.from_rgb(image_colour.to_rgb(values))
  np.testing.assert_allclose(back, values, atol=2e-4)
  one = image_colour.to_rgb(jnp.array([1.0, 0.0, 0.0]))
  np.testing.assert_allclose(
    one, 1 / (1 + np.exp(-image_colour.AXES[:, 0])), rtol=1e-5
  )


def test_colour_axes_of_known_colours():
  """Two axes at right angles, of which one varies twice as much."""
  rng = np.random.default_rng(0)
  axes = np.array([[1, 1, 1], [1, 0, -1]]) / np.sqrt([[3], [2]])
  draw = rng.normal(size=(200, 200, 2)) * [0.2, 0.1]
  got = image_colour.colour_axes([0.5 + draw @ axes])
  np.testing.assert_allclose(np.abs(got[:, 0]), 3**-0.5, atol=0.01)
  np.testing.assert_allclose(
    np.abs(got[:, 1]), [0.5 / 2**0.5, 0, 0.5 / 2**0.5], atol=0.01
  )


def test_the_colour_axes_are_those_of_photos(assets):
  photos = [
    io.read_image(path)
    for folder in ('labelled', 'photos')
    for path in sorted((assets / 'images' / folder).iterdir())
    if path.suffix.lower() in ('.jpg', '.jpeg', '.png')
  ]
  np.testing.assert_allclose(
    image_colour.colour_axes(photos), image_colour.AXES, atol=2e-3
  )


def test_colour_axes_are_of_the_mean_covariance_of_the_images():
  """Photos whose colours vary along one axis each, of different shapes."""
  pairs = np.stack([image_colour.AXES.T, -image_colour.AXES.T], 1) / 4 + 0.5
  first, second, third = pairs.astype(np.float32)
  images = [
    np.tile(first, (3, 1, 1)),
    np.tile(second, (3, 1, 1)).swapaxes(0, 1),
    np.tile(third, (1, 3, 1)),
  ]
  axes = image_colour.colour_axes(images)
  assert axes.dtype == np.float32
  np.testing.assert_allclose(axes, image_colour.AXES, atol=1e-3)
  np.testing.assert_allclose(
    np.linalg.norm(image_colour.AXES, axis=0), [1, 0.26, 0.11], atol=0.01
  )


def test_black_and_white_are_nearly_so():
  back = image_colour.to_rgb(
    image_colour.from_rgb(jnp.array([[0.0, 1, 0.5, 1]]))
  )
  np.testing.assert_allclose(back, [[1e-3, 0.999, 0.5, 0.999]], atol=1e-5)


def test_magnitude_is_the_mean_over_photos():
  photos = np.asarray(jax.random.uniform(KEY, (3, 5, 6, 3))) * 0.9 + 0.05
  spectra = np.fft.rfft2(unmixed(photos), axes=(1, 2)) / np.sqrt(30)
  np.testing.assert_allclose(
    synthesis.magnitude_of(photos), np.abs(spectra).mean(0), rtol=1e-3
  )


def test_maco_decodes_phases():
  magnitude = np.asarray(jax.random.uniform(KEY, (4, 4, 3)))
  image = synthesis.maco((2, 4, 6, 3), magnitude=magnitude)
  z = image.init(KEY)
  assert z.shape == (2, 4, 4, 3)
  phase = np.array(z)
  # Rows 1 and 3 of the first and last column are each other's mirror image.
  phase[:, 1, ::3] = z[:, 1, ::3] - z[:, 3, ::3]
  phase[:, 3, ::3] = -phase[:, 1, ::3]
  values = np.fft.irfft2(magnitude * np.exp(1j * phase), (4, 6), (1, 2))
  np.testing.assert_allclose(
    image.decode(z), mixed(values * np.sqrt(24)), atol=1e-5
  )


def test_phases_start_uniform():
  z = np.asarray(synthesis.maco((3, 16, 16, 3)).init(KEY))
  assert -np.pi <= z.min() < -3.1 and 3.1 < z.max() <= np.pi
  np.testing.assert_allclose(z.std(), np.pi / 3**0.5, rtol=0.05)


def test_opacity_is_a_fourth_channel(tiny):
  image = synthesis.fourier((2, 16, 16, 4))
  end = optimize.final(
    optimize.run(
      score(tiny, channel('relu2', 3)),
      image,
      KEY,
      steps=10,
      augment=synthesis.on_noise(),
    )
  )
  assert end.image.shape == (2, 16, 16, 4)
  assert float(end.image.min()) >= 0 and float(end.image.max()) <= 1


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: synthesis.fourier((16, 3)), r'shape: got \(16, 3\)'),
    (lambda: synthesis.fourier((16, 16, 2)), 'shape: got'),
    (lambda: synthesis.fourier((8, 8, 3), start=np.ones((9, 8, 3))), 'start'),
    (lambda: synthesis.pixels(np.ones((4, 4))), 'start: got shape'),
    (lambda: synthesis.pyramid((8, 8, 3), levels=5), 'levels: got 5'),
    (lambda: synthesis.pyramid((8, 8, 3), levels=0), 'levels: got 0'),
    (lambda: synthesis.cppn((8, 8, 3), depth=0), 'depth: got 0'),
    (lambda: synthesis.maco((8, 8, 3), magnitude=np.ones(3)), 'magnitude: got'),
    (lambda: synthesis.maco((8, 8, 4)), 'shape: got .*, expected .*, H, W, 3'),
    (lambda: synthesis.shared(synthesis.maco((2, 8, 8, 3))), 'own: got Maco'),
    (
      lambda: synthesis.shared(synthesis.fourier((2, 8, 8, 3)), reach=0.0),
      'reach: got 0.0, expected at least 0.01',
    ),
    (
      lambda: synthesis.shared(synthesis.fourier((2, 8, 8, 3)), sides=()),
      'sides: got',
    ),
    (lambda: synthesis.magnitude_of(np.ones((8, 8, 3))), 'images: got shape'),
  ],
)
def test_bad_settings_are_named(make, message):
  with pytest.raises(ValueError, match=message):
    make()
