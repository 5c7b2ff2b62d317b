"""Comparison of an interrupted run with an uninterrupted one."""

import pathlib

__all__ = ['difference', 'results', 'unfinished']

# They contain times and commands.
APART = {'run.json', 'command.txt', 'overrides.json'}


def results(folder: pathlib.Path) -> dict[str, bytes]:
  """Contents of the files of a run or sweep, without hidden files.

  The name of the folder, which reports contain, is replaced.
  """
  name = str(folder).encode()
  return {
    str(path.relative_to(folder)): path.read_bytes().replace(name, b'FOLDER')
    for path in sorted(folder.rglob('*'))
    if path.is_file()
    and path.name not in APART
    and not path.name.startswith('.')
  }


def difference(whole: pathlib.Path, stopped: pathlib.Path) -> str:
  """Describes the differences between two folders; '' if there are none."""
  one, other = results(whole), results(stopped)
  if one.keys() != other.keys():
    return f'other files: {sorted(one.keys() ^ other.keys())[:5]}'
  wrong = [name for name in one if one[name] != other[name]]
  return f'other bytes: {wrong[:5]}' if wrong else ''


def unfinished(folder: pathlib.Path) -> list[str]:
  """Lists partial files and checkpoints."""
  return [
    str(path)
    for path in folder.rglob('*')
    if (path.name.startswith('.') and path.name != '.lock')
    or '.orbax-checkpoint-tmp' in path.name
  ]
