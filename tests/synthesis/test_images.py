import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import io, optimize, rules, synthesis
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

ROOMS = 'vizlab.synthesis.cppn', 'vizlab.synthesis.images'
SHAPE = (2, 16, 20, 3)
KEY = jax.random.key(0)
MAKERS = {
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
      rule=optimize.adam(rate),
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


@pytest.mark.parametrize('width', [20, 21])
@pytest.mark.parametrize('at', [(0, 0), (2, 3), (15, 1), (1, 0)])
def test_one_coefficient_is_a_cosine(width, at):
  h, w = 16, width
  image = synthesis.fourier((h, w, 3), decorrelated=False, decay=1.0)
  z = jnp.zeros((h, w // 2 + 1, 3, 2)).at[(*at, 1, 0)].set(0.5)
  got = image.decode(z)
  rows, columns = np.mgrid[:h, :w]
  row = at[0] if at[0] <= h // 2 else at[0] - h
  f = max(max(h, w) * np.hypot(row / h, at[1] / w), 1)
  wave = np.cos(2 * np.pi * (row * rows / h + at[1] * columns / w))
  # Coefficients of the first column have no mirror image in the other half.
  twice = 1 if at[1] == 0 else 2
  values = twice * 0.5 * np.sqrt(h * w) / 4 / f / np.sqrt(h * w) * wave
  np.testing.assert_allclose(got[..., 1], 1 / (1 + np.exp(-values)), atol=1e-6)
  np.testing.assert_allclose(got[..., 0], 0.5, atol=1e-6)


@pytest.mark.parametrize('decorrelated', [True, False])
def test_fourier_starts_from_an_image(decorrelated):
  start = jax.random.uniform(KEY, SHAPE, minval=0.05, maxval=0.95)
  image = synthesis.fourier(
    SHAPE, noise=0.0, start=start, decorrelated=decorrelated
  )
  np.testing.assert_allclose(image.decode(image.init(KEY)), start, atol=2e-5)


def test_colours_go_there_and_back():
  values = jax.random.normal(KEY, (5, 3))
  back = synthesis.from_rgb(synthesis.to_rgb(values))
  np.testing.assert_allclose(back, values, atol=2e-4)
  one = synthesis.to_rgb(jnp.array([1.0, 0.0, 0.0]))
  np.testing.assert_allclose(
    one, 1 / (1 + np.exp(-synthesis.AXES[:, 0])), rtol=1e-5
  )


def test_colour_axes_of_known_colours():
  """Two axes at right angles, of which one varies twice as much."""
  rng = np.random.default_rng(0)
  axes = np.array([[1, 1, 1], [1, 0, -1]]) / np.sqrt([[3], [2]])
  draw = rng.normal(size=(200, 200, 2)) * [0.2, 0.1]
  got = synthesis.colour_axes([0.5 + draw @ axes])
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
    synthesis.colour_axes(photos), synthesis.AXES, atol=2e-3
  )


def test_maco_keeps_the_magnitude():
  photos = jax.random.uniform(KEY, (4, 16, 20, 3))
  magnitude = synthesis.magnitude_of(photos)
  image = synthesis.maco(SHAPE, magnitude=magnitude)
  made = image.decode(image.init(KEY))
  spectrum = jnp.fft.rfft2(
    synthesis.from_rgb(made), axes=(-3, -2), norm='ortho'
  )
  # Some coefficients are their own mirror image and keep only a real part.
  inside = np.s_[:, 1:8, 1:10]
  np.testing.assert_allclose(
    jnp.abs(spectrum)[inside],
    jnp.broadcast_to(magnitude, spectrum.shape)[inside],
    rtol=2e-2,
  )


def test_maco_without_photos_has_a_deviation_of_one():
  image = synthesis.maco((16, 21, 3))
  values = synthesis.from_rgb(image.decode(image.init(KEY)))
  np.testing.assert_allclose(values.std((0, 1)), 1.0, atol=0.1)


def test_a_cppn_is_drawn_at_any_size():
  small, large = (synthesis.cppn((n, n, 3), width=8, depth=3) for n in (9, 17))
  z = jax.tree.map(
    lambda k: jax.random.normal(KEY, k.shape) / 3, small.init(KEY)
  )
  np.testing.assert_allclose(
    large.decode(z)[::2, ::2], small.decode(z), atol=1e-5
  )


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
    (lambda: synthesis.cppn((8, 8, 3), depth=0), 'width, depth: got'),
    (lambda: synthesis.maco((8, 8, 3), magnitude=np.ones(3)), 'magnitude: got'),
    (lambda: synthesis.magnitude_of(np.ones((8, 8, 3))), 'images: got shape'),
  ],
)
def test_bad_settings_are_named(make, message):
  with pytest.raises(ValueError, match=message):
    make()
