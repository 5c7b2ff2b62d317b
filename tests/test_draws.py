"""Several draws of an augmentation at every step of the loop."""

import jax
import numpy as np
import optax
import pytest

from vizlab import optimize, synthesis
from vizlab.objectives import channel, score

KEY = jax.random.key(3)


@pytest.mark.parametrize('chunk', [1, 3])
def test_draws_are_averaged_at_every_step(chunk):
  """A linear score of shifted images, against shifts taken one by one."""
  weight = np.asarray(jax.random.normal(KEY, (5, 6, 3)))
  start = np.full((5, 6, 3), 0.5, np.float32)
  end = optimize.final(
    optimize.run(
      lambda x: (x * weight).sum((-3, -2, -1)),
      synthesis.pixels(start, noise=0.0),
      KEY,
      steps=3,
      chunk=chunk,
      optimizer=optax.sgd(0.1),
      augment=synthesis.jitter(2),
      draws=4,
    )
  )
  image, last = start, 0.0
  for step in range(3):
    now = jax.random.fold_in(KEY, step)
    keys = [now, *(jax.random.fold_in(now, 2**31 - i) for i in (1, 2, 3))]
    shifts = [np.asarray(jax.random.randint(k, (2,), -2, 3)) for k in keys]
    slopes = [np.roll(weight, -by, (0, 1)) for by in shifts]
    last = np.mean([(image * slope).sum() for slope in slopes])
    image = image + 0.1 * np.mean(slopes, 0)
  assert len({tuple(by) for by in shifts}) > 1, 'the draws differ'
  np.testing.assert_allclose(end.image, image, atol=1e-5)
  np.testing.assert_allclose(end.scores[-1], last, rtol=1e-4)


@pytest.mark.parametrize('settings', [{'draws': 0}, {'draws': 2.5}])
def test_draws_are_a_whole_number_of_an_augment(tiny, settings):
  def take(augment, draws):
    return optimize.run(
      score(tiny, channel('relu2', 3)),
      synthesis.fourier((1, 16, 20, 3)),
      KEY,
      steps=2,
      augment=augment,
      draws=draws,
    )

  with pytest.raises(ValueError, match='draws: got'):
    list(take(synthesis.jitter(3), **settings))
  with pytest.raises(ValueError, match='draws: got 2 without an augment'):
    list(take(None, 2))
