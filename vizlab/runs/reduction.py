"""Resumable reduction of many rows to a state of constant size."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from tqdm import tqdm

from vizlab.runs import distributed, stopping
from vizlab.runs.recorder import Recorder
from vizlab.types import whole

__all__ = ['reduce_resumable']

_State = TypeVar('_State')


def reduce_resumable(
  recorder: Recorder,
  name: str,
  start: _State,
  add: Callable[[_State, slice], _State],
  merge: Callable[[_State, _State], _State],
  *,
  count: int,
  batch: int,
  part: int = 256,
) -> _State:
  """Reduces rows, such as the images of a data set, batch by batch.

  Each part of the rows is reduced from ``start`` and saved; then the parts are
  merged in order. So memory does not grow with the number of rows, a run that
  is stopped loses one part at most, and several processes share the parts out.
  The result depends on ``batch`` and ``part`` only by rounding.

  Args:
    recorder: Recorder of the run; the parts are saved under ``name``.
    name: Name of the reduction, unique within the run.
    start: State of no rows, a pytree of arrays. If it is a dict, the result has
      its order.
    add: Function of a state and a slice of rows that returns the state with
      these rows.
    merge: Function of two states that returns that of the rows of both. Its
      first argument is the state of earlier rows.
    count: Number of rows.
    batch: Most rows that ``add`` is given at once.
    part: Rows that are saved together, in whole batches.

  Raises:
    ValueError: A number is below 1, or a part is of another state.
  """
  count, batch = whole(count, 'count'), whole(batch, 'batch')
  size = batch * max(1, whole(part, 'part') // batch)
  parts = [slice(i, min(i + size, count)) for i in range(0, count, size)]
  bar = tqdm(total=count, desc=name, unit='row')

  def reduced(rows: slice) -> dict[str, np.ndarray]:
    state = start
    for i in range(rows.start, rows.stop, batch):
      stopping.check()
      distributed.check()
      state = add(state, slice(i, min(i + batch, rows.stop)))
      bar.update(min(batch, rows.stop - i))
    return {f'{i:04d}': np.asarray(v) for i, v in enumerate(_leaves(state))}

  def saved(rows: slice) -> list[np.ndarray]:
    arrays = recorder.part(name, rows, functools.partial(reduced, rows))
    return [arrays[key] for key in sorted(arrays)]

  def share() -> None:
    for k in distributed.mine(len(parts)):
      saved(parts[k])

  with bar:
    distributed.together(f'reduce {name}', share)
  shapes = [np.shape(leaf) for leaf in _leaves(start)]
  state = None
  for rows in parts:
    leaves = saved(rows)
    if [leaf.shape for leaf in leaves] != shapes:
      raise ValueError(
        f'{name}: its saved parts are of another state; start again with '
        '--overwrite'
      )
    some = jax.tree.unflatten(jax.tree.structure(start), leaves)
    state = some if state is None else merge(state, some)
  if isinstance(start, dict):  # JAX has sorted its keys
    state = {key: state[key] for key in start}
  return state


def _leaves(state: Any) -> list[Any]:
  return jax.tree.leaves(state)
