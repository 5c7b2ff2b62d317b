"""The experiments that judge, check and show: judge, sanity, units."""

import numpy as np
import pytest
from PIL import Image
from tools import start


@pytest.mark.parametrize(
  ('files', 'message'),
  [
    ([], 'no photo'),
    (['cat.png'], 'expected names such as'),
    (['16_cat.png'], '16_cat.png'),
  ],
)
def test_photos_say_their_class(files, message, tmp_path):
  for name in files:
    Image.new('RGB', (120, 100), 'red').save(tmp_path / name)
  with pytest.raises(ValueError, match=f'config.photos: .*{message}'):
    start('attribution/judge', tmp_path / 'run', photos=str(tmp_path))


def test_the_best_pictures_come_first(tmp_path):
  whole = start('attribution/judge', tmp_path / 'whole', methods='cam,saliency')
  assert whole['energy/cam'] > whole['energy/saliency'] > 0
  assert whole['energy/cam'] > 3 * whole['on the other/cam']
  with np.load(tmp_path / 'whole' / 'judged_cam.npz') as found:
    np.testing.assert_array_equal(
      found['quality'], found['energy'][found['extremes'], 0]
    )
    assert (np.diff(found['quality']) <= 0).all()


def test_photos_are_judged_without_masks(tmp_path):
  rng = np.random.default_rng(0)
  for target in (3, 13):
    noise = rng.integers(0, 255, (120, 100, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f'{target}_noise.png')
  results = start(
    'attribution/judge',
    tmp_path / 'run',
    photos=str(tmp_path),
    methods='grad_cam',
  )
  assert 'deletion/grad_cam' in results and 'energy/grad_cam' not in results


def test_sanity_tells_who_failed(tmp_path):
  results = start(
    'attribution/sanity', tmp_path / 'run', methods='guided_backprop,grad_cam'
  )
  assert results['parameters/guided_backprop'] > 0.7
  assert results['parameters/grad_cam'] < 0.5
  assert {'labels/guided_backprop', 'labels/grad_cam'} < set(results)
  page = (tmp_path / 'run' / 'report.html').read_text()
  assert 'FAILED (SSIM' in page and 'passed (SSIM' in page
  for path in (tmp_path / 'run').glob('checked_*.npz'):
    with np.load(path) as found:
      assert (found['control'] < 0.95).all(), 'it is of another picture'


def test_units_are_cut_to_what_they_see(tmp_path):
  results = start('probes/units', tmp_path / 'run', channels='5, 9')
  assert results['channels'] == 2
  sheet = np.asarray(Image.open(tmp_path / 'run' / 'units.png'))
  assert sheet.std() > 20
  start('probes/units', tmp_path / 'whole', unit='channel')
