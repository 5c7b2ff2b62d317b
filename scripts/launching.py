"""What run.py and sweep.py share: flags, errors in one line, and signals."""

import contextlib
import importlib
import os
import pathlib
import signal
import sys
import traceback
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any, NoReturn

from absl import flags, logging
from flag_errors import in_one_line, load_file, wrong_file, wrong_flag
from ml_collections import ConfigDict, config_flags

__all__ = [
  'check_config',
  'config_file',
  'config_flag',
  'following',
  'parse',
  'prepare',
  'stopping',
]

CACHE = flags.DEFINE_string(
  'compilation_cache', '', 'Folder of compiled programs; in the cache if empty.'
)
TENSORBOARD = flags.DEFINE_bool(
  'tensorboard', False, 'Also write metrics for TensorBoard.'
)


class Terminated(KeyboardInterrupt):
  """SIGTERM, which is taken as Ctrl-C is: what is done so far is saved."""


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
  from experiments import common, settings

  name = config.get('experiment', '')
  settings.each_of('config.experiment', [name], common.known())
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
def stopping() -> Iterator[None]:
  """Errors in one line; Ctrl-C and SIGTERM end with status 130 and 143."""

  def terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Terminated

  before = signal.signal(signal.SIGTERM, terminate)
  try:
    yield
  except BrokenPipeError:
    # Whoever read what is printed has seen enough.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    _end(141)
  except (OSError, ValueError) as error:
    _end(1, f'error: {in_one_line(error)}')
  except KeyboardInterrupt as error:
    status = 143 if isinstance(error, Terminated) else 130
    _end(status, 'stopped; the same command goes on')
  except Exception:
    traceback.print_exc()
    _end(1)
  finally:
    signal.signal(signal.SIGTERM, before)


def _end(status: int, message: str = '') -> NoReturn:
  """Ends a process that has failed or was stopped."""
  if message:
    print(message, file=sys.stderr)
  if 'jax' in sys.modules:
    from experiments import distributed

    distributed.leave(status)
  sys.exit(status)
