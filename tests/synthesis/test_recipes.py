import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import optimize, synthesis
from vizlab.image.filters import resize
from vizlab.objectives import channel, layer_energy, score

KEY = jax.random.key(0)


@pytest.fixture
def x():
  return jax.random.uniform(KEY, (2, 16, 20, 3))


def test_inversion_is_the_papers_sum(tiny, x):
  wish = synthesis.inversion(
    tiny, 'relu2', x, tv=np.array([0.3, 0.7]), range_weight=0.2
  )
  y = jnp.clip(x + 0.1, 0, 1)
  a, b = (np.asarray(tiny(v)[1]['relu2'], np.float64) for v in (y, x))
  for i, weight in enumerate((0.3, 0.7)):
    apart = ((a[i] - b[i]) ** 2).sum() / (b[i] ** 2).sum()
    np.testing.assert_allclose(wish.score(y)[i], -apart, rtol=1e-5)
    image = np.asarray(y[i], np.float64)
    in_range = ((2 * np.abs(image - 0.5)) ** 6).mean()
    down = np.diff(image, axis=0)[:, :-1]
    right = np.diff(image, axis=1)[:-1]
    smooth = (down**2 + right**2).sum() / (16 * 20)
    np.testing.assert_allclose(
      wish.penalty(y)[i], 0.2 * in_range + weight * smooth, rtol=1e-4
    )
    np.testing.assert_allclose(
      synthesis.normalised_error(tiny, 'relu2', y, x)[i], apart**0.5, rtol=1e-4
    )


def test_the_exponents_of_both_penalties(tiny, x):
  settings = {'tv': 0.0, 'range_weight': 0.0}
  for name, power in (('alpha', 3.0), ('beta', 1.0)):
    weight = 'range_weight' if name == 'alpha' else 'tv'
    wish = synthesis.inversion(
      tiny, 'conv1', x, **{**settings, name: power, weight: 1.0}
    )
    image = np.asarray(x, np.float64)
    down = np.diff(image, axis=1)[:, :, :-1]
    right = np.diff(image, axis=2)[:, :-1]
    expected = {
      'alpha': (np.abs(2 * image - 1) ** 3).mean((1, 2, 3)),
      'beta': np.sqrt(down**2 + right**2).sum((1, 2, 3)) / (16 * 20),
    }[name]
    np.testing.assert_allclose(wish.penalty(x), expected, rtol=1e-4)


def test_nothing_lost_is_no_error_and_has_no_slope(tiny, x):
  def lost(y):
    return synthesis.normalised_error(tiny, 'relu2', y, x)

  np.testing.assert_allclose(lost(x), 0, atol=1e-4)
  slope = jax.grad(lambda y: lost(y).sum())(x)
  assert jnp.isfinite(slope).all()


def test_what_is_inverted_is_held_fixed(tiny, x):
  """The target does not move with the image that it was taken from."""

  def worth(x):
    return synthesis.inversion(tiny, 'relu2', x).score(0.5 * x + 0.2).sum()

  fixed = synthesis.inversion(tiny, 'relu2', x).score
  expected = jax.grad(lambda y: fixed(0.5 * y + 0.2).sum())(x)
  np.testing.assert_allclose(jax.grad(worth)(x), expected, atol=1e-5)


def test_deeper_layers_keep_less(tiny, x):
  errors = []
  for layer in ('conv1', 'fc'):
    wish = synthesis.inversion(tiny, layer, x, tv=0.0, range_weight=0.0)
    end = optimize.final(
      optimize.run(
        wish.score,
        synthesis.pixels(jnp.full(x.shape, 0.5), noise=0.05),
        KEY,
        steps=150,
        chunk=150,
        optimizer=optimize.adam(0.03),
      )
    )
    assert (
      float(synthesis.normalised_error(tiny, layer, end.image, x).max()) < 0.05
    )
    errors.append(float(jnp.abs(end.image - x).mean()))
  assert errors[0] < 0.03 < errors[1], 'conv1 tells the image, fc does not'


def test_inversion_names_an_unknown_layer(tiny, x):
  with pytest.raises(ValueError, match="layer: got 'relu9', expected one of"):
    synthesis.inversion(tiny, 'relu9', x)


@pytest.mark.parametrize(
  ('size', 'octaves', 'expected'),
  [
    ((96, 128), 3, [(48, 64), (68, 91), (96, 128)]),
    ((40, 40), 4, [(40, 40)]),
    ((8, 8), 1, [(8, 8)]),
  ],
)
def test_octaves(size, octaves, expected):
  assert synthesis.octave_sizes(*size, octaves, 2**0.5) == expected


def test_octaves_that_are_too_small_are_left_out():
  def sizes(h, w, **least):
    return synthesis.octave_sizes(h, w, 3, 2.0, **least)

  assert sizes(64, 80) == [(32, 40), (64, 80)]
  assert sizes(62, 80) == [(62, 80)]
  assert synthesis.octave_sizes(128, 64, 4, 2.0, 16) == [
    *((32, 16), (64, 32), (128, 64)),
  ]
  assert sizes(64, 80, least=16) == [(16, 20), (32, 40), (64, 80)]
  for octaves, scale in ((0, 2.0), (1, 1.0)):
    with pytest.raises(ValueError, match='(octaves|scale): got'):
      synthesis.octave_sizes(64, 64, octaves, scale)


def test_a_dream_raises_the_score_and_keeps_the_picture(tiny):
  x = jax.image.resize(jax.random.uniform(KEY, (5, 6, 3)), (48, 60, 3), 'cubic')
  x = jnp.clip(x, 0, 1)
  wish = score(tiny, layer_energy('relu2'))
  pictures = list(
    synthesis.dream(wish, x, KEY, octaves=2, steps=4, rate=0.01, jitter=4)
  )
  assert [p.shape for p in pictures] == [(34, 43, 3), (48, 60, 3)]
  end = pictures[-1]
  assert float(wish(end)) > 1.2 * float(wish(x))
  assert float(end.min()) > -1e-6 and float(end.max()) < 1 + 1e-6
  alike = np.corrcoef(np.ravel(end), np.ravel(x))[0, 1]
  assert 0.7 < alike < 0.9999


def test_a_dream_of_no_steps_size_is_as_by_hand(tiny):
  """One octave and one step: the normalised gradient, rolled back and forth."""
  x = jax.random.uniform(KEY, (40, 40, 3), minval=0.2, maxval=0.8)
  wish = score(tiny, channel('relu2', 3))
  (end,) = synthesis.dream(
    wish, x, KEY, octaves=1, steps=1, rate=0.01, jitter=0
  )
  g = jax.grad(wish)(x)
  np.testing.assert_allclose(end, x + 0.01 * g / jnp.abs(g).mean(), atol=1e-5)


def test_octaves_carry_what_came_in(tiny):
  """By hand: the detail of an octave is enlarged, each step is shifted."""
  x = jax.random.uniform(KEY, (2, 72, 64, 3))
  wish = score(tiny, channel('relu2', 3))
  found = list(
    synthesis.dream(
      wish, x, KEY, octaves=2, scale=2.0, steps=2, rate=0.1, jitter=5
    )
  )
  slope = jax.jit(jax.grad(lambda x: wish(x).sum()))
  shifts = set()
  detail = jnp.zeros((2, 36, 32, 3))
  for octave, size in enumerate([(36, 32), (72, 64)]):
    shape = 2, *size, 3
    base = jax.image.resize(x, shape, 'linear')
    image = jnp.clip(base + jax.image.resize(detail, shape, 'linear'), 0, 1)
    for step in range(2):
      key = jax.random.fold_in(jax.random.fold_in(KEY, octave), step)
      by = jax.random.randint(key, (2,), -5, 6)
      shifts.add(tuple(by.tolist()))
      seen = jnp.roll(image, by, (1, 2))
      g = jnp.roll(slope(seen), -by, (1, 2))
      size = jnp.abs(g).mean((1, 2, 3), keepdims=True)
      image = jnp.clip(image + 0.1 * g / size, 0, 1)
    detail = image - base
    np.testing.assert_allclose(found[octave], image, atol=2e-3)
  assert len(shifts) == 4, 'each step has its own'


def test_a_dream_of_what_is_not_finite_is_an_error(tiny):
  x = jnp.full((40, 40, 3), 0.5)
  with pytest.raises(ValueError, match='score: was not finite at step 0'):
    list(synthesis.dream(lambda x: jnp.log(-x).sum((-3, -2, -1)), x, KEY))


def test_the_score_of_tiles_is_the_mean_of_theirs(tiny):
  x = jax.random.uniform(KEY, (16, 24, 3))
  wish = score(tiny, channel('relu2', 1))
  parts = [wish(x[i : i + 8, j : j + 8]) for i in (0, 8) for j in (0, 8, 16)]
  np.testing.assert_allclose(
    synthesis.mean_over_tiles(wish, 8)(x), jnp.mean(jnp.array(parts)), rtol=1e-5
  )


@pytest.mark.parametrize('size', [7, 16, 64])
def test_tiles_cover_the_image_and_their_mean_is_the_score(tiny, x, size):
  wish = synthesis.mean_over_tiles(lambda x: x.sum((-3, -2, -1)), size)
  covered = jax.grad(lambda x: wish(x).sum())(x)
  assert float(covered.min()) > 0
  whole = synthesis.mean_over_tiles(score(tiny, channel('relu2', 1)), 64)
  np.testing.assert_allclose(
    whole(x), score(tiny, channel('relu2', 1))(x), rtol=1e-5
  )


def test_tiles_take_less_memory(minivgg):
  x = jnp.zeros((256, 256, 3))

  def used(wish):
    compiled = jax.jit(jax.grad(lambda wish, x: wish(x), argnums=1))
    compiled = compiled.lower(wish, x).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  wish = score(minivgg, layer_energy('relu3_2'))
  assert used(synthesis.mean_over_tiles(wish, 64)) < 0.3 * used(wish)


def test_zoom_enlarges_the_middle():
  ramp = jnp.linspace(0.2, 0.8, 41)[:, None, None] * jnp.ones((41, 41, 3))
  got = synthesis.zoom(ramp, 2.0)
  np.testing.assert_allclose(
    got[5:36, 20, 0], 0.5 + (np.arange(5, 36) - 20) * 0.6 / 80, atol=1e-4
  )
  edge = jnp.zeros((2, 9, 9, 3)).at[:, 5:].set(1.0)
  sharp = synthesis.zoom(edge, 1.7)
  assert float(sharp.min()) == 0 and float(sharp.max()) == 1, 'no overshoot'
  with pytest.raises(ValueError, match='factor: got 1.0'):
    synthesis.zoom(ramp, 1.0)


def test_fooling_reaches_every_class_and_stops(minivgg, images):
  targets = jnp.array([1, 4, 7, 9, 12])
  progress = list(synthesis.fool(minivgg, images, targets, enough=3.0))
  end = progress[-1]
  logits = minivgg(end.image)[0]
  assert (logits.argmax(-1) == targets).all()
  assert end.step < 200, 'it stops when all have enough'
  assert float(jnp.abs(end.image - images).mean()) < 0.03
  assert float(end.image.min()) > -1e-6 and float(end.image.max()) < 1 + 1e-6
  # Those that have enough are left alone.
  enough = np.stack([p.scores[-1] for p in progress]) >= 3.0
  first = int(enough.any(0).argmax())
  at = int(enough[:, first].argmax())
  if at + 1 < len(progress):
    np.testing.assert_allclose(
      progress[at].image[first], progress[-1].image[first], atol=2e-3
    )


def test_fooling_steps_are_of_the_rate_until_it_is_enough(tiny):
  """By hand; the second image is ahead already, by more than enough."""
  x = jax.random.uniform(KEY, (2, 16, 16, 3), minval=0.2, maxval=0.8)
  logits = np.asarray(tiny(x)[0])
  best = int(logits[1].argmax())
  target = np.array([(int(logits[0].argmax()) + 1) % 6, best])
  others = [np.delete(row, k) for row, k in zip(logits, target, strict=True)]
  margins = [
    row[k] - rest.max()
    for row, k, rest in zip(logits, target, others, strict=True)
  ]
  enough = margins[1] / 2
  settings = {'enough': enough, 'rate': 0.01, 'chunk': 1}
  (end,) = synthesis.fool(tiny, x, target, steps=1, **settings)
  np.testing.assert_allclose(end.scores, [[margins[0], enough]], rtol=1e-3)

  def ahead(x):
    logits = tiny(x)[0]
    return logits[target[0]] - jnp.delete(logits, target[0]).max()

  g = jax.grad(ahead)(x[0])
  np.testing.assert_allclose(
    end.image[0], x[0] + 0.01 * g / jnp.abs(g).mean(), atol=1e-4
  )
  np.testing.assert_array_equal(end.image[1], x[1])
  # The second alone has enough at the first look.
  (only,) = synthesis.fool(tiny, x[1], best, steps=9, **settings)
  assert only.step == 1


def test_fooling_names_a_class_that_is_not_there(minivgg, images):
  with pytest.raises(ValueError, match='target: got 99, expected 0 to 15'):
    synthesis.fool(minivgg, images, 99)


def test_a_dream_says_which_image_is_not_finite(tiny):
  wish = score(tiny, layer_energy('relu2'))
  x = np.full((3, 32, 40, 3), 0.5, np.float32)
  x[1, 3, 4] = np.nan
  message = r'not finite at step 0 of the images \(1,\) of the batch, in 32x40'
  with pytest.raises(ValueError, match=message):
    list(synthesis.dream(wish, x, jax.random.key(0), octaves=1, steps=2))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'steps': 2.0}, 'steps: got 2.0, expected a whole number'),
    ({'rate': -1.0}, 'rate: got -1.0, expected at least 0'),
    ({'rate': float('nan')}, 'rate: got nan, expected finite'),
    ({'jitter': -1}, 'pixels: got -1, expected at least 0'),
    ({'octaves': 1.0}, 'octaves: got 1.0'),
    ({'scale': float('inf')}, 'scale: got inf'),
    ({'x': np.zeros((32, 32, 3), np.uint8)}, 'x: got uint8, expected float32'),
    ({'x': np.full((32, 32, 3), 255.0)}, 'x: got values from 0 to 255'),
  ],
)
def test_bad_dreams_are_named(change, message, tiny):
  settings = {'x': np.full((32, 32, 3), 0.5, np.float32), 'octaves': 1} | change
  x = settings.pop('x')
  with pytest.raises(ValueError, match=message):
    synthesis.dream(
      score(tiny, layer_energy('relu2')), x, jax.random.key(0), **settings
    )


@pytest.mark.parametrize('side', [20, 24])
def test_tiles_dream_as_much_in_the_middle_as_at_the_corners(tiny, side):
  wish = score(tiny, layer_energy('relu2'))
  noise = np.random.default_rng(0).uniform(size=(256, 30, 40, 3))

  def centre_by_corners(wish):
    *_, end = synthesis.dream(
      wish,
      noise.astype(np.float32),
      jax.random.key(0),
      octaves=1,
      steps=3,
      rate=0.01,
      jitter=20,
    )
    change = np.abs(np.asarray(end) - noise).mean((0, -1))
    corners = [change[r, c] for r in (_FIRST, _LAST) for c in (_FIRST, _LAST)]
    return change[10:20, 13:27].mean() / np.mean(corners)

  whole, tiled = (
    centre_by_corners(wish),
    centre_by_corners(synthesis.mean_over_tiles(wish, side)),
  )
  assert abs(tiled / whole - 1) < 0.1


_FIRST, _LAST = slice(0, 8), slice(-8, None)


def test_a_gradient_of_tiles_is_the_mean_over_those_that_cover(tiny):
  x = jax.random.uniform(jax.random.key(1), (24, 30, 3))
  wish = score(tiny, layer_energy('relu2'))
  want, covers = np.zeros((24, 30, 3)), np.zeros((24, 30, 1))
  for row in (0, 8):
    for column in (0, 14):
      place = slice(row, row + 16), slice(column, column + 16)
      want[place] += np.asarray(jax.grad(wish)(x[place]))
      covers[place] += 1
  got = jax.grad(synthesis.mean_over_tiles(wish, 16))(x)
  np.testing.assert_allclose(got, want / covers / 4, atol=1e-6)


def test_the_papers_error_is_by_pairs_of_images(tiny):
  x = jax.random.uniform(jax.random.key(2), (3, 16, 16, 3))
  a = np.asarray(tiny(x)[1]['relu2'], np.float64).reshape(3, -1)
  norm = np.linalg.norm
  pairs = [norm(a[i] - a[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
  scale = synthesis.pair_distance(tiny, 'relu2', x)
  np.testing.assert_allclose(scale, np.mean(pairs), rtol=1e-5)
  got = synthesis.normalised_error(tiny, 'relu2', x[:1], x[1:2], scale=scale)
  np.testing.assert_allclose(got, pairs[0] / np.mean(pairs), rtol=1e-5)
  with pytest.raises(ValueError, match='images: got shape'):
    synthesis.pair_distance(tiny, 'relu2', x[:1])


def test_an_optimizer_takes_the_steps_of_a_dream(tiny):
  x = np.random.default_rng(3).uniform(size=(40, 40, 3)).astype(np.float32)
  wish = score(tiny, layer_energy('relu2'))

  def end(**settings):
    *_, image = synthesis.dream(
      wish, x, jax.random.key(0), octaves=1, steps=3, **settings
    )
    return np.asarray(image)

  np.testing.assert_array_equal(end(optimizer=synthesis.ascent(0.006)), end())
  laplacian = end(optimizer=synthesis.ascent(0.006, levels=3))

  def share_of_low(image):
    change = image - x
    low = np.asarray(resize(resize(change, (10, 10)), (40, 40)))
    return (low**2).sum() / (change**2).sum()

  assert share_of_low(laplacian) > 1.5 * share_of_low(end())
