import jax
import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from tools import read, start, write_pictures

from vizlab import nets, probes
from vizlab.data.scenes import scenes


def test_principal_components_of_the_features(tmp_path):
  results = start('probes/maps', tmp_path, method='pca', scenes=48)
  drawn = scenes(jax.random.key(0), 48, objects=2, size=96)
  x = np.asarray(nets.load('minivgg')(drawn.image)[1]['gap'])
  found = read(tmp_path, 'map')
  wanted = probes.principal(x)
  np.testing.assert_allclose(found['places'], wanted, rtol=1e-2, atol=1e-2)
  trust = trustworthiness(x, wanted, n_neighbors=10)
  assert abs(results['trustworthiness'] - trust) < 0.01
  labels = np.asarray(drawn.labels)
  away = np.linalg.norm(x[:, None] - x[None], axis=-1)
  np.fill_diagonal(away, np.inf)
  near = np.argsort(away, 1)[:, :10]
  shares = [
    np.mean([labels[i, 0] in labels[j] for j in row])
    for i, row in enumerate(near)
  ]
  assert abs(results['agreement/features'] - np.mean(shares)) < 0.02


def test_neighbours_by_features_are_neighbours_in_the_map(tmp_path):
  results = start('probes/maps', tmp_path, scenes=96, batch=32)
  assert results['trustworthiness'] > 0.85
  assert results['agreement/map'] > 0.35


def test_umap_keeps_neighbours_together(tmp_path):
  pytest.importorskip('umap')
  both = [
    start('probes/maps', tmp_path / str(i), scenes=96, batch=32, method='umap')
    for i in range(2)
  ]
  assert both[0]['trustworthiness'] > 0.85
  np.testing.assert_array_equal(
    *(read(tmp_path / str(i), 'map')['places'] for i in range(2))
  )


def test_umap_is_asked_for_where_it_is_not_installed(tmp_path, monkeypatch):
  monkeypatch.setattr(
    'importlib.util.find_spec', lambda name: name != 'umap' or None
  )
  with pytest.raises(ValueError, match=r"umap is not .* '\.\[umap\]'"):
    start('probes/maps', tmp_path / 'run', method='umap')


def test_photos_are_read_by_their_class(tmp_path):
  write_pictures(tmp_path, [f'{i % 3}_{i}' for i in range(24)])
  start(
    'probes/maps',
    tmp_path / 'run',
    photos=str(tmp_path / '*.png'),
    method='pca',
    layer='relu2_1',
  )
  assert read(tmp_path / 'run', 'map')['places'].shape == (24, 2)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'method': 'mds'}, "config.method: got 'mds'"),
    ({'layer': 'relu9'}, "config.layer: got 'relu9'"),
    ({'scenes': 21}, 'config.scenes: got 21 pictures, expected at least 22'),
    ({'perplexity': 24.0}, 'config.perplexity: got 24.0, .* below the 24'),
    ({'side': 0}, 'config.side: got 0'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/maps', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
