"""Images from coarse to fine."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import optimize, synthesis

KEY = jax.random.key(2)
SIZES = [(4, 6), (8, 12)]


def towards(value, steps=6, chunk=4):
  """Optimizes pixels towards a value."""

  def optimize_at(octave, size, start):
    return optimize.run(
      lambda x: -jnp.square(x - value).sum((-3, -2, -1)),
      synthesis.pixels(start),
      jax.random.fold_in(KEY, octave),
      steps=steps,
      chunk=chunk,
    )

  return optimize_at


def test_each_size_starts_from_the_image_before():
  start = jax.random.uniform(KEY, (4, 6, 3))
  found = [*synthesis.coarse_to_fine(towards(0.5), start, SIZES)]
  shapes = [progress.image.shape for progress in found]
  assert shapes == [(4, 6, 3)] * 2 + [(8, 12, 3)] * 2
  assert [progress.step for progress in found] == [4, 6, 4, 6]
  second = jax.image.resize(found[1].image, (8, 12, 3), 'cubic')
  by_hand = -np.square(np.asarray(second) - 0.5).sum()
  np.testing.assert_allclose(found[2].scores[0], by_hand, rtol=1e-5)


def test_the_start_of_the_next_size_can_be_given():
  seen = []

  def enlarge(image, size):
    seen.append((image.shape, size))
    return jnp.zeros((*size, 3))

  start = jnp.ones((4, 6, 3))
  progress = synthesis.coarse_to_fine(
    towards(0.0), start, SIZES, enlarge=enlarge
  )
  last = optimize.final(progress)
  assert seen == [((4, 6, 3), (8, 12))]
  np.testing.assert_array_equal(last.image, 0)


def test_a_batch_has_its_leading_axes():
  start = jax.random.uniform(KEY, (2, 4, 6, 3))
  last = optimize.final(synthesis.coarse_to_fine(towards(0.5), start, SIZES))
  assert last.image.shape == (2, 8, 12, 3)


@pytest.mark.parametrize('sizes', [[], [(5, 6)]])
def test_a_start_of_another_size_is_named(sizes):
  with pytest.raises(ValueError, match=r'start: got shape \(4, 6, 3\)'):
    next(synthesis.coarse_to_fine(towards(0.0), jnp.ones((4, 6, 3)), sizes))
