"""Runs an experiment: one config, one work directory, one report.

python scripts/run.py --config=configs/attribution.py --workdir=/tmp/explain
"""

import importlib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # experiments and configs are not installed

from absl import app, flags, logging  # noqa: E402
from ml_collections import config_flags  # noqa: E402

CONFIG = config_flags.DEFINE_config_file('config', None, 'A file of configs/.')
WORKDIR = flags.DEFINE_string('workdir', None, 'Where results are written.')
OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Empty the workdir first.')
CACHE = flags.DEFINE_string(
  'compilation_cache', '', 'Folder of compiled programs; in the cache if empty.'
)


def in_one_line(error: Exception) -> str:
  """What is wrong with a config that does not load, or has no such key."""
  text = ' '.join(str(error).replace('\\n', ' ').split())
  if near := re.search(r'Did you mean "(\w+)" instead of "(\w+)"', text):
    return f'config: no setting {near[2]!r}; did you mean {near[1]!r}?'
  if 'Failed loading config file' in text:
    return 'config: cannot load that file, expected configs/NAME.py'
  if isinstance(error, AttributeError | KeyError):
    name = text.strip('"\'\\ ')
    return f'config: no setting {name!r} in this config'
  return text


def parse(argv: list[str]) -> list[str]:
  """Parses flags; a wrong key is one line and not a traceback."""
  try:
    return app.parse_flags_with_usage(argv)
  except (AttributeError, KeyError, OSError, ValueError) as error:
    sys.exit(f'error: {in_one_line(error)}')


def main(argv: list[str]) -> None:
  """Validates the config, then runs its experiment."""
  logging.set_verbosity(logging.WARNING)  # JAX tells of absent accelerators
  import jax  # after the flags: --help stays quick

  from experiments import common, settings
  from vizlab import io

  cache = CACHE.value or io.cache_dir() / 'xla'
  jax.config.update('jax_compilation_cache_dir', str(cache))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
  try:
    if argv[1:]:
      raise ValueError(f'got {argv[1:]}, expected only --flags')
    config = CONFIG.value
    settings.each_of('config.experiment', [config.experiment], common.known())
    reference = importlib.import_module(f'configs.{config.experiment}')
    settings.validate(config, reference.get_config(), reference.__name__)
    experiment = importlib.import_module(f'experiments.{config.experiment}')
    where = {'workdir': WORKDIR.value, 'overwrite': OVERWRITE.value}
    before = common.Recorder(config=config, **where)
    results = experiment.run(config, **where)
  except (OSError, ValueError) as error:
    sys.exit(f'error: {in_one_line(error)}')
  except KeyboardInterrupt:
    print('stopped; the same command goes on', file=sys.stderr)
    sys.exit(130)
  figures = ', '.join(f'{k} {v:.4g}' for k, v in results.items())
  if before.results is not None:
    print('finished before, nothing done; --overwrite starts anew')
  print(f'{figures}\nreport: {before.workdir / "report.html"}')


if __name__ == '__main__':
  flags.mark_flags_as_required(['config', 'workdir'])
  app.run(main, flags_parser=parse)
