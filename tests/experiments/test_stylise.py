import numpy as np
import pytest
from tools import start, write_pictures

from vizlab import generate, io, nets, render


def test_pictures_are_those_of_the_network(tmp_path):
  write_pictures(tmp_path, ['a', 'b'])
  (tmp_path / 'more').mkdir()
  write_pictures(tmp_path / 'more', ['a'])
  images = f'{tmp_path}/*.png,{tmp_path}/more,sample:crescent_and_cross'
  run = tmp_path / 'run'
  results = start('generate/stylise', run, images=images, size=40)
  assert results['pictures'] == 4
  net = nets.load('fast_style_starry_night')
  for name, source in (
    ('000_a', tmp_path / 'a.png'),
    ('002_a', tmp_path / 'more' / 'a.png'),
    ('003_crescent_and_cross', 'sample:crescent_and_cross'),
  ):
    image = io.read_image(str(source), shorter=40)
    wanted = np.asarray(generate.transformed(net, image))
    found = io.read_image(str(run / f'{name}.png'))
    assert np.abs(found - render.to_uint8(wanted) / 255).max() < 0.01
    assert np.abs(wanted - image).mean() > 0.05, 'it paints'


@pytest.mark.parametrize('shape', [(1, 1), (3, 60), (61, 20)])
def test_pictures_of_any_shape(shape, tmp_path):
  picture = np.full((*shape, 3), 90, np.uint8)
  io.write_png(tmp_path / 'photo.png', picture)
  start(
    'generate/stylise',
    tmp_path / 'run',
    images=str(tmp_path / 'photo.png'),
    size=16,
  )
  made = io.read_image(str(tmp_path / 'run' / '000_photo.png'))
  sides = sorted(made.shape[:2])
  assert sides[0] == 16
  assert abs(sides[1] - max(shape) * 16 / min(shape)) <= 1


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'net': {'weights': 'minivgg'}}, "minivgg ends with 'fc', expected"),
    ({'images': 'no.png'}, 'config.images: no such file'),
    ({'size': 15}, 'config.size: got 15, expected at least 16'),
    ({'border': -1}, 'config.border: got -1'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('generate/stylise', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


def test_a_damaged_photo_is_told_before_anything_is_written(tmp_path):
  write_pictures(tmp_path, ['a', 'b'])
  whole = (tmp_path / 'b.png').read_bytes()
  (tmp_path / 'b.png').write_bytes(whole[: len(whole) // 2])
  with pytest.raises(ValueError, match=r'config.images: .*b\.png'):
    start('generate/stylise', tmp_path / 'run', images=str(tmp_path))
  assert not (tmp_path / 'run').exists()
