"""The resumable loop: bar, checkpoints and signals between chunks of steps."""

import contextlib
import pathlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from vizlab.runs import checkpoints, files, stopping
from vizlab.runs.recorder import Recorder, flat

__all__ = ['Chunk', 'once', 'resumable']

# Seconds between checkpoints: an interruption loses at most this and a chunk.
_EVERY = 20.0


class Chunk(NamedTuple):
  """State after a chunk of steps.

  Attributes:
    step: Steps done, those before an interruption included.
    state: Pytree of arrays from which the loop resumes.
    result: Result of the loop if it ends here; not saved.
    text: Shown beside the progress bar.
    last: Whether the loop ends here, before the last step.
  """

  step: int
  state: Any
  result: Any = None
  text: str = ''
  last: bool = False


def resumable(
  recorder: Recorder,
  name: str,
  chunks: Callable[[list[np.ndarray] | None], Iterator[Chunk]],
  steps: int,
) -> Any:
  """Runs a loop from its last checkpoint, and returns its result.

  A checkpoint is written every 20 seconds and at an interruption, of the last
  chunk that was yielded. So all that belongs to a chunk, such as its metrics,
  is done before the chunk is yielded.

  Args:
    recorder: Recorder of the run. Metrics that begin with ``name/`` and follow
      the checkpoint are removed; the loop writes them again.
    name: Name of the loop, unique within the run.
    chunks: Function of the leaves of the state to resume from, or of ``None``,
      that returns an iterator of chunks.
    steps: Number of steps.
  """
  with checkpoints.opened(_folder(recorder, name)) as checkpointer:
    first, leaves, done = 0, None, None
    if checkpointer.latest is not None:
      first = checkpointer.latest.step
      saved = checkpointer.load(first)
      if not all(key.isdigit() for key in saved):
        raise ValueError(
          f'workdir: {_folder(recorder, name)} is a checkpoint of another '
          'version; start again with --overwrite'
        )
      leaves = [np.asarray(saved[key]) for key in sorted(saved, key=int)]
    recorder.rewind(first, name)

    def save(chunk: Chunk | None) -> None:
      if chunk is not None:
        checkpoints.save(checkpointer, chunk.step, _numbered(chunk.state))

    saved_at = time.monotonic()
    bar = tqdm(total=steps, initial=first, desc=name, unit='step')
    with bar, stopping.saving(lambda: save(done)):
      for chunk in chunks(leaves):
        bar.set_postfix_str(chunk.text, refresh=False)
        bar.update(chunk.step - bar.n)
        if chunk.last or chunk.step >= steps:
          return chunk.result
        done = chunk
        if time.monotonic() - saved_at > _EVERY:
          save(done)
          saved_at = time.monotonic()
        stopping.check()
  raise ValueError(f'{name}: its chunks ended before step {steps}')


def once(
  recorder: Recorder,
  name: str,
  make: Callable[[], Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """Result of a loop, computed with `resumable` or read from an earlier run.

  Like `Recorder.once`; the checkpoints are removed once the result is written.
  """
  result = recorder.once(name, make)
  folder = _folder(recorder, name)
  shutil.rmtree(folder, ignore_errors=True)
  with contextlib.suppress(OSError):  # not empty, or not there
    folder.parent.rmdir()
  return result


def _folder(recorder: Recorder, name: str) -> pathlib.Path:
  return recorder.workdir / files.CHECKPOINTS / flat(name)


def _numbered(state: Any) -> dict[str, np.ndarray]:
  # NumPy arrays: those of JAX would be bound to the devices of this machine.
  leaves = jax.tree.leaves(state)
  return {f'{i:04d}': np.asarray(leaf) for i, leaf in enumerate(leaves)}
