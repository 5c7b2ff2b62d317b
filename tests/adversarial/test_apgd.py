"""Auto-PGD against a slow statement of the paper's algorithm 1 in NumPy."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import adversarial
from vizlab.adversarial.apgd import checkpoints
from vizlab.adversarial.balls import random_start

KEY = jax.random.key(2)
EPSILON = 0.2
STEPS = 40


def rough(x, xp):
  """A score with many maxima, one number per image; always below 0."""
  away = x - 0.6
  waves = xp.sin(37 * x + 5 * x[..., ::-1, :])
  return (-3 * away * away + 0.2 * waves).sum((-3, -2, -1)) - 30


def project(x, start, norm):
  away = x - start
  if norm == 'linf':
    away = np.clip(away, -EPSILON, EPSILON)
  else:
    away = away * min(1, EPSILON / max(np.sqrt((away**2).sum()), 1e-30))
  return np.clip(start + away, 0, 1)


def auto_pgd(x0, start, norm, marks):
  """Visited images and halvings of one image, by algorithm 1."""
  slope = jax.grad(lambda x: rough(x, jnp))

  def step_of(x):
    g = np.asarray(slope(jnp.asarray(x)))
    return np.sign(g) if norm == 'linf' else g / np.sqrt((g**2).sum())

  x, previous, rate = start, start, 2 * EPSILON
  top, top_loss = x, rough(x, np)
  visited, halvings = [x], []
  raised, marked, halved, last = 0, top_loss, False, 0
  for k in range(1, STEPS + 1):
    straight = project(x + rate * step_of(x), x0, norm)
    share = 1.0 if k == 1 else 0.75
    moved = x + share * (straight - x) + (1 - share) * (x - previous)
    moved = project(moved, x0, norm)
    raised += rough(moved, np) > rough(x, np)
    x, previous = moved, x
    visited.append(x)
    if rough(x, np) > top_loss:
      top, top_loss = x, rough(x, np)
    if k in marks:
      few = raised < 0.75 * (k - last)
      stuck = not halved and top_loss <= marked
      halved = few or stuck
      if halved:
        rate, x, previous = rate / 2, top, top
        halvings.append(k)
      raised, marked, last = 0, top_loss, k
  return visited, halvings


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_the_best_image_is_that_of_the_paper(norm):
  with jax.enable_x64(True):
    x = jax.random.uniform(jax.random.key(1), (6, 3, 4, 3), jnp.float64)
    start = random_start(x, jax.random.fold_in(KEY, 0), EPSILON, norm)
    found = adversarial.apgd(
      lambda x: rough(x, jnp), x, KEY, epsilon=EPSILON, norm=norm, steps=STEPS
    )
    marks = checkpoints(STEPS)
    halved = []
    for i in range(len(x)):
      visited, halvings = auto_pgd(
        np.asarray(x[i]), np.asarray(start[i]), norm, marks
      )
      halved += halvings
      losses = [rough(v, np) for v in [np.asarray(x[i]), *visited]]
      best = [np.asarray(x[i]), *visited][int(np.argmax(losses))]
      np.testing.assert_allclose(found.raw[i], best, atol=1e-6)
  assert len(set(halved)) >= 3  # at different checkpoints
  assert len(halved) < len(marks) * len(x)  # and not at each
  assert (found.queries == STEPS + 1 + 2).all()


def test_each_start_has_its_queries():
  x = jax.random.uniform(jax.random.key(1), (2, 3, 4, 3))
  found = adversarial.apgd(
    lambda x: rough(x, jnp), x, KEY, epsilon=EPSILON, steps=5, restarts=3
  )
  assert (found.queries == 2 + 3 * (5 + 1)).all()


# The papers' settings, which are the defaults.
DEFAULTS = {
  'apgd': {'steps': 100, 'restarts': 1, 'norm': 'linf'},
  'ascend': {'steps': 7},
  'carlini_wagner': {'searches': 6, 'confidence': 0.0},
  'certified_radius': {'alpha': 0.001},
  'deepfool': {'steps': 50, 'candidates': 10, 'overshoot': 0.02, 'norm': 'l2'},
  'fmn': {'steps': 100, 'shrink': 0.05, 'rate': 1.0},
  'madry_loss': {'steps': 7, 'norm': 'linf'},
  'pgd': {'steps': 40, 'restarts': 1, 'random_start': True, 'momentum': 0.0},
  'square': {'share': 0.8},
  'trades_loss': {'beta': 6.0, 'steps': 7},
}


@pytest.mark.parametrize('name', DEFAULTS)
def test_defaults_are_those_of_the_papers(name):
  settings = inspect.signature(getattr(adversarial, name)).parameters
  given = {key: settings[key].default for key in DEFAULTS[name]}
  assert given == DEFAULTS[name]
