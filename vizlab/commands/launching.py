"""Shared parts of the commands: flags, one-line errors, signals."""

import contextlib
import os
import pathlib
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from vizlab.commands.flag_errors import (
  given_config,
  in_one_line,
  wrong_file,
  wrong_flag,
)
from vizlab.runs import experiments, settings, stopping

__all__ = [
  'CONFIG',
  'WORKDIR',
  'config_file',
  'ending',
  'experiment',
  'folder',
  'following',
  'prepare',
  'sources',
  'start',
]

CACHE = flags.DEFINE_string(
  'compilation_cache',
  '',
  'Folder for compiled programs; in the cache by default.',
)
TENSORBOARD = flags.DEFINE_bool(
  'tensorboard', False, 'Also write metrics for TensorBoard.'
)
CONFIG = config_flags.DEFINE_config_file(
  'config', None, "A config file, or the name of one of vizlab's configs."
)
WORKDIR = flags.DEFINE_string('workdir', None, 'Folder for results.')


def _parse(argv: list[str]) -> list[str]:
  """Parses flags; reports a wrong flag in one line without a traceback."""
  logging.set_verbosity(logging.ERROR)  # a missing config is reported below
  argv = _with_tuples(_replaced(argv, _with_path))
  try:
    left = flags.FLAGS(argv)
  except SystemExit as end:  # absl ends --help with 1
    asked = any(re.fullmatch(r'--?(help.*|\?)', part) for part in argv)
    sys.exit(0 if asked else end.code)
  except Exception as error:  # a config file may raise anything
    sys.exit(f'error: {wrong_file(argv) or wrong_flag(error)}')
  loaded = isinstance(flags.FLAGS['config'].value, ConfigDict)
  if not loaded and (wrong := wrong_file(argv)):
    sys.exit(f'error: {wrong}')
  return left


def prepare() -> str:
  """Configures JAX; called after the flags, so that ``--help`` is fast.

  Returns:
    The folder for compiled programs.
  """
  logging.set_verbosity(logging.WARNING)  # hides JAX's messages on accelerators
  import jax
  from tqdm import tqdm

  from vizlab import io

  # The default lock is a semaphore, which a process that exits at a signal
  # leaks.
  tqdm.set_lock(threading.RLock())

  cache = str(CACHE.value or io.cache_dir() / 'xla')
  jax.config.update('jax_compilation_cache_dir', cache)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
  return cache


def _replaced(argv: list[str], change: Callable[[str, str], str]) -> list[str]:
  """Changes the values of flags, in ``--flag=value`` and ``--flag value``.

  Args:
    argv: The command line.
    change: ``(flag, value) -> value``, of a flag without its dashes.
  """
  replaced = list(argv)
  for i, text in enumerate(argv):
    flag, equal, value = text.partition('=')
    at = i if equal else i + 1
    if not re.match('--?[a-z]', flag) or at == len(argv):
      continue
    before = value if equal else argv[at]
    after = change(flag.lstrip('-'), before)
    if after != before:
      replaced[at] = f'{flag}={after}' if equal else after
  return replaced


def _with_path(flag: str, value: str) -> str:
  """The config's path for a name such as ``synthesis/dream:vgg19``."""
  name, colon, arg = value.partition(':')
  if flag != 'config' or pathlib.Path(name).is_file():
    return value
  if name not in experiments.known():
    return value
  return f'{experiments.config_path(name)}{colon}{arg}'


def _with_tuples(argv: list[str]) -> list[str]:
  """Replaces ``--config.images=a.png,b.png`` by a tuple, as the config has it.

  Flags parse tuples as Python, in which a path is no text.
  """
  if not any(re.match(r'--?config\.', text) for text in argv):
    return argv
  path, colon, arg = (given_config(argv) or '').partition(':')
  try:
    config = experiments.load_file(path).get_config(*[arg] if colon else [])
    defaults = settings.flatten(config.to_dict())
  except Exception:  # of a config file, which is reported when it is parsed
    return argv

  def as_tuple(flag: str, value: str) -> str:
    default = defaults.get(flag.removeprefix('config.'))
    if not flag.startswith('config.') or not isinstance(default, tuple):
      return value
    return repr(settings.parse_tuple(value, default))

  return _replaced(argv, as_tuple)


def _given() -> str:
  """Path of the file that ``--config`` names."""
  name = config_flags.get_config_filename(flags.FLAGS['config'])
  return name.partition(':')[0]


def config_file() -> ModuleType:
  """Loads the config file as a module."""
  return experiments.load_file(_given())


def experiment(config: ConfigDict, complete: bool = True) -> ModuleType:
  """Returns the experiment of a config after checking the settings.

  Args:
    config: The settings.
    complete: Whether those without a default must be given.

  Raises:
    ValueError: The experiment is unknown, or a setting is unknown, missing, of
      another type or out of range.
  """
  module = experiments.find(config, folder())
  given = config_flags.get_config_filename(flags.FLAGS['config'])
  _, colon, arg = given.partition(':')
  reference = config_file().get_config(*[arg] if colon else [])
  experiments.check(config, reference, complete)
  return module


def sources(config: ConfigDict) -> tuple[pathlib.Path, ...]:
  """Files in which the settings of a config are written."""
  given = config_flags.get_config_filename(flags.FLAGS['config'])
  path = _given() if given else experiments.config_path(config.experiment)
  return experiments.sources(pathlib.Path(path))


def folder() -> pathlib.Path:
  """Folder of the config file, which may hold the user's experiment."""
  return pathlib.Path(_given()).absolute().parent


def following(workdir: pathlib.Path) -> contextlib.AbstractContextManager:
  """Context that copies metrics for TensorBoard if ``--tensorboard`` is set."""
  if not TENSORBOARD.value:
    return contextlib.nullcontext()
  from vizlab.runs import tensorboard

  return tensorboard.following(workdir)


@contextlib.contextmanager
def ending() -> Iterator[None]:
  """Context that prints errors in one line and exits after a signal."""
  try:
    yield
    stopping.check()
  except BrokenPipeError:
    # The reader of stdout has closed it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    stopping.leave(141)
  except (OSError, ValueError) as error:
    stopping.leave(1, f'error: {in_one_line(error)}')
  except stopping.Stopped as stopped:
    stopped.leave()
  except Exception:
    traceback.print_exc()
    stopping.leave(1)


def start(command: ModuleType) -> None:
  """Runs a command and ends the process.

  Args:
    command: A module with ``main(argv)`` and flags.
  """
  # --help shows the docstring and flags of __main__.
  sys.modules['__main__'].__doc__ = command.__doc__
  for module in (command, sys.modules[__name__]):
    for flag in flags.FLAGS.get_flags_for_module(module):
      flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)

  def whole(argv: list[str]) -> None:
    with ending():
      status = command.main(argv) or 0
      sys.stdout.flush()
    stopping.finish(status)

  app.run(whole, flags_parser=_parse)
