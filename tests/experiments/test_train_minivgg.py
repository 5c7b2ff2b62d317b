import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import nets
from vizlab.runs import execute
from vizlab_experiments.configs.training import minivgg as configs
from vizlab_experiments.shared import (
  normalisation,
  scene_training,
  training_data,
)
from vizlab_experiments.training import minivgg as training


@pytest.fixture(scope='module')
def config():
  config = configs.get_test_config()
  config.stages = ((24, 4),)
  return config


def test_folding_gives_the_normalised_net(config):
  net = nets.create('minivgg', key=jax.random.key(0), classes=12)
  trained = scene_training.initial(net, config.first_kernel_scale)
  key = jax.random.key(0)
  norms = {
    name: normalisation.Norm(norm.scale + 0.3, norm.bias + 0.1)
    for name, norm in trained.norms.items()
  }
  x = jax.random.uniform(key, (3, 32, 32, 3))
  moments = {}
  expected, _ = net(x, normalisation.normalising_edits(norms, moments))
  folded, acts = normalisation.fold(net, norms, moments)(x)
  np.testing.assert_allclose(folded, expected, rtol=1e-3, atol=1e-4)
  assert float(jnp.abs(acts['conv2_1'].mean((0, 1, 2)) - 0.1).max()) < 1e-2


def test_batches_are_functions_of_the_step(config):
  config = configs.get_test_config()
  one, two = training_data.batch(config, 1), training_data.batch(config, 1)
  np.testing.assert_array_equal(one.image, two.image)
  assert not jnp.array_equal(one.image, training_data.batch(config, 2).image)
  assert (
    one.image.shape[1] == 32
    and training_data.batch(config, 3).image.shape[1] == 48
  )
  assert (one.labels[:, 1] >= 0).sum() == 1  # a quarter of four


def test_a_killed_run_goes_on_and_ends_the_same(config, tmp_path, monkeypatch):
  whole = execute(training, config, tmp_path / 'whole')
  draw, drawn = training_data.batch, []

  def killing(config, step):
    drawn.append(step)
    if drawn == [0, 1, 2, 3]:
      raise KeyboardInterrupt
    return draw(config, step)

  monkeypatch.setattr(training_data, 'batch', killing)
  with pytest.raises(KeyboardInterrupt):
    execute(training, config, tmp_path / 'killed')
  assert not (tmp_path / 'killed' / 'DONE').exists()
  resumed = execute(training, config, tmp_path / 'killed')
  assert drawn[3:5] == [3, 3], 'what was done is not done again'
  assert resumed['accuracy'] == whole['accuracy']
  ours, theirs = (
    nets.load(tmp_path / name / 'minivgg.safetensors')
    for name in ('whole', 'killed')
  )
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    np.testing.assert_array_equal(a, b)
  logs = [
    (tmp_path / name / 'metrics.jsonl').read_text()
    for name in ('whole', 'killed')
  ]
  assert logs[0] == logs[1]
  record = json.loads((tmp_path / 'whole' / 'record.json').read_text())
  (row,) = record['curve']
  assert row['step'] == 4 and row['loss'] > 1 >= row['accuracy']
  page = (tmp_path / 'whole' / 'report.html').read_text()
  shown = re.findall(r'<td[^>]*>([^<]*)<', page)
  assert f'{row["loss"]:.3f}' == shown[shown.index('4') + 1]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'stages': ()}, 'stages: got'),
    ({'stages': ((0, 3),)}, 'stages: got'),
    ({'stages': ((32, 3), (8, 1))}, 'config.stages: got images of 8x8'),
    ({'learning_rate': 0.0}, 'learning_rate: got 0.0'),
    ({'correlation': 1.5}, 'correlation: got 1.5, expected 0 to 1'),
  ],
)
def test_bad_settings_are_named(change, message, tmp_path):
  config = configs.get_test_config()
  config.update(change)
  with pytest.raises(ValueError, match=message):
    execute(training, config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_a_net_can_learn_random_labels_by_heart(tmp_path):
  config = configs.get_config('random_labels')
  config.fixed_scenes, config.batch_size = 6, 12
  config.stages, config.warmup_steps = ((32, 40),), 5
  config.calibration_batches = 2
  data = training_data.fixed_set(config.seed, 6, 32, True)
  truth = training_data.fixed_set(config.seed, 6, 32, False)
  np.testing.assert_array_equal(data.image, truth.image)
  assert (data.labels[:, 0] != truth.labels[:, 0]).any()
  assert execute(training, config, tmp_path / 'run')['accuracy'] == 1


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'random_labels': True}, 'random_labels: got True without fixed_scenes'),
    ({'fixed_scenes': -1}, 'fixed_scenes: got -1'),
  ],
)
def test_random_labels_need_a_fixed_set(change, message, tmp_path):
  config = configs.get_test_config()
  config.update(change)
  with pytest.raises(ValueError, match=message):
    execute(training, config, tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
