import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.image import statistics
from vizlab.objectives import (
  content,
  covariances,
  features,
  grams,
  moments,
  wasserstein,
)

KEY = jax.random.key(0)
ONE = jnp.array([[3.0, 2.0]])
KINDS = {
  'grams': (grams, statistics.gram),
  'moments': (moments, statistics.moments),
  'covariances': (covariances, statistics.covariance),
  'wasserstein': (wasserstein, statistics.covariance),
}


@pytest.fixture
def acts():
  a, b = jax.random.split(KEY)
  return {
    'a': jax.random.normal(a, (2, 6, 5, 4)) + 1,
    'b': jax.random.normal(b, (2, 3, 4, 3)),
  }


@pytest.fixture
def others():
  """Activations of one image of another size."""
  a, b = jax.random.split(jax.random.key(1))
  return {
    'a': 2 * jax.random.normal(a, (7, 9, 4)),
    'b': jax.random.normal(b, (5, 5, 3)) + 2,
  }


def wanted(kind, acts):
  make, statistic = KINDS[kind]
  return make, {layer: statistic(a) for layer, a in acts.items()}


def test_content_is_the_papers(acts):
  target = acts['a'][0] + 0.5
  got = content('a', target)(None, acts)
  expected = 0.5 * ((acts['a'] - target[None]) ** 2).sum((1, 2, 3))
  np.testing.assert_allclose(got, expected, rtol=1e-5)
  got = content('a', target, mean=True)(None, acts)
  np.testing.assert_allclose(got, expected / 30, rtol=1e-5)
  vector = content('v', jnp.array([1.0, 5.0]), mean=True)
  np.testing.assert_allclose(vector(ONE, {'v': ONE}), [6.5], rtol=1e-6)
  size = (target**2).sum()
  np.testing.assert_allclose(
    features('a', target)(None, acts), 2 * expected / size, rtol=1e-5
  )


def test_grams_are_the_papers(acts, others):
  """Equations 3 to 5 with sums, for a style of the images' size."""
  styles = {layer: a[1] + 1 for layer, a in acts.items()}
  make, targets = wanted('grams', styles)
  got = make(targets, weights={'a': 0.7, 'b': 0.2})(None, acts)
  for n in range(2):
    total = 0.0
    for layer, weight in (('a', 0.7), ('b', 0.2)):
      f, s = (
        np.asarray(v, np.float64).reshape(-1, v.shape[-1]).T
        for v in (acts[layer][n], styles[layer])
      )
      apart = ((f @ f.T - s @ s.T) ** 2).sum()
      total += weight * apart / (4 * f.shape[0] ** 2 * f.shape[1] ** 2)
    np.testing.assert_allclose(got[n], total, rtol=1e-5)


def test_moments_and_covariances_by_hand(acts, others):
  for kind in ('moments', 'covariances'):
    make, targets = wanted(kind, others)
    got = make(targets)(None, acts)
    for n in range(2):
      total = 0.0
      for layer in 'ab':
        f, s = (
          np.asarray(v, np.float64).reshape(-1, v.shape[-1])
          for v in (acts[layer][n], others[layer])
        )
        mean = ((f.mean(0) - s.mean(0)) ** 2).sum()
        if kind == 'moments':
          total += (mean + ((f.std(0) - s.std(0)) ** 2).sum()) / 2
        else:
          c = f.shape[1]
          cov = ((np.cov(f.T, ddof=0) - np.cov(s.T, ddof=0)) ** 2).sum()
          total += (mean / c + cov / (4 * c**2)) / 2
      np.testing.assert_allclose(got[n], total, rtol=1e-4)


def test_wasserstein_of_normals_with_common_axes_is_that_of_their_roots():
  """Then it is the squared distance of means and of standard deviations."""
  turn = np.linalg.qr(np.asarray(jax.random.normal(KEY, (3, 3))))[0]
  stds, means = np.array([[1.0, 2, 3], [2.0, 0.5, 3]]), np.eye(3)[:2]
  covs = [turn @ np.diag(s**2) @ turn.T for s in stds]
  # Places with exactly these moments: plus and minus each axis.
  places = np.concatenate([turn * stds[0], -turn * stds[0]], 1).T * 3**0.5
  a = jnp.asarray(places.reshape(2, 3, 3) + means[0], jnp.float32)
  np.testing.assert_allclose(statistics.covariance(a)[1], covs[0], atol=1e-5)
  got = wasserstein({'a': (means[1], covs[1])})(None, {'a': a})
  expected = ((stds[0] - stds[1]) ** 2).sum() + 2.0
  np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_wasserstein_is_scipys(acts, others):
  linalg = pytest.importorskip('scipy.linalg')
  make, targets = wanted('wasserstein', {'a': others['a']})
  mean, cov = statistics.covariance(acts['a'][0])
  root = linalg.sqrtm(np.asarray(cov @ targets['a'][1], np.float64)).real
  expected = (
    np.square(mean - targets['a'][0]).sum()
    + np.trace(cov)
    + np.trace(targets['a'][1])
    - 2 * np.trace(root)
  )
  np.testing.assert_allclose(make(targets)(None, acts)[0], expected, rtol=1e-4)


@pytest.mark.parametrize('kind', KINDS)
def test_equal_statistics_match_and_places_do_not_matter(kind, acts):
  make, targets = wanted(kind, acts)  # a target an image
  wish = make(targets)
  np.testing.assert_allclose(wish(None, acts), 0, atol=1e-4)
  order = jax.random.permutation(KEY, 30)
  moved = acts['a'].reshape(2, 30, 4)[:, order].reshape(acts['a'].shape)
  np.testing.assert_allclose(wish(None, {**acts, 'a': moved}), 0, atol=1e-4)
  assert (wish(None, {**acts, 'a': 2 * moved}) > 0.05).all()


@pytest.mark.parametrize('kind', KINDS)
def test_slopes_are_those_of_finite_differences(kind, acts, others):
  with jax.enable_x64(True):
    acts, others = (
      {k: jnp.asarray(np.asarray(v), jnp.float64) for k, v in each.items()}
      for each in (acts, others)
    )
    make, targets = wanted(kind, others)
    wish = make(targets)
    way = jax.random.normal(KEY, acts['a'].shape)

    @jax.jit
    def f(t):
      return wish(None, {**acts, 'a': acts['a'] + t * way}).sum()

    step = 1e-4
    expected = (f(step) - f(-step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(f)(0.0), expected, rtol=1e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_a_dead_map_has_a_finite_slope(kind, others):
  make, targets = wanted(kind, others)
  dead = {
    layer: jnp.zeros((2, 4, 4, v.shape[-1])) for layer, v in others.items()
  }
  slope = jax.grad(lambda acts: make(targets)(None, acts).sum())(dead)
  assert all(jnp.isfinite(v).all() for v in slope.values())


@pytest.mark.parametrize('kind', KINDS)
def test_what_a_mask_leaves_out_does_not_matter(kind, acts, others):
  make, targets = wanted(kind, {'a': others['a']})
  mask = jnp.zeros((6, 5)).at[:, :2].set(1)
  wish = make(targets, masks={'a': mask})
  got = wish(None, acts)
  np.testing.assert_allclose(
    make(targets)(None, {'a': acts['a'][:, :, :2]}), got, rtol=1e-4
  )
  changed = {'a': acts['a'].at[:, :, 2:].add(3)}
  np.testing.assert_allclose(wish(None, changed), got, rtol=1e-4)


def test_what_does_not_fit_is_named(acts):
  with pytest.raises(ValueError, match='targets: got no layer'):
    grams({})
  with pytest.raises(ValueError, match=r"weights: got \['b'\], expected some"):
    grams({'a': np.eye(4)}, weights={'b': 1.0})
  with pytest.raises(ValueError, match=r"masks: got \['b'\], expected some"):
    grams({'a': np.eye(4)}, masks={'b': jnp.ones((3, 4))})
  with pytest.raises(ValueError, match='targets: got shape'):
    grams({'a': np.eye(3)})(None, acts)
  with pytest.raises(ValueError, match='targets: got'):
    grams({'a': np.full((4, 4), np.nan)})
  with pytest.raises(ValueError, match="layer: got 'c', expected one of"):
    grams({'c': np.eye(4)})(None, acts)


def test_other_targets_run_the_same_program(acts, others):
  _, first = wanted('grams', others)
  second = {layer: 2 * v for layer, v in first.items()}
  run = jax.jit(lambda wish, acts: wish(None, acts))
  run(grams(first), acts)
  run(grams(second, weights={'a': 0.1, 'b': 3.0}), acts)
  assert run._cache_size() == 1
