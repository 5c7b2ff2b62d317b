import csv
import hashlib
import json
import sys

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from tools import locked

from vizlab import io
from vizlab.runs import Recorder, provenance
from vizlab.runs.reader import read_metrics
from vizlab.runs.report import Figure, Table


def config(**values):
  return ConfigDict({'experiment': 'x', 'rate': 0.5, 'n': 3, **values})


def opened(workdir, **values):
  recorder = Recorder(workdir, config(**values))
  recorder.open()
  return recorder


def test_recorder_writes_a_work_directory(tmp_path):
  recorder = opened(tmp_path / 'run')
  recorder.metrics(1, {'loss': 2.0})
  recorder.arrays('maps', a=np.arange(3))
  picture = np.zeros((4, 4, 3), np.uint8)
  parts = [
    Figure('fig', 'A <figure>', picture),
    Table('t/0', 'T', ['a', 'b'], [[0.123456789, 'x, "y"\né']]),
  ]
  recorder.report('Title', 'Summary & more.', parts)
  assert recorder.finish({'loss': 2.0}) == {'loss': 2.0}
  names = {path.name for path in (tmp_path / 'run').iterdir()}
  assert names == {
    '.lock',
    'figures.json',
    'run.json',
    'DONE',
    'config.json',
    'overrides.json',
    'command.txt',
    'metrics.jsonl',
    'maps.npz',
    'fig.png',
    't_0.csv',
    'report.html',
  }
  with open(tmp_path / 'run' / 't_0.csv', newline='') as file:
    assert [*csv.reader(file)] == [['a', 'b'], ['0.123456789', 'x, "y"\né']]
  page = (tmp_path / 'run' / 'report.html').read_text()
  for text in ('A &lt;figure&gt;', 'Summary &amp; more.', '0.123', '"rate"'):
    assert text in page or text.replace('"', '&#34;') in page
  assert 'src="data:image/png;base64,' in page and 'src="fig' not in page
  assert Recorder(tmp_path / 'run', config()).results == {'loss': 2.0}


def test_another_config_is_refused(tmp_path):
  opened(tmp_path)
  with pytest.raises(ValueError, match='another config .they differ in rate'):
    Recorder(tmp_path, config(rate=0.6))


@pytest.mark.parametrize('overwrite', [False, True])
def test_foreign_files_are_not_touched(overwrite, tmp_path):
  (tmp_path / 'config.json').write_text('{"model_type": "theirs"}')
  (tmp_path / 'thesis.txt').write_text('years of work')
  with pytest.raises(ValueError, match='files that do not belong to a run'):
    Recorder(tmp_path, config(), overwrite=overwrite)
  assert (tmp_path / 'thesis.txt').exists()


def test_overwriting_waits_until_the_recorder_is_opened(tmp_path):
  opened(tmp_path / 'run').metrics(1, {'loss': 2.0})
  other = Recorder(tmp_path / 'run', config(rate=0.6), overwrite=True)
  assert (tmp_path / 'run' / 'metrics.jsonl').exists()
  (tmp_path / 'run' / 'notes.txt').write_text('mine')
  other.open()
  assert not (tmp_path / 'run' / 'metrics.jsonl').exists()
  assert (tmp_path / 'run' / 'notes.txt').exists(), 'only our files go'
  settings = json.loads((tmp_path / 'run' / 'config.json').read_text())
  assert settings['rate'] == 0.6


def test_a_run_killed_at_its_first_file_goes_on(tmp_path):
  opened(tmp_path)
  for name in ('overrides.json', 'command.txt'):
    (tmp_path / name).unlink()
  opened(tmp_path)
  assert (tmp_path / 'command.txt').exists()
  (tmp_path / 'half').mkdir()
  (tmp_path / 'half' / '.config.json.abcd').write_text('{')
  opened(tmp_path / 'half')


def test_overwriting_that_is_killed_can_be_done_again(tmp_path, monkeypatch):
  opened(tmp_path).metrics(1, {'loss': 2.0})
  (tmp_path / 'notes.txt').write_text('mine')
  recorder = Recorder(tmp_path, config(n=9), overwrite=True)
  with monkeypatch.context() as patch:
    patch.setattr(io, 'write_json', lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      recorder.open()
  assert not (tmp_path / 'metrics.jsonl').exists()
  Recorder(tmp_path, config(n=9), overwrite=True).open()
  assert json.loads((tmp_path / 'config.json').read_text())['n'] == 9


def test_a_symlink_and_the_current_directory_are_work_directories(
  tmp_path, monkeypatch
):
  (tmp_path / 'real').mkdir()
  (tmp_path / 'link').symlink_to(tmp_path / 'real')
  opened(tmp_path / 'link')
  Recorder(tmp_path / 'link', config(n=4), overwrite=True).open()
  monkeypatch.chdir(tmp_path / 'real')
  Recorder('.', config(n=5), overwrite=True).open()
  assert json.loads((tmp_path / 'real' / 'config.json').read_text())['n'] == 5


def test_without_its_report_a_run_is_not_finished(tmp_path):
  opened(tmp_path).finish({'loss': 1.0})
  assert Recorder(tmp_path, config()).results is None


def test_a_recorder_that_is_not_opened_writes_nothing(tmp_path):
  Recorder(tmp_path / 'run', config())
  assert not (tmp_path / 'run').exists()


def test_impossible_work_directories_are_named(tmp_path):
  (tmp_path / 'file').write_text('x')
  with pytest.raises(ValueError, match='workdir: .*file: .*Not a directory'):
    Recorder(tmp_path / 'file', config())
  opened(tmp_path / 'run')
  (tmp_path / 'run' / 'config.json').write_text('{"ra')
  with pytest.raises(ValueError, match='workdir: .*run: Unterminated'):
    Recorder(tmp_path / 'run', config())


def test_metrics_survive_a_kill_and_rewind(tmp_path):
  recorder = opened(tmp_path)
  for step in (1, 2, 3):
    recorder.metrics(step, {'loss': step})
  with (tmp_path / 'metrics.jsonl').open('a') as file:
    file.write('{"step": 4, "lo')
  assert [row['step'] for row in read_metrics(tmp_path)] == [1, 2, 3]
  recorder.rewind(2)
  recorder.metrics(3, {'loss': 9})
  assert read_metrics(tmp_path)[-1] == {'step': 3, 'loss': 9.0}
  assert len(read_metrics(tmp_path)) == 3
  recorder.metrics(3, {'fox/score': 1})
  recorder.rewind(1, 'fox')
  assert [row['step'] for row in read_metrics(tmp_path)] == [1, 2, 3]


def test_config_is_written_as_json(tmp_path):
  opened(tmp_path, stages=((1, 2),))
  assert json.loads((tmp_path / 'config.json').read_text())['stages'] == [
    [1, 2]
  ]
  assert Recorder(tmp_path, config(stages=((1, 2),))).results is None


def test_a_work_directory_that_is_in_use_is_refused(tmp_path):
  with locked(tmp_path / 'run' / '.lock'):
    recorder = Recorder(tmp_path / 'run', config())
    with pytest.raises(ValueError, match='workdir: .* another process uses'):
      recorder.open()
  recorder.open()  # the lock died with the process


def test_a_run_records_what_it_came_from(tmp_path):
  weights = tmp_path / 'net.safetensors'
  weights.write_bytes(b'abc')
  settings = config()
  settings.net = {'weights': str(weights), 'other': 'minivgg'}
  Recorder(tmp_path / 'run', settings).open()
  record = json.loads((tmp_path / 'run' / 'run.json').read_text())
  assert record['sha256'][str(weights)] == hashlib.sha256(b'abc').hexdigest()
  assert len(record['sha256']['minivgg']) == 64
  assert {'jax', 'python', 'vizlab'} <= {*record['versions']}
  assert record['device'].startswith(jax.default_backend())


def test_a_run_does_not_resume_with_another_file(tmp_path):
  (tmp_path / 'cat.png').write_bytes(b'a cat')
  values = {'images': str(tmp_path / 'cat.png')}
  opened(tmp_path / 'run', **values)
  opened(tmp_path / 'run', **values)
  (tmp_path / 'cat.png').write_bytes(b'a dog')
  with pytest.raises(ValueError, match='workdir: .*cat.png is another file'):
    opened(tmp_path / 'run', **values)
  Recorder(tmp_path / 'run', config(**values), overwrite=True).open()


@pytest.mark.parametrize(
  ('argv', 'wanted'),
  [
    (['/env/bin/vizlab-run', '--config=a b'], "vizlab-run '--config=a b'"),
    (['scripts/run.py', '--config=a'], 'python scripts/run.py --config=a'),
  ],
)
def test_the_command_can_be_given_again(argv, wanted, monkeypatch):
  monkeypatch.setattr(sys, 'argv', argv)
  assert provenance.command() == wanted
