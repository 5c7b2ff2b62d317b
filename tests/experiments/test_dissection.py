import numpy as np
import pytest
from tools import read, start

from vizlab import nets


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """Both of the same scenes; the second one with masks of others."""
  folder = tmp_path_factory.mktemp('dissection')

  def run(name, **settings):
    return start(
      'probes/dissection',
      folder / name,
      scenes=96,
      batch=32,
      layers='relu5_2',
      **settings,
    )

  return folder, run('own'), run('other', shuffled=True)


def test_units_have_names_and_by_chance_they_have_few(runs):
  _, own, other = runs
  assert own['named/relu5_2'] > 0.6 > 2 * other['named/relu5_2']


def test_units_are_active_above_the_quantile(runs):
  folder, _, _ = runs
  whole, chance = (read(folder / name, 'relu5_2') for name in ('own', 'other'))
  np.testing.assert_array_equal(whole['threshold'], chance['threshold'])
  assert whole['iou'].mean() > 1.5 * chance['iou'].mean()
  assert whole['found'].shape == (128, 4) and whole['found'].max() < 96


def test_the_importance_is_the_fall_of_the_logit_on_a_linear_head(runs):
  folder, own, _ = runs
  effects = read(folder / 'own', 'importance')
  known = np.isfinite(effects['ablation']).all(1)
  assert known.sum() > 12
  np.testing.assert_allclose(
    effects['attribution'][known], effects['ablation'][known], atol=1e-4
  )
  assert own['agreement'] > 0.9999
  # Weights of the classifier, divided by the places of the map.

  kernel = np.asarray(nets.get_params(nets.load('minivgg'))['fc']['kernel'])
  np.testing.assert_allclose(
    effects['weights'][known], kernel.T[known] / 36, rtol=1e-4, atol=1e-6
  )


def test_below_nonlinear_layers_they_agree_less(tmp_path):
  results = start(
    'probes/dissection',
    tmp_path / 'run',
    scenes=12,
    layers='relu3_2',
    explained='relu3_2',
  )
  assert 0.3 < results['agreement'] < 0.9999


def test_the_report_speaks_in_sentences(runs):
  folder, _, _ = runs
  page = (folder / 'own' / 'report.html').read_text()
  assert '; against: unit ' in page and "'" in page
  weights = read(folder / 'own', 'importance')['weights']
  classes = read(folder / 'own', 'classes')
  assert classes['because'].shape == classes['against'].shape == (16, 3)
  assert classes['because'][0, 0] == weights[0].argmax()
  assert classes['against'][0, 0] == weights[0].argmin()
  assert f'unit {weights[0].argmax()}' in page


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layers': 'relu9,relu5_2'}, "config.layers: got 'relu9'"),
    ({'layers': 'gap,relu5_2'}, "config.layers: 'gap' gives a vector"),
    ({'explained': 'relu1_1'}, "config.explained: got 'relu1_1', .*one of"),
    ({'quantile': 1.0}, 'config.quantile: got 1.0'),
    ({'least': 0.0}, 'config.least: got 0.0'),
    ({'scenes': 3}, 'config.scenes: got 3, expected at least 8'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/dissection', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
