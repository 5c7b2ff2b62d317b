import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import read, start, stops_of_the_same, write_pictures

from vizlab import nets
from vizlab.runs.reader import read_metrics
from vizlab_experiments.configs.generate import learned_prior
from vizlab_experiments.generate import learned_prior as experiment
from vizlab_experiments.shared.images import load_images


def test_the_decoder_learns_to_invert_the_layer(tmp_path):
  results = start(
    'generate/learned_prior', tmp_path, steps=80, batch_size=4,
    widths=(32, 16, 8, 8, 8), learning_rate=3e-3,
  )  # fmt: skip
  rows = [row['training/loss'] for row in read_metrics(tmp_path) if
          'training/loss' in row]  # fmt: skip
  assert rows[-1] < 0.9 * rows[0]
  record = json.loads((tmp_path / 'record.json').read_text())
  assert record['results']['error'] == results['error']
  # The error of images that were held out, by hand.
  config = learned_prior.get_test_config()
  x = load_images(config, 96)[:6]
  maker = nets.load(tmp_path / 'decoder.safetensors')
  code = nets.load('minivgg')(x)[1]['relu5_2']
  back = np.clip(maker(code)[1]['image'], 0, 1)
  error = np.square(back - x).mean() / x.var()
  assert results['error'] == pytest.approx(error, rel=0.02)
  assert nets.param_count(maker) == results['parameters']


def test_a_vector_is_decoded_too(tmp_path):
  start('generate/learned_prior', tmp_path, code='gap')
  maker = nets.load(tmp_path / 'decoder.safetensors')
  assert maker.spec.shape == (1, 1, 128)
  made = maker(jnp.ones((2, 1, 1, 128)))[1]['image']
  assert made.shape == (2, 96, 96, 3)


def test_codes_are_bounded_by_their_deviations(tmp_path):
  start('generate/learned_prior', tmp_path)
  known = read(tmp_path, 'codes')
  config = learned_prior.get_test_config()
  x = load_images(config, 96)[6:]
  codes = np.asarray(nets.load('minivgg')(x)[1]['relu5_2'])
  wanted = codes.mean((0, 1, 2)) + 3 * codes.std((0, 1, 2))
  np.testing.assert_allclose(known['bound'], wanted, rtol=1e-3)
  np.testing.assert_allclose(known['mean'], codes.mean(0), rtol=1e-3, atol=1e-4)
  flat = codes.reshape(6, -1)
  flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
  apart = 1 - (flat @ flat.T)[np.triu_indices(6, 1)]
  np.testing.assert_allclose(known['spread'], apart.mean(), rtol=1e-3)


def test_samples_of_a_class_become_more_probable(tmp_path):
  """Even a decoder that was not trained is led towards a class."""
  found = {}
  for condition in (0.0, 3.0):
    folder = tmp_path / str(condition)
    start(
      'generate/learned_prior', folder, sample_steps=60, samples=2, noise=0.0,
      condition=condition, prior=0.0,
    )  # fmt: skip
    drawn = read(folder, 'samples')
    assert drawn['images'].shape == (2, 2, 96, 96, 3)
    logits = nets.load('minivgg')(drawn['images'][:, -1])[0]
    found[condition] = jax.nn.log_softmax(logits)[np.arange(2), [13, 3]]
  names = experiment.class_names(
    learned_prior.get_test_config(), nets.load('minivgg')
  )
  assert names[13] == 'star'
  assert found[3.0][0] > found[0.0][0]


def test_a_stopped_one_ends_the_same(tmp_path, monkeypatch):
  stops = stops_of_the_same('generate/learned_prior', tmp_path, monkeypatch)
  assert stops > 1


def test_photos_are_decoded(tmp_path):
  write_pictures(tmp_path, [f'p{i}' for i in range(8)])
  start(
    'generate/learned_prior',
    tmp_path / 'run',
    photos=str(tmp_path / '*.png'),
    steps=1,
  )


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'code': 'relu9'}, "config.code: got 'relu9'"),
    ({'layer': 'relu9'}, "config.layer: got 'relu9'"),
    ({'targets': 'cat'}, "config.targets: got 'cat'"),
    ({'channels': 'cat'}, "config.channels: got 'cat'"),
    ({'pixel': 0.0, 'feature': 0.0}, 'config.pixel, config.feature: got 0 an'),
    ({'scenes': 6}, 'config.scenes, config.photos: got 6 images, expected mo'),
    ({'widths': ()}, 'config.widths: got 0'),
    ({'widths': (8, 0, 4, 4, 4)}, r'config.widths: got \(8, 0, .* 1 or more'),
    ({'code': 'conv5_2'}, "config.code: got 'conv5_2', whose activations fall"),
    ({'widths': (8,) * 9, 'code': 'gap'}, 'config.widths: got 9, .* of 0 pix'),
    ({'noise': -1.0}, 'config.noise: got -1.0'),
    ({'image_rate': float('nan')}, 'config.image_rate: got nan'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('generate/learned_prior', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
