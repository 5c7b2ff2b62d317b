import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import optimize, synthesis
from vizlab.objectives import content, grams, logit, normalised, score

KEY = jax.random.key(0)
ACTS = {
  'a': jax.random.normal(KEY, (2, 6, 5, 4)),
  'b': jax.random.normal(jax.random.key(1), (2, 3, 4, 3)),
}
TARGET = jnp.ones((6, 5, 4))
LOSS = 3.0 * content('a', TARGET) + grams(
  {'a': 5 * jnp.eye(4), 'b': 7 * jnp.eye(3)}, weights={'a': 0.5, 'b': 0.25}
)


def slopes(objective, acts=ACTS):
  return jax.grad(lambda acts: objective(None, acts).sum())(acts)


def test_values_stay():
  got = normalised(LOSS)(None, ACTS)
  np.testing.assert_allclose(got, LOSS(None, ACTS), rtol=1e-6)
  np.testing.assert_allclose(
    jax.jit(lambda o, acts: o(None, acts))(normalised(LOSS), ACTS), got, 1e-5
  )


def test_slopes_of_each_term_and_image_are_its_weight_long():
  whole = slopes(normalised(LOSS))
  plain = slopes(grams({'b': 7 * jnp.eye(3)}))['b']
  for n in range(2):
    g = np.asarray(plain[n], np.float64)
    np.testing.assert_allclose(
      whole['b'][n], 0.25 * g / np.abs(g).sum(), rtol=1e-4, atol=1e-8
    )
  style = slopes(grams({'a': 5 * jnp.eye(4)}))['a']
  parts = [
    weight * g / jnp.abs(g).sum((1, 2, 3), keepdims=True)
    for weight, g in ((3.0, ACTS['a'] - TARGET[None]), (0.5, style))
  ]
  np.testing.assert_allclose(whole['a'], sum(parts), rtol=1e-4, atol=1e-8)


def test_the_batch_of_a_vector_is_that_of_the_logits():
  vectors = {'v': jnp.array([[3.0, 1.0], [0.0, -2.0]])}
  loss = normalised(content('v', jnp.array([1.0, 0.0])))

  def total(vectors):
    return loss(jnp.zeros((2, 5)), vectors).sum()

  np.testing.assert_allclose(
    jax.grad(total)(vectors)['v'], [[2 / 3, 1 / 3], [-1 / 3, -2 / 3]], 1e-6
  )


def test_what_is_followed_lowers_the_loss(tiny):
  x = jax.random.uniform(KEY, (16, 16, 3))
  loss = content('relu2', tiny(x[::-1])[1]['relu2'])
  wish = score(tiny, -1.0 * normalised(loss))
  run = optimize.run(
    wish, synthesis.pixels(x), KEY, steps=20, optimizer=optimize.adam(0.01)
  )
  scores = optimize.final(run).scores
  assert scores[-1] > 0.5 * scores[0]


def test_no_slope_is_none_and_what_is_not_finite_stays():
  same = slopes(normalised(content('a', ACTS['a'])))['a']
  np.testing.assert_array_equal(same, 0)
  acts = {**ACTS, 'a': ACTS['a'].at[1, 2, 3, 0].set(jnp.nan)}
  got = normalised(LOSS)(None, acts)
  np.testing.assert_array_equal(jnp.isnan(got), [False, True])


def test_a_term_that_reads_no_layer_is_named():
  with pytest.raises(ValueError, match='term: got logit.*, expected'):
    normalised(logit(0) + content('a', TARGET))
