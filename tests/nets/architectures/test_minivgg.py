"""The net that ships: it knows the shapes, and its record says so."""

import json
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import adversarial, nets
from vizlab.data import scenes
from vizlab_experiments.configs.adversarial import robust_training
from vizlab_experiments.configs.training import minivgg as train_minivgg
from vizlab_experiments.shared.training_data import fixed_set


@pytest.fixture(scope='module')
def record():
  folder = resources.files('vizlab.nets.weights') / 'data'
  return json.loads((folder / 'minivgg.json').read_text())


@pytest.mark.slow
def test_accuracy_on_fresh_scenes(minivgg, record):
  predict = jax.jit(lambda net, x: net(x)[0].argmax(-1))
  right = []
  for i in range(4):
    data = scenes(jax.random.key(123_456 + i), 128)
    right.append(predict(minivgg, data.image) == data.labels[:, 0])
  right = jnp.concatenate(right)
  assert record['results']['accuracy'] >= 0.97
  assert float(right.mean()) >= 0.97


def test_the_config_is_the_one_that_made_it(record):
  settings = json.loads(json.dumps(train_minivgg.get_config().to_dict()))
  later = {k: v for k, v in settings.items() if k not in record['config']}
  assert not any(later.values()), 'what was added since changes nothing'
  settings['experiment'] = 'train_minivgg'  # its name then
  settings['checkpoint_every'] = 100  # of no effect on the net, removed since
  assert {**record['config'], **later} == settings


@pytest.mark.slow
def test_the_net_of_random_labels_knows_them_by_heart_and_no_shapes():
  config = train_minivgg.get_config('random_labels')
  net = nets.load('minivgg_random_labels')
  predict = jax.jit(lambda net, x: net(x)[0].argmax(-1))
  for random, least, most in ((True, 0.99, 1.0), (False, 0.0, 0.15)):
    data = fixed_set(config.seed, config.fixed_scenes, 64, random)
    share = float((predict(net, data.image) == data.labels[:, 0]).mean())
    assert least <= share <= most


def test_size(record):
  folder = resources.files('vizlab.nets.weights') / 'data'
  assert len((folder / 'minivgg.safetensors').read_bytes()) <= 1_500_000
  assert record['results']['train_seconds'] <= 3600


def test_first_filters_are_smooth_not_noise(minivgg):
  """Neighbours in a filter agree; in noise they do not (correlation 0)."""
  kernel = np.asarray(minivgg.params['conv1_1']['kernel'][...])
  strength = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), axis=0)
  kernel = kernel[..., strength > 0.2 * strength.max()]
  centred = kernel - kernel.mean((0, 1), keepdims=True)
  near = (centred[1:] * centred[:-1]).sum((0, 1, 2))
  near = near + (centred[:, 1:] * centred[:, :-1]).sum((0, 1, 2))
  energy = np.square(centred).sum((0, 1, 2))
  assert kernel.shape[-1] >= 16
  assert np.median(near / (2 * energy)) > 0.3


@pytest.mark.slow
def test_the_robust_net_withstands_what_fools_the_other(minivgg):
  folder = resources.files('vizlab.nets.weights') / 'data'
  written = json.loads((folder / 'minivgg_robust.json').read_text())
  settings = json.loads(json.dumps(robust_training.get_config().to_dict()))
  assert settings['net'].pop('dtype') == 'float32'  # could not be set then
  assert settings['method'] == 'madry' and settings.pop('replays')  # of another
  assert settings.pop('data') is None
  assert written['config'] == settings
  data = scenes(jax.random.key(55), 24, size=96)
  label = data.labels[:, 0]
  right = {}
  for name, net in {
    'plain': minivgg, 'robust': nets.load('minivgg_robust'),
  }.items():  # fmt: skip
    found = adversarial.pgd(
      adversarial.mislead(net, label), data.image, jax.random.key(0),
      epsilon=8 / 255, steps=8, stop=True,
    )  # fmt: skip
    right[name] = 1 - float(found.success.mean())
    assert float(found.already.mean()) < 0.13
  assert right['robust'] > 0.6 > 0.3 > right['plain']
