"""Ends a process at SIGINT and SIGTERM: at a safe point, and never late.

A signal only sets a flag. `check` raises `Stopped` where nothing is pending:
between chunks of steps, between items, between trials. Where the main thread
comes to no such point in time, as in a long program of XLA or while one is
compiled, a second thread saves what is done and leaves for it. Both leave
without the interpreter's finalisation, which crashes while XLA computes.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

__all__ = [
  'Stopped',
  'before_leaving',
  'check',
  'finish',
  'forget',
  'leave',
  'listen',
  'saving',
  'writing',
]

# Seconds until a process that comes to no safe point leaves without one.
PATIENCE = 3.0
# Seconds in which several signals are one stop: `timeout` sends two at once.
_TOGETHER = 0.5
# Seconds that a file being written, a last checkpoint and other processes get.
_GRACE = 30.0
_MESSAGE = 'stopped; the same command goes on'

_lock = threading.RLock()  # held while files are written
_leaving = threading.Lock()  # taken once: by whichever thread leaves
_savers: list[Callable[[], None]] = []
_farewells: list[Callable[[], None]] = []


class Stopped(KeyboardInterrupt):
  """A signal has asked for the end of this process.

  Attributes:
    number: Of the signal.
  """

  def __init__(self, number: int) -> None:
    """Takes the number of the signal."""
    super().__init__(number)
    self.number = number

  @property
  def status(self) -> int:
    """Exit status, as shells report it: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + self.number

  def leave(self) -> NoReturn:
    """Ends the process with this status and the usual line."""
    leave(self.status, _MESSAGE)


class _Listener:
  """Signals that are listened to, and the first that came.

  Attributes:
    numbers: Of the signals.
    patience: Seconds before the process leaves by itself; ``None`` for never.
    impatient: Whether a second signal ends the process at once.
    message: What it says when it leaves by itself.
    first: Number of the signal that came first, 0 before.
    raised: Whether `check` has raised.
  """

  def __init__(self) -> None:
    self.numbers: set[int] = set()
    self.patience: float | None = PATIENCE
    self.impatient, self.message = True, _MESSAGE
    self.first, self.raised = 0, False
    self._read, self._write = os.pipe()
    os.set_blocking(self._write, False)
    # The C handler writes to the pipe, whatever the main thread is doing.
    signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
    threading.Thread(target=self._watch, daemon=True).start()

  def hear(self, number: int, frame: FrameType | None) -> None:
    """Sets the flag; the handler of each signal."""
    del frame
    self.first = self.first or number

  def close(self) -> None:
    """Ends the thread."""
    signal.set_wakeup_fd(-1)
    os.close(self._write)

  def _watch(self) -> None:
    """Leaves at a second signal, or when patience is over."""
    came, until = 0.0, None
    while True:
      wait = None if until is None else max(0.0, until - time.monotonic())
      if not select.select([self._read], [], [], wait)[0]:
        threading.Thread(target=self._give_up, daemon=True).start()
        came, until = time.monotonic(), None
        continue
      numbers = os.read(self._read, 64)
      if not numbers:
        os.close(self._read)
        return
      for number in filter(self.numbers.__contains__, numbers):
        now = time.monotonic()
        if not came:
          came = now
          self.hear(number, None)
          until = None if self.patience is None else now + self.patience
        elif self.impatient and now - came > _TOGETHER:
          os._exit(128 + number)

  def _give_up(self) -> None:
    """Leaves from another thread than the main one, which is busy."""
    late = threading.Timer(_GRACE, os._exit, [128 + self.first])
    late.daemon = True
    late.start()
    line = self.message and f'\n{self.message}'  # below a progress bar
    with _lock:
      try:
        for save in reversed(_savers):
          save()
      except Exception as error:  # a full disk, say
        line = f'\nstopped; what was done last is not saved: {error}'
      finally:
        leave(128 + self.first, line)


_listener: _Listener | None = None


def listen(
  *numbers: int,
  patience: float | None = PATIENCE,
  impatient: bool = True,
  message: str = _MESSAGE,
) -> list[Any]:
  """Lets signals end this process at its next safe point.

  Args:
    *numbers: Of the signals; SIGINT and SIGTERM by default.
    patience: Seconds after which the process saves and leaves, wherever it is;
      ``None`` for never.
    impatient: Whether a second signal ends it at once, with nothing saved.
    message: Line for stderr when it leaves by itself; '' for none.

  Returns:
    The handler that each signal had before.
  """
  global _listener
  _listener = _listener or _Listener()
  numbers = numbers or (signal.SIGINT, signal.SIGTERM)
  _listener.numbers.update(map(int, numbers))
  _listener.patience, _listener.impatient = patience, impatient
  _listener.message = message
  return [signal.signal(number, _listener.hear) for number in numbers]


def forget() -> None:
  """Listens no more; the handlers of the signals stay as they are."""
  global _listener
  if _listener is not None:
    _listener.close()
  _listener = None


def check() -> None:
  """A safe point: nothing is pending, and what is done is saved.

  Raises:
    Stopped: A signal came. It is raised once: not again while the process
      ends.
  """
  if _listener is not None and _listener.first and not _listener.raised:
    _listener.raised = True
    raise Stopped(_listener.first)


def writing() -> contextlib.AbstractContextManager:
  """A context in which this process does not leave by itself."""
  return _lock


@contextlib.contextmanager
def saving(save: Callable[[], None]) -> Iterator[None]:
  """Calls ``save`` when the process is stopped in this context.

  Args:
    save: Saves what is done so far. It may be called from another thread while
      the main one computes.
  """
  _savers.append(save)
  try:
    yield
  except (KeyboardInterrupt, SystemExit):
    with _lock:
      save()
    raise
  finally:
    _savers.remove(save)


def before_leaving(part: Callable[[], None]) -> None:
  """Has ``part`` called by `leave`, such as a word to other processes."""
  _farewells.append(part)


def finish(status: int) -> NoReturn:
  """Ends a process that is done, so that no signal comes after the last check.

  One of several processes takes leave of the others as the interpreter ends.
  """
  if _farewells:
    sys.exit(status)
  leave(status)


def leave(status: int, message: str = '') -> NoReturn:
  """Ends this process now, without the interpreter's finalisation.

  Args:
    status: Its exit status.
    message: A line for stderr, if any.
  """
  _leaving.acquire()
  with contextlib.suppress(OSError, ValueError):  # nobody reads any more
    if message:
      print(message, file=sys.stderr)
  try:
    for part in _farewells:
      part()
  finally:
    for stream in (sys.stdout, sys.stderr):
      with contextlib.suppress(OSError, ValueError):
        stream.flush()
    os._exit(status)
