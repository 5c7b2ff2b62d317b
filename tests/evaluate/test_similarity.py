import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import evaluate, nets
from vizlab.evaluate import hog_correlation, spearman, ssim

METRICS = [hog_correlation, spearman, ssim]


@pytest.fixture
def maps():
  a = jax.random.normal(jax.random.key(0), (3, 40, 33))
  return jnp.cumsum(jnp.cumsum(a, 1), 2)


@pytest.mark.parametrize('metric', METRICS)
def test_equal_maps_are_alike_and_noise_is_not(metric, maps):
  noise = jax.random.normal(jax.random.key(1), maps.shape)
  np.testing.assert_allclose(metric(maps, maps), 1, atol=1e-5)
  np.testing.assert_allclose(metric(maps, 3 * maps + 2), 1, atol=1e-3)
  assert float(jnp.abs(metric(maps, noise)).max()) < 0.45
  np.testing.assert_allclose(metric(maps, jnp.zeros_like(maps)), 0, atol=0.01)
  swapped = jax.jit(metric)(noise, maps)
  np.testing.assert_allclose(swapped, metric(maps, noise), atol=1e-5)


def test_spearman_is_scipys(maps):
  stats = pytest.importorskip('scipy.stats')
  a, b = jnp.round(maps / 9), jnp.round(jnp.flip(maps, 1) / 5)  # with ties
  for i in range(3):
    expected = stats.spearmanr(np.ravel(a[i]), np.ravel(b[i])).statistic
    np.testing.assert_allclose(spearman(a, b)[i], expected, atol=1e-5)


def test_ssim_is_scikit_images(maps):
  metrics = pytest.importorskip('skimage.metrics')
  a, b = maps, jnp.flip(maps, 1)
  got = ssim(a, b)
  for i in range(3):
    one, two = (
      (np.asarray(v[i]) - v[i].min()) / (v[i].max() - v[i].min())
      for v in (a, b)
    )
    _, full = metrics.structural_similarity(
      np.asarray(one, np.float64),
      np.asarray(two, np.float64),
      data_range=1.0,
      gaussian_weights=True,
      sigma=1.5,
      use_sample_covariance=False,
      full=True,
    )
    # Without the border, over which the two extend the image differently.
    np.testing.assert_allclose(got[i], full[5:-5, 5:-5].mean(), atol=1e-4)


def test_wrong_shapes_are_named():
  for metric in METRICS:
    with pytest.raises(ValueError, match='b: got shape'):
      metric(jnp.zeros((40, 40)), jnp.zeros((40, 41)))
  with pytest.raises(ValueError, match='expected at least 11 pixels'):
    ssim(jnp.zeros((8, 40)), jnp.zeros((8, 40)))
  with pytest.raises(ValueError, match='of at least 24 pixels'):
    hog_correlation(jnp.zeros((23, 40)), jnp.zeros((23, 40)))


def test_layers_are_randomised_one_by_one_or_from_the_top(tiny):
  params = nets.get_params(tiny)
  fresh = jax.tree.map(lambda v: v + 1, params)
  order = ['fc', 'conv2', 'conv1']

  def changed(some):
    return [n for n in order if some[n]['kernel'] is fresh[n]['kernel']]

  cascade = list(evaluate.cascading(params, fresh, order))
  assert [name for name, _ in cascade] == order
  assert [changed(some) for _, some in cascade] == [
    ['fc'],
    ['fc', 'conv2'],
    order,
  ]
  alone = list(evaluate.independent(params, fresh, order))
  assert [changed(some) for _, some in alone] == [[name] for name in order]
  with pytest.raises(ValueError, match="layers: got 'relu1', expected some of"):
    list(evaluate.cascading(params, fresh, ['relu1']))
  wrong = {**fresh, 'fc': {'kernel': jnp.zeros(3)}}
  with pytest.raises(ValueError, match="fresh: 'fc' has shapes"):
    list(evaluate.independent(params, wrong, ['fc']))
