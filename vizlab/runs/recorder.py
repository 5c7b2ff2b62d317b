"""Recorder of a run, which writes the files of its work directory."""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import io
from vizlab.runs import distributed, files, provenance, report, stopping
from vizlab.runs.reader import read_metrics
from vizlab.runs.settings import flatten

__all__ = ['Recorder', 'flat']

_FOLDERS = {files.ITEMS, files.CHECKPOINTS, files.SITE, files.TENSORBOARD}
_SYNCED = 20  # seconds until a shared disk shows a new file
_OURS = {
  *(files.OVERRIDES, files.COMMAND, files.METRICS, files.REPORT),
  *(files.RECORD, files.FIGURES, 'index.json', 'record.json'),
}
_OUR_SUFFIXES = {'.npz', '.png', '.gif', '.csv', '.safetensors'}


class Recorder:
  """Writes the files of a run, each atomically.

  A work directory holds ``config.json``, ``overrides.json``, ``command.txt``,
  ``run.json`` (versions, device, SHA-256 of the input files),
  ``metrics.jsonl``, arrays (``.npz``), pictures (``.png``), tables (``.csv``),
  ``report.html``, and finally ``DONE`` with the results.

  The constructor only reads; `open` writes. So `vizlab.runs.execute` constructs
  a recorder, returns its `results` if the run has finished, prepares the
  inputs, and opens the recorder once they are valid.

  Attributes:
    workdir: The work directory.
    settings: The config as JSON values.
    results: The results of a finished run with the same config, or ``None``.
  """

  def __init__(
    self,
    workdir: str | os.PathLike,
    config: ConfigDict,
    *,
    overwrite: bool = False,
  ) -> None:
    """Inspects a work directory, new or of an earlier run with this config.

    Raises:
      ValueError: The directory holds files that do not belong to a run, or
        belongs to a run with another config and ``overwrite`` is false.
    """
    self.workdir = pathlib.Path(workdir).expanduser()
    self.results: dict[str, Any] | None = None
    self._overwrite = overwrite
    self.settings = json.loads(json.dumps(config.to_dict()))
    try:
      self._look()
    except (OSError, json.JSONDecodeError) as error:
      raise ValueError(f'workdir: {self.workdir}: {error}') from error

  def open(
    self, *, shared: bool = False, code: Mapping[str, str] | None = None
  ) -> None:
    """Starts writing, after removing an earlier run if requested.

    Args:
      shared: Whether several processes may work on the run. The first one opens
        the directory for all; each writes its own files.
      code: SHA-256 of the user's own code, by file. If it has changed since an
        interrupted run began, a warning tells that the results are of both.

    Raises:
      ValueError: Another process uses the directory, it is not writable, or
        there are several processes and the run is not shared.
    """
    count = jax.process_count()
    if count > 1 and not shared:
      raise ValueError(
        f'processes: got {count}, expected 1: this experiment does not support '
        'several processes'
      )
    leads = jax.process_index() == 0
    begin = functools.partial(self._begin, code or {})
    distributed.together('open', begin if leads else None)
    token = self._path(files.RECORD).read_text() if leads else ''
    token = distributed.from_first('record', token)
    distributed.together('join', None if leads else lambda: self._join(token))

  def _begin(self, code: Mapping[str, str]) -> None:
    record = {**provenance.record(self.settings), 'code': dict(code)}
    try:
      io.lock(self._path(files.LOCK), self)
      if self._overwrite:
        self._remove()
      elif self._path(files.RECORD).exists():
        # Earlier results must be of the same input files.
        earlier = json.loads(self._path(files.RECORD).read_text())
        provenance.check_files(earlier['sha256'], self.settings, 'workdir')
        if (before := earlier.get('code', {})) != record['code']:
          record['earlier code'] = [*earlier.get('earlier code', []), before]
          print(
            f'{", ".join(code)} has changed since this run began; its earlier '
            'results are kept, --overwrite starts again',
            file=sys.stderr,
          )
      io.write_json(self._path(files.CONFIG), self.settings)
      io.write_json(self._path(files.OVERRIDES), sys.argv[1:])
      io.write_text(self._path(files.COMMAND), provenance.command() + '\n')
      io.write_json(self._path(files.RECORD), record)
    except OSError as error:
      raise ValueError(f'workdir: {self.workdir}: {error}') from error

  def _join(self, record: str) -> None:
    """Waits until the directory that the first process opened is visible."""
    for _ in range(_SYNCED):
      with contextlib.suppress(OSError):
        if self._path(files.RECORD).read_text() == record:
          break
      time.sleep(1)
    else:
      raise ValueError(
        f'workdir: {self.workdir} differs between process '
        f'{jax.process_index()} and process 0, expected a directory that all '
        'processes share'
      )
    self._overwrite = False
    self._look()

  def _path(self, name: str) -> pathlib.Path:
    return self.workdir / name

  def _look(self) -> None:
    names = {path.name for path in self._entries()}
    if not names:
      return
    text = (
      self._path(files.CONFIG).read_text() if files.CONFIG in names else '{}'
    )
    old = json.loads(text)
    if 'experiment' not in old:
      raise ValueError(
        f'workdir: {self.workdir} holds files that do not belong to a run, '
        'expected a new or empty directory'
      )
    if self._overwrite:
      return
    old, new = flatten(old), flatten(self.settings)
    changed = sorted(k for k in old | new if old.get(k) != new.get(k))
    if changed:
      raise ValueError(
        f'workdir: {self.workdir} belongs to a run with another config (they '
        f'differ in {", ".join(changed[:5])}); choose another directory, or '
        'start again with --overwrite'
      )
    if {files.DONE, files.REPORT} <= names:
      self.results = json.loads(self._path(files.DONE).read_text())

  def _entries(self) -> list[pathlib.Path]:
    """Lists the directory, without partial files of an interruption."""
    if not self.workdir.exists():
      return []
    return [p for p in self.workdir.iterdir() if not p.name.startswith('.')]

  def _remove(self) -> None:
    """Removes the files that a run writes, ``DONE`` first, and nothing else.

    The config stays until it is replaced: it identifies the directory of a run
    if an interruption comes in between.
    """
    self._path(files.DONE).unlink(missing_ok=True)
    for path in self._entries():
      if path.name in _FOLDERS:
        shutil.rmtree(
          path, ignore_errors=True
        )  # other processes may write there
      elif path.name in _OURS or path.suffix in _OUR_SUFFIXES:
        path.unlink()

  def metrics(self, step: int, values: Mapping[str, float]) -> None:
    """Appends a line of numbers to ``metrics.jsonl``."""
    line = {'step': step, **{k: float(v) for k, v in values.items()}}
    with stopping.writing(), self._path(files.METRICS).open('a') as file:
      file.write(json.dumps(line) + '\n')

  def rewind(self, step: int, name: str = '') -> None:
    """Removes the metrics after ``step``, which a resumed run writes again.

    Args:
      step: Last step to keep.
      name: Name of the loop whose metrics ``name/metric`` are removed; those of
        all by default.
    """
    rows = [
      row
      for row in read_metrics(self.workdir)
      if row['step'] <= step
      or (name and not any(k.rpartition('/')[0] == name for k in row))
    ]
    text = ''.join(json.dumps(row) + '\n' for row in rows)
    with stopping.writing():
      io.write_text(self._path(files.METRICS), text)

  def arrays(self, name: str, /, **arrays: np.ndarray) -> None:
    """Writes ``name.npz``."""
    with stopping.writing():
      io.write_atomic(
        self._path(f'{name}.npz'), lambda file: np.savez(file, **arrays)
      )

  def has(self, name: str) -> bool:
    """Returns True if ``name.npz`` is written, by this or an earlier run."""
    return self._path(f'{name}.npz').exists()

  def once(
    self, name: str, make: Callable[[], Mapping[str, np.ndarray]]
  ) -> dict[str, np.ndarray]:
    """Computes arrays with ``make``, or reads them from an earlier run.

    Args:
      name: Name of the file, ``name.npz``. Parts that `in_parts` saved under
        ``name/`` are removed once the file is written.
      make: Function that computes the arrays by name.
    """
    arrays = self._item(name := flat(name), make)
    shutil.rmtree(self._path(files.ITEMS) / name, ignore_errors=True)
    return arrays

  def in_parts(
    self,
    name: str,
    count: int,
    size: int,
    make: Callable[[slice], Mapping[str, np.ndarray]],
  ) -> dict[str, np.ndarray]:
    """Computes rows in parts and saves each part until the item is complete.

    Args:
      name: Name of the parts, ``item/name`` if they belong to an item.
      count: Number of rows.
      size: Number of rows per part; the last one may have fewer.
      make: Function that computes the arrays of a slice of rows.
    """
    parts = [
      self.part(name, rows, functools.partial(make, rows))
      for i in range(0, count, size)
      for rows in [slice(i, min(i + size, count))]
    ]
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}

  def part(
    self, name: str, rows: slice, make: Callable[[], Mapping[str, np.ndarray]]
  ) -> dict[str, np.ndarray]:
    """Computes arrays of some rows, or reads them from an earlier run.

    Parts are removed when the run is finished.

    Args:
      name: Name of the parts, ``item/name`` if they belong to an item.
      rows: The rows, which name the part.
      make: Function that computes the arrays by name.
    """
    return self._item(
      f'{files.ITEMS}/{name}/{rows.start:06d}_{rows.stop:06d}', make
    )

  def _item(
    self, name: str, make: Callable[[], Mapping[str, np.ndarray]]
  ) -> dict[str, np.ndarray]:
    path = self._path(f'{name}.npz')
    if not self.has(name):
      stopping.check()
      self.arrays(name, **make())
      stopping.check()
    with np.load(path) as file:
      return dict(file)

  def picture(self, name: str, picture: np.ndarray) -> None:
    """Writes a uint8 picture as ``name.png``."""
    with stopping.writing():
      io.write_png(self._path(f'{flat(name)}.png'), picture)

  def report(
    self,
    title: str,
    summary: str,
    parts: Sequence[report.Figure | report.Table],
  ) -> None:
    """Writes ``report.html``, its figures as PNG and its tables as CSV."""
    stopping.check()
    names = []
    for part in parts:
      if isinstance(part, report.Figure):
        self.picture(part.name, part.picture)
        names.append(flat(part.name))
      else:
        with stopping.writing():
          io.write_text(self._path(f'{flat(part.name)}.csv'), part.csv())
    with stopping.writing():
      io.write_json(self._path(files.FIGURES), names)
    page = report.html(
      title,
      summary,
      parts,
      command=self._path(files.COMMAND).read_text().strip(),
      settings=self._path(files.CONFIG).read_text(),
    )
    with stopping.writing():
      io.write_text(self._path(files.REPORT), page)

  def finish(self, results: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the results and the mark that the run is complete."""
    with stopping.writing():
      io.write_json(self._path(files.DONE), dict(results))
      shutil.rmtree(self._path(files.ITEMS), ignore_errors=True)
    return dict(results)


def flat(name: str) -> str:
  """Replaces the slashes of names such as ``fire2/concat``, for file names."""
  return name.replace('/', '_')
