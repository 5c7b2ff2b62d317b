"""Several processes that work on one run, as `jax.distributed` starts them.

They share the work directory. Nothing of what they compute goes between them:
each explains batches of its own, and one writes what all of them found.
"""

import contextlib
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import jax

from vizlab.runs import stopping

__all__ = ['check', 'connect', 'from_first', 'mine', 'together']

_GONE = 'gone'  # where a process says why it ends before its time
# In milliseconds: of one look, and for the others when something went wrong.
_MOMENT, _PATIENCE = 1_000, 25_000
# After how many seconds without a sign of life a process counts as dead.
_HEARTBEAT = 30


def connect(coordinator: str, count: int, index: int) -> None:
  """Makes this process one of several, before JAX is used.

  When one of them ends before its time, all of them end: in order after an
  error or a signal, by an abort of JAX after a kill. The same commands go on.

  Args:
    coordinator: Address of the first process as ``host:port``; or ``auto``
      where the cluster tells (SLURM, Open MPI, Kubernetes, Cloud TPU).
    count: How many processes there are.
    index: Which of them this is, from 0 on.

  Raises:
    ValueError: They do not fit together, or do not find each other.
  """
  # JAX would take SIGTERM for itself.
  jax.config.update('jax_enable_preemption_service', False)
  where = {}
  if coordinator != 'auto':
    if not re.fullmatch(r'.+:\d+', coordinator):
      raise ValueError(
        f"coordinator: got {coordinator!r}, expected HOST:PORT or 'auto'"
      )
    if count < 2:
      raise ValueError(f'processes: got {count}, expected 2 or more')
    if not 0 <= index < count:
      raise ValueError(
        f'process: got {index} of {count} processes, expected one of 0 to '
        f'{count - 1}'
      )
    if index == 0:
      _check_port(int(coordinator.rpartition(':')[2]))
    where = {
      'coordinator_address': coordinator,
      'num_processes': count,
      'process_id': index,
    }
  try:
    jax.distributed.initialize(**where, heartbeat_timeout_seconds=_HEARTBEAT)
  except (RuntimeError, ValueError) as error:
    hint = '' if where else ' Expected HOST:PORT where no cluster tells.'
    raise ValueError(f'coordinator: {coordinator}: {error}{hint}') from error
  if jax.process_count() > 1:
    stopping.before_leaving(_part)


def _check_port(port: int) -> None:
  """Raises a `ValueError` if a port is taken, of which JAX may crash."""
  try:
    socket.create_server(('', port)).close()
  except (OSError, OverflowError) as error:
    raise ValueError(f'coordinator: port {port}: {error}') from error


def mine(count: int) -> range:
  """Indices of the pieces of work of this process, of ``count``."""
  return range(jax.process_index(), count, jax.process_count())


def together(name: str, fn: Callable[[], Any] | None = None) -> None:
  """Calls ``fn`` here, and waits until all processes have come to this point.

  Args:
    name: Name of this point, unique within the run.
    fn: Function to call first; none by default.

  Raises:
    ValueError: ``fn`` raised in one of the processes, or one of them has ended.
  """
  try:
    if fn is not None:
      fn()
  except Exception as error:
    _tell(str(error))
    raise
  if jax.process_count() > 1:
    _client().key_value_set(f'{name}/{jax.process_index()}', 'true')
    for k in range(jax.process_count()):
      _heard(f'{name}/{k}')


def from_first(name: str, value: str) -> str:
  """The value that the first process has here, in all of them."""
  if jax.process_count() == 1:
    return value
  if jax.process_index() == 0:
    _client().key_value_set(name, json.dumps(value))
  return _heard(name)


def check() -> None:
  """Raises a `ValueError` with its reason if another process has ended."""
  if jax.process_count() == 1:
    return
  try:
    reason = _client().key_value_try_get(_GONE)
  except jax.errors.JaxRuntimeError:  # all are there
    return
  raise ValueError(json.loads(reason))


def _part() -> None:
  """Tells the other processes that this one ends, and waits a little."""
  _tell('processes: another one was stopped; the same commands go on')
  # The first process carries the words of the others: it leaves when they know.
  with contextlib.suppress(jax.errors.JaxRuntimeError):
    _client().wait_at_barrier('leave', _PATIENCE)


def _tell(reason: str) -> None:
  """Says why this process ends, unless one has said so before."""
  if jax.process_count() > 1:
    with contextlib.suppress(jax.errors.JaxRuntimeError):
      _client().key_value_set(_GONE, json.dumps(reason))


def _heard(name: str) -> Any:
  """Message of a process, once it arrives."""
  while True:
    stopping.check()
    check()
    try:  # for a moment only, between two looks
      return json.loads(_client().blocking_key_value_get(name, _MOMENT))
    except jax.errors.JaxRuntimeError as error:
      if 'DEADLINE_EXCEEDED' not in str(error):
        raise ValueError(f'processes: {error}') from error


def _client() -> Any:
  """Client that carries text, and no arrays, between processes."""
  from orbax.checkpoint import multihost  # takes a while

  return multihost.get_jax_distributed_client()
