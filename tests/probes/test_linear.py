"""Linear probes: scikit-learn's regression, the space of images, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vizlab import probes


def task(seed, n, f, k):
  """Features of other scales and means, and noisy labels."""
  r = np.random.default_rng(seed)
  x = r.normal(size=(n, f)) * r.uniform(0.1, 3, f) + r.normal(size=f)
  y = (x @ r.normal(size=(f, k)) + r.normal(size=(n, k))).argmax(1)
  return x.astype(np.float32), y.astype(np.int32)


@pytest.mark.parametrize(('n', 'f'), [(90, 7), (30, 50)])
@pytest.mark.parametrize('decay', [1e-2, 1.0])
def test_it_is_the_regression_of_scikit_learn(n, f, decay):
  x, y = task(0, n, f, 4)
  probe = probes.linear_probe(x, y, 4, decay=decay)
  z = (x - x.mean(0)) / x.std(0)
  model = LogisticRegression(C=1 / (decay * n), tol=1e-6, max_iter=2000)
  expected = model.fit(z, y).predict_proba(z)
  found = jax.nn.softmax(probes.probe_logits(probe, x))
  np.testing.assert_allclose(found, expected, atol=2e-3)


def test_more_features_than_images_give_the_same_minimum():
  x, y = task(1, 40, 6, 3)
  # The same standardised features, and constant ones beside them.
  wide = np.concatenate([x, np.full((40, 60), 2.0, np.float32)], 1)
  narrow = probes.linear_probe(x, y, 3, decay=0.1)
  probe = probes.linear_probe(wide, y, 3, decay=0.1)
  np.testing.assert_allclose(
    probes.probe_logits(probe, wide),
    probes.probe_logits(narrow, x),
    atol=2e-3,
  )
  np.testing.assert_array_equal(probe.weights[6:], 0)


def test_several_decays_are_several_probes():
  x, y = task(3, 60, 5, 3)
  decays = jnp.array([0.01, 0.5])
  several = probes.linear_probe(x, y, 3, decay=decays)
  assert several.weights.shape == (2, 5, 3) and several.bias.shape == (2, 3)
  logits = probes.probe_logits(several, x)
  assert logits.shape == (2, 60, 3)
  for i, decay in enumerate((0.01, 0.5)):
    one = probes.linear_probe(x, y, 3, decay=decay)
    np.testing.assert_allclose(
      probes.probe_logits(one, x), logits[i], atol=2e-3
    )
  norms = jnp.square(several.weights).sum((1, 2))
  assert norms[1] < norms[0]


def test_the_best_on_other_images_is_selected():
  r = np.random.default_rng(4)
  x = r.normal(size=(20, 40)).astype(np.float32)
  y = (x[:, 0] > 0).astype(np.int32)
  held = r.normal(size=(400, 40)).astype(np.float32)
  truth = (held[:, 0] > 0).astype(np.int32)
  decays = jnp.array([1e-5, 0.3, 100.0])

  def loss(probe):
    logits = probes.probe_logits(probe, held)
    return -jax.nn.log_softmax(logits)[np.arange(400), truth].mean()

  losses = [loss(probes.linear_probe(x, y, 2, decay=d)) for d in decays]
  probe, decay = probes.best_linear_probe(x, y, held, truth, 2, decays=decays)
  assert decay == decays[int(np.argmin(losses))] == np.float32(0.3)
  np.testing.assert_allclose(loss(probe), min(losses), rtol=1e-3)


def test_maps_are_flattened_and_dtypes_kept():
  x, y = task(5, 24, 12, 2)
  maps = x.reshape(24, 2, 2, 3)
  one, other = (probes.linear_probe(each, y, 2) for each in (x, maps))
  np.testing.assert_array_equal(one.weights, other.weights)
  assert probes.probe_logits(other, maps).dtype == jnp.float32


def test_it_ends_after_so_many_steps():
  x, y = task(6, 50, 5, 3)
  few, many = (probes.linear_probe(x, y, 3, steps=n) for n in (1, 300))

  def objective(probe):
    z = probes.probe_logits(probe, x)
    ce = -jax.nn.log_softmax(z)[np.arange(50), y].mean()
    return ce + 5e-4 * jnp.square(probe.weights * x.std(0)[:, None]).sum()

  assert objective(many) < objective(few)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16', 'int32'])
@pytest.mark.parametrize('f', [4, 60])
def test_other_numbers_are_fitted_in_float32(dtype, f):
  x, y = task(7, 30, f, 3)
  x = jnp.asarray(10 * x).astype(dtype)
  one = probes.linear_probe(x, y, 3, decay=0.1)
  other = probes.linear_probe(x.astype(jnp.float32), y, 3, decay=0.1)
  np.testing.assert_array_equal(one.weights, other.weights)
  assert one.weights.dtype == probes.probe_logits(one, x).dtype == jnp.float32


def test_features_of_one_image_say_nothing():
  x, y = np.full((4, 3), 0.1, np.float32), np.array([0, 1, 1, 1])
  probe = probes.linear_probe(x, y, 2)
  np.testing.assert_array_equal(probe.weights, 0)
  p = jax.nn.softmax(probes.probe_logits(probe, x))
  np.testing.assert_allclose(p, [[0.25, 0.75]] * 4, atol=1e-3)


def test_float32_stays_float32_with_x64():
  x, y = task(10, 20, 3, 2)
  with jax.enable_x64(True):
    probe = probes.linear_probe(x, y, 2)
    assert probe.weights.dtype == probe.bias.dtype == jnp.float32
    double = probes.linear_probe(x.astype(np.float64), y, 2)
  assert double.weights.dtype == jnp.float64
  np.testing.assert_allclose(probe.weights, double.weights, atol=2e-3)


def test_traces_of_features_are_not_enlarged():
  x, y = task(8, 40, 10, 2)
  traces = np.zeros((40, 6), np.float32)
  traces[0] = 1e-6
  probe = probes.linear_probe(np.concatenate([x, traces], 1), y, 2, decay=0.1)
  assert jnp.abs(probe.weights[10:]).max() < 1
  alone = probes.linear_probe(x, y, 2, decay=0.1)
  np.testing.assert_allclose(probe.weights[:10], alone.weights, atol=1e-2)


def test_the_order_of_decays_does_not_matter():
  x, y = task(9, 30, 4, 2)
  held = x.copy()
  for decays in ([0.1, 1.0], [1.0, 0.1]):
    probe, decay = probes.best_linear_probe(
      x, y, held, y, 2, decays=jnp.array(decays)
    )
    assert jnp.isfinite(probe.weights).all() and decay == np.float32(0.1)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'labels': np.array([0, 1])}, r'labels: got int32 \(2,\) for features'),
    ({'labels': np.zeros(3)}, r'labels: got float'),
    ({'labels': np.array([0, 1, 2])}, 'labels: got 0 to 2, expected 0 to 1'),
    ({'labels': np.array([-1, 1, 0])}, 'labels: got -1 to 1, expected 0 to 1'),
    ({'labels': np.array([0, 1, 5])}, 'expected 0 to 1 for 2 classes'),
    ({'decay': 0.0}, 'decay: got 0.0, expected a finite number above 0'),
    ({'decay': np.inf}, 'decay: got inf, expected a finite number'),
    ({'decay': np.ones((2, 2))}, 'decay: got '),
    ({'steps': 0}, 'steps: got 0'),
  ],
)
def test_wrong_arguments_are_named(change, message):
  arguments = {'labels': np.array([0, 1, 1]), 'classes': 2, **change}
  with pytest.raises(ValueError, match=message):
    probes.linear_probe(np.eye(3, dtype=np.float32), **arguments)


def test_wrong_held_images_are_named():
  x, y = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
  with pytest.raises(ValueError, match='held_labels: got 0 to 2, expected'):
    probes.best_linear_probe(x, y, x, np.arange(3), 2, decays=[0.1])
  with pytest.raises(ValueError, match=r'decays: got shape \(\), expected'):
    probes.best_linear_probe(x, y, x, y, 2, decays=0.1)
  with pytest.raises(ValueError, match='features: got NaN or infinite'):
    probes.linear_probe(np.full_like(x, np.inf), y, 2)
  probe = probes.linear_probe(x, y, 2)
  with pytest.raises(ValueError, match='features: got 2 per image, expected'):
    probes.probe_logits(probe, x[:, :2])


def test_features_that_hardly_vary_are_not_enlarged():
  """One that tells the labels, in ten thousandths of what is typical."""
  random = np.random.default_rng(8)
  labels = random.permutation(np.arange(60) % 2)
  noise = 100 * random.normal(size=(60, 4))
  faint = 0.01 * (2.0 * labels[:, None] - 1)
  x = np.concatenate([noise, faint], 1).astype(np.float32)
  probe = probes.linear_probe(
    jnp.asarray(x), jnp.asarray(labels), 2, decay=0.01
  )
  apart = 0.02 * (probe.weights[-1, 1] - probe.weights[-1, 0])
  assert 0 < apart < 0.1
