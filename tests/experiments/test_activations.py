import functools
import re

import numpy as np
import pytest
from tools import start, write_pictures

from vizlab import io, nets, probes
from vizlab.runs import reduce_resumable, stopping
from vizlab_experiments.probes import activations
from vizlab_experiments.shared.images import Images


def in_parts_of(size, monkeypatch):
  smaller = functools.partial(reduce_resumable, part=size)
  monkeypatch.setattr(activations, 'reduce_resumable', smaller)


def test_the_image_and_its_gradients(tmp_path):
  start(
    'probes/activations', tmp_path / 'run', layers='relu3_2,fc', channels=96
  )
  with np.load(tmp_path / 'run' / 'image.npz') as file:
    shown = dict(file)
  net = nets.load('minivgg')
  x = io.read_image('sample:star_and_square', shorter=96, crop=96)[None]
  logits, acts = net(x)
  assert shown['target'] == logits.argmax()
  np.testing.assert_allclose(
    shown['relu3_2/activations'], acts['relu3_2'][0], rtol=1e-4, atol=1e-4
  )
  np.testing.assert_allclose(shown['fc/activations'], logits[0], rtol=1e-4)
  one = np.zeros(16)
  one[int(shown['target'])] = 1
  np.testing.assert_array_equal(shown['fc/gradients'], one)
  np.testing.assert_allclose(
    shown['relu3_2/ranges'][0],
    [acts['relu3_2'].min(), acts['relu3_2'].max()],
    rtol=1e-4,
  )


def test_layers_come_from_low_to_high(tmp_path):
  start('probes/activations', tmp_path, layers='relu1_1,conv2_1,fc', scenes=2)
  page = (tmp_path / 'report.html').read_text().split('Over 2 images')[1]
  rows = re.findall('<tr><td>([a-z0-9_]+)</td>', page)
  assert rows == ['relu1_1', 'conv2_1', 'fc']


def test_the_strongest_channels_are_shown(tmp_path):
  for name, count in (('few', 4), ('all', 96)):
    start(
      'probes/activations',
      tmp_path / name,
      layers='relu3_2',
      channels=count,
      scenes=1,
    )
  with np.load(tmp_path / 'all' / 'image.npz') as file:
    peaks = file['relu3_2/activations'].max((0, 1))
  with np.load(tmp_path / 'few' / 'image.npz') as file:
    best = file['relu3_2/channels']
  assert best.tolist() == sorted(np.argsort(-peaks)[:4].tolist())


def test_statistics_over_photos_do_not_depend_on_batches_and_parts(
  tmp_path, monkeypatch
):
  write_pictures(tmp_path, [f'{i}' for i in range(5)])
  settings = {'layers': 'relu2_1', 'photos': str(tmp_path / '*.png')}
  start('probes/activations', tmp_path / 'whole', batch=8, **settings)
  in_parts_of(3, monkeypatch)
  start('probes/activations', tmp_path / 'parts', batch=2, **settings)
  files = [tmp_path / name / 'statistics.npz' for name in ('whole', 'parts')]
  whole, parts = (dict(np.load(path)) for path in files)
  assert whole.keys() == parts.keys()
  for name, value in whole.items():
    np.testing.assert_allclose(
      parts[name], value, rtol=1e-4, atol=1e-5, err_msg=name
    )
  x = np.stack(
    [
      io.read_image(tmp_path / f'{i}.png', shorter=110, crop=96)
      for i in range(5)
    ]
  )
  stats = probes.activity(nets.load('minivgg')(x)[1]['relu2_1'])
  assert whole['relu2_1/count'] == 5
  np.testing.assert_allclose(
    whole['relu2_1/histogram'], stats.histogram, atol=1e-4
  )
  np.testing.assert_allclose(whole['relu2_1/mean'], stats.mean, rtol=1e-3)


def test_a_stopped_pass_goes_on_after_its_last_part(tmp_path, monkeypatch):
  settings = {'layers': 'relu2_1', 'scenes': 6, 'batch': 1}
  in_parts_of(2, monkeypatch)
  start('probes/activations', tmp_path / 'whole', **settings)
  read, drawn = Images.__getitem__, []

  def killing(images, rows):
    drawn.append(rows.start)
    if drawn == [0, 1, 2]:
      raise stopping.Stopped(15)
    return read(images, rows)

  monkeypatch.setattr(Images, '__getitem__', killing)
  with pytest.raises(stopping.Stopped):
    start('probes/activations', tmp_path / 'killed', **settings)
  start('probes/activations', tmp_path / 'killed', **settings)
  assert drawn == [0, 1, 2, 2, 3, 4, 5]
  files = [tmp_path / name / 'statistics.npz' for name in ('whole', 'killed')]
  for a, b in zip(*(dict(np.load(f)).values() for f in files), strict=True):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layers': 'relu9'}, "config.layers: got 'relu9'"),
    ({'target': 16}, 'config.target: got 16, expected 0 to 15'),
    ({'channels': 0}, 'config.channels: got 0'),
    ({'scenes': 0}, 'config.scenes: got 0'),
    ({'photos': 'nowhere/*.png'}, 'config.photos: got'),
    ({'image': 'none.png'}, 'config.image: no such file'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/activations', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
