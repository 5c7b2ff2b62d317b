import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import probes


def brute_force(acts, thresholds, masks):
  """Ratios, pixel by pixel; maps that are as large as the masks."""
  iou = np.zeros((acts.shape[-1], masks.shape[-1]))
  for c in range(len(iou)):
    for k in range(iou.shape[1]):
      active = acts[..., c] > thresholds[c]
      union = (active | masks[..., k]).sum()
      iou[c, k] = (active & masks[..., k]).sum() / union if union else 0
  return iou


@pytest.fixture
def data():
  key = jax.random.key(0)
  acts = jax.random.normal(key, (7, 6, 6, 5))
  masks = jax.random.bernoulli(jax.random.key(1), 0.3, (7, 6, 6, 4))
  return np.asarray(acts), np.asarray(masks.at[..., 3].set(False))


@pytest.mark.parametrize('batch', [1, 3, 7])
def test_ratios_equal_brute_force_in_any_batches(data, batch):
  acts, masks = data
  thresholds = np.linspace(-1, 2, 5).astype(np.float32)
  state, step = probes.no_overlap(5, 4), jax.jit(probes.overlap)
  for i in range(0, 7, batch):
    rows = slice(i, i + batch)
    state = step(state, acts[rows], thresholds, masks[rows])
  np.testing.assert_allclose(
    state.iou, brute_force(acts, thresholds, masks), rtol=1e-5
  )
  assert state.iou[:, 3].tolist() == [0] * 5


def test_nothing_overlaps_with_nothing():
  acts, masks = np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 2), bool)
  none = probes.overlap(probes.no_overlap(3, 2), acts, np.ones(3), masks)
  assert none.iou.tolist() == [[0, 0]] * 3


def test_maps_are_enlarged_to_the_masks():
  """A unit on the left half, over a mask of the left half."""
  acts = np.zeros((1, 2, 2, 1))
  acts[0, :, 0] = 1
  mask = np.zeros((1, 8, 8, 1), bool)
  mask[:, :, :4] = True
  found = probes.overlap(
    probes.no_overlap(1, 1), acts, np.array([0.5], np.float32), mask
  )
  assert float(found.iou[0, 0]) == 1


def test_a_planted_detector_gets_its_concept_and_shuffled_masks_chance():
  """Unit ``c`` is a blurred mask of concept ``c``, and noise."""
  key = jax.random.key(0)
  corners = np.asarray(jax.random.randint(key, (64, 2, 3), 0, 22))
  masks = np.zeros((64, 32, 32, 3), bool)
  for i, places in enumerate(corners):
    for k in range(3):
      y, x = places[:, k]
      masks[i, y : y + 10, x : x + 10, k] = True
  noise = 0.1 * jax.random.normal(jax.random.key(1), (64, 8, 8, 3))
  acts = jax.image.resize(masks.astype(np.float32), noise.shape, 'linear')
  acts = np.asarray(acts + noise)
  thresholds = np.quantile(acts, 0.9, axis=(0, 1, 2)).astype(np.float32)

  def iou(masks):
    start = probes.no_overlap(3, 3)
    return np.asarray(probes.overlap(start, acts, thresholds, masks).iou)

  own = iou(masks)
  assert own.argmax(1).tolist() == [0, 1, 2] and own.max(1).min() > 0.5
  assert iou(np.roll(masks, 1, 0)).max() < 0.15


@pytest.mark.parametrize('q', [0.0, 0.1, 0.5, 0.9, 0.995, 1.0])
def test_quantiles_equal_those_of_numpy_up_to_a_bin(q):
  x = np.asarray(jax.random.normal(jax.random.key(0), (4, 50, 50, 6))) + 1
  x = np.maximum(x, 0)
  edges = probes.log_edges(254)
  shares = probes.activity(x, edges).histogram
  got = probes.quantile(shares, edges, q)
  wanted = np.quantile(x, q, axis=(0, 1, 2))
  np.testing.assert_allclose(got, wanted, rtol=0.06, atol=2e-3)


def test_a_quantile_lies_along_its_bin():
  edges = jnp.array([0.0, 1.0, 3.0])
  shares = jnp.array([[0.2, 0.2, 0.6, 0.0], [0.0, 0.0, 0.0, 1.0]])
  got = probes.quantile(shares, edges, 0.7)
  np.testing.assert_allclose(got, [2.0, 3.0], rtol=1e-6)
  np.testing.assert_allclose(
    probes.quantile(shares[0], edges, 0.3), 0.5, rtol=1e-6
  )
  assert float(probes.quantile(shares[0], edges, 0.1)) == 0


def test_wrong_arguments_are_named(data):
  acts, masks = data
  start, t = probes.no_overlap(5, 4), np.zeros(5, np.float32)
  with pytest.raises(ValueError, match='acts, thresholds: got'):
    probes.overlap(start, acts[..., :3], t, masks)
  with pytest.raises(ValueError, match='acts, thresholds: got'):
    probes.overlap(start, acts, t[:2], masks)
  with pytest.raises(ValueError, match='acts, thresholds: got'):
    probes.overlap(start, acts[:, 0, 0], t, masks)
  with pytest.raises(ValueError, match='masks: got'):
    probes.overlap(start, acts, t, masks[:3])
  with pytest.raises(ValueError, match='masks: got'):
    probes.overlap(start, acts, t, masks[..., :2])
  with pytest.raises(ValueError, match='concepts: got 0'):
    probes.no_overlap(2, 0)
  with pytest.raises(ValueError, match='shares, edges: got'):
    probes.quantile(jnp.zeros(4), jnp.arange(4.0), 0.5)


def test_the_lowest_quantile_is_the_edge_of_the_first_values():
  shares = jnp.array([0.0, 0.0, 0.4, 0.6])
  assert float(probes.quantile(shares, jnp.array([1.0, 2.0, 4.0]), 0.0)) == 2
