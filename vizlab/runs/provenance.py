"""Provenance of results: versions, device, revision, input files."""

import contextlib
import functools
import importlib.metadata
import pathlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax

import vizlab
from vizlab import io, nets
from vizlab.runs.inputs import found_pictures
from vizlab.runs.settings import flatten, listed

__all__ = ['check_files', 'command', 'own_code', 'record']

# Settings that name a few images, which may be folders or patterns.
_LISTS = {'images', 'contents', 'styles', 'masks'}
_PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'numpy', 'pillow')


def record(settings: Mapping[str, Any]) -> dict[str, Any]:
  """Records everything besides the settings that determines results.

  Args:
    settings: Settings of the run; the SHA-256 of the files that they name is
      recorded.
  """
  device = jax.devices()[0]
  return {
    'versions': {
      'python': platform.python_version(),
      'vizlab': vizlab.__version__,
      **{name: importlib.metadata.version(name) for name in _PACKAGES},
    },
    'device': f'{device.platform} {device.device_kind}',
    'devices': jax.device_count(),
    'machine': platform.platform(),
    'seed': settings.get('seed'),
    'command': command(),
    'revision': _revision(),
    'sha256': _sums(settings),
  }


def own_code(experiment: ModuleType) -> dict[str, str]:
  """SHA-256 of the file of a user's experiment, by its name.

  Empty for an experiment of vizlab, which the version and revision identify.
  """
  file = getattr(experiment, '__file__', None)
  ours = getattr(experiment, '__name__', '').startswith('vizlab_experiments.')
  if ours or file is None:
    return {}
  path = pathlib.Path(file)
  return {path.name: io.sha256(path)}


def command() -> str:
  """Returns the command line of this process; an installed command by name."""
  program, *rest = sys.argv
  if pathlib.PurePath(program).suffix == '.py':
    return shlex.join(['python', program, *rest])
  return shlex.join([pathlib.PurePath(program).name, *rest])


def check_files(
  known: Mapping[str, str], settings: Mapping[str, Any], flag: str = 'from'
) -> None:
  """Raises a `ValueError` if an input file of a run has changed.

  Args:
    known: ``{file: SHA-256}`` from the record of the run.
    settings: Settings of the run.
    flag: Name of the flag that names the run, for the error.
  """
  now = _sums(settings)
  for name, before in known.items():
    if name in nets.SOURCES and name not in now:
      continue  # it is downloaded again, and checked then
    if now.get(name) != before:
      what = 'another file' if name in now else 'not there'
      raise ValueError(
        f'{flag}: {name} is {what}, expected the file that the run has read, '
        f'with SHA-256 {before[:12]}...'
      )


def _revision() -> str | None:
  """Git revision of this code, with ``-dirty`` for uncommitted changes."""
  root = pathlib.Path(vizlab.__file__).resolve().parent.parent
  git = ['git', '-C', str(root), 'describe', '--always', '--dirty']
  try:
    done = subprocess.run(git, capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return None
  return done.stdout.strip()


def _sums(settings: Mapping[str, Any]) -> dict[str, str]:
  """SHA-256 of every file that a setting names, also by a network's name."""
  sums = {}
  for name, value in flatten(settings).items():
    for part in listed(value) if isinstance(value, str | tuple | list) else ():
      for file in _files(name, part):
        path = nets.weight_file(file) or pathlib.Path(file).expanduser()
        source = nets.SOURCES.get(file)
        if source and source.sha256:
          sums[file] = source.sha256  # of what is downloaded
        elif path.is_file():
          now = path.stat()
          sums[file] = _sum(path, now.st_size, now.st_mtime_ns)
  return sums


def _files(setting: str, part: str) -> list[str]:
  """Files of one part of a setting, including those in a folder of images."""
  if setting not in _LISTS:
    return [part]
  with contextlib.suppress(ValueError):  # not a name of images
    return found_pictures(part)
  return [part]


@functools.lru_cache
def _sum(path: pathlib.Path, size: int, changed: int) -> str:
  """SHA-256 of a file, cached: the trials of a sweep read the same weights."""
  del size, changed
  return io.sha256(path)
