"""Execution of a sweep: keeps finished trials and resumes interrupted ones.

The folder of a sweep holds ``sweep.json`` (its definition), a work directory
for each
trial, ``errors/0003.txt`` for a trial that failed, ``summary.csv`` and
``report.html``.
"""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import io
from vizlab.runs import files, settings
from vizlab.sweeps.executors import EXECUTORS, Options
from vizlab.sweeps.reader import DEFINITION, ERRORS
from vizlab.sweeps.space import Trial, apply

__all__ = ['Sweep', 'counts', 'run']


@dataclasses.dataclass(frozen=True)
class Sweep:
  """A sweep and its folder.

  Attributes:
    folder: Folder of the sweep.
    base: Config that the trials override.
    trials: All trials.
    beside: Folder of the config, which may hold the user's experiment.
  """

  folder: pathlib.Path
  base: ConfigDict
  trials: Sequence[Trial]
  beside: str = ''

  def open(self) -> None:
    """Writes the definition of the sweep, or compares it with an earlier one.

    Raises:
      ValueError: The folder belongs to another sweep, holds other files, or is
        in use.
    """
    path, new = self.folder / DEFINITION, self._definition()
    try:
      if path.exists():
        self._compare(json.loads(path.read_text()), new)
      elif self.folder.exists() and [
        p for p in self.folder.iterdir() if p.name != files.LOCK
      ]:
        raise ValueError(
          f'workdir: {self.folder} holds files that do not belong to a sweep, '
          'expected a new or empty directory'
        )
      io.lock(self.folder / files.LOCK, self)
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
        f'workdir: {self.folder} belongs to a sweep of another config; they '
        f'differ in {", ".join(changed[:5])}'
      )
    pairs = zip(old['trials'], new['trials'], strict=False)
    for i, (before, after) in enumerate(pairs):
      if before != after:
        raise ValueError(
          f'workdir: {self.folder} belongs to another sweep: its trial {i} is '
          f'{before["overrides"]}, expected {after["overrides"]}'
        )
    if len(old['trials']) != len(new['trials']):
      raise ValueError(
        f'workdir: {self.folder} belongs to a sweep of {len(old["trials"])} '
        f'trials, expected one of {len(new["trials"])}'
      )

  def workdir(self, trial: Trial) -> pathlib.Path:
    """Work directory of a trial."""
    return self.folder / trial.name

  def error(self, trial: Trial) -> pathlib.Path:
    """Path of the traceback of a failed trial."""
    return self.folder / ERRORS / f'{trial.number:04d}.txt'

  def state(self, trial: Trial) -> str:
    """State of a trial: ``finished``, ``failed`` or ``open``."""
    if (self.workdir(trial) / files.DONE).exists():
      return 'finished'
    return 'failed' if self.error(trial).exists() else 'open'

  def job(self, trial: Trial) -> dict[str, Any]:
    """Arguments of `run_trial`, plain values for another process."""
    return {
      'config': json.loads(json.dumps(apply(trial, self.base).to_dict())),
      'workdir': str(self.workdir(trial)),
      'error': str(self.error(trial)),
      'beside': self.beside,
    }


def run(
  sweep: Sweep,
  *,
  executor: str = 'serial',
  options: Options | None = None,
  most: int = 0,
  retry: bool = False,
) -> dict[str, int]:
  """Runs the unfinished trials of a sweep.

  Args:
    sweep: The sweep, opened with `Sweep.open`.
    executor: ``'serial'``, ``'processes'``, ``'ray'`` or ``'slurm'``.
    options: Options of the executor.
    most: Maximum number of trials to run now; 0 for all.
    retry: Whether to run failed trials again.

  Returns:
    Numbers of finished, failed and open trials afterwards.
  """
  wanted = {'open', 'failed'} if retry else {'open'}
  todo = [trial for trial in sweep.trials if sweep.state(trial) in wanted]
  todo = todo[: most or None]
  if not todo:
    return counts(sweep)
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
  """Numbers of finished, failed and open trials."""
  states = [sweep.state(trial) for trial in sweep.trials]
  return {name: states.count(name) for name in ('finished', 'failed', 'open')}
