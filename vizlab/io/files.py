"""Atomic writing and locks of files."""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import tempfile
import weakref
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

try:
  import fcntl
except ModuleNotFoundError:  # not on Windows
  fcntl = None

__all__ = [
  'exclusive',
  'lock',
  'sha256',
  'write_atomic',
  'write_json',
  'write_text',
]


def write_atomic(
  path: str | os.PathLike, write: Callable[[BinaryIO], Any]
) -> pathlib.Path:
  """Writes a file atomically: it appears complete or not at all.

  Args:
    path: Path of the file; missing folders are created.
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
    os.chmod(name, 0o666 & ~mask)  # mkstemp creates private files
    os.replace(name, path)
  except BaseException as error:
    if isinstance(error, OSError) and error.errno and not error.filename:
      error.filename = str(path)  # such as ENOSPC, which names no file
    with contextlib.suppress(FileNotFoundError):
      os.unlink(name)
    raise
  return path


def write_text(path: str | os.PathLike, text: str) -> pathlib.Path:
  """Writes text in UTF-8, atomically."""
  return write_atomic(path, lambda file: file.write(text.encode()))


def write_json(path: str | os.PathLike, value: Any) -> pathlib.Path:
  """Writes JSON atomically; raises `ValueError` for NaN."""
  return write_text(
    path, json.dumps(value, indent=2, allow_nan=False, sort_keys=True) + '\n'
  )


def lock(path: str | os.PathLike, owner: Any) -> None:
  """Locks a file for this process for the lifetime of an object.

  The lock also ends with the process. On systems without locks this does
  nothing.

  Args:
    path: Path of the file, which is created together with missing folders.
    owner: Object whose lifetime is that of the lock.

  Raises:
    BlockingIOError: Another process holds the lock.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
  weakref.finalize(owner, os.close, file)
  if fcntl is not None:
    try:
      fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
      if error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
        return  # a file system without locks
      if error.errno not in (errno.EACCES, errno.EAGAIN):
        raise
      raise BlockingIOError('another process uses it') from error


@contextlib.contextmanager
def exclusive(path: str | os.PathLike) -> Iterator[None]:
  """Context in which one thread of one process is at a time; the others wait.

  On systems without locks nobody waits.

  Args:
    path: A file for its lock, which is created together with missing folders.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'ab') as file:
    if fcntl is not None:
      with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX)
    yield


def sha256(path: str | os.PathLike) -> str:
  """SHA-256 of the content of a file, in hexadecimal."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
