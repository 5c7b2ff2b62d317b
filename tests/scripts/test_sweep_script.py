"""Sweeps, signals and repeated runs as a user starts them."""

import json
import signal
import subprocess
import sys
import time

import pytest
from test_scripts import ROOT, call

from vizlab.sweeps import load_sweep

pytestmark = pytest.mark.slow

SMALL = (
  '--config=style/transfer',
  '--config.style_layers=relu1_1',
  '--config.size=24',
)


def test_a_sweep_from_a_script(tmp_path):
  cache = f'--compilation_cache={tmp_path / "cache"}'
  flags = (*SMALL, '--config.steps=2', cache, f'--workdir={tmp_path / "sweep"}')
  dry = call('sweep', *SMALL, '--dry_run')
  assert dry.returncode == 0 and len(dry.stdout.splitlines()) == 12
  assert not (tmp_path / 'sweep').exists()
  first = call('sweep', *flags, '--max_trials=2', '--picture=transfer')
  assert first.returncode == 0, first.stderr
  assert '2 finished, 0 failed, 10 open' in first.stdout
  states = [row['state'] for row in load_sweep(tmp_path / 'sweep')]
  assert states == ['finished'] * 2 + ['open'] * 10
  other = call('sweep', *flags, '--name=optimizer')
  assert other.returncode == 1 and 'belongs to another sweep' in other.stderr
  both = call('sweep', *flags, '--config.alpha=5')
  assert both.stderr == (
    'error: config.alpha: got 5.0, expected no flag for a setting that the '
    'sweep changes\n'
  )
  unknown = call('sweep', *flags, '--name=beta')
  assert "name: got 'beta', expected one of" in unknown.stderr


def test_a_sweep_of_a_file_of_ones_own(tmp_path):
  text = (ROOT / 'configs' / 'style' / 'transfer.py').read_text()
  own = tmp_path / 'mine.py'
  own.write_text(
    text + '\n\ndef sweep_mine(add):\n  add(add.product(steps=(4, 8)))\n'
  )
  dry = call('sweep', f'--config={own}', '--dry_run', '--name=mine')
  assert dry.stdout.split() == ['0000_steps=4', '0001_steps=8'], dry.stderr


def test_a_failed_trial_is_the_exit_status(tmp_path):
  flags = (*SMALL, '--config.steps=2', f'--workdir={tmp_path / "sweep"}')
  done = call('sweep', *flags, '--config.styles=no.png', '--max_trials=1')
  assert done.returncode == 1
  assert '0 finished, 1 failed, 11 open' in done.stdout
  assert '--retry_failed' in done.stdout and 'no such file' in done.stdout


@pytest.mark.parametrize(
  ('number', 'status'), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_signal_ends_a_run_that_goes_on(number, status, tmp_path):
  workdir = tmp_path / 'run'
  flags = (*SMALL, '--config.steps=100000', f'--workdir={workdir}')
  command = [sys.executable, ROOT / 'scripts' / 'run.py', *flags]
  run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
  for _ in range(600):
    if [*workdir.glob('transfer*_0040.png')]:
      break
    time.sleep(0.1)
  run.send_signal(number)
  _, told = run.communicate(timeout=60)
  assert run.returncode == status, told
  assert told.splitlines()[-1] == 'stopped; the same command resumes'
  assert [*(workdir / 'checkpoints').rglob('*')], 'what was done is kept'


def test_a_run_is_repeated_from_its_record(tmp_path):
  flags = (*SMALL, '--config.steps=3', '--config.shares=(1.0,)')
  first = call('run', *flags, f'--workdir={tmp_path / "first"}')
  assert first.returncode == 0, first.stderr
  again = call(
    'run', f'--from={tmp_path / "first"}', f'--workdir={tmp_path / "again"}'
  )
  assert again.returncode == 0, again.stderr
  for name in ('transfer.png', 'DONE', 'config.json'):
    files = [tmp_path / run / name for run in ('first', 'again')]
    assert files[0].read_bytes() == files[1].read_bytes(), name
  record = tmp_path / 'first' / 'run.json'
  text = record.read_text()
  sums = json.loads(text)['sha256']
  record.write_text(text.replace(sums['minivgg'], '0' * 64))
  changed = call(
    'run', f'--from={tmp_path / "first"}', f'--workdir={tmp_path / "third"}'
  )
  assert 'from: minivgg is another file' in changed.stderr
  nothing = call('run', f'--from={tmp_path}', f'--workdir={tmp_path / "x"}')
  assert nothing.returncode == 1
  assert f'from: {tmp_path} cannot be repeated' in nothing.stderr
  assert len(nothing.stderr.splitlines()) == 1


def test_what_there_is(tmp_path):
  listed = call('run', '--list')
  assert listed.returncode == 0
  assert 'texture: Makes textures from noise' in listed.stdout
  printed = call('run', *SMALL, '--print_config')
  assert json.loads(printed.stdout)['size'] == 24
  none = call('run', f'--workdir={tmp_path / "x"}')
  assert none.returncode == 1 and '--list lists all names' in none.stderr
