"""Resumable downloads with checksums."""

import contextlib
import http.client
import os
import pathlib
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from tqdm import tqdm

from vizlab.io.files import sha256 as file_sha256
from vizlab.io.files import write_text

__all__ = ['cache_dir', 'download', 'progress_bar']

_BLOCK = 1 << 20
_DIGEST = re.compile(r'"?([0-9a-f]{64})"?')


def cache_dir() -> pathlib.Path:
  """Folder of downloads: ``$VIZLAB_CACHE``, otherwise ``~/.cache/vizlab``."""
  default = pathlib.Path('~/.cache/vizlab').expanduser()
  given = os.environ.get('VIZLAB_CACHE')
  return pathlib.Path(given).expanduser() if given else default


@contextlib.contextmanager
def progress_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
  """Context that shows a bar; gives the ``progress`` of `download`."""
  with tqdm(desc=name, unit='B', unit_scale=True) as bar:

    def progress(done: int, total: int | None) -> None:
      bar.total = total
      bar.update(done - bar.n)

    yield progress


def download(
  url: str,
  path: str | os.PathLike,
  *,
  sha256: str | None = None,
  progress: Callable[[int, int | None], None] | None = None,
  tries: int = 3,
  timeout: float = 60.0,
) -> pathlib.Path:
  """Downloads a file; an interrupted download resumes where it stopped.

  Bytes are written to ``path.part``, which is renamed to ``path`` once its
  SHA-256 matches; the checksum is stored in ``path.sha256``. A file that
  already exists with the right checksum is not downloaded again.

  Args:
    url: URL of the file.
    path: Destination of the file.
    sha256: SHA-256 in hexadecimal, or a prefix of it. ``None`` uses the one
      that the server states in ``X-Linked-ETag``.
    progress: Called with the number of bytes so far and the total (``None`` if
      unknown).
    tries: Number of attempts without progress before giving up.
    timeout: Seconds without a response after which a connection is closed.

  Returns:
    The path.

  Raises:
    ValueError: The file cannot be downloaded, no checksum is known, or the
      checksum is wrong; a wrong file is deleted.
  """
  path = pathlib.Path(path)
  sha256 = sha256 and sha256.lower()
  record = path.with_name(path.name + '.sha256')
  known = sha256 or (record.read_text().strip() if record.exists() else None)
  if path.exists() and known and file_sha256(path).startswith(known):
    return path
  path.parent.mkdir(parents=True, exist_ok=True)
  part = path.with_name(path.name + '.part')
  left = tries
  while True:
    before = _size(part)
    try:
      stated, complete = _fetch(url, part, progress, timeout)
    except urllib.error.HTTPError as error:
      reason, complete = f'{error.code} {error.reason}', False
      if error.code != 429 and error.code < 500:
        raise ValueError(f'url: {url}: {reason}') from error
    except (OSError, http.client.HTTPException) as error:
      complete, reason = False, error
    else:
      reason = 'the connection closed early'
    if complete:
      break
    left = tries if _size(part) > before else left - 1
    if not left:
      raise ValueError(f'url: {url}: {reason}; run it again to resume')
  write_text(record, _accept(part, path, sha256 or stated, url))
  return path


def _accept(
  part: pathlib.Path, path: pathlib.Path, expected: str | None, url: str
) -> str:
  """Renames a file with the right checksum; returns the checksum."""
  if not expected:
    part.unlink()
    raise ValueError(f'url: {url}: no checksum is known, so it is not trusted')
  digest = file_sha256(part)
  if not digest.startswith(expected):
    part.unlink()
    raise ValueError(
      f'url: {url}: SHA-256 is {digest}, expected {expected}; deleted'
    )
  os.replace(part, path)
  return digest


class _Redirects(urllib.request.HTTPRedirectHandler):
  """Follows redirects and records the checksum that one of them states."""

  def __init__(self) -> None:
    self.stated: str | None = None

  def redirect_request(
    self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
  ) -> Any:
    self.stated = _stated(headers) or self.stated
    return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(
  url: str,
  part: pathlib.Path,
  progress: Callable[[int, int | None], None] | None,
  timeout: float,
) -> tuple[str | None, bool]:
  """Appends to ``part``; returns stated checksum and whether it is complete."""
  have = _size(part)
  request = urllib.request.Request(url, headers={'User-Agent': 'vizlab'})
  if have:
    request.add_header('Range', f'bytes={have}-')
  redirects = _Redirects()
  opener = urllib.request.build_opener(redirects)
  try:
    answer = opener.open(request, timeout=timeout)
  except urllib.error.HTTPError as error:
    if error.code == 416:  # the file is complete already
      error.close()
      return _stated(error.headers) or redirects.stated, True
    raise
  with answer:
    stated = _stated(answer.headers) or redirects.stated
    if answer.status != 206:  # the server sends the whole file
      have = 0
    length = answer.headers.get('Content-Length')
    total = have + int(length) if length else None
    with part.open('ab' if have else 'wb') as file:
      while block := answer.read(_BLOCK):
        file.write(block)
        have += len(block)
        if progress is not None:
          progress(have, total)
  return stated, total is None or have == total


def _stated(headers: Any) -> str | None:
  match = _DIGEST.fullmatch(headers.get('X-Linked-ETag') or '')
  return match and match[1]


def _size(path: pathlib.Path) -> int:
  return path.stat().st_size if path.exists() else 0
