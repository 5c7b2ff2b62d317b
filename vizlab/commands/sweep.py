"""Runs a sweep: the trials that a config's ``sweep(add)`` names.

vizlab-sweep --config=style/transfer --workdir=runs/sweep
"""

import ast
import importlib.util
import os
import pathlib
from typing import Any

from absl import flags
from ml_collections import config_flags

from vizlab.commands import launching
from vizlab.commands.launching import CONFIG, WORKDIR
from vizlab.runs import stopping

__all__ = ['main', 'slurm']

NAME = flags.DEFINE_string('name', '', 'NAME of sweep_NAME(add) in the config.')
DRY_RUN = flags.DEFINE_bool('dry_run', False, 'List the trials and exit.')
MAX_TRIALS = flags.DEFINE_integer(
  'max_trials',
  0,
  'Maximum number of trials to run now; 0 for all.',
  lower_bound=0,
)
RETRY = flags.DEFINE_bool('retry_failed', False, 'Run failed trials again.')
EXECUTOR = flags.DEFINE_enum(
  'executor',
  'serial',
  ['serial', 'processes', 'ray', 'slurm'],
  'Executor of the trials.',
)
WORKERS = flags.DEFINE_integer(
  'workers', 2, 'Number of parallel trials; not for serial.', lower_bound=1
)
DEVICES = flags.DEFINE_list('devices', [], 'CUDA devices, one per worker.')
ADDRESS = flags.DEFINE_string(
  'address', '', 'Address of a Ray cluster; starts a local one if empty.'
)
CPUS = flags.DEFINE_float('cpus', 1.0, 'CPUs per trial on a cluster.')
GPUS = flags.DEFINE_float('gpus', 0.0, 'GPUs per trial on a cluster.')
SLURM = flags.DEFINE_list(
  'slurm',
  [],
  'Parameters of submitit, such as slurm_partition=gpu,timeout_min=60.',
)
# Optional dependencies of executors.
MODULES = {'ray': 'ray', 'slurm': 'submitit'}
PICTURE = flags.DEFINE_string(
  'picture',
  '',
  'Picture of each trial in the report, such as transfer; the first if empty.',
)


def slurm() -> dict[str, Any]:
  """Parses the parameters of ``--slurm``, with Python literals evaluated."""
  parameters = {}
  for part in SLURM.value:
    name, equal, value = part.partition('=')
    if not equal:
      raise ValueError(f'slurm: got {part!r}, expected NAME=VALUE')
    try:
      parameters[name] = ast.literal_eval(value)
    except (SyntaxError, ValueError):  # a word
      parameters[name] = value
  return parameters


def main(argv: list[str]) -> int:
  """Runs open trials and writes the report."""
  if argv[1:]:
    raise ValueError(f'got {argv[1:]}, expected only --flags')
  config = CONFIG.value
  if config is None:
    raise ValueError('config: got none, expected --config=NAME or a file')
  cache = launching.prepare()
  # Inherited by the processes of the trials.
  os.environ['JAX_COMPILATION_CACHE_DIR'] = cache
  os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.5'
  from vizlab.sweeps import Sweep, executors, report, run, space

  launching.experiment(config)
  trials = space.trials(launching.config_file(), NAME.value, config)
  given = config_flags.get_override_values(flags.FLAGS['config'])
  swept = {name for trial in trials for name in trial.overrides}
  if both := sorted(swept & given.keys()):
    raise ValueError(
      f'config.{both[0]}: got {given[both[0]]!r}, expected no flag for a '
      'setting that the sweep changes'
    )
  if DRY_RUN.value:
    print('\n'.join(trial.name for trial in trials))
    return 0
  if WORKDIR.value is None:
    raise ValueError('workdir: got none, expected --workdir=FOLDER')
  needed = MODULES.get(EXECUTOR.value)
  if needed and importlib.util.find_spec(needed) is None:
    raise ValueError(
      f'executor: {EXECUTOR.value!r} needs the extra, '
      "pip install 'vizlab[cluster]'"
    )
  options = executors.Options(
    WORKERS.value,
    DEVICES.value,
    ADDRESS.value,
    CPUS.value,
    GPUS.value,
    slurm(),
  )
  folder = pathlib.Path(WORKDIR.value).expanduser().resolve()
  sweep = Sweep(folder, config, trials, str(launching.folder()))
  stopping.listen()
  sweep.open()
  try:
    with launching.following(folder):
      totals = run(
        sweep,
        executor=EXECUTOR.value,
        options=options,
        most=MAX_TRIALS.value,
        retry=RETRY.value,
      )
  finally:
    with stopping.writing():
      page = report.write(sweep, PICTURE.value)
  known = report.pictures(sweep)
  if PICTURE.value and PICTURE.value not in known:
    expected = f'expected one of {known}' if known else 'and no picture at all'
    print(f'picture: no trial has {PICTURE.value!r}, {expected}')
  print(', '.join(f'{count} {name}' for name, count in totals.items()))
  if totals['failed']:
    print(f'tracebacks: {folder / "errors"}; --retry_failed runs them again')
  print(f'report: {page}')
  return 1 if totals['failed'] else 0
