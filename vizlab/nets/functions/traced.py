"""A function without its arrays, and the programs that it is traced to."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import errors

from vizlab.nets.functions.program import Program, analyse
from vizlab.types import Array

__all__ = ['TracedFunction', 'is_array']

# Collections of Linen and Haiku, and values in variables of NNX, which say
# nothing about the module.
_COLLECTIONS = frozenset(('params', 'batch_stats', 'state'))
_KEPT = 8  # programs of a function, one for each shape of images


class TracedFunction:
  """A function without its arrays; hashable.

  It has no ``__dict__``, so that nobody looks for rules in the programs.
  """

  __slots__ = (
    '_key',
    '_programs',
    'call',
    'image',
    'name',
    'paths',
    'static',
    'strict',
    'tree',
  )

  def __init__(
    self,
    call: Callable[[Any, Array], Any],
    variables: Any,
    image: jax.ShapeDtypeStruct,
    strict: bool,
    name: str,
  ) -> None:
    """Takes a function apart.

    Args:
      call: Function ``(variables, x) -> y``.
      variables: Its variables, a pytree.
      image: Shape and dtype of its images.
      strict: Whether rules for ReLUs need all activation functions.
      name: Its name.
    """
    rows, self.tree = jax.tree_util.tree_flatten_with_path(variables)
    self.call = call
    self.image = image
    self.strict = strict
    self.name = name
    # What is no array, such as an activation function in an Equinox module.
    self.static = tuple(
      _Array() if is_array(leaf) else leaf for _, leaf in rows
    )
    self.paths = tuple(_path(keys) for keys, leaf in rows if is_array(leaf))
    kinds = tuple(type(leaf) for leaf in self.static)  # 1, 1.0 and True differ
    self._key = (
      call, self.tree, self.static, kinds, image.shape, image.dtype, strict,
    )  # fmt: skip
    self._programs: dict[Any, Program] = {}

  def __eq__(self, other: object) -> bool:
    return isinstance(other, TracedFunction) and self._key == other._key

  def __hash__(self) -> int:
    return hash(self._key)

  def __call__(self, arrays: Sequence[Array], x: Array) -> Array:
    """Calls the function with arrays put back among its variables."""
    given = iter(arrays)
    leaves = [
      next(given) if isinstance(leaf, _Array) else leaf for leaf in self.static
    ]
    try:
      out = self.call(jax.tree.unflatten(self.tree, leaves), x)
    except errors.ModifyScopeVariableError as error:
      raise ValueError(
        f'fn: {self.name} changes its variables, expected a model in '
        'evaluation mode, such as use_running_average=True'
      ) from error
    if not hasattr(out, 'shape'):
      raise ValueError(
        f'fn: {self.name} returned a {type(out).__name__}, expected one array, '
        'such as logits'
      )
    return out

  def program(self, arrays: Sequence[Array], x: Array) -> Program:
    """Traces the function for arrays and images of these shapes."""
    given = (*arrays, x)
    key = (
      *map(jax.typeof, given),
      jax.config.jax_default_matmul_precision,
      jax.config.jax_enable_x64,
    )
    if key in self._programs:
      return self._programs[key]
    call = self
    if len(self.image.shape) == 3:  # it takes one image
      call = jax.vmap(self, in_axes=(None, 0))
    closed = jax.make_jaxpr(lambda *args: call(args[:-1], args[-1]))(*given)
    program = analyse(closed, self.paths)
    if not any(isinstance(c, jax.core.Tracer) for c in closed.consts):
      if len(self._programs) >= _KEPT:
        self._programs.pop(next(iter(self._programs)))
      self._programs[key] = program
    return program


class _Array:
  """Stands for an array in a tree of variables."""

  def __eq__(self, other: object) -> bool:
    return isinstance(other, _Array)

  def __hash__(self) -> int:
    return 0


def is_array(leaf: Any) -> bool:
  """Tells if a leaf of variables is an array."""
  return isinstance(leaf, jax.Array | np.ndarray)


def _path(keys: Sequence[Any]) -> str:
  """Path of a parameter: ``'Block_0/Conv_0/kernel'``."""
  text = jax.tree_util.keystr(tuple(keys), simple=True, separator='/')
  parts = [part for part in text.split('/') if part != '~']
  if len(parts) > 1 and parts[0] in _COLLECTIONS:
    parts = parts[1:]
  if len(parts) > 1 and parts[-1] == 'value':
    parts = parts[:-1]
  return '/'.join(parts)
