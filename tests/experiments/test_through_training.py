import jax
import numpy as np
import pytest
from tools import read, start, start_and_stop

from vizlab import nets
from vizlab.data.scenes import SHAPE_NAMES, scene

SMALL = {'stages': ((32, 6),), 'epochs': (1, 3)}


def test_units_of_each_epoch_are_those_of_the_net_then(tmp_path):
  results = start('probes/through_training', tmp_path, **SMALL)
  early, last = (read(tmp_path, f'epoch_{n:03d}') for n in (1, 3))
  for layer in ('relu1_1', 'relu3_2'):
    np.testing.assert_allclose(last[f'{layer}/correlation'], 1, atol=1e-4)
    assert early[f'{layer}/correlation'].mean() < 1
    assert results[f'settled/{layer}'] in (1, 3)
  net = nets.load(tmp_path / 'minivgg.safetensors')
  drawn = [
    scene(jax.random.fold_in(jax.random.key(0), i), objects=2, size=32).image
    for i in range(6)
  ]
  acts = np.asarray(net(np.stack(drawn))[1]['relu3_2'])
  key = jax.random.fold_in(jax.random.key(0), 1)
  units = np.sort(np.asarray(jax.random.permutation(key, 96)[:2]))
  peaks = acts.max((1, 2))[:, units]
  np.testing.assert_allclose(  # the file holds half of the digits
    last['relu3_2/values'], peaks.max(0), rtol=1e-2, atol=1e-3
  )
  np.testing.assert_array_equal(last['relu3_2/images'], peaks.argmax(0))
  assert last['relu3_2/maps'].shape == (2, 32, 32, 3)


def test_a_stopped_one_ends_the_same(tmp_path, monkeypatch):
  wanted = start('probes/through_training', tmp_path / 'whole', **SMALL)
  found, stops = start_and_stop(
    'probes/through_training', tmp_path / 'run', monkeypatch, every=9, **SMALL
  )
  assert stops > 1
  assert found == wanted
  for epoch in (1, 3):
    ours, theirs = (
      read(tmp_path / name, f'epoch_{epoch:03d}') for name in ('whole', 'run')
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'epochs': ()}, r'config.epochs: got \(\), expected rising'),
    ({'epochs': (2, 1)}, r'config.epochs: got \(2, 1\), expected rising'),
    ({'epochs': (1, 3)}, 'config.epochs: got 3 as the last, .* the 4 steps'),
    ({'layers': 'relu9'}, "config.layers: got 'relu9'"),
    ({'layers': 'fc'}, "config.layers: 'fc' gives no map"),
    ({'layers': ()}, 'config.layers: got none'),
    ({'units': 0}, 'config.units: got 0'),
    ({'noise': 2.0}, 'config.noise: got 2.0'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/through_training', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


def test_its_classes_are_the_shapes():
  assert len(SHAPE_NAMES) == nets.layer_info(nets.load('minivgg'))[-1].shape[0]
