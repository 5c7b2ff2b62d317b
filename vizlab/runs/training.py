"""Resumable training, with metrics and a progress bar."""

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vizlab.runs import devices, loop
from vizlab.runs.recorder import Recorder
from vizlab.types import Array, whole

__all__ = ['Training', 'train_resumable']


class Training(NamedTuple):
  """Result of a training.

  Attributes:
    result: Pytree of arrays, the part of the final state that was kept.
    seconds: Time that the steps took, those before an interruption included.
    milestones: The same part of the state after each of the milestones.
  """

  result: Any
  seconds: float
  milestones: Mapping[int, Any]


def train_resumable(
  recorder: Recorder,
  name: str,
  train_step: Callable[[Any, Any, Array], tuple[Any, Mapping[str, Array]]],
  state: Any,
  batch: Callable[[int], Any],
  *,
  steps: int,
  keep: Callable[[Any], Any] = lambda state: state,
  milestones: Sequence[int] = (),
  log_every: int = 25,
  stop: Callable[[Any], Array | bool] | None = None,
) -> Training:
  """Trains from a state, or resumes or reads an earlier training.

  A training that is interrupted and resumed equals an uninterrupted one to the
  bit, on the same device. With several local devices each takes an equal part
  of the batch, and the result is that of one but for rounding.

  Args:
    recorder: Recorder of the run; what is kept is saved there as ``name.npz``,
      by the paths of its leaves.
    name: Name of the training, unique within the run.
    train_step: Pure function ``(state, batch, step) -> (state, metrics)`` of a
      step, compiled here. Each metric is one number; its name has no slash. As
      a `jax.tree_util.Partial` it is an argument of the program, so that
      trainings with other arrays of the same shapes do not compile again.
    state: Pytree of arrays and numbers before the first step. Random keys are
      derived from the step instead, or stored as `jax.random.key_data`.
    batch: Data of a step, as a pure function of its index.
    steps: Number of steps, at least 1.
    keep: Part of the final state that is the result; all of it by default.
    milestones: Numbers of steps after which this part is kept, too, as
      ``name_000100.npz``.
    log_every: Steps over which the metrics ``name/metric`` are averaged.
    stop: Function of the state: True if the training ends early. It is called
      after each ``log_every`` steps, and goes without milestones.

  Raises:
    ValueError: A number is out of range, the state holds random keys, a metric
      is not one number or not finite, or the checkpoint is of another state.
  """
  steps, log_every = whole(steps, 'steps'), whole(log_every, 'log_every')
  milestones = [whole(at, 'milestones') for at in milestones]
  outside = [at for at in milestones if at > steps]
  if outside:
    raise ValueError(f'milestones: got {outside[0]}, expected 1 to {steps}')
  if stop is not None and milestones:
    raise ValueError('milestones: got some with stop, expected one of them')
  state = jax.tree.map_with_path(_strong, state)
  if isinstance(train_step, Partial):
    advance = functools.partial(_advance, train_step)
  else:  # a program of its own, which is gone with it
    advance = jax.jit(
      functools.partial(_step, train_step), static_argnames='log_every'
    )

  def chunks(leaves: list[np.ndarray] | None) -> Iterator[loop.Chunk]:
    first = 0 if leaves is None else int(leaves[0])
    data = batch(first)
    _, like = jax.eval_shape(train_step, state, data, np.int32(first))
    _check_metrics(like)
    window = {key: jnp.zeros(log_every, like[key].dtype) for key in like}
    begin = np.int64(first), np.float64(0), (state, window)
    if leaves is not None:
      begin = _restored(name, begin, leaves)
    _, seconds, carry = begin
    if jax.local_device_count() > 1:
      carry = devices.replicate(carry)
    begun = time.perf_counter() - float(seconds)
    for step in range(first, steps):
      data = data if step == first else batch(step)
      jax.block_until_ready(carry)  # one step at most is under way
      carry = advance(
        carry, devices.spread(data), np.int32(step), log_every=log_every
      )
      done = step + 1
      if done % log_every == 0 or done == steps:
        count = (done - 1) % log_every + 1
        rows = {key: np.asarray(v)[:count] for key, v in carry[1].items()}
        means = {key: float(v.mean()) for key, v in rows.items()}
        recorder.metrics(
          done, {f'{name}/{key}': value for key, value in means.items()}
        )
        for key, value in means.items():
          if not math.isfinite(value):
            raise ValueError(
              f'{name}: {key} is {value} at step {done}, expected a finite '
              'number; start again with --overwrite and a smaller learning rate'
            )
      if done in milestones:  # before the checkpoint that follows it
        make = functools.partial(kept_arrays, carry[0])
        recorder.once(_milestone(name, done), make)
      seconds = np.float64(time.perf_counter() - begun)
      now = np.int64(done), seconds, carry
      last = stop is not None and not done % log_every and bool(stop(carry[0]))
      yield loop.Chunk(done, now, result=now, last=last)

  def run() -> dict[str, np.ndarray]:
    _, seconds, (final, _) = loop.resumable(recorder, name, chunks, steps)
    return {'seconds': seconds, **kept_arrays(final)}

  def kept_arrays(state: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree.leaves_with_path(keep(state))
    return {_path(path): _plain(value) for path, value in leaves}

  def restored(arrays: Mapping[str, np.ndarray]) -> Any:
    return jax.tree.map_with_path(
      lambda path, leaf: jnp.asarray(arrays[_path(path)], leaf.dtype),
      jax.eval_shape(keep, state),
    )

  def lost() -> dict[str, np.ndarray]:
    raise ValueError(
      f'{name}: a milestone has been removed; start again with --overwrite'
    )

  arrays = loop.once(recorder, name, run)
  kept = {at: recorder.once(_milestone(name, at), lost) for at in milestones}
  return Training(
    restored(arrays),
    float(arrays['seconds']),
    {at: restored(each) for at, each in kept.items()},
  )


def _step(
  train_step: Callable[[Any, Any, Array], tuple[Any, Mapping[str, Array]]],
  carry: tuple[Any, Any],
  data: Any,
  step: Array,
  log_every: int,
) -> tuple[Any, Any]:
  """State after a step, and its metrics among those of the last steps."""
  state, window = carry
  state, metrics = train_step(state, data, step)
  at = step % log_every
  return state, {key: window[key].at[at].set(metrics[key]) for key in window}


_advance = jax.jit(_step, static_argnames='log_every')


def _milestone(name: str, step: int) -> str:
  return f'{name}_{step:06d}'


def _strong(path: tuple[Any, ...], leaf: Any) -> Array:
  """The leaf as an array whose type does not depend on what it meets."""
  if jnp.issubdtype(getattr(leaf, 'dtype', float), jax.dtypes.prng_key):
    raise ValueError(
      f'state: {jax.tree_util.keystr(path)} is a random key, expected its '
      'jax.random.key_data'
    )
  return jnp.asarray(leaf, jnp.result_type(leaf))


def _check_metrics(metrics: Mapping[str, Any]) -> None:
  for key, value in metrics.items():
    if value.shape or '/' in key:
      raise ValueError(
        f'train_step: got the metric {key!r} of shape {value.shape}, expected '
        'one number, and no slash in its name'
      )


def _restored(name: str, like: Any, leaves: list[np.ndarray]) -> Any:
  """The state of a checkpoint, if it has the shapes and types of ``like``."""
  kinds = [
    [(np.shape(leaf), jnp.result_type(leaf)) for leaf in each]
    for each in (jax.tree.leaves(like), leaves)
  ]
  if kinds[0] != kinds[1]:
    raise ValueError(
      f'{name}: its checkpoint is of another state; start again with '
      '--overwrite'
    )
  return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _plain(value: Array) -> np.ndarray:
  """An array of a type that NumPy's files know; bfloat16 as float32."""
  return np.asarray(
    value.astype(np.float32) if value.dtype == jnp.bfloat16 else value
  )


def _path(keys: tuple[Any, ...]) -> str:
  return f'result/{jax.tree_util.keystr(keys, simple=True, separator="/")}'
