"""Kills a sweep at random moments until it is done, and looks for damage.

python scripts/kill_sweep.py --workdir=/tmp/kills --kills=20

A sweep of style transfers runs once undisturbed, and once killed with SIGKILL
again and again. Both must end with the same bytes.
"""

import pathlib
import random
import subprocess
import sys
import time

from absl import app, flags
from kills import difference

WORKDIR = flags.DEFINE_string('workdir', None, 'An empty folder.')
KILLS = flags.DEFINE_integer('kills', 20, 'How often it is killed, at least.')
SEED = flags.DEFINE_integer('seed', 0, 'Of the moments.')
# After how many seconds; below the first, hardly anything has begun.
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
  """Runs both, and compares them."""
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
