"""Lookup of experiments: those that come with vizlab, and the user's own.

In a clone, vizlab's experiments are the folders ``experiments`` and ``configs``
beside ``vizlab``; in an installation, the package ``vizlab_experiments``. A
user's experiment is a file ``NAME.py`` beside the config that names it.
"""

import functools
import importlib
import importlib.util
import pathlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

import vizlab
from vizlab.lookup import check_name
from vizlab.runs import settings

__all__ = [
  'check',
  'config_module',
  'config_path',
  'experiment_module',
  'find',
  'folder',
  'known',
  'load_file',
  'renamed',
  'restored',
  'sources',
]

_PACKAGE = 'vizlab_experiments'
# Names in earlier versions.
_FORMER = {
  'attribution': 'attribution/explain',
  'cue_conflict': 'probes/cue_conflict',
  'folder': 'attribution/folder',
  'style_grid': 'style/grid',
  'style_transfer': 'style/transfer',
  'train_minivgg': 'training/minivgg',
}


def load_file(
  path: str | pathlib.Path, name: str = 'config_file'
) -> ModuleType:
  """Loads a Python file as a module.

  Raises:
    ValueError: The path does not end in ``.py``.
  """
  spec = importlib.util.spec_from_file_location(
    name, pathlib.Path(path).absolute()
  )
  if spec is None:
    raise ValueError('expected a .py file')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@functools.cache
def folder() -> pathlib.Path:
  """Folder of vizlab's experiments; makes their package importable."""
  clone = pathlib.Path(vizlab.__file__).resolve().parent.parent
  if (clone / 'configs').is_dir() and (clone / 'experiments').is_dir():
    # The installed package might be that of another clone.
    parts = {_PACKAGE: 'experiments', f'{_PACKAGE}.configs': 'configs'}
    for name, part in parts.items():
      if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
          name,
          clone / part / '__init__.py',
        )
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
  return pathlib.Path(importlib.import_module(_PACKAGE).__file__).parent


@functools.cache
def _configs() -> pathlib.Path:
  folder()
  configs = importlib.import_module(f'{_PACKAGE}.configs')
  return pathlib.Path(configs.__file__).parent


def known() -> list[str]:
  """Names of vizlab's experiments, ``FAMILY/NAME``."""
  names = []
  for path in folder().glob('*/[!_]*.py'):
    name = path.relative_to(folder()).with_suffix('').as_posix()
    if (_configs() / f'{name}.py').is_file():
      names.append(name)
  return sorted(names)


def renamed(name: str) -> str:
  """Current name of an experiment that was renamed, otherwise ``''``."""
  by_last = {full.partition('/')[2]: full for full in known()}
  return _FORMER.get(name) or by_last.get(name, '')


def _check_known(argument: str, name: str) -> None:
  if (now := renamed(name)) and name not in known():
    raise ValueError(f'{argument}: {name!r} was renamed to {now!r}')
  check_name(argument, name, known())


def config_path(name: str) -> pathlib.Path:
  """Path of the config of one of vizlab's experiments.

  Raises:
    ValueError: The name is unknown.
  """
  _check_known('config', name)
  return _configs() / f'{name}.py'


def sources(config: pathlib.Path) -> tuple[pathlib.Path, ...]:
  """Files in which a config's settings are written: its own comes first.

  Those that come with vizlab share a module of settings.
  """
  ours = _configs()
  if ours in config.resolve().parents:
    return config, ours / 'blocks.py'
  return (config,)


def experiment_module(name: str) -> ModuleType:
  """Imports one of vizlab's experiments, such as ``'style/transfer'``."""
  return importlib.import_module(f'{_PACKAGE}.{name.replace("/", ".")}')


def config_module(name: str) -> ModuleType:
  """Imports the config of an experiment, such as ``'style/transfer'``."""
  return importlib.import_module(f'{_PACKAGE}.configs.{name.replace("/", ".")}')


def find(config: ConfigDict, beside: str | pathlib.Path = '') -> ModuleType:
  """Returns the experiment that a config names.

  Args:
    config: Settings with the name of the experiment, ``experiment``.
    beside: Folder of the config, which may hold the user's experiment.

  Raises:
    ValueError: The name is unknown.
  """
  name = config.get('experiment', '')
  own = pathlib.Path(beside) / f'{name}.py'
  if beside and name and name not in known():
    if own.is_file():
      return _checked(load_file(own, name), own)
    if not renamed(name):
      raise ValueError(
        f'config.experiment: got {name!r}, expected the name of a file beside '
        f'the config (there is no {own}) or one of {known()}'
      )
  _check_known('config.experiment', name)
  return experiment_module(name)


def _checked(module: ModuleType, path: pathlib.Path) -> ModuleType:
  """Raises a `ValueError` unless a module has both functions."""
  for function in ('prepare(config)', 'run(inputs, recorder)'):
    if not callable(getattr(module, function.partition('(')[0], None)):
      raise ValueError(
        f'config.experiment: {path} has no function {function}, expected '
        'prepare(config) and run(inputs, recorder)'
      )
  return module


def _reference(name: str) -> ConfigDict | None:
  """Config of one of vizlab's experiments, the reference for types."""
  return config_module(name).get_config() if name in known() else None


def check(
  config: ConfigDict,
  reference: ConfigDict | None = None,
  complete: bool = True,
) -> None:
  """Checks the names, types and ranges of settings.

  Args:
    config: The settings to check.
    reference: Default settings from the config file, for a user's experiment.
    complete: Whether settings without a default must be given.
  """
  name = config.get('experiment', '')
  ours = _reference(name)
  if (like := reference if ours is None else ours) is not None:
    settings.validate(config, like, name, complete)


def restored(values: Mapping[str, Any]) -> ConfigDict:
  """Restores the config of an earlier run from JSON.

  Raises:
    ValueError: A setting is unknown or missing, has another type, or holds a
      number outside the range of float32 or int32.
  """
  config = ConfigDict(settings.tupled(dict(values)))
  check(config)
  if (typed := _reference(config.get('experiment', ''))) is None:
    return config
  settings.assign(typed, values)  # placeholders keep their types
  return typed
