"""Runs an experiment: one config, one work directory, one report.

  vizlab-run --config=attribution/explain --workdir=runs/explain

For an experiment of your own, write my_config.py, whose get_config() returns
experiment='my_experiment', and my_experiment.py beside it with prepare(config)
and run(inputs, recorder).
"""

import ast
import contextlib
import json
import pathlib
import sys
from types import ModuleType

from absl import flags
from ml_collections import ConfigDict

from vizlab.commands import describing, launching
from vizlab.commands.launching import CONFIG, WORKDIR
from vizlab.runs import experiments, files, stopping

__all__ = ['listing', 'main', 'wanted']

OVERWRITE = flags.DEFINE_bool(
  'overwrite', False, 'Remove an earlier run first.'
)
LIST = flags.DEFINE_bool('list', False, 'List the experiments and exit.')
PRINT = flags.DEFINE_bool('print_config', False, 'Print the config and exit.')
DESCRIBE = flags.DEFINE_bool(
  'describe', False, 'Print what the config does and its settings, and exit.'
)
COORDINATOR = flags.DEFINE_string(
  'coordinator',
  '',
  "HOST:PORT of the first of several processes, or 'auto' on a cluster that "
  'provides it.',
)
PROCESSES = flags.DEFINE_integer('processes', 1, 'Total number of processes.')
PROCESS = flags.DEFINE_integer('process', 0, 'Index of this process.')
FROM = flags.DEFINE_string('from', '', 'The workdir of a run to repeat.')


def listing() -> str:
  """Lists experiments by family, with description and runtime."""
  lines: list[str] = []
  for name in experiments.known():
    family = name.partition('/')[0]
    if family not in lines:
      lines.append(family)
    text = ast.get_docstring(
      ast.parse(experiments.config_path(name).read_text())
    )
    parts = [' '.join(part.split()) for part in text.split('\n\n')]
    runtime = next((p for p in parts if p.startswith('Runtime:')), '')
    lines.append(f'  {name}: {parts[0]}\n      {runtime.partition(". ")[0]}')
  return '\n'.join(lines)


def wanted() -> tuple[ConfigDict, ModuleType]:
  """Returns config and experiment from the flags or from a run to repeat."""
  if not FROM.value:
    if CONFIG.value is None:
      raise ValueError(
        'config: got none, expected --config=NAME or a file; --list lists all '
        'names'
      )
    complete = not (PRINT.value or DESCRIBE.value)
    return CONFIG.value, launching.experiment(CONFIG.value, complete)
  if CONFIG.value is not None:
    raise ValueError('config, from: got both, expected one of them')
  path = pathlib.Path(FROM.value).expanduser() / files.CONFIG
  try:
    values = json.loads(path.read_text())
    own = values.get('experiment', '')
    if own and own not in experiments.known() and not experiments.renamed(own):
      raise ValueError(
        f'its experiment {own!r} does not come with vizlab; expected a run of '
        'one that does'
      )
    experiment = experiments.find(values)
  except (OSError, json.JSONDecodeError, ValueError) as error:
    raise ValueError(
      f'from: {FROM.value} cannot be repeated: {error}'
    ) from error
  config = experiments.restored(values)
  record = path.with_name(files.RECORD)
  if record.exists():
    from vizlab.runs import provenance

    provenance.check_files(json.loads(record.read_text())['sha256'], values)
  return config, experiment


def main(argv: list[str]) -> None:
  """Validates the config, then runs its experiment."""
  if argv[1:]:
    raise ValueError(f'got {argv[1:]}, expected only --flags')
  if LIST.value:
    print(listing())
    return
  config, experiment = wanted()
  if PRINT.value:
    print(json.dumps(config.to_dict(), indent=2))
    return
  if DESCRIBE.value:
    print(describing.described(config, launching.sources(config)))
    return
  if WORKDIR.value is None:
    raise ValueError('workdir: got none, expected --workdir=FOLDER')
  launching.prepare()
  import jax

  from vizlab.runs import Recorder, distributed, execute

  if COORDINATOR.value:
    # May take minutes, if a process is missing.
    print(
      f'connecting to the other processes at {COORDINATOR.value}',
      file=sys.stderr,
    )
    distributed.connect(COORDINATOR.value, PROCESSES.value, PROCESS.value)
  elif (PROCESSES.value, PROCESS.value) != (1, 0):
    raise ValueError(
      f'coordinator: got none for process {PROCESS.value} of '
      f'{PROCESSES.value}, expected HOST:PORT of the first'
    )
  stopping.listen()
  where = {'workdir': WORKDIR.value, 'overwrite': OVERWRITE.value}
  before = Recorder(config=config, **where)
  first = not COORDINATOR.value or jax.process_index() == 0
  follow = launching.following if first else contextlib.nullcontext
  with follow(before.workdir):
    results = execute(experiment, config, **where)
  if before.results is not None:
    print('finished before, nothing done; --overwrite starts again')
  print(', '.join(f'{k} {v:.4g}' for k, v in results.items()))
  print(f'report: {before.workdir / files.REPORT}')
