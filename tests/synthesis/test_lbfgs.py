import jax
import jax.numpy as jnp
import numpy as np
import optax

from vizlab import optimize, synthesis
from vizlab.image import filters

KEY = jax.random.key(0)
SHAPE = (4, 5, 3)


def run(score, start, optimizer, steps):
  progress = optimize.run(
    score,
    synthesis.pixels(start),
    KEY,
    steps=steps,
    chunk=steps,
    optimizer=optimizer,
  )
  return optimize.final(progress)


def bowl(x):
  """Steep in some directions and flat in others."""
  steep = jnp.linspace(0.1, 10, 60).reshape(SHAPE)
  return -jnp.einsum('hwc,...hwc->...', steep, jnp.square(x - 0.3))


def test_in_a_bowl_it_is_plain_lbfgs_after_a_first_step():
  """Where no step is too long and the slope always grows."""
  start = jax.random.uniform(KEY, SHAPE)
  ours = run(bowl, start, synthesis.lbfgs(1e-3, 1e3, memory=5), 25)
  chain = optax.chain(optax.scale_by_lbfgs(memory_size=5), optax.scale(-1.0))
  state, x = chain.init(start), start
  for i in range(25):
    g = jax.grad(lambda x: -bowl(x))(x)
    updates, state = chain.update(g, state, x)
    if i == 0:
      updates = updates * 1e-3 / jnp.sqrt(jnp.square(updates).mean())
    x = x + updates
  np.testing.assert_allclose(ours.image, x, atol=1e-4)
  assert ours.scores[-1] > -1e-3


def test_steps_have_their_lengths():
  start = jnp.full(SHAPE, 0.5)
  optimizer = synthesis.lbfgs(0.02, 0.03)
  moves, before = [], start
  for now in optimize.run(
    lambda x: x.sum(),
    synthesis.pixels(start),
    KEY,
    steps=4,
    chunk=1,
    optimizer=optimizer,
  ):
    moves.append(jnp.sqrt(jnp.square(now.image - before).mean()))
    before = now.image
  np.testing.assert_allclose(moves[0], 0.02, rtol=1e-3)
  assert max(moves[1:]) < 0.03 * 1.001


def test_it_leaves_a_hilltop_that_draws_plain_lbfgs():
  """Where the slope shrinks along a step, plain L-BFGS turns uphill."""
  start = jnp.full(SHAPE, 0.1)  # near a hilltop of the loss, at 0

  def score(x):
    return -jnp.cos(2 * x).sum((-3, -2, -1))

  ours = run(score, start, synthesis.lbfgs(0.01), 60)
  assert ours.scores[-1] > 59.0, 'the valleys, of 60'
  plain = optax.lbfgs(1.0, memory_size=20, linesearch=None)
  assert run(score, start, plain, 60).scores[-1] < 0, 'or no need for ours'


def test_images_of_a_batch_are_independent():
  starts = jax.random.uniform(KEY, (3, *SHAPE))
  together = run(bowl, starts, synthesis.lbfgs(), 12)
  for i in range(3):
    alone = run(bowl, starts[i], synthesis.lbfgs(), 12)
    np.testing.assert_allclose(together.image[i], alone.image, atol=1e-4)


def test_no_slope_is_no_step():
  start = jnp.full(SHAPE, 0.5)
  end = run(lambda x: 0 * x.sum((-3, -2, -1)), start, synthesis.lbfgs(), 3)
  np.testing.assert_array_equal(end.image, start)


def test_smooth_is_another_choice_of_coordinates():
  """Those in which the spectrum of an image is times ``f^(smooth / 2)``."""
  start = jax.random.uniform(KEY, SHAPE)
  optimizer = synthesis.lbfgs(1e-3, 1e3, memory=5, smooth=0.5)
  ours = run(bowl, start, optimizer, 20)
  chain = optax.chain(optax.scale_by_lbfgs(memory_size=5), optax.scale(-1.0))
  z = filters.tilt(start, 0.25)
  state = chain.init(z)
  for i in range(20):
    g = jax.grad(lambda z: -bowl(filters.tilt(z, -0.25)))(z)
    updates, state = chain.update(g, state, z)
    if i == 0:
      length = jnp.sqrt(jnp.square(filters.tilt(updates, -0.25)).mean())
      updates = updates * 1e-3 / length
    z = z + updates
  np.testing.assert_allclose(ours.image, filters.tilt(z, -0.25), atol=1e-4)


def by_hand(slope, x, steps, *, first, most, memory=3, least=0.01):
  """The two loops of Liu & Nocedal, with damped changes and held lengths."""
  x = np.asarray(x, np.float64)
  pairs, last, found, damped = [], None, [], 0
  for step in range(steps):
    g = slope(x)
    if last is not None:
      s, y = x - last[0], g - last[1]
      sizes = np.linalg.norm(s) * np.linalg.norm(y)
      cosine = (s * y).sum() / sizes
      if cosine < least:
        keep = (1 - least) / (1 - cosine)
        y = keep * y + (1 - keep) * np.linalg.norm(y) / np.linalg.norm(s) * s
        damped += 1
      pairs = [*pairs, (s, y)][-memory:]
    way, steep = g, []
    for s, y in pairs[::-1]:
      steep.append((s * way).sum() / (s * y).sum())
      way = way - steep[-1] * y
    if pairs:
      s, y = pairs[-1]
      way = way * (s * y).sum() / (y * y).sum()
    for (s, y), a in zip(pairs, steep[::-1], strict=True):
      way = way + s * (a - (y * way).sum() / (s * y).sum())
    length = np.sqrt(np.square(way).mean())
    share = min(1, most / length) if step else first / length
    last, x = (x, g), x - share * way
    found.append(x)
  return found, damped


def test_where_the_slope_shrinks_steps_are_as_by_hand():
  """Across a hilltop of the loss and into its valley."""
  start = jax.random.uniform(KEY, SHAPE, minval=-0.1, maxval=0.1)
  wave = np.asarray(jax.random.uniform(jax.random.key(1), SHAPE, maxval=3)) + 1

  def score(x):
    return -jnp.cos(wave * x).sum((-3, -2, -1))

  optimizer = synthesis.lbfgs(0.02, 0.3, memory=3)
  found = [
    now.image
    for now in optimize.run(
      score,
      synthesis.pixels(start),
      KEY,
      steps=12,
      chunk=1,
      optimizer=optimizer,
    )
  ]
  expected, damped = by_hand(
    lambda x: -wave * np.sin(wave * x), start, 12, first=0.02, most=0.3
  )
  np.testing.assert_allclose(found, expected, atol=2e-4)
  moved = np.diff([start, *expected], axis=0)
  lengths = np.sqrt(np.square(moved).mean((1, 2, 3)))
  assert damped == 3
  assert (lengths[1:] > 0.2999).any() and (lengths[1:] < 0.29).any()
