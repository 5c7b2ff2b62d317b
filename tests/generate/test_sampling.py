import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import generate

KEY = jax.random.key(0)


def quadratic(h):
  return -jnp.square(h - 1.0).sum(-1) / 2


def half(h):
  return h / 2


def test_without_noise_it_is_the_recursion():
  h = np.array([[3.0, -1.0], [0.5, 2.0]], np.float32)
  found = jax.jit(
    lambda h: generate.sample(
      quadratic, half, h, KEY, steps=6, prior=0.3, condition=0.2, noise=0.0,
      keep_every=2,
    )
  )(h)  # fmt: skip
  kept = []
  for step in range(1, 7):
    h = h + 0.3 * (h / 2 - h) + 0.2 * (1.0 - h)
    if step % 2 == 0:
      kept.append(h)
  np.testing.assert_allclose(found.codes, np.stack(kept), rtol=1e-5)
  wanted = [-np.square(h - 1).sum(-1) / 2 for h in kept]
  np.testing.assert_allclose(found.scores, np.stack(wanted), rtol=1e-4)


def test_samples_have_the_moments_of_the_density():
  """A Langevin step of size e samples exp(log p) if the noise is sqrt(2 e)."""
  size = 0.05
  found = generate.sample(
    quadratic, lambda h: h, jnp.zeros((512, 2)), KEY,
    steps=400, prior=0.0, condition=size, noise=(2 * size) ** 0.5,
    keep_every=200,
  )  # fmt: skip
  last = np.asarray(found.codes[-1])
  assert abs(last.mean() - 1) < 0.1
  # The discrete chain is wider: 1 / (1 - size / 2).
  assert abs(last.var() - 1 / (1 - size / 2)) < 0.12


def test_the_autoencoder_draws_to_what_it_knows():
  found = generate.sample(
    lambda h: 0 * h.sum(-1), lambda h: 0 * h + 2, jnp.zeros((1, 3)), KEY,
    steps=80, prior=0.1, condition=1.0, noise=0.0,
  )  # fmt: skip
  assert found.codes.shape == (80, 1, 3)
  np.testing.assert_allclose(found.codes[-1], 2, atol=1e-2)


def test_codes_are_clipped():
  found = generate.sample(
    lambda h: h.sum(-1), lambda h: h, jnp.zeros((4, 3)), KEY,
    steps=5, condition=9.0, noise=1.0, bound=np.array([1.0, 2.0, 0.0]),
  )  # fmt: skip
  np.testing.assert_array_equal(
    found.codes[-1], np.broadcast_to([1.0, 2.0, 0.0], (4, 3))
  )


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'steps': 0}, 'steps: got 0'),
    ({'keep_every': 3}, 'keep_every: got 3, expected a divisor of the 4 steps'),
    ({'prior': -1.0}, 'prior: got -1.0'),
    ({'condition': np.nan}, 'condition: got nan'),
    ({'noise': -1.0}, 'noise: got -1.0'),
  ],
)
def test_wrong_arguments_are_named(change, message):
  with pytest.raises(ValueError, match=message):
    generate.sample(
      quadratic, half, jnp.zeros((1, 2)), KEY, **{'steps': 4, **change}
    )
