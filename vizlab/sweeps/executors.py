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

# How often a trial is started whose process dies without a word.
_ATTEMPTS = 3
_QUEUE = 'slurm'  # or what else submitit knows
_MOMENT = 0.2  # seconds between two safe points while trials run elsewhere
_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@dataclasses.dataclass(frozen=True)
class Options:
  """Settings of executors.

  Attributes:
    workers: Trials at once, where there are processes.
    devices: Numbers of CUDA devices, which processes share out.
    address: Of a Ray cluster; '' for one on this machine, for this sweep.
    cpus: That a trial takes of a cluster.
    gpus: That a trial takes of it; of Ray, or a share of one.
    slurm: Further parameters of a SLURM job, as submitit names them.
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
  """Runs one trial to its end; what goes wrong is written down.

  Args:
    config: Its config, as JSON holds it.
    workdir: Its work directory.
    error: A file for the traceback if it fails.
    beside: The folder of the config, where one's own experiment is.

  Returns:
    Whether it finished.
  """
  pathlib.Path(error).unlink(missing_ok=True)
  try:
    made = experiments.restored(config)
    execute(experiments.find(made, beside), made, workdir)
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
    stopping.check()
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
    with stopping.writing():  # they save what is done, and leave by themselves
      for process, *_ in running.values():
        process.terminate()
      for process, *_ in running.values():
        process.join()


def _alone(job: dict[str, Any], device: str | None) -> None:
  """A trial in a process of its own."""
  if device is not None:
    # JAX looks for devices when it is first used, which is later.
    os.environ['CUDA_VISIBLE_DEVICES'] = device
  # By default a semaphore, which a process that leaves at a signal would leak.
  tqdm.set_lock(threading.RLock())
  # Ctrl-C in a terminal reaches a worker twice: at once and by its parent,
  # which reports it.
  stopping.listen(impatient=False, message='')
  parent = multiprocessing.parent_process()
  if parent is not None:
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
  try:
    run_trial(**job)
  except stopping.Stopped as stopped:
    stopping.leave(stopped.status)


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
      before = signal.getsignal(signal.SIGTERM)
      ray.init(
        options.address or None,
        runtime_env={'env_vars': {'PYTHONPATH': str(_ROOT)}},
        log_to_driver=False,
        **({} if options.address else local),
      )
      signal.signal(signal.SIGTERM, before)  # Ray has taken it for itself
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
  """An array of SLURM jobs, whose nodes see the same folder.

  A job that is preempted or out of time saves and is queued again by itself,
  and one whose node dies by this process; it goes on from its last checkpoint.
  """
  import submitit  # of an extra

  # What is submitted finds the experiments by this.
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
  """A trial that is queued again, as it is, when its time is over."""

  def __call__(self, job: dict[str, Any]) -> None:
    # submitit lets SIGTERM pass and waits for the signal that the time is over.
    # Its answer to that would come in the middle of the trial, and SLURM may
    # end the call that queues the job while that call waits. It must be queued,
    # so it does not leave before a safe point.
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
  """CPUs of a local cluster that its workers take together."""
  return max(1, math.ceil(options.workers * options.cpus))


# How trials are run: ``(jobs, options)`` gives the place of each one that has
# ended.
EXECUTORS: dict[str, Callable[[Jobs, Options], Iterator[int]]] = {
  'serial': _serial,
  'processes': _processes,
  'ray': _ray,
  'slurm': _slurm,
}
