"""The experiments of texture and style."""

import numpy as np
import pytest
from tools import start

from vizlab import io, render
from vizlab.objectives import content
from vizlab_experiments.configs.style import transfer as style_transfer
from vizlab_experiments.shared import styling

# The loss itself is followed, not its slopes of one size.
PAPER = {'normalise': False, 'optimizer': 'lbfgs', 'alpha': 1.0, 'beta': 2e3}


@pytest.mark.parametrize(
  'changes',
  [
    {'start': 'noise', 'statistic': 'moments'},
    {'start': 'style', 'colours': 'matched', 'optimizer': 'adam'},
    {'statistic': 'covariance', 'tv': 0.1, 'style_scale': 0.5, **PAPER},
    {
      'styles': 'sample:crescent_and_cross,sample:star_and_square',
      'shares': (0.8, 0.2),
      'statistic': 'wasserstein',
    },
  ],
  ids=str,
)
def test_every_kind_of_transfer_falls(changes, tmp_path):
  start('style/transfer', tmp_path / 'run', octaves=1, steps=12, **changes)
  with np.load(tmp_path / 'run' / 'transfer_48x48.npz') as made:
    assert made['scores'][-1] > made['scores'][0]
    assert made['failed'] < 0 and made['images'].std() > 0.02


def test_luminance_alone_keeps_the_colours_of_the_content(tmp_path):
  settings = {'colours': 'luminance', 'octaves': 1, 'snapshots': 2}
  start('style/transfer', tmp_path / 'run', **settings)
  shown = [*(tmp_path / 'run').glob('transfer_*_0002.png')]
  assert np.ptp(io.read_image(shown[0]), axis=-1).max() > 0.1, 'not grey'
  made = io.read_image(tmp_path / 'run' / 'transfer.png')
  content = io.read_image('sample:star_and_square', shorter=48)
  apart = (made - content) - (made - content).mean(-1, keepdims=True)
  inside = (made > 0.02).all(-1) & (made < 0.98).all(-1)
  assert np.abs(apart[inside]).max() < 0.02, 'only grey is added'
  assert np.abs(made - content).mean() > 1e-3


@pytest.fixture
def masks(tmp_path):
  """A painting of two colours, its mask, and another one, with soft edges."""
  mask = np.zeros((40, 48, 3), np.uint8)
  mask[:, :24] = 255, 0, 0
  mask[:, 24:] = 0, 0, 255
  mask[:5, 24:25] = 127, 0, 128
  turned = np.where(mask[:, ::-1] == 255, np.uint8(250), mask[:, ::-1])
  image = np.where(mask[..., :1] > 0, 200, 60) + 0 * mask
  return {
    name: str(io.write_png(tmp_path / f'{name}.png', picture.astype(np.uint8)))
    for name, picture in (
      ('style', image),
      ('style_mask', mask),
      ('target_mask', turned),
    )
  }


def test_a_doodle_has_each_region_where_it_is_wanted(masks, tmp_path):
  found = start(
    'style/doodle', tmp_path / 'run', size=40, octaves=1, steps=80, **masks
  )
  assert found['regions'] == 2 and found['end'] < 0.3 * found['start']
  made = io.read_image(tmp_path / 'run' / 'doodle.png')
  left, right = made[:, 4:18].mean(), made[:, 30:44].mean()
  assert right - left > 0.2, 'bright was left, and is right now'


def test_masks_that_do_not_fit_are_named(masks, tmp_path):
  green = np.zeros((40, 48, 3), np.uint8) + np.uint8([0, 255, 0])
  path = str(io.write_png(tmp_path / 'green.png', green))
  with pytest.raises(ValueError, match='target_mask: got the colour #00ff00'):
    start('style/doodle', tmp_path / 'run', **{**masks, 'target_mask': path})
  small = str(io.write_png(tmp_path / 'small.png', green[:20]))
  with pytest.raises(ValueError, match=r'style_mask: got \(20, 48\) pixels'):
    start('style/doodle', tmp_path / 'run', **{**masks, 'style_mask': small})
  assert not (tmp_path / 'run').exists()


def test_snapshots_become_a_strip_also_after_a_kill(tmp_path, monkeypatch):
  settings = {'octaves': 1, 'steps': 12, 'snapshots': 4}
  start('style/transfer', tmp_path / 'whole', **settings)
  names = {f'transfer_48x48_{i:04d}.png' for i in (4, 8, 12)}
  assert names < {path.name for path in (tmp_path / 'whole').iterdir()}
  picture = styling.Job._snapshot

  def killing(self, recorder, name, shown, now):
    if now.step == 8:
      raise KeyboardInterrupt  # before the picture, and what is done is saved
    picture(self, recorder, name, shown, now)

  monkeypatch.setattr(styling.Job, '_snapshot', killing)
  with pytest.raises(KeyboardInterrupt):
    start('style/transfer', tmp_path / 'killed', **settings)
  monkeypatch.setattr(styling.Job, '_snapshot', picture)
  start('style/transfer', tmp_path / 'killed', **settings)
  for name in (*names, 'transfer.png', 'transfer_strip.png'):
    files = [tmp_path / run / name for run in ('whole', 'killed')]
    assert files[0].read_bytes() == files[1].read_bytes(), name


@pytest.mark.parametrize(
  ('snapshots', 'chunk'), [(0, 16), (40, 10), (4, 4), (17, 1)]
)
def test_a_chunk_ends_with_every_snapshot(snapshots, chunk):
  assert styling._chunk(snapshots) == chunk


def test_tiles_paint_the_picture_of_the_whole(tmp_path):
  for tile in (0, 32):
    start('style/transfer', tmp_path / f'{tile}', tile=tile, steps=2)
  whole, tiles = (
    io.read_image(tmp_path / f'{tile}' / 'transfer.png') for tile in (0, 32)
  )
  assert np.abs(whole - tiles).max() < 0.02
  assert np.abs(whole - tiles).mean() < 1e-3


def test_a_style_only_where_its_mask_is_white(tmp_path):
  mask = np.zeros((60, 60), np.uint8)
  mask[:, :30] = 255
  path = str(io.write_png(tmp_path / 'left.png', mask))
  start(
    *('style/transfer', tmp_path / 'run'),
    masks=path,
    octaves=1,
    alpha=0.0,
    tv=0.0,
    optimizer='adam',  # the first guess of ours spreads a slope beyond its mask
    steps=8,
  )
  made = io.read_image(tmp_path / 'run' / 'transfer.png')
  moved = np.abs(made - io.read_image('sample:star_and_square', shorter=48))
  assert moved[:, :20].mean() > 0.02 > 0.003 > moved[:, 32:].mean()
  wide = str(io.write_png(tmp_path / 'wide.png', mask[:20]))
  with pytest.raises(ValueError, match='config.masks: got 60x20 pixels'):
    start('style/transfer', tmp_path / 'bad', masks=wide)
  with pytest.raises(ValueError, match='config.masks: got 2, expected one a'):
    start('style/transfer', tmp_path / 'bad', masks=f'{path},{path}')


def test_models_of_one_last_layer_are_not_mixed_up(tmp_path):
  found = start(
    *('style/texture', tmp_path / 'run'),
    models='relu1_1,relu2_1; pool1,relu2_1; relu2_1:2; relu2_1:2',
    octaves=1,
  )
  assert len(found) == 4 * 3
  assert len([*(tmp_path / 'run').glob('texture_*.npz')]) == 4


def test_patience_does_not_depend_on_snapshots(tmp_path):
  counts = []
  for snapshots in (0, 5):
    workdir = tmp_path / f'{snapshots}'
    settings = {'octaves': 1, 'steps': 96, 'snapshots': snapshots}
    start('style/transfer', workdir, patience=0.05, **settings, **PAPER)
    with np.load(workdir / 'transfer_48x48.npz') as made:
      counts.append(len(made['scores']))
  # To the next end of a chunk.
  assert counts[0] < 96 and abs(counts[0] - counts[1]) <= 16


def test_masks_that_a_file_has_blurred_have_their_regions(masks, tmp_path):
  noise = np.random.default_rng(0)
  for name in ('style_mask', 'target_mask'):
    mask = render.to_uint8(io.read_image(masks[name])).astype(int)
    mask = np.clip(mask + noise.integers(-6, 7, mask.shape), 0, 255)
    masks[name] = str(
      io.write_png(tmp_path / f'{name}_noisy.png', mask.astype(np.uint8))
    )
  found = start('style/doodle', tmp_path / 'run', size=40, octaves=1, **masks)
  assert found['regions'] == 2


def test_later_sizes_may_have_fewer_steps(tmp_path):
  start('style/doodle', tmp_path / 'run', steps=5, later_steps=2)
  with np.load(tmp_path / 'run' / 'doodle_16x16.npz') as made:
    assert len(made['scores']) == 5
  with np.load(tmp_path / 'run' / 'doodle_32x32.npz') as made:
    assert len(made['scores']) == 2


@pytest.mark.parametrize('changes', [{}, {**PAPER, 'tv': 5e-4}], ids=str)
def test_the_parts_of_a_transfer_sum_to_the_loss_of_its_picture(
  changes, tmp_path
):
  found = start(
    'style/transfer', tmp_path / 'run', steps=6, octaves=1, **changes
  )
  parts = [found[k] for k in ('content', 'style', 'total variation')]
  np.testing.assert_allclose(found['loss'], sum(parts), rtol=1e-6)
  assert min(parts[: 3 if changes else 2]) > 0
  with np.load(tmp_path / 'run' / 'transfer_48x48.npz') as made:
    image = made['images']
    # Of the last step but one.
    last = made['penalties'][-1] - made['scores'][-1]
  assert 0 <= image.min() and image.max() <= 1
  assert 0.5 * last < found['loss'] < 2 * last
  assert found['loss'] < last or not changes, 'the loss was still falling'
  shown = io.read_image(str(tmp_path / 'run' / 'transfer.png'))
  assert np.abs(shown - image).max() < 1 / 255, 'what is judged is shown'


@pytest.mark.parametrize('normalise', [True, False])
def test_gradients_are_normalised_where_the_setting_says_so(normalise):
  config = style_transfer.get_test_config()
  config.normalise = normalise
  job = styling.Job(config, {'content_layer': ['relu2_1']})
  wish = job.minimise(content('relu2_1', np.zeros((24, 24, 24), np.float32)))
  assert ('inner' in wish.objective.inner.settings) == normalise
