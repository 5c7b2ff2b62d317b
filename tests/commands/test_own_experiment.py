"""Experiments of one's own, as one who installed vizlab runs and sweeps them.

The wheel is built and unpacked into a folder, from which all is imported.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]

CONFIG = """from ml_collections import ConfigDict


def get_config(arg=''):
  return ConfigDict({
    'experiment': 'my_experiment', 'seed': 0, 'slow': 0.0, 'power': 2.0
  })


def sweep(add):
  add(add.product(power=(1.0, 2.0, 3.0)))
"""
EXPERIMENT = '''"""Powers of numbers, one after the other."""

import time

import numpy as np


def prepare(config):
  if config.power < 0:
    raise ValueError(f'config.power: got {config.power}, expected 0 or more')
  return config


def run(inputs, recorder):
  total = 0.0
  for i in range(6):

    def make(i=i):
      time.sleep(inputs.slow)
      return {'value': np.float64(i**inputs.power)}

    total += float(recorder.once(f'item_{i}', make)['value'])
  return {'total': total}
'''


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
  """Where the wheel is, and an environment that has it first."""
  folder = tmp_path_factory.mktemp('wheel')
  tree = folder / 'tree'  # what is built is left in it
  unwanted = shutil.ignore_patterns('__pycache__', '*.egg-info')
  for name in ('vizlab', 'experiments', 'configs'):
    shutil.copytree(ROOT / name, tree / name, ignore=unwanted)
  for name in ('setup.py', 'README.md'):
    shutil.copy(ROOT / name, tree)
  pip = [sys.executable, '-m', 'pip', '--quiet']
  flags = ['--no-deps', '--no-build-isolation', '--no-index']
  where = ['--no-cache-dir', '--wheel-dir', folder, tree]
  made = subprocess.run(
    [*pip, 'wheel', *flags, *where], capture_output=True, text=True
  )
  assert made.returncode == 0, made.stderr
  (wheel,) = folder.glob('*.whl')
  site = folder / 'site'
  subprocess.run(
    [*pip, 'install', '--no-deps', '--no-index', '--target', site, wheel],
    check=True,
  )
  return site


@pytest.fixture
def command(installed, tmp_path):
  """Starts a command in an empty folder with a config and its experiment."""
  (tmp_path / 'my_config.py').write_text(CONFIG)
  (tmp_path / 'my_experiment.py').write_text(EXPERIMENT)

  def start(name, *flags):
    code = f'from vizlab.commands import vizlab_{name} as go; go()'
    return subprocess.Popen(
      [sys.executable, '-c', code, *flags],
      cwd=tmp_path,
      env={**os.environ, 'PYTHONPATH': str(installed)},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  return start


def ended(process):
  out, err = process.communicate(timeout=300)
  return process.returncode, out, err


OWN = ('--config=my_config.py', '--workdir=out')


def test_it_is_run_stopped_and_resumed(command, tmp_path):
  slow = command('run', *OWN, '--config.slow=0.5')
  deadline = time.monotonic() + 300
  while not (tmp_path / 'out' / 'item_1.npz').exists():
    assert time.monotonic() < deadline and slow.poll() is None, slow.stderr
    time.sleep(0.05)
  slow.send_signal(signal.SIGTERM)
  assert ended(slow)[0] == 143
  assert not (tmp_path / 'out' / 'DONE').exists()
  kept = (tmp_path / 'out' / 'item_0.npz').stat().st_mtime_ns
  status, out, err = ended(command('run', *OWN, '--config.slow=0.5'))
  assert status == 0, err
  assert 'total 55' in out and 'report.html' in out
  assert (tmp_path / 'out' / 'item_0.npz').stat().st_mtime_ns == kept
  with np.load(tmp_path / 'out' / 'item_5.npz') as made:
    assert made['value'] == 25
  assert 'total' in (tmp_path / 'out' / 'report.html').read_text()
  again = ended(command('run', *OWN, '--config.slow=0.5'))
  assert again[0] == 0 and 'nothing done' in again[1]


def test_it_is_swept_by_two_processes(command, tmp_path):
  status, _, err = ended(command('sweep', *OWN, '--executor=processes'))
  assert status == 0, err
  found = sorted((tmp_path / 'out').glob('*/DONE'))
  totals = [json.loads(path.read_text())['total'] for path in found]
  np.testing.assert_allclose(totals, [15, 55, 225])


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (('--config.power=-1',), 'config.power: got -1.0, expected 0 or more'),
    (('--config.powr=1',), "config: no setting 'powr'; did you mean 'power'?"),
    (('--config.power=a',), "config.power: got 'a', expected a float"),
  ],
)
def test_what_is_wrong_leaves_nothing_behind(flags, message, command, tmp_path):
  status, _, err = ended(command('run', *OWN, *flags))
  assert status == 1 and err == f'error: {message}\n'
  assert not (tmp_path / 'out').exists()


def test_the_argument_of_a_config_decides_its_settings(command, tmp_path):
  text = (tmp_path / 'my_config.py').read_text()
  text = text.replace("(arg='')", '(arg)').replace("'seed'", 'arg')
  (tmp_path / 'my_config.py').write_text(text)
  flags = ('--config=my_config.py:more', '--config.more=3', '--workdir=out')
  status, out, err = ended(command('run', *flags))
  assert status == 0 and 'total 55' in out, err


def test_an_experiment_that_is_missing_is_named(command, tmp_path):
  (tmp_path / 'my_experiment.py').unlink()
  status, _, err = ended(command('run', *OWN))
  assert status == 1 and err.startswith(
    "error: config.experiment: got 'my_experiment', expected the name of a file"
  )
  assert f'there is no {tmp_path}' in err


def test_ours_are_run_by_name(command, tmp_path):
  flags = ('--config=synthesis/dream', '--config.size=48', '--config.octaves=1')
  more = ('--config.layers=relu1_1', '--config.steps=1', '--workdir=out')
  status, _, err = ended(command('run', *flags, *more))
  assert status == 0, err
  assert (tmp_path / 'out' / 'dream_relu1_1.png').exists()
  record = json.loads((tmp_path / 'out' / 'run.json').read_text())
  assert record['revision'] is None, 'it is not of a clone'
