import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import optimize, synthesis
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
        rule=optimize.adam(0.03),
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
  """Two octaves of one step by hand: the detail of the first is enlarged."""
  x = jax.random.uniform(KEY, (72, 64, 3), minval=0.3, maxval=0.7)
  wish = score(tiny, channel('relu2', 3))
  first, second = synthesis.dream(
    wish, x, KEY, octaves=2, scale=2.0, steps=1, rate=0.01, jitter=0
  )
  small = jax.image.resize(x, (36, 32, 3), 'linear')
  g = jax.grad(wish)(small)
  detail = 0.01 * g / jnp.abs(g).mean()
  np.testing.assert_allclose(first, small + detail, atol=1e-5)
  start = x + jax.image.resize(detail, x.shape, 'linear')
  g = jax.grad(wish)(start)
  np.testing.assert_allclose(
    second, start + 0.01 * g / jnp.abs(g).mean(), atol=1e-4
  )


def test_a_dream_of_what_is_not_finite_is_an_error(tiny):
  x = jnp.full((40, 40, 3), 0.5)
  with pytest.raises(ValueError, match='score: was not finite at step 0'):
    list(synthesis.dream(lambda x: jnp.log(-x).sum((-3, -2, -1)), x, KEY))


def test_the_score_of_tiles_is_the_mean_of_theirs(tiny):
  x = jax.random.uniform(KEY, (16, 24, 3))
  wish = score(tiny, channel('relu2', 1))
  parts = [wish(x[i : i + 8, j : j + 8]) for i in (0, 8) for j in (0, 8, 16)]
  np.testing.assert_allclose(
    synthesis.tiled(wish, 8)(x), jnp.mean(jnp.array(parts)), rtol=1e-5
  )


@pytest.mark.parametrize('size', [7, 16, 64])
def test_tiles_cover_the_image_and_their_mean_is_the_score(tiny, x, size):
  wish = synthesis.tiled(lambda x: x.sum((-3, -2, -1)), size)
  covered = jax.grad(lambda x: wish(x).sum())(x)
  assert float(covered.min()) > 0
  whole = synthesis.tiled(score(tiny, channel('relu2', 1)), 64)
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
  assert used(synthesis.tiled(wish, 64)) < 0.3 * used(wish)


def test_zoom_enlarges_the_middle():
  ramp = jnp.linspace(0.2, 0.8, 41)[:, None, None] * jnp.ones((41, 41, 3))
  got = synthesis.zoom(ramp, 2.0)
  np.testing.assert_allclose(
    got[5:36, 20, 0], 0.5 + (jnp.arange(5, 36) - 20) * 0.6 / 80, atol=1e-4
  )
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


def test_fooling_names_a_class_that_is_not_there(minivgg, images):
  with pytest.raises(ValueError, match='target: got 99, expected 0 to 15'):
    synthesis.fool(minivgg, images, 99)
