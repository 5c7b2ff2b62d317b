"""Measurement of time and memory."""

import dataclasses
import gc
import os
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ['Contender', 'called', 'compiled', 'matmul_rate', 'measure']


@dataclasses.dataclass
class Contender:
  """Implementation of a task with its measurements."""

  call: Callable[[], Any]
  compile_seconds: float | None = None
  seconds: list[float] = dataclasses.field(default_factory=list)
  peak_mib: float = 0.0


def resident_mib() -> float:
  """Resident memory of this process in MiB."""
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def measure(contender: Contender) -> None:
  """Runs a contender once; records its time and peak memory."""
  gc.collect()
  before, peak, done = resident_mib(), [0.0], threading.Event()

  def watch() -> None:
    while not done.wait(0.005):
      peak[0] = max(peak[0], resident_mib() - before)

  watcher = threading.Thread(target=watch)
  watcher.start()
  start = time.perf_counter()
  contender.call()
  contender.seconds.append(time.perf_counter() - start)
  done.set()
  watcher.join()
  contender.peak_mib = max(contender.peak_mib, peak[0])


def compiled(fn: Callable, *args: Any) -> Contender:
  """Compiles a function for its arguments."""
  start = time.perf_counter()
  run = jax.jit(fn).lower(*args).compile()
  seconds = time.perf_counter() - start
  return Contender(lambda: jax.block_until_ready(run(*args)), seconds)


def called(call: Callable[[], Any]) -> Contender:
  """Wraps a call that compiles on its first run."""
  start = time.perf_counter()
  jax.block_until_ready(call())
  seconds = time.perf_counter() - start
  return Contender(lambda: jax.block_until_ready(call()), seconds)


def matmul_rate() -> float:
  """Best measured rate of a float32 matrix product, in GFLOP/s."""
  n = 2048
  a = jnp.ones((n, n))
  product = jax.jit(jnp.matmul)
  times = []
  for _ in range(6):
    start = time.perf_counter()
    jax.block_until_ready(product(a, a))
    times.append(time.perf_counter() - start)
  return 2 * n**3 / min(times) / 1e9
