import json
import shutil
import sys
import time

import pytest

from vizlab.runs import tensorboard

events = pytest.importorskip(
  'tensorboard.backend.event_processing.event_accumulator'
)
util = pytest.importorskip('tensorboard.util.tensor_util')


def write(workdir, rows, results=None):
  workdir.mkdir(exist_ok=True)
  (workdir / 'config.json').write_text('{}')
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  (workdir / 'metrics.jsonl').write_text(text)
  if results is not None:
    (workdir / 'DONE').write_text(json.dumps(results))


def shown(workdir):
  """Metrics that TensorBoard reads: ``{name: [(step, value)]}``."""
  found = events.EventAccumulator(str(workdir / 'tensorboard')).Reload()
  return {
    name: [
      (event.step, float(util.make_ndarray(event.tensor_proto)))
      for event in found.Tensors(name)
    ]
    for name in found.Tags()['tensors']
  }


def until(wanted, workdir):
  for _ in range(200):
    if [*workdir.glob('tensorboard/events*')] and shown(workdir) == wanted:
      return
    time.sleep(0.05)
  assert shown(workdir) == wanted


@pytest.fixture(autouse=True)
def quick(monkeypatch):
  monkeypatch.setattr(tensorboard, '_EVERY', 0.02)


def test_a_run_is_copied_as_it_goes(tmp_path):
  rows = [{'step': 5, 'a/score': 1.0}, {'step': 10, 'a/score': 2.5}]
  with tensorboard.following(tmp_path):
    write(tmp_path, rows[:1])
    until({'a/score': [(5, 1.0)]}, tmp_path)
    write(tmp_path, rows)
    until({'a/score': [(5, 1.0), (10, 2.5)]}, tmp_path)
    write(tmp_path, rows, {'last': 3, 'name': 'text'})
  until(
    {'a/score': [(5, 1.0), (10, 2.5)], 'results/last': [(10, 3.0)]}, tmp_path
  )


def test_what_a_resumed_run_takes_back_is_gone(tmp_path):
  with tensorboard.following(tmp_path):
    write(tmp_path, [{'step': 5, 'loss': 1.0}, {'step': 10, 'loss': 2.0}])
    until({'loss': [(5, 1.0), (10, 2.0)]}, tmp_path)
    write(tmp_path, [{'step': 5, 'loss': 1.0}, {'step': 10, 'loss': 4.0}])
    until({'loss': [(5, 1.0), (10, 4.0)]}, tmp_path)
  with tensorboard.following(tmp_path):  # the same command, once more
    pass
  assert shown(tmp_path) == {'loss': [(5, 1.0), (10, 4.0)]}


def test_a_folder_that_is_gone_is_written_anew(tmp_path):
  with tensorboard.following(tmp_path):
    write(tmp_path, [{'step': 5, 'loss': 1.0}], {})
    until({'loss': [(5, 1.0)]}, tmp_path)
    shutil.rmtree(tmp_path / 'tensorboard')  # as --overwrite does
    until({'loss': [(5, 1.0)]}, tmp_path)


def test_the_trials_of_a_sweep_are_runs_of_their_own(tmp_path):
  with tensorboard.following(tmp_path):
    for k in range(3):
      write(tmp_path / f'000{k}', [{'step': 1, 'loss': k}], {'loss': k})
  for k in range(3):
    assert shown(tmp_path / f'000{k}') == {
      'loss': [(1, k)],
      'results/loss': [(1, k)],
    }


def test_without_the_extra_it_says_how_to_get_it(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorboard.summary', None)
  with (
    pytest.raises(ValueError, match=r"'\.\[tensorboard\]'"),
    tensorboard.following(tmp_path),
  ):
    pass
