"""Termination at SIGINT and SIGTERM: at a safe point, within a time limit.

A signal only sets a flag. `check` raises `Stopped` at safe points: between
chunks of steps, items or trials. If the main thread reaches no safe point in
time, for example in a long XLA program or compilation, a second thread saves
the current state and ends the process. Both skip the finalisation of the
interpreter, which crashes while XLA computes.
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

# Seconds until a process that reaches no safe point ends without one.
PATIENCE = 3.0
# Signals within this many seconds count as one: `timeout` sends two at once.
_TOGETHER = 0.5
# Seconds for pending writes, a last checkpoint and other processes.
_GRACE = 30.0
_MESSAGE = 'stopped; the same command resumes'

_lock = threading.RLock()  # held while files are written
_leaving = (
  threading.Lock()
)  # acquired once, by the thread that ends the process
_savers: list[Callable[[], None]] = []
_farewells: list[Callable[[], None]] = []


class Stopped(KeyboardInterrupt):
  """Raised at a safe point after a signal.

  Attributes:
    number: Number of the signal.
  """

  def __init__(self, number: int) -> None:
    """Stores the number of the signal."""
    super().__init__(number)
    self.number = number

  @property
  def status(self) -> int:
    """Exit status: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + self.number

  def leave(self) -> NoReturn:
    """Ends the process with this status and a message."""
    leave(self.status, _MESSAGE)


class _Listener:
  """State of signal handling.

  Attributes:
    numbers: Numbers of the handled signals.
    patience: Seconds before the process ends without a safe point; ``None`` for
      never.
    impatient: Whether a second signal ends the process immediately.
    message: Message if the process ends without a safe point.
    first: Number of the first signal, 0 before it.
    raised: Whether `check` has raised.
  """

  def __init__(self) -> None:
    self.numbers: set[int] = set()
    self.patience: float | None = PATIENCE
    self.impatient, self.message = True, _MESSAGE
    self.first, self.raised = 0, False
    self._read, self._write = os.pipe()
    os.set_blocking(self._write, False)
    # The C handler writes to the pipe even if the main thread is busy.
    signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
    threading.Thread(target=self._watch, daemon=True).start()

  def hear(self, number: int, frame: FrameType | None) -> None:
    """Handles a signal by setting the flag."""
    del frame
    self.first = self.first or number

  def close(self) -> None:
    """Ends the thread."""
    signal.set_wakeup_fd(-1)
    os.close(self._write)

  def _watch(self) -> None:
    """Ends the process at a second signal, or after ``patience`` seconds."""
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
    """Saves and ends the process from a thread, as the main thread is busy."""
    late = threading.Timer(_GRACE, os._exit, [128 + self.first])
    late.daemon = True
    late.start()
    line = self.message and f'\n{self.message}'  # below a progress bar
    with _lock:
      try:
        for save in reversed(_savers):
          save()
      except Exception as error:  # such as a full disk
        line = f'\nstopped; the last state could not be saved: {error}'
      finally:
        leave(128 + self.first, line)


_listener: _Listener | None = None


def listen(
  *numbers: int,
  patience: float | None = PATIENCE,
  impatient: bool = True,
  message: str = _MESSAGE,
) -> list[Any]:
  """Handles signals by ending this process at its next safe point.

  Args:
    *numbers: Signal numbers; SIGINT and SIGTERM by default.
    patience: Seconds after which the process saves its state and ends without a
      safe point; ``None`` for never.
    impatient: Whether a second signal ends the process immediately, without
      saving.
    message: Line for stderr if the process ends without a safe point; '' for
      none.

  Returns:
    The previous handler of each signal.
  """
  global _listener
  _listener = _listener or _Listener()
  numbers = numbers or (signal.SIGINT, signal.SIGTERM)
  _listener.numbers.update(map(int, numbers))
  _listener.patience, _listener.impatient = patience, impatient
  _listener.message = message
  return [signal.signal(number, _listener.hear) for number in numbers]


def forget() -> None:
  """Stops listening; the handlers of the signals stay installed."""
  global _listener
  if _listener is not None:
    _listener.close()
  _listener = None


def check() -> None:
  """Safe point: raises `Stopped` after a signal.

  Raises:
    Stopped: A signal was received. Raised only once, not again while the
      process ends.
  """
  if _listener is not None and _listener.first and not _listener.raised:
    _listener.raised = True
    raise Stopped(_listener.first)


def writing() -> contextlib.AbstractContextManager:
  """Context in which the process is not ended by the second thread."""
  return _lock


@contextlib.contextmanager
def saving(save: Callable[[], None]) -> Iterator[None]:
  """Context that calls ``save`` if the process is stopped within it.

  Args:
    save: Saves the current state. It may be called from another thread while
      the main thread computes.
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
  """Registers a function that `leave` calls, such as a message to others."""
  _farewells.append(part)


def finish(status: int) -> NoReturn:
  """Ends a finished process, so that no signal arrives after the last check.

  Several connected processes instead disconnect as the interpreter exits.
  """
  if _farewells:
    sys.exit(status)
  leave(status)


def leave(status: int, message: str = '') -> NoReturn:
  """Ends this process now, without finalisation of the interpreter.

  Args:
    status: Exit status.
    message: Line for stderr; '' for none.
  """
  _leaving.acquire()
  with contextlib.suppress(OSError, ValueError):  # closed stream
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
