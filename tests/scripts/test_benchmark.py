import importlib.util
import json
import os

import pytest
from test_scripts import call

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _compiles_quickly(monkeypatch):
  """Networks run once or twice: to optimise them takes longer."""
  flags = os.environ['XLA_FLAGS'].replace('level=1', 'level=0')
  monkeypatch.setenv('XLA_FLAGS', flags)


# The module that each peer needs, and a task of it.
PEERS = {
  'torch channels_last': ('torch', 'forward'),
  'captum': ('captum', 'grad_cam'),
  'pytorch-grad-cam': ('pytorch_grad_cam', 'grad_cam'),
  'foolbox': ('foolbox', 'pgd'),
  'zennit': ('zennit', 'lrp'),
}


def report_of(tmp_path, only, *flags):
  out = tmp_path / 'figures.json'
  flags = f'--only={only}', '--repeats=1', f'--out={out}', *flags
  done = call('benchmark', *flags)
  assert done.returncode == 0, done.stderr
  return json.loads(out.read_text())


def test_benchmark_of_small_images(tmp_path):
  tasks = 'forward,grad_cam,lrp,ascent,pgd'
  report = report_of(tmp_path, tasks, '--batch=1', '--size=32')
  rows = {(r['task'], r['contender']): r for r in report['rows']}
  assert ('ascent', 'vizlab, step by step') in rows
  for task in ('forward', 'grad_cam', 'lrp', 'ascent', 'pgd'):
    row = rows[task, 'vizlab']
    assert row['seconds'] > 0 and row['ratio'] == 1
    assert row['compile_seconds'] > 0
  for peer, (module, task) in PEERS.items():
    if importlib.util.find_spec(module):
      assert rows[task, peer]['seconds'] > 0
    else:
      assert (task, peer) not in rows
  assert 0 < report['fraction'] < 2


def test_benchmark_of_networks(tmp_path):
  rows = report_of(tmp_path, 'networks', '--batch=1', '--size=75')['rows']
  found = {(row['task'], row['contender']): row['ratio'] for row in rows}
  assert found['resnet50 forward', 'vizlab'] == 1
  assert found['densenet121 saliency', 'vizlab'] == 1
  there = importlib.util.find_spec('torch') is not None
  assert (('inception_v3 saliency', 'torch channels_last') in found) == there


def test_benchmark_of_precisions(tmp_path):
  rows = report_of(tmp_path, 'precision,saliency', '--size=32')['rows']
  assert [row['contender'] for row in rows] == [
    'float32',
    'bfloat16',
    'float16',
  ]
  assert {row['task'] for row in rows} == {'saliency'}
  float32, bfloat16, float16 = (row['correlation'] for row in rows)
  assert float32 == 1 > float16 > 0.95 and bfloat16 > 0.9


def test_benchmark_of_accelerators(tmp_path):
  flags = '--batches=1,2', '--size=32', '--channels=2', '--nocompile'
  report = report_of(tmp_path, 'accelerator,forward', *flags)
  rows = {
    (row['task'], row['precision'], row['batch'], row['contender']): row
    for row in report['rows'][:-2]
  }
  own = [key for key in rows if key[-1] == 'vizlab']
  assert len(own) == len({key[1:3] for key in own}) == 6
  for key, row in rows.items():
    assert row['images_per_second'] == pytest.approx(key[2] / row['seconds'])
    assert 0 < row['fraction'] < 2
  there = importlib.util.find_spec('torch') is not None
  assert (('forward', 'tf32', 2, 'torch') in rows) == there
  assert [row['contender'] for row in report['rows'][-2:]] == [
    'at once',
    'one by one',
  ]


def test_batches_are_numbers():
  done = call('benchmark', '--only=accelerator', '--batches=1,many')
  assert "batches: got ['many'], expected numbers from 1" in done.stderr


@pytest.mark.parametrize(
  ('only', 'expected'),
  [
    ('nothing', 'some of'),
    ('precision,nothing', 'some of'),
    ('accelerator,nothing', 'some of'),
    ('networks,nothing', 'nothing beside it'),
    ('style_transfer,nothing', 'nothing beside it'),
  ],
)
def test_benchmark_of_an_unknown_task(only, expected):
  done = call('benchmark', f'--only={only}')
  assert f"only: got ['nothing'], expected {expected}" in done.stderr
