"""Several processes on one run, as a user starts them."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import pytest
from tools import assert_same_shards, write_pictures

from vizlab.runs import Recorder, distributed, execute, settings
from vizlab_experiments.attribution import folder
from vizlab_experiments.configs.attribution import folder as configs
from vizlab_experiments.configs.synthesis import dream

ROOT = pathlib.Path(__file__).parent.parent.parent
SETTINGS = {'batch_size': 2, 'classes': 2, 'methods': 'saliency,grad_cam'}


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
  """Five photos, so that the last of 3 batches is ragged."""
  path = tmp_path_factory.mktemp('photos')
  write_pictures(path, range(5))
  return path


def alone(pictures, workdir):
  """Work directory and results of one process."""
  config = configs.get_config()
  settings.assign(config, SETTINGS)
  config.folder = str(pictures)
  return execute(folder, config, workdir)


@pytest.fixture(scope='module')
def whole(pictures, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('whole')
  alone(pictures, workdir)
  return workdir


def start(index, port, path, workdir, *flags):
  """One of two processes."""
  config = [f'--config.{name}={value}' for name, value in SETTINGS.items()]
  # What a proxy is for, JAX warns of.
  environment = {k: v for k, v in os.environ.items() if 'proxy' not in k}
  return subprocess.Popen(
    [
      *(sys.executable, ROOT / 'scripts' / 'run.py'),
      *('--config=configs/attribution/folder.py', f'--config.folder={path}'),
      *(f'--workdir={workdir}', f'--coordinator=localhost:{port}'),
      *('--processes=2', f'--process={index}', *config, *flags),
    ],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    cwd=ROOT,
    env=environment,
  )


@pytest.fixture
def port():
  with socket.socket() as found:
    found.bind(('localhost', 0))
    return found.getsockname()[1]


@pytest.mark.slow
def test_two_processes_give_what_one_gives(whole, pictures, tmp_path, port):
  both = [start(k, port, pictures, tmp_path) for k in range(2)]
  told = [each.communicate(timeout=300) for each in both]
  for each, (out, err) in zip(both, told, strict=True):
    assert each.returncode == 0, err[-2000:]
    assert 'photos 5, skipped 0, shards 3' in out
  # Each has done its share.
  assert '2/2' in told[0][1] and '1/1' in told[1][1]
  assert_same_shards(whole, tmp_path)
  for name in ('index.json', 'DONE', 'photos.png', 'config.json'):
    assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_an_error_in_one_is_told_by_both(pictures, tmp_path, port):
  flags = [], ['--config.shown=3']
  both = [start(k, port, pictures, tmp_path, *flags[k]) for k in range(2)]
  for each in both:
    _, err = each.communicate(timeout=300)
    assert each.returncode == 1
    meeting, error = err.splitlines()
    assert meeting == f'connecting to the other processes at localhost:{port}'
    assert error.startswith(f'error: workdir: {tmp_path} belongs to a run w')
    assert 'differ in shown' in error


@pytest.mark.slow
def test_after_a_kill_one_process_goes_on(whole, pictures, tmp_path, port):
  both = [start(k, port, pictures, tmp_path) for k in range(2)]
  for _ in range(1200):
    if [*tmp_path.glob('maps-*')]:
      break
    time.sleep(0.1)
  both[0].send_signal(signal.SIGKILL)
  for each in both:
    each.communicate(timeout=300)
    assert each.returncode != 0
  assert 'DONE' not in {path.name for path in tmp_path.iterdir()}
  kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob('maps-*')}
  assert kept
  alone(pictures, tmp_path)
  assert {path: path.stat().st_mtime_ns for path in kept} == kept
  assert_same_shards(whole, tmp_path)


@pytest.mark.slow
def test_when_one_is_stopped_the_others_end_in_order(pictures, tmp_path, port):
  slow = (
    '--config.methods=occlusion',
    '--config.patch=4',
    '--config.batch_size=1',
  )
  both = [start(k, port, pictures, tmp_path, *slow) for k in range(2)]
  for _ in range(1200):
    if [*tmp_path.glob('maps-*')]:
      break
    time.sleep(0.1)
  both[1].send_signal(signal.SIGTERM)
  told = [each.communicate(timeout=300)[1] for each in both]
  assert [each.returncode for each in both] == [1, 143]
  assert told[0].splitlines()[-1] == (
    'error: processes: another one was stopped; the same commands resume'
  )
  assert told[1].splitlines()[-1] == 'stopped; the same command resumes'


def test_work_is_shared_out(monkeypatch):
  monkeypatch.setattr(jax, 'process_count', lambda: 3)
  shares = []
  for k in range(3):
    monkeypatch.setattr(jax, 'process_index', lambda k=k: k)
    shares.append(list(distributed.mine(8)))
  assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_a_run_of_one_alone_is_not_shared(monkeypatch, tmp_path):
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  recorder = Recorder(tmp_path / 'run', dream.get_test_config())
  with pytest.raises(ValueError, match='processes: got 2, expected 1'):
    recorder.open()
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('where', 'message'),
  [
    (('here', 2, 0), "coordinator: got 'here', expected HOST:PORT or 'auto'"),
    (('here:1', 2, 2), 'process: got 2 of 2 processes, expected one of 0 to 1'),
    (('here:1', 1, 0), 'processes: got 1, expected 2 or more'),
  ],
)
def test_a_wrong_place_is_told(where, message):
  with pytest.raises(ValueError, match='^' + message):
    distributed.connect(*where)


def test_a_port_that_is_taken_is_told():
  with socket.create_server(('', 0)) as other:
    port = other.getsockname()[1]
    with pytest.raises(ValueError, match=f'port {port}: .* in use'):
      distributed.connect(f'localhost:{port}', 2, 0)
