import jax
import numpy as np
import pytest
from tools import read, start, write_pictures

from vizlab import nets, probes
from vizlab.data.scenes import scene


def test_the_saved_dictionary_explains_what_it_says(tmp_path):
  results = start('probes/dictionary', tmp_path, training_steps=300)
  found = read(tmp_path, 'dictionary')
  learned = probes.Dictionary(
    *(found[name] for name in probes.Dictionary._fields)
  )
  length = np.linalg.norm(learned.atoms, axis=1)
  np.testing.assert_allclose(length, 1, rtol=1e-5)
  # All positions of the images that were held out.
  net = nets.load('minivgg')
  drawn = [
    scene(jax.random.fold_in(jax.random.key(0), i), objects=2, size=96).image
    for i in (0, 8)
  ]
  x = np.asarray(net(np.stack(drawn))[1]['relu2_1']).reshape(-1, 64)
  codes = probes.encode(learned, x, 3)
  back = np.asarray(probes.decode(learned, codes))
  left = np.square(x - back).sum() / np.square(x - x.mean(0)).sum()
  assert abs(results['explained/autoencoder'] - (1 - left)) < 0.2
  assert results['explained/autoencoder'] > results['explained/units']
  assert results['dead'] == (found['share'] == 0).sum()
  # Of as many linear numbers, principal components are the best there are; on
  # the sample that they were fitted to they explain the most.
  assert results['explained/PCA'] > 0.3


def test_photos_need_no_class(tmp_path):
  write_pictures(tmp_path, [f'photo{i}' for i in range(9)])
  start(
    'probes/dictionary',
    tmp_path / 'run',
    photos=str(tmp_path / '*.png'),
    patches=1,
  )
  samples = read(tmp_path / 'run', 'dictionary')
  assert samples['atoms'].shape == (12, 64)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layer': 'fc'}, "config.layer: 'fc' gives no map"),
    ({'active': 13}, 'config.active: got 13, expected at most the atoms'),
    ({'atoms': 0}, 'config.atoms: got 0'),
    (
      {'positions': 48 * 48 + 1},
      'config.positions: got 2305, .* 2304',
    ),
    ({'patches': 17}, 'config.patches: got 17, .* the pictures, 16'),
    ({'shown': 13}, 'config.shown: got 13, .* the atoms, 12'),
    ({'scenes': 7}, 'config.scenes, config.photos: got 7 pictures'),
    ({'training_rate': 0.0}, 'config.training_rate: got 0.0'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/dictionary', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
