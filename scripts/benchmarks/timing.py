"""Measurement of time and memory, and the rows of its table."""

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
import numpy as np

__all__ = [
  'Contender',
  'called',
  'compiled',
  'heading',
  'matmul_rate',
  'measure',
  'numbers',
  'show',
]


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


def matmul_rate(n: int = 2048, dtype: Any = jnp.float32) -> float:
  """Best measured rate of a product of ``[n, n]`` matrices, in GFLOP/s."""
  a = jnp.ones((n, n), dtype)
  product = jax.jit(jnp.matmul)
  times = []
  for _ in range(6):
    start = time.perf_counter()
    jax.block_until_ready(product(a, a))
    times.append(time.perf_counter() - start)
  return 2 * n**3 / min(times) / 1e9


def numbers(result: Any) -> np.ndarray:
  """A result of JAX or torch, on any device, as an array of float32."""
  if hasattr(result, 'detach'):
    result = result.detach().float().cpu()
  return np.asarray(result, np.float32)


def show(row: dict, more: str = '') -> None:
  """Prints a row of results, and ``more`` behind it."""
  compiling = row['compile_seconds']
  compiling = '' if compiling is None else f'{compiling:.1f}'
  print(
    f'{row["task"]:20} {row["contender"]:30} {row["seconds"]:8.3f} '
    f'{row["ratio"]:6.2f} {compiling:>7} {row["peak_mib"]:6.0f}{more}',
    flush=True,
  )


def heading() -> tuple[float, float]:
  """Prints the head; returns GFLOP/s of a matrix product, and the load."""
  rate, load = matmul_rate(), os.getloadavg()[0]
  print(
    f'{os.cpu_count()} cores, load {load:.1f}, '
    f'matrix product {rate:.0f} GFLOP/s'
  )
  print(
    f'{"task":20} {"contender":30} {"seconds":>8} {"ratio":>6} {"compile":>7} '
    f'{"MiB":>6}'
  )
  return rate, load
