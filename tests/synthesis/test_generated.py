import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from vizlab import optimize, synthesis

KEY = jax.random.key(0)


def paint(colour, code, edits=None):
  return None, {'picture': code * colour}


COLOUR = jnp.array([1.0, 0.5, 2.0]).reshape(1, 1, 1, 3)


def test_the_code_is_between_zero_and_the_bound():
  bound = np.array([0.5, 2.0, 0.0], np.float32)
  image = synthesis.generated(
    Partial(paint, COLOUR), (2, 4, 5, 3), bound=bound, layer='picture'
  )
  z = 30 * jax.random.normal(KEY, (2, 4, 5, 3))
  code = np.asarray(image.code(z))
  np.testing.assert_allclose(code, bound / (1 + np.exp(-z)), atol=1e-6)
  wanted = np.clip(code * np.asarray(COLOUR), 0, 1)
  np.testing.assert_allclose(image.decode(z), wanted, atol=1e-6)


@pytest.mark.parametrize('start', [0.0, 0.3, 1.0])
def test_it_starts_at_the_code(start):
  image = synthesis.generated(
    Partial(paint, COLOUR), (2, 4, 5, 3), bound=1.0, start=start, noise=0.0
  )
  code = image.code(image.init(KEY))
  np.testing.assert_allclose(code, np.full((2, 4, 5, 3), start), atol=2e-3)


def test_codes_start_apart():
  image = synthesis.generated(
    Partial(paint, COLOUR), (3, 8, 8, 1), bound=1.0, start=0.5, noise=0.5
  )
  z = np.asarray(image.init(KEY))
  np.testing.assert_allclose(z.std(), 0.5, rtol=0.15)
  assert np.abs(z[0] - z[1]).min() > 0


def test_the_best_code_is_found():
  wanted = jax.random.uniform(KEY, (2, 4, 4, 3), minval=0.1, maxval=0.4)
  image = synthesis.generated(
    Partial(paint, COLOUR), (2, 4, 4, 3), bound=1.0, layer='picture'
  )

  def near(x):
    return -jnp.square(x - wanted).sum((-3, -2, -1))

  last = optimize.final(
    optimize.run(
      near, image, KEY, steps=200, chunk=200, optimizer=optimize.adam(0.1)
    )
  )
  np.testing.assert_allclose(last.image, wanted, atol=0.01)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'bound': -1.0}, 'bound: got -1.0, expected at least 0'),
    ({'start': np.nan}, 'start: got nan'),
    ({'noise': -0.1}, 'noise: got -0.1'),
  ],
)
def test_wrong_arguments_are_named(change, message):
  with pytest.raises(ValueError, match=message):
    synthesis.generated(
      Partial(paint, COLOUR), (1, 4, 4, 1), **{'bound': 1.0, **change}
    )


def test_a_function_must_be_a_pytree():
  with pytest.raises(ValueError, match='net: got the function paint, expected'):
    synthesis.generated(paint, (1, 4, 4, 1), bound=1.0)
  with pytest.raises(ValueError, match=r'bound: got shape \(3,\), expected'):
    synthesis.generated(Partial(paint, COLOUR), (1, 4, 4, 2), bound=np.ones(3))


def test_an_unknown_layer_is_named():
  image = synthesis.generated(Partial(paint, COLOUR), (1, 4, 4, 1), bound=1.0)
  with pytest.raises(ValueError, match="layer: got 'image'.*'picture'"):
    image.decode(image.init(KEY))
