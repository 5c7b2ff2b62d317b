"""Executors of trials: serial, processes, Ray, SLURM."""

import collections
import contextlib
import dataclasses
import math
import multiprocessing
import os
import pathlib
import shlex
import signal
import subprocess
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any

from tqdm import tqdm

from vizlab import io
from vizlab.runs import execute, experiments, stopping

__all__ = ['EXECUTORS', 'Options', 'run_trial']

# Number of attempts for a trial whose process dies.
_ATTEMPTS = 3
_QUEUE = 'slurm'  # cluster of submitit
_MOMENT = 0.2  # seconds between safe points while trials run elsewhere
_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@dataclasses.dataclass(frozen=True)
class Options:
  """Settings of executors.

  Attributes:
    workers: Number of parallel trials; ignored by ``serial`` and by a Ray
      cluster at ``address``.
    devices: Indices of CUDA devices, assigned to the processes in turn.
    address: Address of a Ray cluster; '' starts a local one for this sweep.
    cpus: CPUs per trial on a cluster.
    gpus: GPUs per trial on a cluster; may be a fraction with Ray.
    slurm: Further parameters of SLURM jobs, with submitit's names.
  """

  workers: int = 2
  devices: Sequence[str] = ()
  address: str = ''
  cpus: float = 1.0
  gpus: float = 0.0
  slurm: Mapping[str, Any] = dataclasses.field(default_factory=dict)


Jobs = Sequence[dict[str, Any]]


def run_trial(
  config: dict[str, Any], workdir: str, error: str, beside: str = ''
) -> bool:
  """Runs one trial; writes the traceback of an error to a file.

  Args:
    config: Config of the trial, as JSON values.
    workdir: Work directory of the trial.
    error: File for the traceback if the trial fails.
    beside: Folder of the config, which may hold the user's experiment.

  Returns:
    True if the trial has finished.
  """
  pathlib.Path(error).unlink(missing_ok=True)
  try:
    settings = experiments.restored(config)
    execute(experiments.find(settings, beside), settings, workdir)
  except BrokenPipeError:
    return False  # the parent is gone: the trial stays open
  except Exception as wrong:
    # A trial that runs in another process is not finished, but did not fail.
    if not isinstance(wrong.__cause__, BlockingIOError):
      io.write_text(error, traceback.format_exc())
    return False
  return True


def _serial(jobs: Jobs, options: Options) -> Iterator[int]:
  """Runs trials in this process, where they share compiled programs."""
  del options
  for i, job in enumerate(jobs):
    stopping.check()
    run_trial(**job)
    yield i


def _processes(jobs: Jobs, options: Options) -> Iterator[int]:
  """Runs each trial in a process, ``workers`` at once, on separate devices."""
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
      stopping.check()
      for sentinel in wait(list(running), _MOMENT):
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
    with stopping.writing():  # they save their state and exit
      for process, *_ in running.values():
        process.terminate()
      for process, *_ in running.values():
        process.join()


def _alone(job: dict[str, Any], device: str | None) -> None:
  """Runs a trial in a child process."""
  if device is not None:
    # JAX detects devices on first use, which is later.
    os.environ['CUDA_VISIBLE_DEVICES'] = device
  # The default lock is a semaphore, which a process that exits at a signal
  # leaks.
  tqdm.set_lock(threading.RLock())
  # Ctrl-C in a terminal reaches a worker twice: directly and from its parent,
  # which prints the message.
  stopping.listen(impatient=False, message='')
  parent = multiprocessing.parent_process()
  if parent is not None:
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
  try:
    run_trial(**job)
  except stopping.Stopped as stopped:
    stopping.leave(stopped.status)


def _follow(parent: Any) -> None:
  """Ends this process by SIGTERM once its parent has ended."""
  parent.join()
  os.kill(os.getpid(), signal.SIGTERM)


def _ray(jobs: Jobs, options: Options) -> Iterator[int]:
  """Runs trials on a Ray cluster whose nodes share the folder.

  A trial whose node dies is restarted on another node and resumes from its last
  checkpoint.
  """
  import ray  # optional dependency

  ours = not ray.is_initialized()
  if ours:
    local = {'num_cpus': _cpus(options), 'include_dashboard': False}
    with warnings.catch_warnings():
      # Ray forks only to execute other programs, which is safe with JAX.
      warnings.filterwarnings('ignore', 'os.fork', RuntimeWarning)
      before = signal.getsignal(signal.SIGTERM)
      ray.init(
        options.address or None,
        runtime_env={'env_vars': {'PYTHONPATH': str(_ROOT)}},
        log_to_driver=False,
        **({} if options.address else local),
      )
      signal.signal(signal.SIGTERM, before)  # Ray replaces the handler
  try:
    start = ray.remote(
      num_cpus=options.cpus,
      num_gpus=options.gpus,
      max_retries=_ATTEMPTS - 1,
    )(run_trial)
    running = {start.remote(**job): i for i, job in enumerate(jobs)}
    while running:
      stopping.check()
      for ended in ray.wait([*running], timeout=_MOMENT)[0]:
        i = running.pop(ended)
        try:
          ray.get(ended)
        except ray.exceptions.RayError as error:
          io.write_text(jobs[i]['error'], f'{error}\n')
        yield i
  finally:
    if ours:
      ray.shutdown()


def _slurm(jobs: Jobs, options: Options) -> Iterator[int]:
  """Runs trials as an array of SLURM jobs, whose nodes share the folder.

  A job that is preempted or times out saves its state and requeues itself; a
  job whose node dies is resubmitted by this process. Both resume from the last
  checkpoint.
  """
  import submitit  # optional dependency

  # So that the jobs find the experiments.
  known = os.environ.get('PYTHONPATH')
  path = os.pathsep.join(filter(None, [str(_ROOT), known]))
  logs = pathlib.Path(jobs[0]['workdir']).parent / 'slurm'
  settings = {
    'name': 'vizlab',
    'timeout_min': 24 * 60,
    'cpus_per_task': math.ceil(options.cpus),
    'gpus_per_node': math.ceil(options.gpus),
    'slurm_array_parallelism': options.workers,
    **options.slurm,
  }
  settings['slurm_setup'] = [
    f'export PYTHONPATH={shlex.quote(path)}',
    *options.slurm.get('slurm_setup', ()),
  ]
  trial, running = _Queued(), {}
  attempts = collections.Counter(range(len(jobs)))
  try:
    try:
      executor = submitit.AutoExecutor(logs, cluster=_QUEUE)
      executor.update_parameters(**settings)
      running |= enumerate(executor.map_array(trial, jobs))
    except (AssertionError, NameError, RuntimeError, TypeError) as error:
      raise ValueError(f'slurm: {error}') from error
    while running:
      stopping.check()
      for i in [i for i, job in running.items() if job.done()]:
        wrong = running.pop(i).exception()
        if wrong is not None and attempts[i] < _ATTEMPTS:
          attempts[i] += 1
          running[i] = executor.submit(trial, jobs[i])
          continue
        if wrong is not None:
          io.write_text(jobs[i]['error'], f'{wrong}\n')
        yield i
      time.sleep(1)
  finally:
    for job in running.values():
      job.cancel(check=False)


class _Queued:
  """A trial that is requeued when its time is over."""

  def __call__(self, job: dict[str, Any]) -> None:
    # submitit ignores SIGTERM and handles the timeout signal in the middle of
    # the trial, and SLURM may end the requeueing call while it waits. The trial
    # must be requeued, so the process ends only at a safe point.
    name = os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')
    over = getattr(signal, f'SIG{name}')
    (queue_again,) = stopping.listen(over, patience=None, impatient=False)
    try:
      run_trial(**job)
    except stopping.Stopped:
      with contextlib.suppress(subprocess.CalledProcessError):
        queue_again(over, None)
      raise SystemExit(0) from None

  def checkpoint(self, job: dict[str, Any]) -> Any:
    import submitit

    return submitit.helpers.DelayedSubmission(self, job)


def _cpus(options: Options) -> int:
  """Number of CPUs that all workers of a local cluster need."""
  return max(1, math.ceil(options.workers * options.cpus))


# Executors by name: functions of ``(jobs, options)`` that yield the index of
# each job that has ended.
EXECUTORS: dict[str, Callable[[Jobs, Options], Iterator[int]]] = {
  'serial': _serial,
  'processes': _processes,
  'ray': _ray,
  'slurm': _slurm,
}
