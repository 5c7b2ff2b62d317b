"""Running sweeps: resumed, failing, killed, changed, in several processes."""

import csv
import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tools import locked

from vizlab import io, sweeps
from vizlab.runs import load_run, settings, stopping
from vizlab.sweeps import executors, load_sweep, report, space
from vizlab_experiments.configs.style import transfer as style_transfer


def small(**changes):
  config = style_transfer.get_test_config()
  config.size, config.octaves, config.steps = 24, 1, 2
  settings.assign(config, changes)
  return config


def a_sweep(folder, trials, **changes):
  made = [space.Trial(i, overrides) for i, overrides in enumerate(trials)]
  sweep = sweeps.Sweep(pathlib.Path(folder), small(**changes), made)
  sweep.open()
  return sweep


BETAS = [{'beta': 1e5}, {'beta': 1e6}, {'beta': 1e7}]


def pictures(sweep):
  return [
    (sweep.workdir(trial) / 'transfer.png').read_bytes()
    for trial in sweep.trials
  ]


def test_finished_trials_are_not_run_again(tmp_path, monkeypatch):
  sweep = a_sweep(tmp_path / 'sweep', BETAS)
  assert sweeps.run(sweep, most=1) == {
    'finished': 1,
    'failed': 0,
    'open': 2,
  }
  stamp = (sweep.workdir(sweep.trials[0]) / 'DONE').stat().st_mtime_ns
  again = a_sweep(tmp_path / 'sweep', BETAS)
  assert sweeps.run(again)['finished'] == 3
  assert (sweep.workdir(sweep.trials[0]) / 'DONE').stat().st_mtime_ns == stamp
  monkeypatch.setattr(executors, 'run_trial', None)  # nothing is left to run
  for executor in executors.EXECUTORS:
    assert sweeps.run(again, executor=executor)['finished'] == 3


def test_a_failing_trial_is_told_and_the_others_go_on(tmp_path, capsys):
  trials = [BETAS[0], {'styles': 'no.png'}, BETAS[2]]
  sweep = a_sweep(tmp_path / 'sweep', trials)
  assert sweeps.run(sweep) == {'finished': 2, 'failed': 1, 'open': 0}
  text = sweep.error(sweep.trials[1]).read_text()
  assert 'Traceback' in text and 'no such file: no.png' in text
  assert 'no such file: no.png' in capsys.readouterr().out
  assert sweeps.run(sweep)['failed'] == 1, 'it is not run again unasked'
  io.write_png('no.png', _grey())
  try:
    assert sweeps.run(sweep, retry=True)['finished'] == 3
  finally:
    pathlib.Path('no.png').unlink()
  assert not sweep.error(sweep.trials[1]).exists()


def _grey():
  return np.full((40, 40, 3), 99, np.uint8)


@pytest.mark.slow
def test_a_killed_sweep_goes_on(tmp_path, monkeypatch):
  whole = a_sweep(tmp_path / 'whole', BETAS)
  sweeps.run(whole)
  killed = a_sweep(tmp_path / 'killed', BETAS)
  run_trial, count = executors.run_trial, []

  def killing(**job):
    count.append(job)
    if len(count) == 2:
      raise KeyboardInterrupt
    return run_trial(**job)

  monkeypatch.setattr(executors, 'run_trial', killing)
  with pytest.raises(KeyboardInterrupt):
    sweeps.run(killed)
  assert sweeps.counts(killed) == {'finished': 1, 'failed': 0, 'open': 2}
  sweeps.run(a_sweep(tmp_path / 'killed', BETAS))
  assert pictures(killed) == pictures(whole)
  assert len(count) == 4


@pytest.mark.parametrize(
  ('trials', 'changes', 'message'),
  [
    (
      [BETAS[0], {'beta': 3.0}],
      {},
      'its trial 1 is .* 1000000.0.*expected .*3',
    ),
    (BETAS, {}, 'of 2 trials, expected one of 3'),
    (BETAS[:2], {'seed': 5}, 'another config; they differ in seed'),
  ],
)
def test_a_changed_sweep_is_refused(trials, changes, message, tmp_path):
  a_sweep(tmp_path / 'sweep', BETAS[:2])
  with pytest.raises(ValueError, match=message):
    a_sweep(tmp_path / 'sweep', trials, **changes)


def test_a_folder_of_something_else_is_refused(tmp_path):
  (tmp_path / 'thesis.tex').write_text('mine')
  with pytest.raises(
    ValueError, match='holds files that do not belong to a sweep'
  ):
    a_sweep(tmp_path, BETAS)
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


@pytest.mark.slow
def test_a_folder_in_use_is_refused(tmp_path):
  a_sweep(tmp_path / 'sweep', BETAS)
  with locked(tmp_path / 'sweep' / '.lock'):
    with pytest.raises(ValueError, match='another process uses it'):
      a_sweep(tmp_path / 'sweep', BETAS)
  sweep = a_sweep(tmp_path / 'sweep', BETAS[:3])
  # Such as one that a killed sweep has left.
  with locked(sweep.workdir(sweep.trials[0]) / '.lock'):
    found = sweeps.run(sweep)
  assert found == {'finished': 2, 'failed': 0, 'open': 1}
  assert sweeps.run(sweep)['finished'] == 3


@pytest.mark.slow
def test_a_worker_that_is_stopped_saves_and_ends_with_its_parent(tmp_path):
  trial = [{'steps': 100000, 'snapshots': 10}]
  sweep = a_sweep(tmp_path / 'sweep', trial)
  code = f"""
import json
from vizlab.sweeps import executors
if __name__ == '__main__':
  job = json.loads({json.dumps(sweep.job(sweep.trials[0]))!r})
  list(executors.EXECUTORS['processes']([job], executors.Options(workers=1)))
"""
  script = tmp_path / 'script.py'
  script.write_text(code)
  parent = subprocess.Popen([sys.executable, script])
  workdir = sweep.workdir(sweep.trials[0])
  for _ in range(600):
    if [*workdir.glob('*_0020.png')]:
      break
    time.sleep(0.1)
  parent.kill()
  parent.wait()
  for _ in range(300):
    if [*(workdir / 'checkpoints').rglob('*')]:
      break
    time.sleep(0.1)
  assert [*(workdir / 'checkpoints').rglob('*')], 'the worker saved, and ended'
  assert sweeps.counts(sweep) == {'finished': 0, 'failed': 0, 'open': 1}


@pytest.fixture(scope='module')
def serial(tmp_path_factory):
  sweep = a_sweep(tmp_path_factory.mktemp('all') / 'serial', BETAS[:2])
  sweeps.run(sweep)
  return pictures(sweep)


@pytest.mark.slow
@pytest.mark.parametrize('executor', ['processes', 'slurm'])
def test_processes_give_the_same(executor, serial, tmp_path, monkeypatch):
  if executor == 'slurm':
    pytest.importorskip('submitit')
    monkeypatch.setattr(executors, '_QUEUE', 'local')  # its jobs, without it
  sweep = a_sweep(tmp_path / executor, [*BETAS[:2], {'styles': 'no.png'}])
  options = executors.Options(workers=2, devices=['0'])
  found = sweeps.run(sweep, executor=executor, options=options)
  assert found == {'finished': 2, 'failed': 1, 'open': 0}
  assert 'no such file' in sweep.error(sweep.trials[2]).read_text()
  for trial, picture in zip(sweep.trials, serial, strict=False):
    made = sweep.workdir(trial) / 'transfer.png'
    assert made.read_bytes() == picture


class _Cluster:
  """A SLURM of which some nodes die: those of trial 1 once, of 2 always."""

  def __init__(self, folder, cluster):
    assert cluster == 'slurm'
    self.started = []

  def update_parameters(self, **settings):
    if 'typo' in settings:
      raise NameError('no typo')

  def submit(self, trial, job):
    self.started.append(job['k'])
    dies = job['k'] == 2 or job['k'] == 1 and self.started.count(1) == 1
    return _Job(RuntimeError('its node died') if dies else None)

  def map_array(self, trial, jobs):
    return [self.submit(trial, job) for job in jobs]


class _Job:
  def __init__(self, wrong):
    self.exception, self.done = lambda: wrong, lambda: True


def test_a_trial_that_is_out_of_time_saves_and_is_queued_again(monkeypatch):
  told = []

  def trial(**job):
    signal.raise_signal(signal.SIGUSR2)
    told.append('at a safe point')
    try:
      stopping.check()
    except KeyboardInterrupt:
      signal.raise_signal(signal.SIGUSR2)  # it is on its way
      told.append('saved')
      raise

  def queue(number, frame):
    told.append('queued')
    raise subprocess.CalledProcessError(-15, 'scontrol')

  monkeypatch.setattr(executors, 'run_trial', trial)
  before = signal.signal(signal.SIGUSR2, queue)
  try:
    with pytest.raises(SystemExit):
      executors._Queued()({})
  finally:
    stopping.forget()
    signal.signal(signal.SIGUSR2, before)
  assert told == ['at a safe point', 'saved', 'queued']


def test_a_queued_trial_whose_node_dies_is_queued_again(tmp_path, monkeypatch):
  submitit = pytest.importorskip('submitit')
  made = []

  def cluster(*args, **settings):
    made.append(_Cluster(*args, **settings))
    return made[-1]

  monkeypatch.setattr(submitit, 'AutoExecutor', cluster)
  monkeypatch.setattr(time, 'sleep', lambda seconds: None)
  jobs = [
    {
      'k': k,
      'workdir': str(tmp_path / str(k)),
      'error': str(tmp_path / f'e{k}'),
    }
    for k in range(3)
  ]
  run = executors.EXECUTORS['slurm']
  assert sorted(run(jobs, executors.Options())) == [0, 1, 2]
  assert sorted(made[0].started) == [0, 1, 1, 2, 2, 2]
  assert [path.name for path in tmp_path.iterdir()] == ['e2']
  assert 'its node died' in (tmp_path / 'e2').read_text()
  with pytest.raises(ValueError, match='slurm: no typo'):
    list(run(jobs, executors.Options(slurm={'typo': 1})))


@pytest.mark.slow
def test_a_trial_whose_process_dies_is_started_again(tmp_path, monkeypatch):
  monkeypatch.setattr(executors, '_alone', _dies)
  job = {'error': str(tmp_path / 'error.txt'), 'starts': str(tmp_path / 'n')}
  assert list(
    executors.EXECUTORS['processes']([job], executors.Options(workers=1))
  ) == [0]
  assert (tmp_path / 'n').read_text() == 'xxx'
  assert (
    'died 3 times, the last time with exit status -9'
    in (tmp_path / 'error.txt').read_text()
  )


def _dies(job, device):
  import os
  import signal

  with open(job['starts'], 'a') as file:
    file.write('x')
  os.kill(os.getpid(), signal.SIGKILL)


def test_the_table_the_report_and_what_they_are_read_by(tmp_path):
  trials = [
    {'beta': b, 'start': start}
    for b in (1e5, 1e6)
    for start in ('content', 'noise')
  ]
  sweep = a_sweep(tmp_path / 'sweep', [*trials, {'styles': 'no.png'}])
  sweeps.run(sweep)
  page = report.write(sweep, 'transfer').read_text()
  rows = load_sweep(sweep.folder)
  assert [row['state'] for row in rows] == ['finished'] * 4 + ['failed']
  assert rows[4]['beta'] == sweep.base.beta, 'what it would have used'
  assert rows[1]['beta'] == 1e5 and rows[1]['start'] == 'noise'
  assert rows[1]['loss'] > 0 and 'loss' not in rows[4]
  run = load_run(rows[1]['folder'])
  assert run.config['beta'] == 1e5 and run.results['loss'] == rows[1]['loss']
  assert run.arrays['transfer_24x24']['scores'].shape == (2,)
  assert run.metrics[-1]['step'] == 2
  assert run.pictures['transfer'].exists() and run.tables['losses'].exists()
  assert 'jax' in run.record['versions']
  with (sweep.folder / 'summary.csv').open() as file:
    table = list(csv.DictReader(file))
  assert [float(r['loss']) for r in table[:4]] == [r['loss'] for r in rows[:4]]
  assert page.count('id="curves"') == 1 and 'errors/0004.txt' in page
  # Once in the grid of beta by start, and once in the table.
  assert page.count('data-whole="0001_') == 2
  assert json.loads((sweep.folder / 'sweep.json').read_text())['config']
  with pytest.raises(ValueError, match='there is no sweep'):
    load_sweep(tmp_path)
  with pytest.raises(ValueError, match='no run has finished there'):
    load_run(rows[4]['folder'])


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # of Ray's own
def test_a_node_that_dies_loses_no_trial(tmp_path):
  ray = pytest.importorskip('ray')
  from ray.cluster_utils import Cluster

  trials = [
    {'beta': float(10**k), 'seed': s} for k in (4, 5, 6) for s in range(4)
  ]
  serial = a_sweep(tmp_path / 'serial', trials)
  assert sweeps.run(serial)['finished'] == 12
  sweep = a_sweep(tmp_path / 'ray', trials)
  cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})
  try:
    node = cluster.add_node(num_cpus=1)
    ray.init(
      cluster.address,
      runtime_env={'env_vars': {'PYTHONPATH': str(executors._ROOT)}},
      log_to_driver=False,
    )
    jobs = [sweep.job(trial) for trial in sweep.trials]
    done = {}
    for i in executors.EXECUTORS['ray'](jobs, executors.Options()):
      assert i not in done, 'none twice'
      done[i] = sweep.workdir(sweep.trials[i]) / 'DONE'
      done[i] = done[i], done[i].stat().st_mtime_ns
      if len(done) == 4:
        cluster.remove_node(node, allow_graceful=False)
  finally:
    ray.shutdown()
    cluster.shutdown()
  assert sweeps.counts(sweep) == {'finished': 12, 'failed': 0, 'open': 0}
  assert all(path.stat().st_mtime_ns == when for path, when in done.values())
  assert pictures(sweep) == pictures(serial)
