"""Coordination of several processes of one run, with `jax.distributed`.

The processes share the work directory and exchange no arrays: each computes its
own batches, and one writes the results of all.
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

_GONE = 'gone'  # key of the reason for which a process ended early
# Milliseconds: of one poll, and to wait for the others after a failure.
_MOMENT, _PATIENCE = 1_000, 15_000
# Seconds to disconnect; with the above less than `stopping` waits for an end.
_DISCONNECT = 10
# Seconds without a heartbeat after which a process counts as dead.
_HEARTBEAT = 30


def connect(coordinator: str, count: int, index: int) -> None:
  """Connects this process to the others of a run, before JAX is used.

  If one process ends early, all of them end: cleanly after an error or a
  signal, by an abort of JAX after SIGKILL. The same commands resume the run.

  Args:
    coordinator: Address of the first process as ``host:port``, or ``auto`` on a
      cluster that provides it (SLURM, Open MPI, Kubernetes, Cloud TPU).
    count: Total number of processes, at least 2; ignored for ``auto``.
    index: Index of this process, from 0; ignored for ``auto``.

  Raises:
    ValueError: An argument is out of range, or the processes cannot connect.
  """
  # JAX would handle SIGTERM itself.
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
    jax.distributed.initialize(
      **where,
      heartbeat_timeout_seconds=_HEARTBEAT,
      shutdown_timeout_seconds=_DISCONNECT,
    )
  except (RuntimeError, ValueError) as error:
    hint = (
      '' if where else ' Expected HOST:PORT outside of a supported cluster.'
    )
    raise ValueError(f'coordinator: {coordinator}: {error}{hint}') from error
  if jax.process_count() > 1:
    stopping.before_leaving(_part)


def _check_port(port: int) -> None:
  """Raises a `ValueError` if a port is in use, which may crash JAX."""
  try:
    socket.create_server(('', port)).close()
  except (OSError, OverflowError) as error:
    raise ValueError(f'coordinator: port {port}: {error}') from error


def mine(count: int) -> range:
  """Indices of the work items of this process, out of ``count``."""
  return range(jax.process_index(), count, jax.process_count())


def together(name: str, fn: Callable[[], Any] | None = None) -> None:
  """Calls ``fn`` in this process and waits for all processes at this point.

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
  """Broadcasts a value from the first process to all processes."""
  if jax.process_count() == 1:
    return value
  if jax.process_index() == 0:
    _client().key_value_set(name, json.dumps(value))
  return _heard(name)


def check() -> None:
  """Raises a `ValueError` with the reason if another process has ended."""
  if jax.process_count() == 1:
    return
  try:
    reason = _client().key_value_try_get(_GONE)
  except jax.errors.JaxRuntimeError:  # no process has ended
    return
  raise ValueError(json.loads(reason))


def _part() -> None:
  """Notifies the other processes that this one ends, and waits for them."""
  _tell('processes: another one was stopped; the same commands resume')
  # The first process relays messages, so it leaves after the others have read,
  # and disconnects in order: a lost connection would abort the others.
  with contextlib.suppress(jax.errors.JaxRuntimeError):
    _client().wait_at_barrier('leave', _PATIENCE)
    jax.distributed.shutdown()


def _tell(reason: str) -> None:
  """Publishes why this process ends, unless a reason is published already."""
  if jax.process_count() > 1:
    with contextlib.suppress(jax.errors.JaxRuntimeError):
      _client().key_value_set(_GONE, json.dumps(reason))


def _heard(name: str) -> Any:
  """Waits for the message of a process."""
  while True:
    stopping.check()
    check()
    try:  # short timeout, to check for signals
      return json.loads(_client().blocking_key_value_get(name, _MOMENT))
    except jax.errors.JaxRuntimeError as error:
      if 'DEADLINE_EXCEEDED' not in str(error):
        raise ValueError(f'processes: {error}') from error


def _client() -> Any:
  """Client of the key-value store that the processes share."""
  from orbax.checkpoint import multihost  # slow import

  return multihost.get_jax_distributed_client()
