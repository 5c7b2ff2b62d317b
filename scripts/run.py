"""Runs an experiment: one config, one work directory, one report.

python scripts/run.py --config=configs/attribution.py --workdir=/tmp/explain
"""

import contextlib
import importlib
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # experiments and configs are not installed

from experiments import stopping  # noqa: E402

if __name__ == '__main__':  # imports take long, and nothing is to be saved
  stopping.listen(patience=0.0)

import launching  # noqa: E402
from absl import flags  # noqa: E402
from launching import (  # noqa: E402
  check_config,
  config_flag,
  ending,
  following,
  prepare,
  start,
)
from ml_collections import ConfigDict  # noqa: E402

CONFIG = config_flag()
flags.adopt_module_key_flags(launching)
WORKDIR = flags.DEFINE_string('workdir', None, 'Where results are written.')
OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Empty the workdir first.')
LIST = flags.DEFINE_bool('list', False, 'List the experiments and end.')
PRINT = flags.DEFINE_bool('print_config', False, 'Print the config and end.')
COORDINATOR = flags.DEFINE_string(
  'coordinator',
  '',
  "Of several processes on one run: HOST:PORT of the first, or 'auto' on a "
  'cluster that tells.',
)
PROCESSES = flags.DEFINE_integer('processes', 1, 'How many they are.')
PROCESS = flags.DEFINE_integer('process', 0, 'Which of them this one is.')
FROM = flags.DEFINE_string('from', '', 'The workdir of a run to be repeated.')


def listing() -> str:
  """Every experiment: what it does, and how long that takes."""
  from experiments import settings

  lines = []
  for name in settings.known():
    text = importlib.import_module(f'configs.{name}').__doc__
    parts = [' '.join(part.split()) for part in text.split('\n\n')]
    runtime = next((p for p in parts if p.startswith('Runtime:')), '')
    lines.append(f'{name}: {parts[0]}\n    {runtime.partition(". ")[0]}')
  return '\n'.join(lines)


def wanted() -> ConfigDict:
  """The config of the flags, or of the run that is repeated."""
  from experiments import provenance, settings

  if not FROM.value:
    if CONFIG.value is None:
      raise ValueError(
        'config: got none, expected --config=configs/NAME.py; --list tells '
        'which there are'
      )
    return CONFIG.value
  if CONFIG.value is not None:
    raise ValueError('config, from: got both, expected one of them')
  path = pathlib.Path(FROM.value).expanduser() / 'config.json'
  try:
    values = json.loads(path.read_text())
    module = importlib.import_module(f'configs.{values["experiment"]}')
  except (OSError, json.JSONDecodeError, KeyError, ImportError) as error:
    raise ValueError(f'from: {FROM.value} is not of a run: {error}') from error
  config = settings.restored(values, module.get_config(), module.__name__)
  record = path.with_name('run.json')
  if record.exists():
    provenance.check_files(json.loads(record.read_text())['sha256'], values)
  return config


def main(argv: list[str]) -> None:
  """Validates the config, then runs its experiment."""
  with ending():
    if argv[1:]:
      raise ValueError(f'got {argv[1:]}, expected only --flags')
    if LIST.value:
      print(listing())
      return
    config = wanted()
    name = check_config(config)
    if PRINT.value:
      print(json.dumps(config.to_dict(), indent=2))
      return
    if WORKDIR.value is None:
      raise ValueError('workdir: got none, expected --workdir=FOLDER')
    prepare()
    import jax

    from experiments import common, distributed

    if COORDINATOR.value:
      # For minutes, if one of them is missing.
      print(f'meeting the others at {COORDINATOR.value}', file=sys.stderr)
      distributed.connect(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    elif (PROCESSES.value, PROCESS.value) != (1, 0):
      raise ValueError(
        f'coordinator: got none for process {PROCESS.value} of '
        f'{PROCESSES.value}, expected HOST:PORT of the first'
      )
    experiment = importlib.import_module(f'experiments.{name}')
    stopping.listen()
    where = {'workdir': WORKDIR.value, 'overwrite': OVERWRITE.value}
    before = common.Recorder(config=config, **where)
    first = not COORDINATOR.value or jax.process_index() == 0
    with following(before.workdir) if first else contextlib.nullcontext():
      results = experiment.run(config, **where)
  figures = ', '.join(f'{k} {v:.4g}' for k, v in results.items())
  if before.results is not None:
    print('finished before, nothing done; --overwrite starts anew')
  print(f'{figures}\nreport: {before.workdir / "report.html"}')


if __name__ == '__main__':
  start(main)
