"""Signals: heard at safe points, never swallowed, and resumed after."""

import signal
import subprocess
import sys

import pytest
from tools import start

from vizlab.runs import Recorder, stopping


@pytest.fixture
def heard():
  """A signal that is listened to, without patience."""
  before = stopping.listen(signal.SIGUSR1, patience=None)
  yield signal.SIGUSR1
  stopping.forget()
  signal.signal(signal.SIGUSR1, *before)


def test_a_signal_is_raised_at_a_safe_point_and_once(heard):
  stopping.check()
  signal.raise_signal(heard)
  with pytest.raises(stopping.Stopped) as stopped:
    stopping.check()
  assert stopped.value.number == heard
  assert stopped.value.status == 128 + heard
  stopping.check()  # the process ends: its saving is not disturbed


# A process that reports when it is ready, and when the first signal was heard.
_PROCESS = """
import pathlib, sys, time
from vizlab.runs import stopping
stopping._TOGETHER = 0.0
here = pathlib.Path({here!r})

def flagged():
  while not stopping._listener.first:
    time.sleep(0.01)
  print('heard', flush=True)

def forever():
  while True:
    time.sleep(0.01)

def ready():
  print('ready', flush=True)

{code}
"""


@pytest.fixture
def process(tmp_path):
  """Starts a process that runs some code; it is ready when this returns."""
  started = []

  def begin(code):
    text = _PROCESS.format(here=str(tmp_path), code=code)
    begun = subprocess.Popen(
      [sys.executable, '-c', text],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    started.append(begun)
    assert begun.stdout.readline() == 'ready\n', begun.communicate()[1]
    return begun

  yield begin
  for begun in started:
    begun.kill()
    begun.communicate()


NUMBERS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'status'), NUMBERS)
def test_a_second_signal_ends_a_process_at_once(number, status, process):
  run = process('stopping.listen(patience=None); ready(); flagged(); forever()')
  run.send_signal(signal.SIGTERM)
  assert run.stdout.readline() == 'heard\n'
  run.send_signal(number)
  assert run.communicate(timeout=60)[1] == '' and run.returncode == status


@pytest.mark.slow
def test_signals_of_one_stop_are_one(process):
  run = process(
    'stopping._TOGETHER = 3600.0\n'
    'stopping.listen(patience=None)\n'
    'ready(); flagged(); sys.stdin.readline(); stopping.check()'
  )
  for _ in range(2):
    run.send_signal(signal.SIGTERM)
  _, told = run.communicate(timeout=60)
  assert 'Stopped: 15' in told, 'it came to its safe point'


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'status'), NUMBERS)
def test_a_long_program_is_left_and_what_is_done_is_saved(
  number, status, process, tmp_path
):
  run = process("""
import jax, jax.numpy as jnp
stopping.listen(patience=0.3)
long = jax.jit(lambda x: jax.lax.fori_loop(0, 10**9, lambda i, x: x @ x, x))
long = long.lower(jnp.eye(200)).compile()
with stopping.saving(lambda: (here / 'saved').write_text('chunk 3')):
  ready()
  long(jnp.eye(200)).block_until_ready()
""")
  run.send_signal(number)
  _, told = run.communicate(timeout=60)
  assert run.returncode == status
  assert told == '\nstopped; the same command resumes\n'
  assert (tmp_path / 'saved').read_text() == 'chunk 3'


@pytest.mark.slow
def test_no_file_is_left_half_written(process, tmp_path):
  run = process("""
stopping.listen(patience=0.0)
with stopping.writing(), (here / 'file').open('w') as file:
  file.write('half')
  file.flush()
  ready()
  flagged()
  time.sleep(0.5)
  file.write(' and whole')
forever()
""")
  run.send_signal(signal.SIGTERM)
  run.communicate(timeout=60)
  assert run.returncode == 143
  assert (tmp_path / 'file').read_text() == 'half and whole'


@pytest.mark.slow
def test_a_signal_cannot_be_swallowed(process):
  run = process("""
stopping.listen(patience=0.3)
ready()
try:
  while True:
    stopping.check()
except KeyboardInterrupt:
  pass
forever()
""")
  run.send_signal(signal.SIGINT)
  run.communicate(timeout=60)
  assert run.returncode == 130


def contents(workdir):
  """Files of a run, without times and commands."""
  return {
    str(path.relative_to(workdir)): path.read_bytes()
    for path in workdir.rglob('*')
    if path.is_file() and path.name not in ('run.json', '.lock')
  }


# Of one method each, and shapes that all parts share: few programs.
SMALL = {
  'attribution/explain': {'methods': 'saliency'},
  'attribution/judge': {'scenes': 4, 'batch': 2, 'methods': 'saliency'},
  'attribution/sanity': {'methods': 'gradient', 'random_labels': ''},
  'probes/units': {'scenes': 4, 'batch': 2},
  'adversarial/fool': {'targets': (5, 9), 'steps': 3, 'every': 2},
}


@pytest.mark.slow
@pytest.mark.parametrize('name', SMALL)
def test_a_run_resumes_after_its_last_item(name, tmp_path, monkeypatch):
  write, check = Recorder.arrays, stopping.check
  written, asked = [], []

  def counting(self, item, **arrays):
    written.append(item)
    write(self, item, **arrays)

  monkeypatch.setattr(Recorder, 'arrays', counting)
  monkeypatch.setattr(stopping, 'check', lambda: asked.append(len(written)))
  results = start(name, tmp_path / 'whole', **SMALL[name])
  whole, items = contents(tmp_path / 'whole'), written.copy()
  assert len(items) > 2 and len(set(items)) == len(items)
  assert set(range(len(items) + 1)) == set(asked), 'around every item'
  assert not any(path.startswith('items') for path in whole)

  # Stopped after the first item, in the middle, and before the report.
  written.clear()
  for stop in (1, len(items) // 2, len(items)):

    def stopping_there(stop=stop):
      if len(written) == stop:
        raise stopping.Stopped(signal.SIGTERM)

    monkeypatch.setattr(stopping, 'check', stopping_there)
    with pytest.raises(KeyboardInterrupt):
      start(name, tmp_path / 'stopped', **SMALL[name])
    assert not (tmp_path / 'stopped' / 'DONE').exists()
  monkeypatch.setattr(stopping, 'check', check)
  assert start(name, tmp_path / 'stopped', **SMALL[name]) == results
  assert written == items, 'nothing is computed twice'
  assert contents(tmp_path / 'stopped') == whole
