import errno
import hashlib
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from vizlab import io


def test_a_failed_write_leaves_nothing_and_keeps_the_old(tmp_path):
  path = io.write_text(tmp_path / 'a.txt', 'old')

  def fail(file):
    file.write(b'new')
    raise RuntimeError

  with pytest.raises(RuntimeError):
    io.write_atomic(path, fail)
  assert path.read_text() == 'old'
  assert os.listdir(tmp_path) == ['a.txt']


def test_a_full_disk_is_told_with_the_file(tmp_path):
  def fail(file):
    raise OSError(errno.ENOSPC, 'No space left on device')

  with pytest.raises(OSError, match='No space left .*a.txt') as told:
    io.write_atomic(tmp_path / 'a.txt', fail)
  assert told.value.filename == str(tmp_path / 'a.txt')


def test_where_a_disk_has_no_locks_nothing_is_locked(tmp_path, monkeypatch):
  def lockf(file, how):
    raise OSError(number, 'no')

  class Owner:
    pass

  owner = Owner()
  monkeypatch.setattr('fcntl.lockf', lockf)
  number = errno.ENOSYS
  io.lock(tmp_path / 'lock', owner)
  number = errno.EAGAIN
  with pytest.raises(BlockingIOError, match='another process uses it'):
    io.lock(tmp_path / 'lock', owner)


@pytest.mark.slow
def test_one_process_is_at_a_time(tmp_path):
  code = (
    'import pathlib, sys; from vizlab import io\n'
    f'with io.exclusive({str(tmp_path / "lock")!r}):\n'
    '  print("in", flush=True)\n'
    '  sys.stdin.readline()\n'
    f'  pathlib.Path({str(tmp_path / "made")!r}).touch()\n'
  )
  other = subprocess.Popen(
    [sys.executable, '-c', code],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert other.stdout.readline() == 'in\n'
  seen = []

  def enter():
    with io.exclusive(tmp_path / 'lock'):
      seen.append((tmp_path / 'made').exists())

  waiting = threading.Thread(target=enter)
  waiting.start()
  waiting.join(0.5)
  assert waiting.is_alive() and not seen
  other.communicate('go\n', timeout=100)
  waiting.join(100)
  assert seen == [True]


def test_files_are_readable_by_others(tmp_path):
  path = io.write_text(tmp_path / 'a.txt', 'x')
  mask = os.umask(0)
  os.umask(mask)
  assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_json_refuses_nan(tmp_path):
  with pytest.raises(ValueError):
    io.write_json(tmp_path / 'a.json', {'x': float('nan')})
  assert not list(tmp_path.iterdir())


def test_sha256(tmp_path):
  path = io.write_text(tmp_path / 'a', 'hello')
  assert io.sha256(path) == hashlib.sha256(b'hello').hexdigest()


def test_tensors(tmp_path):
  tensors = {'a': np.arange(6.0).reshape(2, 3).T, 'b': np.float16([1.5])}
  path = io.write_tensors(tmp_path / 'a.safetensors', tensors, {'k': 'v'})
  again, header = io.read_tensors(path)
  assert header == {'k': 'v'}
  for name, value in tensors.items():
    np.testing.assert_array_equal(again[name], value)
    assert again[name].dtype == value.dtype


def test_pickles_do_not_run(tmp_path):
  torch = pytest.importorskip('torch')

  class Evil:
    def __reduce__(self):
      return os.system, (f'touch {tmp_path}/ran',)

  path = tmp_path / 'evil.pth'
  torch.save({'a': Evil()}, path)
  with pytest.raises(ValueError, match='evil.pth is damaged or does not'):
    io.read_tensors(path)
  assert not (tmp_path / 'ran').exists()
