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

WORKDIR = flags.DEFINE_string('workdir', None, 'An empty folder.')
KILLS = flags.DEFINE_integer('kills', 20, 'How often it is killed, at least.')
SEED = flags.DEFINE_integer('seed', 0, 'Of the moments.')
# After how many seconds; below the first, hardly anything has begun.
BETWEEN = 2.5, 5.5

HERE = pathlib.Path(__file__).resolve().parent
SWEEP = (
  *(sys.executable, HERE / 'sweep.py', '--picture=transfer'),
  *('--config=configs/style_transfer.py', '--config.size=96'),
)
# They say when and by which command.
APART = {'run.json', 'command.txt', 'overrides.json', 'report.html', '.lock'}


def start(folder: pathlib.Path) -> subprocess.Popen:
  """Starts the sweep in a folder."""
  command = [*SWEEP, f'--workdir={folder}']
  return subprocess.Popen(command, cwd=HERE.parent, stderr=subprocess.DEVNULL)


def results(folder: pathlib.Path) -> dict[str, bytes]:
  """What the trials have left, without what a kill may leave: hidden files."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
    and path.name not in APART
    and not path.name.startswith('.')
  }


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
  whole, killed = results(folder / 'whole'), results(folder / 'killed')
  if whole.keys() != killed.keys():
    sys.exit(f'error: other files: {sorted(whole.keys() ^ killed.keys())[:5]}')
  wrong = [name for name in whole if whole[name] != killed[name]]
  if wrong:
    sys.exit(f'error: other bytes: {wrong[:5]}')
  print(f'{kills} kills, {len(whole)} files, all equal')


if __name__ == '__main__':
  flags.mark_flag_as_required('workdir')
  app.run(main)
