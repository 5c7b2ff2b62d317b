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
    config: Settings, nested.
    results: Results by name.
    arrays: ``{file: {name: array}}`` of the ``.npz`` files, without the suffix.
    pictures: ``{file: path}`` of the ``.png`` files, without the suffix.
    tables: ``{file: path}`` of the ``.csv`` files, without the suffix.
    record: Versions, device, command, and SHA-256 of the input files.
    metrics: Rows of numbers, each with its ``step``.
  """

  config: dict[str, Any]
  results: dict[str, Any]
  arrays: dict[str, dict[str, np.ndarray]]
  pictures: dict[str, pathlib.Path]
  tables: dict[str, pathlib.Path]
  record: dict[str, Any]
  metrics: list[dict[str, float]]


def load_run(folder: str | os.PathLike) -> Run:
  """Reads the work directory of a finished run.

  Args:
    folder: Path of the work directory.

  Raises:
    ValueError: The folder holds no finished run.
  """
  folder = pathlib.Path(folder).expanduser()
  if not (folder / files.DONE).exists():
    raise ValueError(f'folder: {folder}: no run has finished there')
  arrays = {}
  for path in sorted(folder.glob('*.npz')):
    with np.load(path) as file:
      arrays[path.stem] = dict(file)
  record = folder / files.RECORD
  return Run(
    json.loads((folder / files.CONFIG).read_text()),
    json.loads((folder / files.DONE).read_text()),
    arrays,
    {path.stem: path for path in sorted(folder.glob('*.png'))},
    {path.stem: path for path in sorted(folder.glob('*.csv'))},
    json.loads(record.read_text()) if record.exists() else {},
    read_metrics(folder),
  )


def read_metrics(folder: str | os.PathLike) -> list[dict[str, float]]:
  """Reads the metrics of a run, finished or not.

  Args:
    folder: Path of the work directory.

  Returns:
    Rows of numbers by name, each with its ``step``. Empty if the run writes no
    metrics. A line that was truncated by an interruption is left out.
  """
  path, rows = pathlib.Path(folder).expanduser() / files.METRICS, []
  with contextlib.suppress(FileNotFoundError):
    for line in path.read_text().splitlines():
      with contextlib.suppress(json.JSONDecodeError):
        rows.append(json.loads(line))
  return rows
