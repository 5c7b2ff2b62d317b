import jax
import numpy as np
import pytest
from tools import start, write_pictures

from vizlab import nets
from vizlab.data.scenes import scenes


def read(path):
  with np.load(path / 'neighbours.npz') as file:
    return dict(file)


def test_neighbours_are_those_of_brute_force(tmp_path):
  results = start('probes/neighbours', tmp_path / 'run', scenes=40, batch=16)
  drawn = scenes(jax.random.key(0), 40, objects=2, size=96)
  features = np.asarray(nets.load('minivgg')(drawn.image)[1]['gap'])
  unit = features / np.linalg.norm(features, axis=1, keepdims=True)
  cosines = unit @ unit.T
  np.fill_diagonal(cosines, -2)
  order = np.argsort(-cosines, 1)[:2, :3]
  got = read(tmp_path / 'run')
  np.testing.assert_array_equal(got['gap/indices'], order)
  labels = np.asarray(drawn.labels)
  holds = [
    [labels[q, 0] in labels[i] for i in row] for q, row in enumerate(order)
  ]
  assert results['agreement/gap'] == np.mean(holds)
  others = [
    np.mean([labels[q, 0] in labels[i] for i in range(40) if i != q])
    for q in range(2)
  ]
  assert abs(results['agreement/chance'] - np.mean(others)) < 1e-6


def test_features_see_objects_and_pixels_do_not(tmp_path):
  results = start(
    'probes/neighbours', tmp_path / 'run', scenes=128, batch=64, count=16
  )
  assert results['agreement/gap'] > 2 * results['agreement/pixels']
  assert results['agreement/gap'] > 3 * results['agreement/chance']


def test_a_picture_finds_itself(tmp_path):
  names = ['3_a', '5_b', '7_c', '9_d']
  write_pictures(tmp_path, names)
  start(
    'probes/neighbours',
    tmp_path / 'run',
    photos=str(tmp_path / '*.png'),
    images=f'{tmp_path}/7_c.png,sample:star_and_square',
    metric='euclidean',
    layer='relu2_1',
  )
  got = read(tmp_path / 'run')
  for kind in ('relu2_1', 'pixels'):
    assert got[f'{kind}/indices'].shape == (2, 3)
    assert got[f'{kind}/indices'][0, 0] == 2
    assert got[f'{kind}/distances'][0, 0] < 1e-3


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layer': 'gp'}, "config.layer: got 'gp'"),
    ({'metric': 'angle'}, "config.metric: got 'angle'"),
    ({'neighbours': 8}, 'config.neighbours: got 8, expected at most the 7'),
    ({'count': 0}, 'config.count: got 0'),
    ({'images': 'none.png'}, 'config.images: no such file'),
    ({'photos': 'nowhere'}, 'config.photos: no such file or folder: nowhere'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/neighbours', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
