import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial
from tools import defaults, make_tiny

from vizlab import optimize, penalties, synthesis
from vizlab.objectives import channel, logit, score

KEY = jax.random.key(3)
SHAPE = (4, 16, 20, 3)
CHANNELS = np.array([0, 3, 5, 7])


@pytest.fixture
def wish(tiny):
  return score(tiny, channel('relu2', CHANNELS))


def sgd(rate):
  return optax.sgd(rate)


def take(wish, **settings):
  settings = {
    'image': synthesis.fourier(SHAPE),
    'steps': 12,
    'chunk': 4,
    'augment': synthesis.jitter(3),
    **settings,
  }
  return list(optimize.run(wish, key=KEY, **settings))


def same(a, b):
  jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_linear_net_moves_along_its_weights():
  weight = jax.random.normal(KEY, (4, 5, 3))

  def linear(x):
    return (x * weight).sum((-3, -2, -1))

  start = jnp.full((4, 5, 3), 0.5)
  (end,) = optimize.run(
    linear, synthesis.pixels(start), KEY, steps=6, optimizer=optax.sgd(0.1)
  )
  np.testing.assert_allclose(end.image, start + 0.6 * weight, rtol=1e-5)
  np.testing.assert_allclose(
    np.diff(end.scores), 0.1 * jnp.square(weight).sum(), rtol=1e-4
  )


def test_score_minus_penalty_has_the_known_maximum():
  weight = jax.random.normal(KEY, (2, 4, 5, 3))

  def linear(x):
    return (x * weight).sum((-3, -2, -1))

  end = optimize.final(
    optimize.run(
      linear,
      synthesis.pixels(jnp.zeros(weight.shape)),
      KEY,
      steps=100,
      optimizer=Partial(sgd, 0.2),
      penalty=2.0 * penalties.l2(0.25),
    )
  )
  # d/dx (w x - 2 (x - c)^2) = 0
  np.testing.assert_allclose(end.image, 0.25 + weight / 4, atol=1e-5)
  np.testing.assert_allclose(
    end.penalties[-1], jnp.square(weight).sum((1, 2, 3)) / 8, rtol=1e-4
  )


def test_every_step_has_a_key_of_its_own_and_so_has_the_start():
  """A factor drawn anew: the slope of step t is the draw of its key."""

  def shake(key, image):
    return image * jax.random.normal(key, ())

  *earlier, end = optimize.run(
    lambda x: x.sum((-3, -2, -1)),
    synthesis.pixels(jnp.zeros((2, 3, 3)), noise=1.0),
    KEY,
    steps=5,
    chunk=2,
    optimizer=optax.sgd(0.1),
    augment=shake,
    penalty=0.5 * penalties.l2(),
  )
  x = np.asarray(jax.random.normal(jax.random.fold_in(KEY, 2**31 - 1), (18,)))
  scores, penalty = [], []
  for i in range(5):
    draw = float(jax.random.normal(jax.random.fold_in(KEY, i), ()))
    scores.append(draw * x.sum())
    penalty.append(0.5 * np.square(x).sum())  # of the image before its change
    x = x + 0.1 * (draw - x)
  assert [now.step for now in earlier] == [2, 4] and end.step == 5
  for name, expected in (('scores', scores), ('penalties', penalty)):
    got = np.concatenate([getattr(now, name) for now in (*earlier, end)])
    np.testing.assert_allclose(got, expected, rtol=1e-4)
  np.testing.assert_allclose(end.image.ravel(), x, rtol=1e-4)


@pytest.mark.parametrize('at', [0, 2])
def test_an_image_that_has_failed_is_not_taken_up_again(at):
  """Its score is finite again afterwards, and its gradient too."""
  bad = jax.random.key_data(jax.random.fold_in(KEY, at))

  def breaks(key, image):
    broken = (jax.random.key_data(key) == bad).all()
    first = (jnp.arange(2) == 0)[:, None, None, None]
    return image * jnp.where(broken & first, jnp.nan, 1.0)

  end = optimize.final(
    optimize.run(
      lambda x: x.sum((-3, -2, -1)),
      synthesis.pixels(jnp.zeros((2, 1, 2, 3))),
      KEY,
      steps=5,
      chunk=1,
      optimizer=optax.sgd(0.1),
      augment=breaks,
    )
  )
  assert end.failed.tolist() == [at, -1] and end.step == 5
  np.testing.assert_allclose(end.image[0], 0.1 * at, rtol=1e-6)
  np.testing.assert_allclose(end.image[1], 0.5, rtol=1e-6)


def test_a_slope_that_is_not_finite_is_no_step():
  def steep(x):  # 0 at 0, where its slope is infinite
    return jnp.sqrt(jnp.abs(x)).sum((-3, -2, -1))

  start = jnp.zeros((2, 1, 1, 3)).at[1].set(0.25)
  (end,) = optimize.run(
    steep, synthesis.pixels(start), KEY, steps=1, optimizer=optax.sgd(0.1)
  )
  assert end.failed.tolist() == [0, -1]
  np.testing.assert_allclose(end.scores, [[0.0, 1.5]], rtol=1e-6)
  np.testing.assert_allclose(end.image[:, 0, 0], [[0.0] * 3, [0.35] * 3])


def test_defaults_and_the_rule_that_is_taken_without_one():
  assert defaults(optimize) == {
    'adam': {'learning_rate': 0.05},
    'run': {'steps': 512, 'draws': 1, 'chunk': 32},
  }
  (end,) = optimize.run(
    lambda x: x.sum((-3, -2, -1)),
    synthesis.pixels(jnp.zeros((1, 2, 3))),
    KEY,
    steps=2,
  )
  np.testing.assert_allclose(end.image, 0.1, rtol=1e-4)


@pytest.mark.parametrize('chunk', [1, 5, 12, 50])
def test_the_chunk_does_not_matter(wish, chunk):
  plain, other = take(wish, chunk=4)[-1], take(wish, chunk=chunk)
  same(plain.state, other[-1].state)
  scores = np.concatenate([p.scores for p in other])
  assert scores.shape == (12, 4)
  assert [p.step for p in other][-1] == 12


@pytest.mark.parametrize(
  'optimizer',
  [
    optimize.adam(0.05),
    optax.lbfgs(1.0, memory_size=3, linesearch=None),
    optax.chain(synthesis.blur_every(3), optax.sgd(0.1, momentum=0.9)),
  ],
  ids=['adam', 'lbfgs', 'momentum'],
)
def test_a_resumed_run_is_the_uninterrupted_one(wish, optimizer):
  image = synthesis.pixels(jnp.full(SHAPE, 0.5), noise=0.01)
  whole = take(wish, optimizer=optimizer, image=image)
  half = take(wish, optimizer=optimizer, image=image, steps=8)[-1]
  saved = jax.tree.map(np.asarray, half.state)
  rest = take(wish, optimizer=optimizer, image=image, state=saved)
  assert [p.step for p in rest] == [12]
  same(rest[-1].state, whole[-1].state)


@pytest.mark.parametrize(
  'optimizer',
  [
    optimize.adam(0.05),
    optax.lbfgs(1.0, memory_size=3, linesearch=None),
    optax.chain(synthesis.normalise(), optax.sgd(0.05)),
  ],
  ids=['adam', 'lbfgs', 'normalised'],
)
def test_images_of_a_batch_are_independent(tiny, optimizer):
  start = jax.random.uniform(KEY, SHAPE)

  def end(channels, start):
    wish = score(tiny, channel('relu2', channels))
    return take(wish, image=synthesis.pixels(start), optimizer=optimizer)[-1]

  batch = end(CHANNELS, start)
  for i, k in enumerate(CHANNELS):
    alone = end(k, start[i])
    np.testing.assert_allclose(batch.image[i], alone.image, atol=2e-4)
    np.testing.assert_allclose(batch.scores[:, i], alone.scores, rtol=1e-3)


def test_a_sweep_compiles_once(tiny):
  traces = []

  def end(rate, weight, k, seed):
    wish = score(make_tiny(seed), channel('relu2', np.full(4, k)))
    progress = optimize.run(
      wish,
      synthesis.fourier(SHAPE),
      jax.random.key(seed),
      steps=5 + k,
      chunk=6,
      optimizer=optimize.adam(rate),
      penalty=weight * penalties.tv(2.0),
      augment=counting,
    )
    return optimize.final(progress).image

  def counting(key, image):
    traces.append(0)
    return image

  first = end(0.05, 0.1, 0, 0)
  count = len(traces)
  others = [end(0.1, 0.1, 0, 0), end(0.05, 0.2, 1, 0), end(0.05, 0.1, 0, 1)]
  # Whether the parts fit together is looked at each time, without compiling.
  assert len(traces) - count <= 3
  for other in others:
    assert float(jnp.abs(other - first).max()) > 1e-3


def test_the_line_search_of_lbfgs_on_one_image(tiny):
  wish = score(tiny, logit(2))
  image = synthesis.pixels(jnp.full((16, 16, 3), 0.5), noise=0.01)
  penalty = 0.1 * penalties.l2(0.5)
  end = take(
    wish, image=image, optimizer=optax.lbfgs(), penalty=penalty, augment=None
  )
  worth = np.concatenate([p.scores - p.penalties for p in end])
  assert (np.diff(worth) >= -1e-6).all() and worth[-1] > worth[0] + 0.1
  with pytest.raises(ValueError, match='optimizer: a line search evaluates'):
    take(wish, image=synthesis.fourier(SHAPE), optimizer=optax.lbfgs())


@pytest.mark.parametrize('bad', [0, 3])
def test_what_is_not_finite_stops_and_the_rest_goes_on(tiny, bad):
  """One image's score becomes NaN at a step; it stays as it was."""

  def breaks(x):
    y = (x * 1.0).sum((-3, -2, -1))
    which = jnp.arange(3) == 1
    return jnp.where(which & (y > 2.0 + bad), jnp.nan, y)

  start = jnp.zeros((3, 1, 1, 3)).at[1].add(0.75)
  settings = {'optimizer': optax.sgd(1 / 3), 'steps': 9, 'chunk': 2}
  progress = list(
    optimize.run(breaks, synthesis.pixels(start), KEY, **settings)
  )
  end = progress[-1]
  failed = int(end.failed[1])
  assert failed == bad and list(end.failed[[0, 2]]) == [-1, -1]
  # The last good image is the one before the step that was not finite.
  y = float(end.image[1].sum())
  assert abs(y - (2.25 + bad)) < 1e-5
  np.testing.assert_allclose(end.image[0], 3.0, rtol=1e-5)
  assert np.isnan(
    np.concatenate([p.scores for p in progress])[failed:, 1]
  ).all()


def test_a_run_of_no_finite_image_ends(wish):
  broken = jax.tree.map(lambda a: a * jnp.nan, wish.net)
  progress = take(score(broken, wish.objective), steps=100)
  assert len(progress) == 1 and (progress[0].failed == 0).all()
  assert jnp.isfinite(progress[0].image).all()


def test_a_rule_may_hold_infinity():
  optimizer = optax.chain(
    optax.adam(0.1), optax.contrib.reduce_on_plateau(accumulation_size=4)
  )
  end = optimize.final(
    optimize.run(
      lambda x: x.sum((1, 2, 3)),
      synthesis.pixels(jnp.zeros((2, 4, 4, 3))),
      jax.random.key(0),
      steps=6,
      optimizer=optimizer,
    )
  )
  assert (end.failed < 0).all() and (end.scores[-1] > end.scores[0]).all()


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'score': channel('relu1', 0)}, 'score: got channel'),
    ({'score': 3.0}, 'score: got 3.0, expected a function'),
    ({'optimizer': 0.1}, 'optimizer: got 0.1, expected a function'),
    ({'penalty': 3.0}, 'penalty: got 3.0, expected a function'),
    ({'steps': 2.5}, 'steps: got 2.5'),
  ],
  ids=str,
)
def test_what_is_no_function_is_named(settings, message):
  settings = {'score': lambda x: x.sum((1, 2, 3)), **settings}
  image = synthesis.pixels(jnp.zeros((2, 4, 4, 3)))
  with pytest.raises(ValueError, match=message):
    optimize.run(settings.pop('score'), image, jax.random.key(0), **settings)


def test_random_steps_differ_and_a_key_repeats_them(wish):
  first = take(wish)[-1].image
  same(first, take(wish)[-1].image)
  other = optimize.final(
    optimize.run(
      wish,
      synthesis.fourier(SHAPE),
      jax.random.key(4),
      steps=12,
      augment=synthesis.jitter(3),
    )
  )
  assert float(jnp.abs(first - other.image).max()) > 0.01


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'steps': 0}, 'steps: got 0, expected a whole number of 1 or more'),
    ({'chunk': 0}, 'chunk: got 0, expected a whole'),
    ({'image': synthesis.pixels(np.ones((0, 8, 8, 3)))}, 'image: gave a batch'),
    ({'augment': lambda k, x: x.mean(0)}, 'score: gave .* expected one number'),
    ({'penalty': lambda x: x.mean()}, 'penalty: gave .* expected one number'),
  ],
)
def test_bad_settings_are_named(tiny, settings, message):
  with pytest.raises(ValueError, match=message):
    take(score(tiny, logit(1)), **settings)


def test_the_state_of_another_problem_is_refused(wish):
  state = take(wish)[-1].state
  with pytest.raises(ValueError, match='state: its shapes are not'):
    take(wish, image=synthesis.fourier((4, 16, 16, 3)), state=state)
  with pytest.raises(ValueError, match='state: its shapes are not'):
    take(wish, optimizer=optax.sgd(0.1), state=state)


def test_an_unknown_layer_and_channel_are_named_before_anything_runs(tiny):
  with pytest.raises(ValueError, match="layer: got 'relu9'"):
    optimize.run(
      score(tiny, channel('relu9', 0)), synthesis.fourier(SHAPE), KEY
    )


def test_a_channel_that_is_not_there_is_named(tiny):
  with pytest.raises(ValueError, match='channel: got 12, expected 0 to 11'):
    optimize.run(
      score(tiny, channel('relu2', 12)), synthesis.fourier(SHAPE), KEY
    )


def test_nothing_to_do_is_no_progress(wish):
  state = take(wish)[-1].state
  with pytest.raises(ValueError, match='progress: got none'):
    optimize.final(
      optimize.run(
        wish,
        synthesis.fourier(SHAPE),
        KEY,
        steps=12,
        state=state,
        augment=synthesis.jitter(3),
      )
    )
