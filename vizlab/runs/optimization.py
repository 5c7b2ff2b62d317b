"""Resumable optimization of images, with a progress bar."""

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from vizlab import optimize
from vizlab.runs import loop
from vizlab.runs.recorder import Recorder
from vizlab.types import Array, ImageParam, ScoreFn

__all__ = ['OptimizedImages', 'check', 'fitting', 'optimize_resumable']


class OptimizedImages(NamedTuple):
  """Result of an optimization of images.

  Attributes:
    images: The images ``[..., H, W, C]``.
    scores: ``[steps, ...]``, the score before each step.
    penalties: ``[steps, ...]``, the penalty before each step.
    failed: int ``[...]``, the step at which an image became non-finite, which
      leaves it at the state before; otherwise -1.
  """

  images: np.ndarray
  scores: np.ndarray
  penalties: np.ndarray
  failed: np.ndarray

  @property
  def image(self) -> np.ndarray:
    """The images, by the name that they have in a `Progress`."""
    return self.images

  @property
  def ends(self) -> tuple[np.ndarray, np.ndarray]:
    """First and last finite score, ``[...]`` each."""
    last = np.where(self.failed < 0, len(self.scores), self.failed) - 1
    last = np.maximum(last, 0)[None]
    return self.scores[0], np.take_along_axis(self.scores, last, 0)[0]


def check(score_fn: ScoreFn, image: ImageParam, **settings: Any) -> None:
  """Raises a `ValueError` if the arguments do not fit together.

  Nothing is computed or written.
  """
  optimize.run(score_fn, image, jax.random.key(0), **settings)


def fitting(score_fn: ScoreFn, image: ImageParam, count: int) -> int:
  """Number of images that fit in half of the free memory, at most ``count``.

  Args:
    score_fn: The score to maximise, for any number of images.
    image: Parameterization of one image ``[1, H, W, C]``; the memory of its
      gradient is measured.
    count: Upper limit of the result.
  """

  def total(z: Any) -> Array:
    return score_fn(image.decode(z)).sum()

  z = jax.eval_shape(image.init, jax.random.key(0))
  compiled = jax.jit(jax.grad(total)).lower(z).compile()
  each = max(1, compiled.memory_analysis().temp_size_in_bytes)
  return min(count, max(1, _free_bytes() // (2 * each)))


def _free_bytes() -> int:
  stats = jax.local_devices()[0].memory_stats() or {}
  if 'bytes_limit' in stats:
    return stats['bytes_limit'] - stats.get('bytes_in_use', 0)
  return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def optimize_resumable(
  recorder: Recorder,
  name: str,
  score_fn: ScoreFn,
  image: ImageParam,
  key: Array,
  *,
  steps: int,
  chunk: int = 16,
  patience: float = 0.0,
  span: int | None = None,
  watch: Callable[[optimize.Progress], None] | None = None,
  **settings: Any,
) -> OptimizedImages:
  """Optimizes images, or resumes or reads an earlier optimization.

  Args:
    recorder: Recorder of the run; the result is saved there as ``name.npz``.
    name: Name of the result, unique within the run.
    score_fn: The score to maximise, ``[..., H, W, C] -> [...]``.
    image: Parameterization of the images.
    key: A JAX random key.
    steps: Number of steps.
    chunk: Steps per compiled chunk; checkpoints and signals are handled between
      chunks.
    patience: Stops early once the mean score of the last ``span`` steps exceeds
      that of the ``span`` steps before by at most this fraction of it; 0
      disables early stopping.
    span: Number of steps that ``patience`` averages over; ``chunk`` by default.
    watch: Called after every chunk. After an interruption it is called again
      for the chunks that follow the last checkpoint.
    **settings: Further keyword arguments of `vizlab.optimize.run`.

  Raises:
    ValueError: `vizlab.optimize.run` rejects the arguments, or no image stayed
      finite.
  """

  settled = functools.partial(_settled, span or chunk, patience)

  def chunks(leaves: list[np.ndarray] | None) -> Iterator[loop.Chunk]:
    scores, penalties, *state = leaves or (None, None)
    for now in optimize.run(
      score_fn,
      image,
      key,
      steps=steps,
      chunk=chunk,
      state=state or None,
      **settings,
    ):
      scores = _joined(scores, now.scores)
      penalties = _joined(penalties, now.penalties)
      _log(recorder, name, now)
      if watch is not None:
        watch(now)
      yield loop.Chunk(
        now.step,
        (scores, penalties, now.state),
        OptimizedImages(now.image, scores, penalties, now.failed),
        text=f'score {now.scores[-1].mean():.4g}',
        last=(now.failed >= 0).all() or settled(scores - penalties),
      )

  def run() -> dict[str, np.ndarray]:
    result = loop.resumable(recorder, name, chunks, steps)
    return result._replace(images=np.asarray(result.images))._asdict()

  optimized = OptimizedImages(**loop.once(recorder, name, run))
  failed = np.ravel(optimized.failed)
  if (failed >= 0).all():
    raise ValueError(
      f'{name}: its score was not finite at step {failed.max()}; the last '
      f'finite image is in {name}.npz'
    )
  for i in np.flatnonzero(failed >= 0):
    tqdm.write(
      f'{name}: image {i} was not finite at step {failed[i]}; its last finite '
      'state is kept'
    )
  return optimized


def _joined(before: np.ndarray | None, after: np.ndarray) -> np.ndarray:
  return after if before is None else np.concatenate([before, after])


def _log(recorder: Recorder, name: str, now: optimize.Progress) -> None:
  """Writes the mean of the last score and penalty over the finite images."""
  if (good := now.failed < 0).any():
    last = {'score': now.scores[-1], 'penalty': now.penalties[-1]}
    means = {f'{name}/{key}': v[good].mean() for key, v in last.items()}
    recorder.metrics(now.step, means)


def _settled(span: int, patience: float, values: np.ndarray) -> bool:
  """Returns True if the values ``[steps, ...]`` rise too slowly to continue."""
  if not patience or len(values) < 2 * span:
    return False
  values = np.where(np.isfinite(values), values, 0)  # those do not change
  before, after = values[-2 * span : -span].mean(), values[-span:].mean()
  return after - before <= patience * abs(after)
