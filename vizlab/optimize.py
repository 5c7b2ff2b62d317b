"""The one loop: every image that is optimized goes through `run`.

It maximises ``score(augment(key, image)) - penalty(image)`` over the parameters
``z`` of ``image = decode(z)``. To minimise a distance, give its negative.
"""

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from vizlab.objectives.base import Objective, check_score
from vizlab.trees import as_pytree, finite, where
from vizlab.types import Array, Augment, ImageParam, ScoreFn, whole

__all__ = ['Progress', 'Optimizer', 'State', 'adam', 'final', 'run']

_LIKE = jnp.shape, jnp.result_type
Optimizer = (
  optax.GradientTransformation | Callable[[], optax.GradientTransformation]
)


class State(NamedTuple):
  """State of a run: arrays, which can be saved and resumed from.

  Attributes:
    z: The parameters of the images.
    optimizer: The state of the optimizer, for each image.
    step: int32 ``[]``, steps done.
    failed: int32 ``[...]``, the step at which an image's score, gradient or
      parameters were not finite, or -1. Such an image stays as it was before.
  """

  z: Any
  optimizer: Any
  step: Array
  failed: Array


class Progress(NamedTuple):
  """Snapshot of a run, yielded after each chunk.

  Attributes:
    step: Steps done.
    image: ``[..., H, W, C]``, the images now.
    scores: ``[n, ...]``, the scores at each of the chunk's ``n`` steps, of the
      images as they were seen, before the step was taken.
    penalties: ``[n, ...]``, likewise.
    failed: int ``[...]``, as in `State`.
    state: `run` resumes from it.
  """

  step: int
  image: Array
  scores: np.ndarray
  penalties: np.ndarray
  failed: np.ndarray
  state: State


class _Problem(NamedTuple):
  """Constants of a run; a pytree."""

  score: ScoreFn
  image: ImageParam
  optimizer: Callable[[], optax.GradientTransformation]
  penalty: Callable[[Array], Array] | None
  augment: Augment | None
  draws: np.ndarray  # [n]; one per draw


@dataclasses.dataclass(frozen=True)
class _Fixed:
  """An optimizer that is made already; the same one is the same program."""

  optimizer: optax.GradientTransformation

  def __call__(self) -> optax.GradientTransformation:
    return self.optimizer


def adam(learning_rate: float | Array = 0.05) -> Partial:
  """Adam as an optimizer; another learning rate runs the same program."""
  return Partial(optax.adam, learning_rate)


def run(
  score: ScoreFn,
  image: ImageParam,
  key: Array,
  *,
  steps: int = 512,
  optimizer: Optimizer | None = None,
  penalty: Callable[[Array], Array] | None = None,
  augment: Augment | None = None,
  draws: int = 1,
  chunk: int = 32,
  state: State | Sequence[Array] | None = None,
) -> Iterator[Progress]:
  """Maximises ``score(augment(key, image)) - penalty(image)``.

  The images of a batch are independent, unless the score compares them.
  Randomness at a step is ``fold_in(key, step)``, and of its draws after the
  first ``fold_in`` of that by their index: the result does not depend on the
  chunk, and a run that resumes from a saved state equals an uninterrupted
  one. All but ``steps`` and ``chunk`` are values: for other weights, targets,
  penalties and learning rates of a `Partial` the same program runs.

  Args:
    score: ``[..., H, W, C] -> [...]``, maximised.
    image: How images are parameterised: `vizlab.synthesis.fourier` ...
    key: A JAX random key, for the start and for ``augment``.
    steps: Steps in all, those of ``state`` included.
    optimizer: An `optax.GradientTransformation`, or a function that makes one.
      As a ``jax.tree_util.Partial``, such as `adam` gives, its arguments are
      traced. Optimizers may read ``value`` and ``grad`` of what is minimised; a
      line search takes a single image ``[H, W, C]`` only.
    penalty: ``image -> [...]``; see `vizlab.penalties`.
    augment: ``(key, image) -> image``; see `vizlab.synthesis`.
    draws: Draws of ``augment`` that score and gradient are the mean over at
      each step (Athalye et al. 2018), one by one: memory hardly grows.
    chunk: Steps between two reports; one compiled program takes them all.
    state: Where to go on: that of an earlier `Progress`, or its arrays.

  Yields:
    A `Progress` after each chunk. To stop early, stop iterating. It ends before
    ``steps`` when no image is finite any more.

  Raises:
    ValueError: Fewer than one step or draw, draws of no augment, a state of
      another problem, or a score or penalty that is not one number per image.
  """
  steps, chunk = whole(steps, 'steps'), whole(chunk, 'chunk')
  if whole(draws, 'draws') > 1 and augment is None:
    raise ValueError(f'draws: got {draws} without an augment, expected 1')
  optimizer = adam() if optimizer is None else optimizer
  if isinstance(optimizer, optax.GradientTransformation):
    optimizer = _Fixed(optimizer)
  parts = (score, image, optimizer, penalty, augment)
  problem = _Problem(*map(_value, _Problem._fields, parts), np.arange(draws))
  begin = _like(problem, key)
  state = _start(problem, key) if state is None else _checked(state, begin)
  return _chunks(problem, key, state, steps, chunk)


def final(progress: Iterable[Progress]) -> Progress:
  """The last one of a run: ``final(run(...)).image``."""
  last = collections.deque(progress, maxlen=1)
  if not last:
    raise ValueError('progress: got none, expected a run with steps to take')
  return last[0]


def _chunks(
  problem: _Problem, key: Array, state: State, steps: int, chunk: int
) -> Iterator[Progress]:
  step = int(state.step)
  while step < steps and (np.asarray(state.failed) < 0).any():
    count = min(chunk, steps - step)
    state, scores, penalties, image = _advance(
      problem, key, state, count, chunk
    )
    step += count
    scores, penalties = (np.asarray(v)[:count] for v in (scores, penalties))
    failed = np.asarray(state.failed)
    yield Progress(step, image, scores, penalties, failed, state)


@functools.partial(jax.jit, static_argnames='chunk')
def _advance(
  problem: _Problem, key: Array, state: State, count: Array, chunk: int
) -> tuple[State, Array, Array, Array]:
  """``count`` steps, at most ``chunk``; scores, penalties, and the images."""
  logs = jnp.zeros((2, chunk, *state.failed.shape))

  def body(i: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
    state, logs = carry
    state, values = _step(problem, key, state)
    return state, logs.at[:, i].set(jnp.stack(values))

  # The number of steps is traced: a shorter last chunk is no new program.
  state, logs = jax.lax.fori_loop(0, count, body, (state, logs))
  return state, logs[0], logs[1], problem.image.decode(state.z)


def _step(
  problem: _Problem, key: Array, state: State
) -> tuple[State, tuple[Array, Array]]:
  """One step, and the score and penalty before it."""
  keys = _keys(problem, jax.random.fold_in(key, state.step))
  lead = state.failed.shape

  def loss(z: Any, key: Array) -> tuple[Array, tuple[Array, ...]]:
    image = problem.image.decode(z)
    viewed = image if problem.augment is None else problem.augment(key, image)
    score = problem.score(viewed)
    free = problem.penalty is None
    penalty = jnp.zeros(lead) if free else problem.penalty(image)
    check_score(score, image)
    check_score(penalty, image, 'penalty')
    value = penalty - score
    return value.sum(), (value, score, penalty)

  def mean(f: Callable[..., Any], z: Any) -> Any:
    # One draw after the other: in memory are the activations of one.
    each = jax.lax.map(functools.partial(f, z), keys)
    return jax.tree.map(lambda x: x.mean(0), each)

  differentiate = jax.value_and_grad(loss, has_aux=True)
  (_, (value, score, penalty)), grad = mean(differentiate, state.z)
  tx = optax.with_extra_args_support(problem.optimizer())

  def value_fn(z: Any) -> Array:
    if lead:
      raise ValueError(
        'optimizer: a line search evaluates the function by itself, so it '
        f'takes one image [H, W, C], and there are {lead}; give linesearch=None'
      )
    return mean(loss, z)[0]

  def update(grad: Any, memory: Any, z: Any, value: Array) -> tuple[Any, Any]:
    # optax is not made for strict dtype promotion; images and scores are.
    with jax.numpy_dtype_promotion('standard'):
      updates, memory = tx.update(
        grad, memory, z, value=value, grad=grad, value_fn=value_fn
      )
      return optax.apply_updates(z, updates), memory

  for _ in lead:
    update = jax.vmap(update)
  z, memory = update(grad, state.optimizer, state.z, value)
  # A step that is not finite is not taken, and none after it.
  good = finite((value, grad, z), lead) & (state.failed < 0)
  failed = jnp.where((state.failed < 0) & ~good, state.step, state.failed)
  z, memory = where(good, (z, memory), (state.z, state.optimizer))
  return State(z, memory, state.step + 1, failed), (score, penalty)


def _keys(problem: _Problem, key: Array) -> Array:
  """A key for each draw of a step; the first one is the step's own."""
  # Unlike the keys of an augment's parts, which are folded from small numbers.
  later = (2**31 - i for i in range(1, len(problem.draws)))
  return jnp.stack([key, *(jax.random.fold_in(key, i) for i in later)])


@jax.jit
def _start(problem: _Problem, key: Array) -> State:
  # Unlike all keys of steps, which are folded from smaller numbers.
  z = problem.image.init(jax.random.fold_in(key, 2**31 - 1))
  lead = problem.image.decode(z).shape[:-3]
  init = problem.optimizer().init
  for _ in lead:
    init = jax.vmap(init)
  return State(z, init(z), jnp.int32(0), jnp.full(lead, -1, jnp.int32))


def _like(problem: _Problem, key: Array) -> State:
  """The shapes of a state; raises if the parts do not fit together."""
  state = jax.eval_shape(_start, problem, key)
  lead = state.failed.shape
  if math.prod(lead) == 0:
    raise ValueError(f'image: gave a batch of shape {lead}, expected some')
  for leaf in jax.tree.leaves(state.z):
    if leaf.shape[: len(lead)] != lead:
      raise ValueError(
        f'image: its parameters have shape {leaf.shape}, expected the batch '
        f'{lead} first'
      )
  # Not an argument: a channel that is not there is an error while it is known.
  jax.eval_shape(functools.partial(_step, problem, key), state)
  return state


def _checked(state: Any, like: State) -> State:
  """A state that was saved, if it is of this problem."""
  leaves, (want, tree) = jax.tree.leaves(state), jax.tree.flatten(like)
  shapes, kinds = ([list(map(f, v)) for v in (leaves, want)] for f in _LIKE)
  if shapes[0] != shapes[1] or kinds[0] != kinds[1]:
    raise ValueError(
      'state: its shapes are not of these images and this optimizer'
    )
  return tree.unflatten(map(jnp.asarray, leaves))


def _value(name: str, part: Any) -> Any:
  """A part as a pytree, if it is a function where one is needed."""
  wrong = not callable(part) or isinstance(part, Objective)
  if wrong and name != 'image' and part is not None:
    raise ValueError(
      f'{name}: got {part!r}, expected a function, as score(net, objective) is'
    )
  return as_pytree(part)
