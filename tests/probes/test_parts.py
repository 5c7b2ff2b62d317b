import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import probes


def slow_instability(positions, parts, members):
  n, channels, _ = positions.shape
  found = []
  for c in range(channels):
    deviations = []
    for k in range(parts.shape[1]):
      lengths = []
      for i in range(n):
        away = np.linalg.norm(positions[i, c] - parts[i, k], axis=-1)
        if members[i, c] and np.isfinite(away).any():
          lengths.append(np.nanmin(away))
      if len(lengths) > 1:
        deviations.append(np.std(lengths, ddof=1) / np.sqrt(2))
    found.append(np.mean(deviations) if deviations else np.nan)
  return np.array(found)


@pytest.fixture
def drawn():
  random = np.random.default_rng(0)
  places = random.random((9, 4, 2)).astype(np.float32)
  places[3, 1] = np.nan  # a silent filter
  parts = random.random((9, 3, 2, 2)).astype(np.float32)
  parts[:, 1, 1] = np.nan  # a part of one place
  parts[:, 2] = np.nan  # a part that none has
  parts[2, 1] = np.nan  # an image without this part
  members = random.random((9, 4)) < 0.6
  members[:, 0] = False
  members[4, 0] = True  # one image is too few
  members[2] = [False, True, False, True]
  return places, parts, members


def test_instability_equals_a_slow_replica(drawn):
  found = jax.jit(probes.location_instability)(*map(jnp.asarray, drawn))
  wanted = slow_instability(*drawn)
  assert np.isnan(wanted).tolist() == [True, False, False, False]
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_filter_at_a_part_is_stable_wherever_the_object_is():
  random = np.random.default_rng(1)
  parts = random.random((50, 1, 1, 2)).astype(np.float32)
  near = parts[:, 0] + np.float32([0.1, 0.0])
  anywhere = random.random((50, 1, 2)).astype(np.float32)
  places = np.concatenate([parts[:, 0], near, anywhere], 1)
  members = jnp.ones((50, 3), bool)
  found = probes.location_instability(places, jnp.asarray(parts), members)
  np.testing.assert_allclose(found[:2], 0, atol=1e-6)
  assert found[2] > 0.1


def test_peaks_are_centres_of_positions():
  maps = np.zeros((2, 3, 4, 3), np.float32)
  maps[0, 2, 1, 0] = 2
  maps[1, 0, 3, 0] = 1
  maps[:, 1, 1, 1] = 1
  maps[:, 1, 2, 1] = 1  # as high: the first of both
  maps[0, :, :, 2] = -1
  maps[0, 1, 3, 2] = -0.5
  found = probes.peaks(jnp.asarray(maps))
  np.testing.assert_allclose(found[0, 0], [2.5 / 3, 1.5 / 4])
  np.testing.assert_allclose(found[1, 0], [0.5 / 3, 3.5 / 4])
  np.testing.assert_allclose(found[0, 1], [1.5 / 3, 1.5 / 4])
  np.testing.assert_allclose(found[0, 2], [1.5 / 3, 3.5 / 4])
  assert jnp.isnan(found[1, 2]).all()
  broken = probes.peaks(jnp.asarray(maps).at[0, 0, 0, 1].set(jnp.nan))
  assert jnp.isnan(broken[0, 1]).all()
  np.testing.assert_array_equal(broken[:, 0], found[:, 0])


def test_nan_in_a_map_is_nan_of_its_filter_if_it_counts():
  maps = jnp.ones((3, 2, 2, 2)).at[1, 0, 0, 1].set(jnp.nan)
  masks, thresholds = jnp.ones((3, 1, 4, 4)), jnp.array([0.5, 0.5])
  members = jnp.ones((3, 2), bool)
  found = probes.part_interpretability(maps, masks, thresholds, members)
  assert found[0].tolist() == [1] and jnp.isnan(found[1]).all()
  unknown = probes.part_interpretability(
    maps, masks, thresholds.at[0].set(jnp.nan), members
  )
  assert jnp.isnan(unknown).all()
  members = members.at[1, 1].set(False)
  found = probes.part_interpretability(maps, masks, thresholds, members)
  assert found.tolist() == [[1], [1]]


def test_interpretability_equals_a_slow_replica():
  random = np.random.default_rng(2)
  maps = random.normal(size=(6, 5, 5, 4)).astype(np.float32)
  masks = (random.random((6, 3, 5, 5)) < 0.4).astype(np.float32)
  masks[:, 2] = 0
  masks[1, 0] = 0  # an image without this part
  thresholds = np.float32([-1, 0, 1, 9])
  members = random.random((6, 4)) < 0.7
  members[:, 1] = False
  least = 0.35
  wanted = np.full((4, 3), np.nan)
  for c, k in np.ndindex(4, 3):
    of = np.flatnonzero(members[:, c] & masks[:, k].any((1, 2)))
    region = maps[of, :, :, c] > thresholds[c]
    mask = masks[of, k] > 0
    both = (region & mask).sum((1, 2))
    union = (region | mask).sum((1, 2))
    if len(of):
      wanted[c, k] = (both > least * union).mean()
  found = probes.part_interpretability(
    *map(jnp.asarray, (maps, masks, thresholds, members)), least=least
  )
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  assert 0 < np.nanmax(wanted[:, :2]) and not np.nan_to_num(found)[3].any()
  flags = masks.astype(bool)  # as well as numbers
  np.testing.assert_array_equal(
    probes.part_interpretability(
      *map(jnp.asarray, (maps, flags, thresholds, members)), least=least
    ),
    found,
  )
  # By default least is that of the paper.
  default = probes.part_interpretability(
    *map(jnp.asarray, (maps, masks, thresholds, members))
  )
  same = probes.part_interpretability(
    *map(jnp.asarray, (maps, masks, thresholds, members)), least=0.2
  )
  np.testing.assert_array_equal(default, same)
  assert not np.array_equal(default, found)


def test_maps_are_enlarged_to_the_masks():
  maps = np.zeros((1, 2, 2, 1), np.float32)
  maps[0, :, 0] = 1
  masks = np.zeros((1, 1, 8, 8), np.float32)
  masks[..., :4] = 1
  found = probes.part_interpretability(
    jnp.asarray(maps),
    jnp.asarray(masks),
    jnp.array([0.5]),
    jnp.ones((1, 1), bool),
    least=0.99,
  )
  assert found.tolist() == [[1.0]]


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (
      lambda: probes.peaks(jnp.zeros((2, 2, 3))),
      r'maps: got shape \(2, 2, 3\)',
    ),
    (
      lambda: probes.location_instability(
        jnp.zeros((3, 4, 2)), jnp.zeros((3, 1, 2)), jnp.ones((3, 4), bool)
      ),
      r'parts, members: got \(3, 1, 2\) and \(3, 4\), expected \[3, P, M, 2\]',
    ),
    (
      lambda: probes.location_instability(
        jnp.zeros((3, 4, 2)), jnp.zeros((3, 1, 1, 2)), jnp.ones((4, 3), bool)
      ),
      r'and \(4, 3\), expected .* and \[3, 4\]',
    ),
    (
      lambda: probes.part_interpretability(
        jnp.ones((3, 2, 2, 4)),
        jnp.ones((2, 1, 8, 8)),
        jnp.ones(4),
        jnp.ones((3, 4), bool),
      ),
      r'masks: got \(2, 1, 8, 8\), expected \[3, P, H, W\]',
    ),
    (
      lambda: probes.part_interpretability(
        jnp.ones((3, 2, 2, 4)),
        jnp.ones((3, 1, 8, 8)),
        jnp.ones(5),
        jnp.ones((3, 4), bool),
      ),
      r'thresholds, members: got \(5,\) and \(3, 4\), expected \[4\] and',
    ),
  ],
)
def test_bad_input_is_named(call, message):
  with pytest.raises(ValueError, match=message):
    call()
