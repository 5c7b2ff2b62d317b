"""Readers of finished runs."""

import contextlib
import json
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

from vizlab.runs import files

__all__ = ['Run', 'load_run', 'read_metrics']


class Run(NamedTuple):
  """A finished run.

  Attributes:
    config: Its settings, nested.
    results: Its scalars, by name.
    arrays: ``{file: {name: array}}`` of its ``.npz`` files, without the suffix.
    pictures: ``{file: path}`` of its ``.png`` files, without the suffix.
    record: Versions, device, command, and SHA-256 of what it read.
    metrics: Numbers by step, as `read_metrics` gives.
  """

  config: dict[str, Any]
  results: dict[str, Any]
  arrays: dict[str, dict[str, np.ndarray]]
  pictures: dict[str, pathlib.Path]
  record: dict[str, Any]
  metrics: list[dict[str, float]]


def load_run(folder: str | os.PathLike) -> Run:
  """Reads a work directory.

  Args:
    folder: The work directory of a finished run.

  Raises:
    ValueError: No run has finished there.
  """
  folder = pathlib.Path(folder).expanduser()
  if not (folder / files.DONE).exists():
    raise ValueError(f'folder: {folder}: no run has finished there')
  arrays = {}
  for path in sorted(folder.glob('*.npz')):
    with np.load(path) as found:
      arrays[path.stem] = dict(found)
  record = folder / files.RECORD
  return Run(
    json.loads((folder / files.CONFIG).read_text()),
    json.loads((folder / files.DONE).read_text()),
    arrays,
    {path.stem: path for path in sorted(folder.glob('*.png'))},
    json.loads(record.read_text()) if record.exists() else {},
    read_metrics(folder),
  )


def read_metrics(folder: str | os.PathLike) -> list[dict[str, float]]:
  """Reads the numbers that a run writes as it goes, finished or not.

  Args:
    folder: The work directory.

  Returns:
    A row for each time: its ``step``, and other numbers by name. An empty list
    if the run writes none. A line that a kill cut short is left out.
  """
  path, rows = pathlib.Path(folder).expanduser() / files.METRICS, []
  with contextlib.suppress(FileNotFoundError):
    for line in path.read_text().splitlines():
      with contextlib.suppress(json.JSONDecodeError):
        rows.append(json.loads(line))
  return rows
