"""Several processes that work on one run, as `jax.distributed` starts them.

They share the work directory. Nothing of what they compute goes between them:
each explains batches of its own, and one writes what all of them found.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import jax
from orbax.checkpoint import multihost

__all__ = ['connect', 'leave', 'mine', 'together']

# How long the others may take, in milliseconds: as long as they are alive.
_FOREVER = 10**10
# How long a process that fails waits whether the others fail too.
_SHORT = 3_000
# After how many seconds without a sign of life a process counts as dead.
_HEARTBEAT = 30


def connect(coordinator: str, count: int, index: int) -> None:
  """Makes this process one of several, before JAX is used.

  As soon as one of them ends, by an error or a signal, all of them end; the
  same commands go on with what is left.

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
    if not 0 <= index < count:
      raise ValueError(
        f'process: got {index} of {count} processes, expected one of 0 to '
        f'{count - 1}'
      )
    where = {
      'coordinator_address': coordinator,
      'num_processes': count,
      'process_id': index,
    }
  try:
    jax.distributed.initialize(**where, heartbeat_timeout_seconds=_HEARTBEAT)
  except (RuntimeError, ValueError) as error:
    raise ValueError(f'coordinator: {coordinator}: {error}') from error


def mine(count: int) -> range:
  """Which of ``count`` pieces of work are those of this process."""
  return range(jax.process_index(), count, jax.process_count())


def together(name: str, fn: Callable[[], Any] | None = None) -> None:
  """Calls ``fn`` here, and waits until all processes have come to this point.

  Args:
    name: Of the point, to which a run comes once.
    fn: What is done; nothing by default.

  Raises:
    ValueError: As ``fn`` in any of the processes; or one of them has ended.
  """
  count, me = jax.process_count(), f'{name}/{jax.process_index()}'
  try:
    if fn is not None:
      fn()
  except Exception as error:
    if count > 1:
      _client().key_value_set(me, json.dumps(str(error)))
    raise
  if count == 1:
    return
  try:
    _client().key_value_set(me, json.dumps(None))
    found = [_heard(f'{name}/{k}') for k in range(count)]
  except jax.errors.JaxRuntimeError as error:
    raise ValueError(
      'processes: another one has ended; the same commands go on'
    ) from error
  for message in found:
    if message is not None:
      raise ValueError(message)


def leave(status: int) -> None:
  """Ends this process if it is one of several, without waiting for long."""
  if not jax.distributed.is_initialized() or jax.process_count() == 1:
    return
  # Where all fail alike, each tells so before the first one is gone.
  with contextlib.suppress(jax.errors.JaxRuntimeError):
    _client().wait_at_barrier('leave', _SHORT)
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status)


def _heard(name: str) -> str | None:
  return json.loads(_client().blocking_key_value_get(name, _FOREVER))


def _client() -> Any:
  """What carries words, and no arrays, between the processes."""
  return multihost.get_jax_distributed_client()
