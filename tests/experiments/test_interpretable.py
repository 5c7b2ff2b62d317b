"""Training of interpretable filters."""

import jax
import numpy as np
import pytest
from tools import read, start, stops_of_the_same

from vizlab import data, nets, templates
from vizlab.nets.layers import TemplateMask
from vizlab.runs import experiments
from vizlab.runs.reader import read_metrics
from vizlab.runs.recorder import flat
from vizlab_experiments.shared import filter_parts
from vizlab_experiments.training import interpretable

NAME = 'training/interpretable'
TINY = {'stages': ((32, 2),), 'batch_size': 2, 'scenes': 32, 'known': 16}


def test_it_trains_judges_and_writes(tmp_path):
  results = start(NAME, tmp_path, **TINY)
  judged = {
    name: read(tmp_path, flat(f'judged/{name}'))
    for name in ('before', 'plain', 'interpretable')
  }
  finite = {k: np.isfinite(v['instability']) for k, v in judged.items()}
  active = np.all([*finite.values()], 0)
  assert 0 < active.sum() < 128
  for name, each in judged.items():
    assert each['category'].shape == (128,)
    assert results[f'{name}_silent'] == (~finite[name]).sum()
    assert results[f'{name}_accuracy'] == each['right'].mean()
    for column in ('instability', 'own', 'interpretability'):
      mean = each[column][active].mean()
      np.testing.assert_allclose(results[f'{name}_{column}'], mean)
    assert (each['own'] <= 1).all() and each['own'].max() > 0
    assert each['interpretability'].max() <= 1
  net = nets.load(tmp_path / 'interpretable.safetensors')
  assert any(isinstance(op, TemplateMask) for op in net.ops)
  before = nets.get_params(nets.load('minivgg'))
  after = nets.get_params(net)
  assert not np.allclose(before['fc']['kernel'], after['fc']['kernel'], 1e-3)
  page = (tmp_path / 'report.html').read_text()
  assert 'location instability' in page
  assert (tmp_path / 'filters.png').exists()


def test_filters_are_judged_by_the_parts_of_scenes():
  """A filter by hand, scene by scene."""
  net, layer = nets.load('minivgg'), 'relu4_2'
  known, scenes = filter_parts.draw(7, 48, 48), filter_parts.draw(8, 40, 48)
  judged = filter_parts.judge(
    net, layer, known, scenes, quantile=0.9, least=0.2
  )
  drawn = data.scenes(jax.random.key(8), 40, size=48)
  labels = np.asarray(drawn.labels[:, 0])
  np.testing.assert_array_equal(scenes.images, drawn.image)
  np.testing.assert_array_equal(scenes.masks, data.part_masks(drawn)[:, 0])
  logits, acts = net(drawn.image)
  maps = np.asarray(acts[layer])
  np.testing.assert_array_equal(judged['right'], logits.argmax(-1) == labels)
  category = templates.favourite_category(
    net(known.images)[1][layer], known.labels, 16
  )
  np.testing.assert_array_equal(judged['category'], category)
  total = maps.sum((1, 2))
  stable = np.isfinite(judged['instability'])
  k = int(np.where(stable, judged['own'], -1).argmax())
  members = np.flatnonzero(labels == category[k])
  np.testing.assert_allclose(
    judged['own'][k], total[members, k].sum() / total[:, k].sum(), rtol=1e-4
  )
  shown = judged['scenes'][k]
  assert set(shown[shown >= 0]) <= set(members)
  # Distances where the object fills the image.
  positions = np.asarray(data.part_positions(drawn))[:, 0]
  parts = ~np.isnan(positions[members]).all((0, 2, 3))
  lengths = []
  for n in members:
    if maps[n, ..., k].any():
      grid = maps.shape[1:3]
      peak = np.array(np.unravel_index(maps[n, ..., k].argmax(), grid))
      away = (peak + 0.5) / grid - positions[n][parts]
      away = np.nanmin(np.linalg.norm(away, axis=-1), -1)
      lengths.append(away / (2 * drawn.poses[n, 0, 2]))
  deviation = np.std(lengths, axis=0, ddof=1).mean() / np.sqrt(2)
  np.testing.assert_allclose(judged['instability'][k], deviation, rtol=1e-3)


def test_a_masked_network_is_judged_by_what_later_layers_see():
  known, scenes = filter_parts.draw(7, 32, 48), filter_parts.draw(8, 32, 48)
  net = nets.with_template_masks(nets.load('minivgg'), ['relu4_2'])
  _, maps, masked = filter_parts.run_layer(net, scenes.images, 'relu4_2')
  np.testing.assert_array_equal(masked, maps * templates.peak_mask(maps))
  judged = filter_parts.judge(
    net, 'relu4_2', known, scenes, quantile=0.9, least=0.2
  )
  np.testing.assert_allclose(
    judged['threshold'], np.quantile(masked, 0.9, (0, 1, 2)), rtol=1e-3
  )
  # The category is that of the maps before the mask.
  maps = net(known.images)[1]['relu4_2']
  np.testing.assert_array_equal(
    judged['category'], templates.favourite_category(maps, known.labels, 16)
  )


def test_ideal_detectors():
  scenes = filter_parts.draw(9, 400, 16)
  fine = filter_parts.detectors(scenes, (1000, 1000))
  coarse = filter_parts.detectors(scenes, (6, 6))
  # An object that fills its image has its centre at one distance of each part.
  assert fine['centre'] < 1e-3 and fine['part'] < 0.06
  assert 0.02 < coarse['centre'] < coarse['part'] < coarse['chance']
  assert abs(fine['chance'] - coarse['chance']) < 0.03


def test_the_loss_of_the_filters_falls(tmp_path):
  changes = {**TINY, 'stages': ((32, 30),), 'batch_size': 16, 'known': 64}
  start(NAME, tmp_path, **changes)
  rows = read_metrics(tmp_path)
  losses = [
    row['interpretable/filter_loss']
    for row in rows
    if 'interpretable/filter_loss' in row
  ]
  assert losses[-1] < losses[0] - 0.05
  assert not any('plain/filter_loss' in row for row in rows)


@pytest.mark.parametrize('loss', ['fit', 'paper', 'information'])
def test_each_loss_is_that_of_the_library(loss):
  config = experiments.config_module(NAME).get_test_config()
  config.loss, config.beta, config.tau = loss, 2.0, 0.3
  maps = jax.random.uniform(jax.random.key(0), (6, 3, 3, 4))
  present = jax.random.bernoulli(jax.random.key(1), 0.5, (6, 4))
  found = interpretable._loss(config)(maps, present)
  wanted = {
    'fit': -templates.template_fit(maps, present, beta=2.0),
    'paper': templates.template_loss(maps, present, beta=2.0, tau=0.3),
    'information': -templates.information(maps, beta=2.0, tau=0.3),
  }[loss]
  np.testing.assert_array_equal(found, wanted)


def test_a_stopped_run_ends_as_if_it_had_not(tmp_path, monkeypatch):
  file = 'interpretable.safetensors'
  assert stops_of_the_same(NAME, tmp_path, monkeypatch, weights=file) > 2


def test_a_function_is_refused_before_anything_is_written(tmp_path):
  (tmp_path / 'own.py').write_text(
    'import jax\nfrom vizlab import nets\n'
    'def load_net():\n'
    '  return nets.from_function(lambda x: jax.nn.relu(x).mean((1, 2)) @\n'
    '    jax.numpy.ones((3, 16)), jax.numpy.zeros((1, 16, 16, 3)))\n'
  )
  with pytest.raises(ValueError, match=r'config.net.weights: got a function'):
    start(NAME, tmp_path / 'run', **{'net.weights': str(tmp_path / 'own.py')})
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'layer': 'relu4_2'}, "config.layer: 'relu4_2' already has a mask"),
    ({'layer': 'relu5_2'}, None),
  ],
)
def test_a_network_that_is_masked_already(tmp_path, changes, message):
  net = nets.with_template_masks(nets.load('minivgg'), ['relu4_2'])
  nets.save(net, tmp_path / 'masked.safetensors')
  changes |= {**TINY, 'net.weights': str(tmp_path / 'masked.safetensors')}
  if message:
    with pytest.raises(ValueError, match=message):
      start(NAME, tmp_path / 'run', **changes)
    assert not (tmp_path / 'run').exists()
  else:
    start(NAME, tmp_path / 'run', **changes)
