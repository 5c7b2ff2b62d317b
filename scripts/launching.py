"""What run.py and sweep.py share: flags, errors in one line, and signals."""

import contextlib
import importlib
import os
import pathlib
import sys
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from absl import app, flags, logging
from flag_errors import in_one_line, load_file, wrong_file, wrong_flag
from ml_collections import ConfigDict, config_flags

from experiments import stopping

__all__ = [
  'check_config',
  'config_file',
  'config_flag',
  'ending',
  'following',
  'parse',
  'prepare',
  'start',
]

CACHE = flags.DEFINE_string(
  'compilation_cache', '', 'Folder of compiled programs; in the cache if empty.'
)
TENSORBOARD = flags.DEFINE_bool(
  'tensorboard', False, 'Also write metrics for TensorBoard.'
)


def config_flag() -> Any:
  """Defines ``--config``."""
  return config_flags.DEFINE_config_file('config', None, 'A file of configs/.')


def parse(argv: list[str]) -> list[str]:
  """Parses flags; a wrong one is one line and not a traceback."""
  logging.set_verbosity(logging.ERROR)  # a config of None is told below
  try:
    left = flags.FLAGS(argv)
  except Exception as error:  # a config file may raise anything
    sys.exit(f'error: {wrong_file(argv) or wrong_flag(error)}')
  loaded = isinstance(flags.FLAGS['config'].value, ConfigDict)
  if not loaded and (wrong := wrong_file(argv)):
    sys.exit(f'error: {wrong}')
  return left


def prepare() -> str:
  """Sets JAX up, after the flags: ``--help`` stays quick.

  Returns:
    The folder of compiled programs.
  """
  logging.set_verbosity(logging.WARNING)  # JAX tells of absent accelerators
  import jax

  from vizlab import io

  cache = str(CACHE.value or io.cache_dir() / 'xla')
  jax.config.update('jax_compilation_cache_dir', cache)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
  return cache


def check_config(config: ConfigDict) -> str:
  """The name of a config's experiment.

  Raises:
    ValueError: It is not known, or as `settings.validate`.
  """
  from experiments import settings

  name = config.get('experiment', '')
  settings.each_of('config.experiment', [name], settings.known())
  module = importlib.import_module(f'configs.{name}')
  settings.validate(config, module.get_config(), module.__name__)
  return name


def config_file() -> ModuleType:
  """The file that ``--config`` names, which may be one of the user's own."""
  given = config_flags.get_config_filename(flags.FLAGS['config'])
  return load_file(given.partition(':')[0])


def following(workdir: pathlib.Path) -> contextlib.AbstractContextManager:
  """Copies metrics for TensorBoard meanwhile, if that is wished."""
  if not TENSORBOARD.value:
    return contextlib.nullcontext()
  from experiments import tensorboard

  return tensorboard.following(workdir)


@contextlib.contextmanager
def ending() -> Iterator[None]:
  """Errors are one line, and a signal is the exit status: 130 or 143."""
  try:
    yield
    stopping.check()
  except BrokenPipeError:
    # Whoever read what is printed has seen enough.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    stopping.leave(141)
  except (OSError, ValueError) as error:
    stopping.leave(1, f'error: {in_one_line(error)}')
  except stopping.Stopped as stopped:
    stopped.leave()
  except Exception:
    traceback.print_exc()
    stopping.leave(1)


def start(main: Callable[[list[str]], int | None]) -> None:
  """Runs a script to its end, after which no signal is heard any more."""

  def whole(argv: list[str]) -> None:
    with ending():
      status = main(argv) or 0
      sys.stdout.flush()
    stopping.finish(status)

  app.run(whole, flags_parser=parse)
