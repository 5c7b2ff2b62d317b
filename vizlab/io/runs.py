"""What runs and sweeps have left behind, for research code."""

import contextlib
import json
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

__all__ = ['Run', 'load_run', 'load_sweep', 'read_metrics']


class Run(NamedTuple):
  """A finished run.

  Attributes:
    config: Its settings, nested.
    results: Its scalars, by name.
    arrays: ``{file: {name: array}}`` of its ``.npz`` files, without the suffix.
    pictures: ``{file: path}`` of its ``.png`` files, likewise.
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
  if not (folder / 'DONE').exists():
    raise ValueError(f'folder: {folder}: no run has finished there')
  arrays = {}
  for path in sorted(folder.glob('*.npz')):
    with np.load(path) as found:
      arrays[path.stem] = dict(found)
  record = folder / 'run.json'
  return Run(
    json.loads((folder / 'config.json').read_text()),
    json.loads((folder / 'DONE').read_text()),
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
  path, rows = pathlib.Path(folder).expanduser() / 'metrics.jsonl', []
  with contextlib.suppress(FileNotFoundError):
    for line in path.read_text().splitlines():
      with contextlib.suppress(json.JSONDecodeError):
        rows.append(json.loads(line))
  return rows


def load_sweep(folder: str | os.PathLike) -> list[dict[str, Any]]:
  """Reads the table of a sweep.

  Args:
    folder: The folder of a sweep.

  Returns:
    A row a trial: its ``trial`` number, ``state`` (``'finished'``, ``'failed'``
    or ``'open'``), ``folder``, all settings that the sweep changes, and the
    scalars of its results
    (``'result NAME'`` where a setting has that name).
    ``pandas.DataFrame(rows)`` makes a table of them, and ``load_run`` reads the
    rest.

  Raises:
    ValueError: There is no sweep.
  """
  folder = pathlib.Path(folder).expanduser()
  path = folder / 'sweep.json'
  if not path.exists():
    raise ValueError(f'folder: {folder}: there is no sweep')
  definition = json.loads(path.read_text())
  trials = definition['trials']
  swept = dict.fromkeys(k for trial in trials for k in trial['overrides'])
  base = {name: _setting(definition['config'], name) for name in swept}
  rows = []
  for i, trial in enumerate(trials):
    own = folder / trial['folder']
    done = own / 'DONE'
    failed = (folder / 'errors' / f'{i:04d}.txt').exists()
    state = 'finished' if done.exists() else 'failed' if failed else 'open'
    results = json.loads(done.read_text()) if done.exists() else {}
    row = {'trial': i, 'state': state, 'folder': own}
    row |= base | trial['overrides']
    named = {f'result {k}' if k in row else k: v for k, v in results.items()}
    rows.append(row | named)
  return rows


def _setting(config: dict[str, Any], name: str) -> Any:
  """The value of ``net.pool`` in nested settings."""
  for part in name.split('.'):
    config = config[part]
  return config
