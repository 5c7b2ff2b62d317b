import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from tools import start, stops_of_the_same, write_enlarger

from vizlab import evaluate, generate, image, io, nets
from vizlab.runs.reader import read_metrics
from vizlab_experiments.configs.generate import super_resolution
from vizlab_experiments.shared import enlarging
from vizlab_experiments.shared.images import crops, load_images


def test_the_network_learns_what_interpolation_lacks(tmp_path):
  results = start(
    'generate/super_resolution', tmp_path, steps=150, width=8, scenes=16,
    batch_size=4, size=48,
  )  # fmt: skip
  rows = [row['training/pixel'] for row in read_metrics(tmp_path)]
  assert rows[-1] < 0.8 * rows[0]
  assert results['PSNR/trained'] > results['PSNR/bicubic'] - 0.3
  record = json.loads((tmp_path / 'record.json').read_text())
  assert record['results']['PSNR/trained'] == results['PSNR/trained']
  # The scores, by hand, of the network that was written.
  net = nets.load(tmp_path / 'super_resolution.safetensors')
  assert nets.param_count(net) == results['parameters']
  truth = jnp.asarray(io.read_image('sample:star_and_square'))
  side = truth.shape[0]
  small = _bytes(image.bicubic(truth, (side // 4, side // 4)))
  made = generate.transformed(net, small, border=8, multiple=1, factor=4)
  for way, larger in (
    ('bicubic', image.bicubic(small, (side, side))),
    ('trained', made),
  ):
    luma = [image.video_luma(v)[4:-4, 4:-4] for v in (_bytes(larger), truth)]
    # The file holds half of the digits.
    assert abs(results[f'PSNR/{way}'] - evaluate.psnr(*luma)) < 0.05
    similar = evaluate.ssim(*luma, scaled=False)
    assert abs(results[f'SSIM/{way}'] - similar) < 0.002


def _bytes(x):
  return jnp.round(jnp.clip(x, 0, 1) * 255) / 255


def test_the_loss_by_hand(tmp_path):
  start(
    'generate/super_resolution', tmp_path / 'run', steps=1, pixel=0.5,
    feature=2.0, start=_written(tmp_path),
  )  # fmt: skip
  (row,) = [r for r in read_metrics(tmp_path / 'run') if 'training/loss' in r]
  config = super_resolution.get_test_config()
  images = load_images(config, 2 * config.size)
  x = jnp.asarray(crops(config, images, 0, 2))
  net = nets.load(tmp_path / 'enlarger.safetensors')
  made = net(enlarging.shrunk(x, 4))[1]['image']
  seeing = nets.load('minivgg')
  f, g = (seeing(v)[1]['relu2_1'] for v in (made, x))
  square = float(jnp.square(made - x).mean())
  wanted = 0.5 * square + 2.0 * float(jnp.square(f - g).mean())
  assert row['training/pixel'] == pytest.approx(square, rel=1e-3)
  assert row['training/loss'] == pytest.approx(wanted, rel=1e-3)


def test_a_stopped_one_ends_the_same(tmp_path, monkeypatch):
  stops = stops_of_the_same('generate/super_resolution', tmp_path, monkeypatch)
  assert stops > 1


def test_a_perceptual_distance_is_measured_if_asked_for(tmp_path, assets):
  weights = assets / 'weights'
  results = start(
    'generate/super_resolution',
    tmp_path / 'run',
    judge=str(weights / 'alexnet_features.npz'),
    heads=str(weights / 'lpips_heads.npz'),
    beside=str(_written(tmp_path)),
  )
  names = {f'LPIPS/{way}' for way in ('bicubic', 'enlarger', 'trained')}
  assert names <= {*results}
  assert 0 < results['LPIPS/bicubic'] < results['LPIPS/enlarger'] < 2


def test_set5_by_interpolation_has_the_published_figures(tmp_path, assets):
  results = start(
    'generate/super_resolution',
    tmp_path,
    steps=1,
    images=str(assets / 'images' / 'superres' / '*_GT.bmp'),
  )
  assert abs(results['PSNR/bicubic'] - 28.42) < 0.03
  assert abs(results['SSIM/bicubic'] - 0.8104) < 0.002


def test_the_network_that_ships_enlarges_better_than_interpolation(
  tmp_path, assets
):
  results = start(
    'generate/super_resolution',
    tmp_path,
    steps=1,
    images=str(assets / 'images' / 'superres' / 'b*_GT.bmp'),
    beside='super_resolution_pixel',
  )
  ours = results['PSNR/super_resolution_pixel']
  assert ours > results['PSNR/bicubic'] + 1.5
  assert results['SSIM/super_resolution_pixel'] > results['SSIM/bicubic'] + 0.03


def _written(folder, factor=4):
  path = folder / 'enlarger.safetensors'
  write_enlarger(path, factor)
  return str(path)


def test_sides_are_cut_to_multiples_of_the_factor(tmp_path):
  Image.fromarray(np.zeros((41, 50, 3), np.uint8)).save(tmp_path / 'a.png')
  results = start(
    'generate/super_resolution',
    tmp_path / 'run',
    images=str(tmp_path / 'a.png'),
  )
  # Nothing of a black image is lost, and infinity is no result.
  assert results['SSIM/bicubic'] > 0.9999 and 'PSNR/bicubic' not in results


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'factor': 2}, 'config.factor: got 2, expected 4 or 8'),
    ({'size': 20}, 'config.size: got 20, .* at least 24'),
    ({'pixel': 0.0}, 'config.pixel, config.feature: got 0 and 0'),
    ({'feature': -1.0}, 'config.feature: got -1.0'),
    ({'feature_layer': 'relu9'}, "config.feature_layer: got 'relu9'"),
    ({'start': 'minivgg'}, 'config.start: minivgg is of minivgg, expected sup'),
    ({'beside': 'no.safetensors'}, 'config.beside: no such file'),
    ({'judge': 'minivgg'}, 'config.judge, config.heads: got minivgg and None'),
    (
      {'judge': 'minivgg', 'heads': 'a'},
      'config.judge: minivgg is of',
    ),
    ({'images': 'no.png'}, 'config.images: no such file'),
    ({'learning_rate': float('nan')}, 'config.learning_rate: got nan'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('generate/super_resolution', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


def test_images_of_a_few_pixels_are_refused(tmp_path):
  Image.fromarray(np.zeros((23, 90, 3), np.uint8)).save(tmp_path / 'a.png')
  with pytest.raises(ValueError, match='a.png has 90 x 23 pixels, .* 24 each'):
    start(
      'generate/super_resolution',
      tmp_path / 'run',
      images=str(tmp_path / 'a.png'),
    )


def test_networks_beside_it_have_names_of_their_own(tmp_path):
  paths = []
  for folder in ('one', 'two'):
    (tmp_path / folder).mkdir()
    paths.append(tmp_path / folder / 'super_resolution.safetensors')
    write_enlarger(paths[-1])
  beside = ','.join(map(str, paths))
  results = start(
    'generate/super_resolution', tmp_path / 'run', beside=beside, steps=1
  )
  assert results['PSNR/one'] == results['PSNR/two']
  write_enlarger(tmp_path / 'bicubic.safetensors')
  with pytest.raises(
    ValueError, match="config.beside: got 'bicubic', expected"
  ):
    start(
      'generate/super_resolution',
      tmp_path / 'other',
      beside=str(tmp_path / 'bicubic.safetensors'),
    )


def test_what_cannot_be_measured_is_refused_before_the_training(
  tmp_path, assets
):
  Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / 'a.png')
  weights = assets / 'weights'
  with pytest.raises(ValueError, match='config.images: got images of 32x32'):
    start(
      'generate/super_resolution',
      tmp_path / 'run',
      images=str(tmp_path / 'a.png'),
      judge=str(weights / 'alexnet_features.npz'),
      heads=str(weights / 'lpips_heads.npz'),
    )
  assert not (tmp_path / 'run').exists()


def test_a_network_of_another_factor_is_refused(tmp_path):
  path = _written(tmp_path, 8)
  with pytest.raises(ValueError, match='is of super_resolution_x8, expected'):
    start('generate/super_resolution', tmp_path / 'run', start=path)
