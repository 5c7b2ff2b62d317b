"""Reader of finished and unfinished sweeps."""

import json
import os
import pathlib
from typing import Any

from vizlab.runs.files import DONE

__all__ = ['DEFINITION', 'ERRORS', 'load_sweep']

# In the folder of a sweep: its definition, and tracebacks of failed trials.
DEFINITION, ERRORS = 'sweep.json', 'errors'


def load_sweep(folder: str | os.PathLike) -> list[dict[str, Any]]:
  """Reads the table of a sweep.

  Args:
    folder: Path of the folder of a sweep.

  Returns:
    One row per trial: its ``trial`` number, ``state`` (``'finished'``,
    ``'failed'`` or ``'open'``), ``folder``, all settings that the sweep
    changes, and the scalar results (``'result NAME'`` if a setting has that
    name). ``pandas.DataFrame(rows)`` makes a table, and `vizlab.runs.load_run`
    reads the files of a trial.

  Raises:
    ValueError: The folder holds no sweep.
  """
  folder = pathlib.Path(folder).expanduser()
  path = folder / DEFINITION
  if not path.exists():
    raise ValueError(f'folder: {folder}: there is no sweep')
  definition = json.loads(path.read_text())
  trials = definition['trials']
  swept = dict.fromkeys(k for trial in trials for k in trial['overrides'])
  base = {name: _setting(definition['config'], name) for name in swept}
  rows = []
  for i, trial in enumerate(trials):
    own = folder / trial['folder']
    done = own / DONE
    failed = (folder / ERRORS / f'{i:04d}.txt').exists()
    state = 'finished' if done.exists() else 'failed' if failed else 'open'
    results = json.loads(done.read_text()) if done.exists() else {}
    row = {'trial': i, 'state': state, 'folder': own}
    row |= base | trial['overrides']
    named = {f'result {k}' if k in row else k: v for k, v in results.items()}
    rows.append(row | named)
  return rows


def _setting(config: dict[str, Any], name: str) -> Any:
  """Value of a setting such as ``net.pool`` in nested settings."""
  for part in name.split('.'):
    config = config[part]
  return config
