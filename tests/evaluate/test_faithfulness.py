import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import attribution, evaluate

KEY = jax.random.key(4)


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (3, 8, 6, 3))


def test_the_gradient_of_a_linear_score_is_faithful(x):
  weight = jax.random.normal(KEY, (8, 6, 3))

  def fn(x):
    return jnp.einsum('...hwc,hwc->...', x, weight, precision='highest')

  truth = jnp.broadcast_to(weight, x.shape)
  for a in (truth, -5 * truth):
    got = evaluate.infidelity(fn, x, a, KEY)
    np.testing.assert_allclose(got, 0, atol=1e-4)
  unscaled = evaluate.infidelity(fn, x, 3 * truth, KEY, scale=False)
  nothing = evaluate.infidelity(fn, x, 0 * truth, KEY, scale=False)
  np.testing.assert_allclose(unscaled, 4 * nothing, rtol=1e-3)
  np.testing.assert_allclose(  # E (sigma n . w)^2
    evaluate.infidelity(fn, x, 0 * truth, KEY, samples=2048),
    0.04 * float((weight**2).sum()),
    rtol=0.2,
  )


@pytest.mark.parametrize('chunk', [1, 7, 100])
@pytest.mark.parametrize('scale', [True, False])
def test_infidelity_is_the_loop(chunk, scale, x):
  def fn(x):
    return jnp.sin(3 * x).sum((-3, -2, -1))

  a = jax.random.normal(KEY, x.shape[:-1])
  got = evaluate.infidelity(
    fn, x, a, KEY, samples=5, sigma=0.3, scale=scale, chunk=chunk
  )
  told, happened = [], []
  for i in range(5):
    change = 0.3 * jax.random.normal(jax.random.fold_in(KEY, i), x.shape[1:])
    change = np.asarray(change)
    told.append((change * np.asarray(a)[..., None]).sum((1, 2, 3)))
    happened.append(np.asarray(fn(x)) - np.asarray(fn(np.asarray(x) - change)))
  told, happened = np.stack(told), np.stack(happened)
  b = (told * happened).mean(0) / (told**2).mean(0) if scale else 1
  expected = ((b * told - happened) ** 2).mean(0)
  np.testing.assert_allclose(got, expected, rtol=1e-3)


def test_max_sensitivity_is_the_loop(x):
  def cubes(x):
    return (x**3).sum((-3, -2, -1))

  def explain(x):
    return attribution.gradient(cubes, x)

  got = jax.jit(
    lambda x: evaluate.max_sensitivity(explain, x, KEY, radius=0.1, samples=4)
  )(x)
  found = []
  for i in range(4):
    change = np.asarray(
      jax.random.uniform(
        jax.random.fold_in(KEY, i), x.shape[1:], minval=-0.1, maxval=0.1
      )
    )
    moved = 3 * (np.asarray(x) + change) ** 2 - 3 * np.asarray(x) ** 2
    found.append(
      np.linalg.norm(moved.reshape(3, -1), axis=1)
      / np.linalg.norm(3 * np.asarray(x).reshape(3, -1) ** 2, axis=1)
    )
  np.testing.assert_allclose(got, np.max(found, 0), rtol=1e-4)
  steady = evaluate.max_sensitivity(lambda x: jnp.ones(x.shape[:-1]), x, KEY)
  np.testing.assert_array_equal(steady, 0)


def test_sparseness_of_known_maps():
  one = jnp.zeros((4, 5)).at[2, 3].set(-7.0)
  assert abs(float(evaluate.sparseness(one)) - (1 - 1 / 20)) < 1e-6
  for flat in (jnp.ones((4, 5)), jnp.zeros((4, 5))):
    assert float(evaluate.sparseness(flat)) == 0
  a = np.abs(np.random.default_rng(0).normal(size=(2, 4, 5)))
  pairs = np.abs(a.reshape(2, -1, 1) - a.reshape(2, 1, -1)).sum((1, 2))
  gini = pairs / (2 * 20 * a.reshape(2, -1).sum(1))
  np.testing.assert_allclose(evaluate.sparseness(jnp.asarray(a)), gini, 1e-4)


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (
      lambda x: evaluate.infidelity(jnp.sum, x, x[..., :2], KEY),
      'attribution: got shape',
    ),
    (
      lambda x: evaluate.max_sensitivity(jnp.abs, x, KEY, radius=0.0),
      'radius, samples: got 0.0, 10',
    ),
    (lambda x: evaluate.sparseness(jnp.ones(3)), 'attribution: got shape'),
  ],
)
def test_wrong_settings_are_named(call, message, x):
  with pytest.raises(ValueError, match=message):
    call(x)
