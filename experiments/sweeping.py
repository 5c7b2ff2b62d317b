"""Running a sweep: what is finished stays, what was killed goes on.

A sweep's folder holds ``sweep.json`` (what it is), a work directory for each
trial, ``errors/0003.txt`` for a trial that failed, ``summary.csv`` and
``report.html``.
"""

import dataclasses
import importlib
import json
import math
import multiprocessing
import os
import pathlib
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from ml_collections import ConfigDict
from tqdm import tqdm

from experiments import settings
from experiments.sweeps import Trial, apply
from vizlab import io

__all__ = ['EXECUTORS', 'Options', 'Sweep', 'counts', 'run', 'run_trial']

_DEFINITION, _ERRORS, _LOCK = 'sweep.json', 'errors', '.lock'
# How often a trial is started whose process dies without a word.
_ATTEMPTS = 3
_ROOT = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Sweep:
  """A sweep and its folder.

  Attributes:
    folder: Where everything is written.
    base: The config that the trials change.
    trials: All of them.
  """

  folder: pathlib.Path
  base: ConfigDict
  trials: Sequence[Trial]

  def open(self) -> None:
    """Writes what the sweep is, or checks that it is still the same.

    Raises:
      ValueError: The folder is of another sweep, of something else, or in use.
    """
    path, new = self.folder / _DEFINITION, self._definition()
    try:
      if path.exists():
        self._compare(json.loads(path.read_text()), new)
      elif self.folder.exists() and [
        p for p in self.folder.iterdir() if p.name != _LOCK
      ]:
        raise ValueError(
          f'workdir: {self.folder} holds files that are not of a sweep; '
          'expected a new or empty directory'
        )
      io.lock(self.folder / _LOCK, self)
      if not path.exists():
        io.write_json(path, new)
    except (OSError, json.JSONDecodeError) as error:
      raise ValueError(f'workdir: {self.folder}: {error}') from error

  def _definition(self) -> dict[str, Any]:
    return {
      'config': json.loads(json.dumps(self.base.to_dict())),
      'trials': [
        {'folder': trial.name, 'overrides': trial.overrides}
        for trial in self.trials
      ],
    }

  def _compare(self, old: dict[str, Any], new: dict[str, Any]) -> None:
    was, now = (settings.flatten(each['config']) for each in (old, new))
    changed = sorted(k for k in was | now if was.get(k) != now.get(k))
    if changed:
      raise ValueError(
        f'workdir: {self.folder} is of a sweep over another config; they '
        f'differ in {", ".join(changed[:5])}'
      )
    pairs = zip(old['trials'], new['trials'], strict=False)
    for i, (before, after) in enumerate(pairs):
      if before != after:
        raise ValueError(
          f'workdir: {self.folder} is of another sweep: its trial {i} is '
          f'{before["overrides"]}, and now {after["overrides"]}'
        )
    if len(old['trials']) != len(new['trials']):
      raise ValueError(
        f'workdir: {self.folder} is of a sweep of {len(old["trials"])} trials, '
        f'and now there are {len(new["trials"])}'
      )

  def workdir(self, trial: Trial) -> pathlib.Path:
    """The work directory of a trial."""
    return self.folder / trial.name

  def error(self, trial: Trial) -> pathlib.Path:
    """Where the traceback of a trial is, if it failed."""
    return self.folder / _ERRORS / f'{trial.number:04d}.txt'

  def state(self, trial: Trial) -> str:
    """``finished``, ``failed`` or ``open``."""
    if (self.workdir(trial) / 'DONE').exists():
      return 'finished'
    return 'failed' if self.error(trial).exists() else 'open'

  def job(self, trial: Trial) -> dict[str, Any]:
    """What `run_trial` takes: plain values, for another process."""
    return {
      'config': json.loads(json.dumps(apply(trial, self.base).to_dict())),
      'workdir': str(self.workdir(trial)),
      'error': str(self.error(trial)),
    }


@dataclasses.dataclass(frozen=True)
class Options:
  """What executors want to know.

  Attributes:
    workers: Trials at once, where there are processes.
    devices: Numbers of CUDA devices, which processes share out.
    address: Of a Ray cluster; '' for one on this machine, for this sweep.
    cpus: That a trial takes of it.
    gpus: That a trial takes of it, or a share of one.
  """

  workers: int = 2
  devices: Sequence[str] = ()
  address: str = ''
  cpus: float = 1.0
  gpus: float = 0.0


Jobs = Sequence[dict[str, Any]]


def run_trial(config: dict[str, Any], workdir: str, error: str) -> bool:
  """Runs one trial to its end; what goes wrong is written down.

  Args:
    config: Its config, as JSON holds it.
    workdir: Its work directory.
    error: A file for the traceback if it fails.

  Returns:
    Whether it finished.
  """
  pathlib.Path(error).unlink(missing_ok=True)
  try:
    name = config['experiment']
    made = settings.restored(
      config, importlib.import_module(f'configs.{name}').get_config(), name
    )
    importlib.import_module(f'experiments.{name}').run(made, workdir)
  except BrokenPipeError:
    return False  # whoever started it is gone: it is open still
  except Exception as wrong:
    # In another process it is not done, but it has not failed either.
    if not isinstance(wrong.__cause__, BlockingIOError):
      io.write_text(error, traceback.format_exc())
    return False
  return True


def _serial(jobs: Jobs, options: Options) -> Iterator[int]:
  """In this process: trials whose shapes agree share their programs."""
  del options
  for i, job in enumerate(jobs):
    run_trial(**job)
    yield i


def _processes(jobs: Jobs, options: Options) -> Iterator[int]:
  """A process a trial, some at once, each with a device of its own."""
  devices = options.devices
  context = multiprocessing.get_context('spawn')
  waiting = [(i, 1) for i in reversed(range(len(jobs)))]
  free = list(reversed(range(options.workers)))
  running: dict[Any, tuple[Any, int, int, int]] = {}
  try:
    while waiting or running:
      while waiting and free:
        (i, attempt), slot = waiting.pop(), free.pop()
        process = context.Process(
          target=_alone,
          args=(jobs[i], devices[slot % len(devices)] if devices else None),
          daemon=True,
        )
        process.start()
        running[process.sentinel] = (process, i, attempt, slot)
      for sentinel in wait(list(running)):
        process, i, attempt, slot = running.pop(sentinel)
        process.join()
        free.append(slot)
        if process.exitcode == 0:
          yield i
        elif attempt < _ATTEMPTS:
          waiting.append((i, attempt + 1))
        else:
          io.write_text(
            jobs[i]['error'],
            f'its process died {attempt} times, the last time with exit status '
            f'{process.exitcode}\n',
          )
          yield i
  finally:
    for process, *_ in running.values():
      process.terminate()
      process.join()


def _alone(job: dict[str, Any], device: str | None) -> None:
  """A trial in a process of its own."""
  if device is not None:
    # JAX looks for devices when it is first used, which is later.
    os.environ['CUDA_VISIBLE_DEVICES'] = device
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, _stop)
  parent = multiprocessing.parent_process()
  if parent is not None:
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
  try:
    run_trial(**job)
  except KeyboardInterrupt:
    raise SystemExit(130) from None


def _stop(number: int, frame: FrameType | None) -> None:
  """The first signal ends a trial; the next do not disturb its saving."""
  del number, frame
  for known in (signal.SIGINT, signal.SIGTERM):
    signal.signal(known, signal.SIG_IGN)
  raise KeyboardInterrupt


def _follow(parent: Any) -> None:
  """Ends this process, in good order, after its parent."""
  parent.join()
  os.kill(os.getpid(), signal.SIGTERM)


def _ray(jobs: Jobs, options: Options) -> Iterator[int]:
  """On a cluster whose nodes see the same folder; a trial has one node.

  A trial of a node that dies is started again on another one, and goes on from
  its last checkpoint.
  """
  import ray  # of an extra

  ours = not ray.is_initialized()
  if ours:
    local = {'num_cpus': _cpus(options), 'include_dashboard': False}
    with warnings.catch_warnings():
      # Its forks run other programs at once, and have no use for JAX.
      warnings.filterwarnings('ignore', 'os.fork', RuntimeWarning)
      ray.init(
        options.address or None,
        runtime_env={'env_vars': {'PYTHONPATH': str(_ROOT)}},
        log_to_driver=False,
        **({} if options.address else local),
      )
  try:
    start = ray.remote(
      num_cpus=options.cpus,
      num_gpus=options.gpus,
      max_retries=_ATTEMPTS - 1,
    )(run_trial)
    running = {start.remote(**job): i for i, job in enumerate(jobs)}
    while running:
      (ended,), _ = ray.wait([*running], num_returns=1)
      i = running.pop(ended)
      try:
        ray.get(ended)
      except ray.exceptions.RayError as error:
        io.write_text(jobs[i]['error'], f'{error}\n')
      yield i
  finally:
    if ours:
      ray.shutdown()


def _cpus(options: Options) -> int:
  """Of a local cluster: what its workers take together."""
  return max(1, math.ceil(options.workers * options.cpus))


# How trials are run: ``(jobs, options)`` gives the place of each one that has
# ended.
EXECUTORS: dict[str, Callable[[Jobs, Options], Iterator[int]]] = {
  'serial': _serial,
  'processes': _processes,
  'ray': _ray,
}


def run(
  sweep: Sweep,
  *,
  executor: str = 'serial',
  options: Options | None = None,
  most: int = 0,
  retry: bool = False,
) -> dict[str, int]:
  """Runs what is not finished.

  Args:
    sweep: The sweep, opened.
    executor: One of `EXECUTORS`.
    options: Of the executor.
    most: Trials to run now; 0 for all.
    retry: Whether those that failed are run again.

  Returns:
    How many are finished, failed and open then.
  """
  wanted = {'open', 'failed'} if retry else {'open'}
  todo = [trial for trial in sweep.trials if sweep.state(trial) in wanted]
  todo = todo[: most or None]
  jobs = [sweep.job(trial) for trial in todo]
  bar = tqdm(total=len(todo), desc='sweep', unit='trial')
  with bar:
    for i in EXECUTORS[executor](jobs, options or Options()):
      bar.update()
      if sweep.state(todo[i]) == 'failed':
        lines = sweep.error(todo[i]).read_text().strip().splitlines()
        tqdm.write(f'{todo[i].name}: {lines[-1]}')
  return counts(sweep)


def counts(sweep: Sweep) -> dict[str, int]:
  """How many trials are finished, failed and open."""
  states = [sweep.state(trial) for trial in sweep.trials]
  return {name: states.count(name) for name in ('finished', 'failed', 'open')}
