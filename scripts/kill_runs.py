"""Tests resumption: stops runs at random moments until they are finished.

python scripts/kill_runs.py --workdir=/tmp/stops --signals=100 --busy=2

Five experiments and two sweeps each run once without interruption. Then they
are stopped by SIGINT or SIGTERM and restarted until enough signals were sent.
Every stop must have the right exit status, take at most five seconds, print one
line and leave no partial file; a resumed run must produce the same bytes as the
uninterrupted run.
"""

import dataclasses
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import kills
from absl import app, flags

WORKDIR = flags.DEFINE_string('workdir', None, 'An empty folder.')
SIGNALS = flags.DEFINE_integer('signals', 100, 'Total number of signals.')
SEED = flags.DEFINE_integer('seed', 0, 'Random seed of times and signals.')
BUSY = flags.DEFINE_integer(
  'busy', 0, 'Number of busy loops in the background.'
)
ONLY = flags.DEFINE_list(
  'only', [], 'Names of the commands to test; all by default.'
)

HERE = pathlib.Path(__file__).resolve().parent
STYLE = ('--config=style/transfer', '--config.size=64')
# Each takes 20 to 60 seconds on two cores once its programs are compiled.
COMMANDS = {
  'explain': (
    *(
      'run.py',
      '--config=attribution/explain',
      '--config.samples=64',
    ),
    *('--config.methods=smoothgrad,occlusion', '--config.patch=12'),
  ),
  'judge': (
    *('run.py', '--config=attribution/judge', '--config.scenes=96'),
    '--config.methods=saliency,guided_backprop,grad_cam,occlusion',
    *('--config.batch=8', '--config.faithful=32', '--config.chunk=16'),
  ),
  'visualize': (
    *(
      'run.py',
      '--config=synthesis/visualize',
      '--config.scenes=64',
    ),
    *('--config.layers=relu2_1,relu3_2', '--config.count=4'),
    *('--config.size=64', '--config.steps=192'),
  ),
  'transfer': (
    *('run.py', '--config=style/transfer', '--config.octaves=2'),
    *('--config.size=128', '--config.steps=400'),
  ),
  'folder': (
    *(
      'run.py',
      '--config=attribution/folder',
      '--config.batch_size=4',
    ),
    *('--config.methods=saliency,occlusion', '--config.patch=12'),
  ),
  'sweep': ('sweep.py', *STYLE, '--config.steps=60', '--picture=transfer'),
  'processes': (
    *('sweep.py', *STYLE, '--config.steps=15', '--picture=transfer'),
    '--executor=processes',
  ),
}
PHOTOS = 40  # number of copies of the samples
LONGEST = 5.0  # most seconds that a stop may take
# Range of seconds before a signal; Python must have started.
BETWEEN = 1.5, 15.0
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
MESSAGE = 'stopped; the same command resumes'


@dataclasses.dataclass
class Tally:
  """Results of the stops of a command.

  Attributes:
    seconds: Duration of each stop.
    faults: Descriptions of the faults.
    resumed: Number of runs that finished after stops.
  """

  seconds: list[float] = dataclasses.field(default_factory=list)
  faults: list[str] = dataclasses.field(default_factory=list)
  resumed: int = 0


def start(
  name: str, folder: pathlib.Path, log: pathlib.Path
) -> subprocess.Popen:
  """Starts a command in a folder, with stderr written to a file."""
  script, *rest = COMMANDS[name]
  flags = [f'--workdir={folder}', f'--compilation_cache={log.parent / "cache"}']
  if name == 'folder':
    flags.append(f'--config.folder={log.parent / "photos"}')
  with log.open('w') as file:
    return subprocess.Popen(
      [sys.executable, HERE / script, *rest, *flags],
      cwd=HERE.parent,
      stdout=subprocess.DEVNULL,
      stderr=file,
    )


def copy_photos(folder: pathlib.Path) -> None:
  """Fills a folder with copies of the samples."""
  folder.mkdir(parents=True, exist_ok=True)
  samples = sorted((HERE.parent / 'vizlab' / 'io' / 'samples').glob('*.png'))
  for i in range(PHOTOS):
    shutil.copy(samples[i % len(samples)], folder / f'{i:03d}.png')


def stop(run: subprocess.Popen, draws: random.Random) -> tuple[int, float]:
  """Sends a signal; returns the expected exit status and the duration."""
  number = draws.choice(list(STATUS))
  begun = time.monotonic()
  run.send_signal(number)
  try:
    run.wait(120)
  except subprocess.TimeoutExpired:
    run.kill()
    run.wait()
  return STATUS[number], time.monotonic() - begun


def faults(
  status: int, due: int, seconds: float, said: str, folder: pathlib.Path
) -> list[str]:
  """Lists the faults of a stop."""
  if status == 0 and seconds < 1:
    return []  # it had finished when the signal came
  lines = []
  if status != due:
    lines.append(f'exit status {status}, expected {due}')
  if seconds > LONGEST:
    lines.append(f'took {seconds:.1f} seconds')
  if said.rstrip().splitlines()[-1:] != [MESSAGE]:
    lines.append(f'said {said[-200:]!r}')
  for word in ('Traceback', 'Fatal', 'Segmentation'):
    if word in said:
      lines.append(f'{word}: {said[-500:]!r}')
  if left := kills.unfinished(folder):
    lines.append(f'left {left[:3]}')
  return lines


def stops(name: str, count: int, draws: random.Random) -> Tally:
  """Runs a command without interruption, and with ``count`` signals."""
  folder, tally = pathlib.Path(WORKDIR.value).resolve(), Tally()
  whole, stopped = folder / name / 'whole', folder / name / 'stopped'
  log = folder / f'{name}.log'
  begun, (least, most) = time.monotonic(), BETWEEN
  if start(name, whole, log).wait():
    sys.exit(f'error: {name} failed undisturbed: {log.read_text()[-500:]}')
  longest = time.monotonic() - begun  # until a run finds all programs compiled
  print(f'{name}: undisturbed in {longest:.0f} seconds', flush=True)
  while len(tally.seconds) < count or stopped.exists():
    fresh, begun = not stopped.exists(), time.monotonic()
    run = start(name, stopped, log)
    enough = len(tally.seconds) >= count
    try:
      # Soon enough that a run is stopped several times before it finishes.
      moment = draws.uniform(least, max(least, min(most, longest)))
      run.wait(None if enough else moment)
    except subprocess.TimeoutExpired:
      due, seconds = stop(run, draws)
      said = log.read_text()
      wrong = faults(run.returncode, due, seconds, said, stopped)
      tally.seconds.append(seconds)
      tally.faults += [f'after {moment:.1f} seconds: {w}' for w in wrong]
      print(
        f'{name}: stop {len(tally.seconds)} in {seconds:.2f} seconds',
        *wrong,
        flush=True,
      )
      continue
    if run.returncode:
      tally.faults.append(f'resumed: {log.read_text()[-500:]!r}')
    if wrong := kills.difference(whole, stopped):
      tally.faults.append(f'resumed: {wrong}')
    if fresh:
      longest = min(longest, time.monotonic() - begun)
    else:
      tally.resumed += 1
    shutil.rmtree(stopped)
  return tally


def main(argv: list[str]) -> None:
  """Tests all commands and prints a summary."""
  del argv
  draws, names = random.Random(SEED.value), ONLY.value or list(COMMANDS)
  if unknown := sorted({*names} - {*COMMANDS}):
    sys.exit(f'error: only: got {unknown}, expected some of {[*COMMANDS]}')
  copy_photos(pathlib.Path(WORKDIR.value) / 'photos')
  loop = [sys.executable, '-c', 'while True: pass']
  busy = [subprocess.Popen(loop) for _ in range(BUSY.value)]
  try:
    tallies = {
      name: stops(name, len(range(i, SIGNALS.value, len(names))), draws)
      for i, name in enumerate(names)
    }
  finally:
    for each in busy:
      each.kill()
  for name, tally in tallies.items():
    took = ', '.join(f'{f(tally.seconds):.2f}' for f in (min, max))
    print(
      f'{name}: {len(tally.seconds)} signals, ended in {took} seconds (least, '
      f'most), {tally.resumed} resumed runs, {len(tally.faults)} faults'
    )
    print(*(f'  {fault}\n' for fault in tally.faults), sep='', end='')
  if any(tally.faults for tally in tallies.values()):
    sys.exit(1)


if __name__ == '__main__':
  flags.mark_flag_as_required('workdir')
  app.run(main)
