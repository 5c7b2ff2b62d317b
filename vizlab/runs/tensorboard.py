"""Metrics for TensorBoard, copied while runs write them.

The process that started a run or a sweep reads the metrics files, wherever the
trials run, and writes event files to a folder ``tensorboard`` in each work
directory. The metrics files remain the source of truth.
"""

import contextlib
import json
import numbers
import pathlib
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tqdm import tqdm

from vizlab.runs import files
from vizlab.runs.reader import read_metrics

__all__ = ['following']

_EVERY = 2.0  # seconds


@contextlib.contextmanager
def following(folder: pathlib.Path) -> Iterator[None]:
  """Copies the metrics of a run, or of all trials of a sweep, continuously.

  Args:
    folder: Path of the work directory, or of the folder of the sweep.

  Raises:
    ValueError: TensorBoard is not installed.
  """
  try:
    from tensorboard.summary import Writer
  except ImportError as error:
    raise ValueError(
      "tensorboard: needs the extra, pip install -e '.[tensorboard]'"
    ) from error
  ended, copies = threading.Event(), {}

  def look() -> None:
    for pattern in ('config.json', '*/config.json'):
      for path in folder.glob(pattern):
        copies.setdefault(path.parent, _Copy(path.parent, Writer)).look()

  def follow() -> None:
    reported = False
    last = False
    while not last:
      last = ended.wait(_EVERY)
      try:
        look()
      except OSError as error:  # a full or remote disk
        if not reported:
          tqdm.write(f'tensorboard: {error}')
        reported = True

  thread = threading.Thread(target=follow, daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
    thread.join()
    for copy in copies.values():
      copy.close()


class _Copy:
  """Copy of one run's metrics for TensorBoard."""

  def __init__(self, workdir: pathlib.Path, writer: Callable[[str], Any]):
    self._workdir, self._make = workdir, writer
    self._writer, self._rows, self._done = None, [], None

  def look(self) -> None:
    """Writes new rows, or all rows if the run restarted or was rewound."""
    done, folder = self._workdir / files.DONE, self._workdir / files.TENSORBOARD
    stamp = done.stat().st_mtime_ns if done.exists() else None
    if stamp is not None and stamp == self._done and folder.exists():
      return
    rows, new = _rows(self._workdir), not folder.exists()
    if rows == self._rows and not new:
      return
    if new or self._writer is None or rows[: len(self._rows)] != self._rows:
      self.close()
      shutil.rmtree(folder, ignore_errors=True)
      self._writer, self._rows = self._make(str(folder)), []
    for row in rows[len(self._rows) :]:
      for name, value in row.items():
        if name != 'step':
          self._writer.add_scalar(name, value, row['step'])
    self._writer.flush()
    self._rows, self._done = rows, stamp
    if stamp is not None:
      self.close()  # frees its thread and file

  def close(self) -> None:
    """Closes the file."""
    if self._writer is not None:
      self._writer.close()
      self._writer = None


def _rows(workdir: pathlib.Path) -> list[dict[str, float]]:
  """Metrics of a run, followed by its results at the last step."""
  rows, done = read_metrics(workdir), workdir / files.DONE
  if done.exists():
    last = max((row['step'] for row in rows), default=0)
    results = {
      f'results/{name}': value
      for name, value in json.loads(done.read_text()).items()
      if isinstance(value, numbers.Real)
    }
    rows.append({'step': last, **results})
  return rows
