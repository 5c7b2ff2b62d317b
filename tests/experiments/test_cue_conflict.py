"""Cue conflicts of scenes, and of pictures that are named by their cues."""

import jax
import numpy as np
import pytest
from tools import start

from vizlab import data, io, render


@pytest.fixture
def pictures(tmp_path):
  """A disc, a bar, and no conflict, as files that say what they are."""
  drawn = data.scenes(jax.random.key(0), 40, size=96)
  folder = tmp_path / 'pictures'
  folder.mkdir()
  for i, shape in enumerate(('disc', 'bar')):
    k = int(
      np.flatnonzero(drawn.labels[:, 0] == data.SHAPE_NAMES.index(shape))[0]
    )
    picture = render.to_uint8(np.asarray(drawn.image[k]))
    io.write_png(folder / f'{shape}{i}.png', picture)
  return folder


def test_minivgg_goes_by_shape_on_scenes(tmp_path):
  found = start('probes/cue_conflict', tmp_path / 'run', scenes=48)
  assert found['minivgg/shape'] > 0.9 > 0.2 > found['minivgg/texture']
  assert found['minivgg/bias'] > 0.9
  page = (tmp_path / 'run' / 'report.html').read_text()
  assert 'minivgg goes by shape, with a shape bias of' in page


def test_another_net_is_judged_beside_it(tmp_path):
  found = start(
    'probes/cue_conflict', tmp_path / 'run', others='minivgg_random_labels'
  )
  assert found['minivgg_random_labels/shape'] < 0.5 < found['minivgg/shape']


def test_named_pictures_are_judged(pictures, tmp_path):
  for name in ('disc0', 'bar1'):
    (pictures / f'{name}.png').rename(pictures / f'{name}-star_6.png')
  found = start('probes/cue_conflict', tmp_path / 'run', images=str(pictures))
  assert found['minivgg/shape'] == 1 and found['minivgg/texture'] == 0


def test_pictures_of_one_name_are_refused(pictures, tmp_path):
  (pictures / 'more').mkdir()
  (pictures / 'disc0.png').rename(pictures / 'more' / 'bar1.png')
  both = {'contents': str(pictures), 'styles': str(pictures)}
  with pytest.raises(ValueError, match='several pictures named bar1'):
    start('probes/cue_conflict', tmp_path / 'run', **both)


def test_a_net_that_decides_for_neither_has_no_bias(pictures, tmp_path):
  (pictures / 'disc0.png').rename(pictures / 'heart-star.png')
  (pictures / 'bar1.png').unlink()
  found = start('probes/cue_conflict', tmp_path / 'run', images=str(pictures))
  assert found == {'minivgg/shape': 0, 'minivgg/texture': 0}
  page = (tmp_path / 'run' / 'report.html').read_text()
  assert 'minivgg decides for neither in any' in page


def test_conflicts_are_painted(pictures, tmp_path):
  both = {'contents': str(pictures), 'styles': str(pictures)}
  settings = {'size': 48, 'steps': 2, 'style_layers': 'relu1_1', **both}
  start('probes/cue_conflict', tmp_path / 'run', **settings)
  names = {'disc0-bar1.png', 'bar1-disc0.png'}
  assert names < {path.name for path in (tmp_path / 'run').iterdir()}


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    (
      {'images': ''},
      'config.images: got none, expected comma-separated images',
    ),
    ({'images': 'sample:star_and_square'}, 'expected a name as airplane1'),
    (
      {'images': 'cow1-disc2.png'},
      "config.images: got 'cow1', expected a name",
    ),
    ({'scenes': 0}, 'config.scenes: got 0'),
    ({'styles': 'disc1.png'}, 'config.contents: got none, expected'),
    ({'others': 'no.safetensors'}, 'no such file'),
    ({'scenes': 1}, 'config.scenes: got 1, among which no texture differs'),
    ({'images': 'disc1-disc2.png'}, 'expected a texture of another category'),
  ],
)
def test_what_is_wrong_is_named(changes, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/cue_conflict', tmp_path / 'run', **changes)
  assert not (tmp_path / 'run').exists()
