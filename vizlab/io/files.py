"""Writing files: whole or not at all."""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO

__all__ = ['sha256', 'write_atomic', 'write_json', 'write_text']


def write_atomic(
  path: str | os.PathLike, write: Callable[[BinaryIO], Any]
) -> pathlib.Path:
  """Writes a file so that it appears complete or not at all.

  Args:
    path: Where the file goes; missing folders are made.
    write: Writes the content to an open binary file.

  Returns:
    The path.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
  try:
    with os.fdopen(handle, 'wb') as file:
      write(file)
      file.flush()
      os.fsync(file.fileno())
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(name, 0o666 & ~mask)  # mkstemp makes private files
    os.replace(name, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError):
      os.unlink(name)
    raise
  return path


def write_text(path: str | os.PathLike, text: str) -> pathlib.Path:
  """Writes text in UTF-8, whole or not at all."""
  return write_atomic(path, lambda file: file.write(text.encode()))


def write_json(path: str | os.PathLike, value: Any) -> pathlib.Path:
  """Writes JSON (``NaN`` is refused), whole or not at all."""
  return write_text(
    path, json.dumps(value, indent=2, allow_nan=False, sort_keys=True) + '\n'
  )


def sha256(path: str | os.PathLike) -> str:
  """SHA-256 of a file's content, in hexadecimal."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
