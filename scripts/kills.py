"""Comparing what an interrupted run has left with an undisturbed one."""

import pathlib

__all__ = ['difference', 'results', 'unfinished']

# They say when and by which command.
APART = {'run.json', 'command.txt', 'overrides.json'}


def results(folder: pathlib.Path) -> dict[str, bytes]:
  """Files of a run or a sweep, without hidden ones, which a kill may leave.

  Reports name their folder, which is taken out.
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
  """Differences between two folders; empty if there are none."""
  one, other = results(whole), results(stopped)
  if one.keys() != other.keys():
    return f'other files: {sorted(one.keys() ^ other.keys())[:5]}'
  wrong = [name for name in one if one[name] != other[name]]
  return f'other bytes: {wrong[:5]}' if wrong else ''


def unfinished(folder: pathlib.Path) -> list[str]:
  """Files and checkpoints that were left half-written."""
  return [
    str(path)
    for path in folder.rglob('*')
    if (path.name.startswith('.') and path.name != '.lock')
    or '.orbax-checkpoint-tmp' in path.name
  ]
