import jax
import numpy as np
import pytest
from tools import read, start, stops_of_the_same, write_pictures

from vizlab import nets, probes
from vizlab.data.scenes import scenes

TWO = {'layers': 'relu5_2,fc', 'scenes': 40, 'batch': 16}


def test_layers_are_compared_in_their_order(tmp_path):
  results = start('probes/similarity', tmp_path / 'run', **TWO)
  found = read(tmp_path / 'run', 'similarity')
  assert [*found] == ['itself', 'the_other']
  x = scenes(jax.random.key(0), 40, objects=2, size=96).image
  ours, theirs = (
    jax.jit(lambda net, x: net(x)[1])(nets.load(name), x)
    for name in ('minivgg', 'minivgg_random_labels')
  )
  # 6 x 6 positions in bins of 4 x 4, which overlap as in torchvision.
  starts, stops = (0, 1, 3, 4), (2, 3, 5, 6)
  bins = np.stack(
    [
      np.asarray(ours['relu5_2'])[:, a:b, c:d].mean((1, 2))
      for a, b in zip(starts, stops, strict=True)
      for c, d in zip(starts, stops, strict=True)
    ],
    1,
  )
  np.testing.assert_allclose(np.diagonal(found['itself']), 1, atol=1e-5)
  wanted = probes.linear_cka(bins, ours['fc'])
  np.testing.assert_allclose(found['itself'][0, 1], wanted, rtol=1e-3)
  wanted = probes.linear_cka(bins, theirs['fc'])
  np.testing.assert_allclose(found['the_other'][0, 1], wanted, rtol=1e-3)
  wanted = probes.linear_cka(ours['fc'], theirs['fc'])
  np.testing.assert_allclose(results['the_other/fc'], wanted, rtol=1e-3)


def test_svcca_of_one_network(tmp_path):
  results = start(
    'probes/similarity',
    tmp_path / 'run',
    other=None,
    measure='svcca',
    layers='relu1_1,fc',
    positions=1,
    scenes=48,
  )
  assert [*results] == ['mean']
  found = read(tmp_path / 'run', 'similarity')['itself']
  np.testing.assert_allclose(np.diagonal(found), 1, atol=1e-4)
  assert 0 < found[0, 1] < 0.9


def test_photos_of_a_folder(tmp_path):
  write_pictures(tmp_path, [f'{i % 3}_{i}' for i in range(4)])
  photos = str(tmp_path / '*.png')
  start('probes/similarity', tmp_path / 'run', photos=photos, **TWO)
  assert read(tmp_path / 'run', 'similarity')['itself'].shape == (2, 2)


def test_a_stopped_run_ends_as_a_whole_one(tmp_path, monkeypatch):
  assert stops_of_the_same('probes/similarity', tmp_path, monkeypatch) > 0


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'measure': 'cca'}, "config.measure: got 'cca'"),
    ({'kept': 0.0}, 'config.kept: got 0.0, expected above 0'),
    ({'layers': ()}, 'config.layers: got none'),
    ({'layers': 'relu9'}, "config.layers: got 'relu9'"),
    ({'other': 'nothing'}, "config.other: got 'nothing', expected a weight"),
    ({'scenes': 1}, 'config.scenes: got 1 picture, expected at least 2'),
    (
      {'measure': 'svcca', 'layers': 'relu5_2', 'scenes': 40},
      "config.positions: got 4, with which 'relu5_2' has 2048 features",
    ),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/similarity', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
