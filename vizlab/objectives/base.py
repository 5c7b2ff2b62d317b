"""Objectives as values, their arithmetic, and `score`.

An objective maps ``(logits, acts)`` to one number per image, for any leading
batch. It is a pytree: numbers in it (a target, a weight) are leaves, names of
layers are structure. So it is an argument of a jitted function, and another
target never recompiles.
"""

import contextlib
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import rules as rules_lib
from vizlab.lookup import check_name
from vizlab.objectives.contract import run_net
from vizlab.terms import Term, decorator
from vizlab.trees import as_pytree
from vizlab.types import Acts, Array, Edits, Net, pytree_dataclass

__all__ = [
  'Objective',
  'Score',
  'activation',
  'at_position',
  'batch_rank',
  'beside',
  'check_score',
  'feature_map',
  'for_each',
  'index',
  'objective',
  'pick',
  'score',
]


class Objective(Term, kind='an objective'):
  """Function ``(logits, acts) -> [...]``, one number per image.

  Objectives add, subtract, and multiply with numbers (or with one number per
  image). `objective` makes one of a function; a class of one's own derives from
  this one and is a `vizlab.types.pytree_dataclass`.

  >>> from vizlab.objectives import channel, logit
  >>> difference = logit(243) - 0.5 * channel('relu5_3', 7)
  """

  def __call__(self, logits: Array | None, acts: Acts) -> Array:
    """Returns one number per image."""
    raise NotImplementedError


def objective(fn: Callable[..., Array] | None = None, /, **convert: Any) -> Any:
  """Makes an objective of a function ``(logits, acts, *settings) -> [...]``.

  Args:
    fn: The function; ``None`` for a decorator with arguments.
    **convert: For some settings a function ``(value, name) -> value`` that
      checks and converts when the objective is made, such as `index`. Numbers
      become float32 without one.

  Returns:
    A function of the settings alone that returns an `Objective`.

  >>> from vizlab.objectives import objective
  >>> @objective
  ... def sparsity(logits, acts, layer, weight=1.0):
  ...   return -weight * abs(acts[layer]).mean((-3, -2, -1))
  >>> both = sparsity('relu3_2', 0.1) + sparsity('relu4_2')
  """
  return _decorate(fn, **convert)


_decorate = decorator(Objective, 2)


@pytree_dataclass
class Score:
  """A net and an objective as one function of an image; made by `score`.

  It is a pytree, so it is an argument of a jitted function like any array: new
  weights and new targets run the same program.
  """

  net: Net
  objective: Any

  def __call__(self, x: Array, edits: Edits | None = None) -> Any:
    """Scores images ``[..., H, W, 3]``: ``[...]``, or a dict of them."""
    return self.read(*self.run(x, edits))

  def run(
    self, x: Array, edits: Edits | None = None
  ) -> tuple[Array | None, Acts]:
    """Runs the net, checked; see `vizlab.objectives.contract.run_net`."""
    return run_net(self.net, x, edits)

  def read(self, logits: Array | None, acts: Acts) -> Any:
    """The objective of what a net gave: ``[...]``, or a dict of them."""
    if isinstance(self.objective, Mapping):
      return {k: each(logits, acts) for k, each in self.objective.items()}
    return self.objective(logits, acts)

  def with_rules(self, **rules: Callable) -> 'Score':
    """The same score with other rules in its net; see `vizlab.rules`."""
    return Score(rules_lib.with_rules(self.net, **rules), self.objective)


def score(net: Net, objective: Objective | Mapping[str, Objective]) -> Score:
  """The function ``x -> objective(net(x))``.

  Args:
    net: A net: ``net(x, edits=None) -> (logits, acts)``.
    objective: What is read: an `Objective`, any function ``(logits, acts) ->
      [...]`` that is a pytree, or a dict of them, which gives a dict of scores.

  Returns:
    A callable ``[..., H, W, 3] -> [...]`` that is a pytree.

  >>> import jax
  >>> from vizlab import nets
  >>> from vizlab.objectives import logit, score
  >>> images = jax.numpy.zeros((2, 96, 96, 3))
  >>> score(nets.load('minivgg'), logit(3))(images).shape
  (2,)
  """
  parts = objective.values() if isinstance(objective, Mapping) else [objective]
  for part in (net, *parts):
    if not callable(part):
      raise ValueError(
        f'objective: got {part!r}, expected an objective such as logit(243)'
      )
  # A plain function as a pytree, so that `jax.jit` takes the score; any other
  # object may have more than a call, such as rules.
  function = isinstance(net, types.FunctionType)
  return Score(as_pytree(net) if function else net, objective)


def index(value: Any, name: str) -> np.ndarray | Array:
  """An int32 leaf; tracers and arrays pass as they are."""
  array = value if isinstance(value, jax.Array) else np.asarray(value)
  if not jnp.issubdtype(array.dtype, jnp.integer):
    raise ValueError(f'{name}: got {value!r}, expected integers')
  if isinstance(array, jax.Array):
    return array
  limits = np.iinfo(np.int32)
  if array.size and not limits.min <= array.min() <= array.max() <= limits.max:
    raise ValueError(f'{name}: got {value!r}, expected 32-bit integers')
  return array.astype(np.int32)


def pick(values: Array, i: Array, name: str) -> Array:
  """``values[..., i]`` with one index for all, or one per image.

  Args:
    values: ``[..., K]``.
    i: int, ``[]`` or of a shape that broadcasts to ``[...]``.
    name: Of the argument, for errors.

  Returns:
    ``[...]``.

  Raises:
    ValueError: An index is outside ``[0, K)``, or the shapes do not match. A
      traced index (an argument of a jitted function) cannot be checked: there
      the result is NaN.
  """
  size, batch = values.shape[-1], values.shape[:-1]
  with contextlib.suppress(jax.errors.TracerArrayConversionError):
    known = np.atleast_1d(np.asarray(i))
    wrong = known[(known < 0) | (known >= size)]
    if wrong.size:
      raise ValueError(f'{name}: got {wrong[0]}, expected 0 to {size - 1}')
  try:
    where = jnp.broadcast_to(jnp.asarray(i), batch)[..., None]
  except ValueError as error:
    raise ValueError(
      f'{name}: got shape {jnp.shape(i)}, expected one number, or one per '
      f'image ({batch})'
    ) from error
  where = jnp.where(where < 0, size, where)  # or it would count from the end
  return jnp.take_along_axis(values, where, axis=-1, mode='fill')[..., 0]


def activation(acts: Acts, layer: str) -> Array:
  """The activation of a layer, or a `ValueError` that lists the layers."""
  check_name('layer', layer, acts)
  return acts[layer]


def beside(target: Array, value: Array) -> Array:
  """A target of the value's dtype, with axes of 1 for a batch it is without."""
  target = target.reshape((1,) * (value.ndim - target.ndim) + target.shape)
  return jnp.asarray(target).astype(value.dtype)


def check_score(y: Array, x: Array, name: str = 'score') -> None:
  """Raises a `ValueError` unless ``y`` is one number per image of ``x``."""
  if not hasattr(y, 'shape'):
    raise ValueError(
      f'{name}: gave a {type(y).__name__}, expected one number per image: '
      f'{x.shape[:-3]}'
    )
  if jnp.shape(y) != x.shape[:-3]:
    raise ValueError(
      f'{name}: gave shape {jnp.shape(y)} for images {x.shape}, expected one '
      f'number per image: {x.shape[:-3]}'
    )


def feature_map(acts: Acts, layer: str) -> Array:
  """The map of a layer, or a `ValueError` if it gives a vector."""
  a = activation(acts, layer)
  if a.ndim < 3:
    raise ValueError(
      f'layer: {layer!r} gives a vector, expected a map; use neuron(layer, '
      'channel)'
    )
  return a


def at_position(a: Array, row: Array, column: Array) -> Array:
  """The vector of a map at one position, ``[..., H, W, C] -> [..., C]``.

  Args:
    a: Maps.
    row: int, one for all images or one for each.
    column: int, one for all images or one for each.

  Raises:
    ValueError: The position is concrete and outside of the map.
  """
  rows = pick(jnp.moveaxis(a, -3, -1), for_each(row, 2), 'row')
  return pick(rows.swapaxes(-1, -2), for_each(column, 1), 'column')


def for_each(i: Array, axes: int) -> Array:
  """An index per image, made to broadcast over ``axes`` further axes."""
  return i if jnp.ndim(i) == 0 else i[(..., *(None,) * axes)]


def batch_rank(a: Array, logits: Array | None, layer: str) -> int:
  """The number of leading axes of an activation that are the batch."""
  rank = a.ndim - 3 if logits is None else logits.ndim - 1
  if rank < 0:
    raise ValueError(
      f'layer: {layer!r} gives a vector of a net without logits, so its '
      'leading batch is unknown; read a map'
    )
  return rank
