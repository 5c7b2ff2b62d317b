"""Tests resumption: kills a sweep at random moments until it is finished.

python scripts/kill_sweep.py --workdir=/tmp/kills --kills=20

A sweep of style transfers runs once without interruption, and once with
repeated SIGKILLs. Both must produce the same bytes.
"""

import pathlib
import random
import subprocess
import sys
import time

from absl import app, flags
from kills import difference

WORKDIR = flags.DEFINE_string('workdir', None, 'An empty folder.')
KILLS = flags.DEFINE_integer('kills', 20, 'Minimum number of kills.')
SEED = flags.DEFINE_integer('seed', 0, 'Random seed of the times.')
# Range of seconds before a kill; earlier, hardly anything has started.
BETWEEN = 2.5, 5.5

HERE = pathlib.Path(__file__).resolve().parent
SWEEP = (
  *(sys.executable, HERE / 'sweep.py', '--picture=transfer'),
  *('--config=style/transfer', '--config.size=96'),
)


def start(folder: pathlib.Path) -> subprocess.Popen:
  """Starts the sweep in a folder."""
  command = [*SWEEP, f'--workdir={folder}']
  return subprocess.Popen(command, cwd=HERE.parent, stderr=subprocess.DEVNULL)


def main(argv: list[str]) -> None:
  """Runs both sweeps and compares them."""
  del argv
  folder, draws = pathlib.Path(WORKDIR.value), random.Random(SEED.value)
  if start(folder / 'whole').wait():
    sys.exit('error: the sweep failed without a kill')
  kills = 0
  while True:
    run = start(folder / 'killed')
    try:
      patience = draws.uniform(*BETWEEN) if kills < KILLS.value else None
      status = run.wait(patience)
      break
    except subprocess.TimeoutExpired:
      run.kill()
      run.wait()
      kills += 1
      done = len([*folder.glob('killed/*/DONE')])
      print(f'kill {kills}: {done} trials are finished', flush=True)
      time.sleep(0.1)
  if status:
    sys.exit(f'error: the sweep ended with status {status}')
  if wrong := difference(folder / 'whole', folder / 'killed'):
    sys.exit(f'error: {wrong}')
  print(f'{kills} kills, all files equal')


if __name__ == '__main__':
  flags.mark_flag_as_required('workdir')
  app.run(main)
