"""Terms: functions with settings that are pytrees, and their arithmetic.

An objective, a penalty or an augmentation is one decorated function. Its first
parameters are its inputs, the others its settings, and the decorator makes of
it a function of the settings alone: ``channel(layer, 7)`` is then a function of
``(logits, acts)``. Numbers and arrays among the settings are leaves of the
pytree, so that other ones never recompile; names, flags and functions are
structure, and so is an ``int`` that `vizlab.types.whole` returned.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, number, pytree_dataclass

__all__ = ['Term', 'at_least', 'decorator', 'numbers']

Convert = Callable[[Any, str], Any]


class Term:
  """Base of what adds, subtracts, and multiplies with numbers.

  A class that derives from it with a ``kind`` is the base of one kind of terms:
  it has the classes ``Sum``, ``Scaled`` and ``Applied``, and terms of two kinds
  do not mix.
  """

  kind: ClassVar[str]
  Sum: ClassVar[type]
  Scaled: ClassVar[type]
  Applied: ClassVar[type]
  # numpy leaves `array * term` to us instead of making object arrays.
  __array_ufunc__ = None

  def __init_subclass__(cls, kind: str = '', **settings: Any) -> None:
    """Makes the sums, multiples and functions of a kind."""
    super().__init_subclass__(**settings)
    if kind:
      cls.kind = kind
      cls.Sum, cls.Scaled = _sum(cls), _scaled(cls)
      cls.Applied = _applied(cls)

  def __call__(self, *inputs: Any) -> Array:
    """Returns one number per image."""
    raise NotImplementedError

  def __add__(self, other: 'Term') -> 'Term':
    return self.Sum(self, self._same_kind(other))

  def __sub__(self, other: 'Term') -> 'Term':
    return self.Sum(self, -self._same_kind(other))

  def __mul__(self, weight: float | Array) -> 'Term':
    return self.Scaled(number(weight, 'weight'), self)

  __rmul__ = __mul__

  def __neg__(self) -> 'Term':
    return self * -1.0

  def _same_kind(self, other: Any) -> 'Term':
    if getattr(other, 'kind', None) != self.kind:
      raise ValueError(f'other: got {other!r}, expected {self.kind} to add')
    return other


def _sum(base: type) -> type:
  @pytree_dataclass
  class Sum(base):
    """``first + second``."""

    first: Any
    second: Any

    def __call__(self, *inputs: Any) -> Array:
      """Adds the two."""
      return self.first(*inputs) + self.second(*inputs)

  return _placed(Sum, base)


def _scaled(base: type) -> type:
  @pytree_dataclass
  class Scaled(base):
    """``weight * inner``."""

    weight: Array
    inner: Any

    def __call__(self, *inputs: Any) -> Array:
      """Multiplies."""
      y = self.inner(*inputs)
      return jnp.asarray(self.weight).astype(y.dtype) * y

  return _placed(Scaled, base)


def _applied(base: type) -> type:
  @pytree_dataclass(static=('make',))
  class Applied(base):
    """Function with its settings.

    Attributes:
      make: The decorated function, which has the plain one as ``make.fn``.
      settings: By name; what is structure is `_Static`.
    """

    make: Callable[..., Any]
    settings: Mapping[str, Any]

    @property
    def fn(self) -> Callable[..., Any]:
      """The function of the inputs and all settings."""
      return self.make.fn

    def _values(self) -> dict[str, Any]:
      settings = vars(self).get('settings', {})  # none while it is made
      return {name: _unwrapped(value) for name, value in settings.items()}

    def __call__(self, *inputs: Any) -> Any:
      """Calls the function."""
      return self.fn(*inputs, **self._values())

    def __getattr__(self, name: str) -> Any:
      """A setting by its name."""
      values = self._values()
      if name not in values:
        raise AttributeError(f'{type(self).__name__} has no {name!r}')
      return values[name]

    def __reduce__(self) -> tuple[Any, ...]:
      return _restored, (self.make, self.settings)

    def __repr__(self) -> str:
      listed = ', '.join(f'{k}={v!r}' for k, v in self._values().items())
      return f'{self.fn.__name__}({listed})'

  return _placed(Applied, base)


def _restored(make: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
  """A function with its settings, as it was pickled."""
  return make.applied(make, settings)


def _placed(cls: type, base: type) -> type:
  """A class under the name by which it is found: ``Objective.Sum``."""
  cls.__module__ = base.__module__
  cls.__qualname__ = f'{base.__qualname__}.{cls.__name__}'
  return cls


def decorator(base: type, inputs: int) -> Callable[..., Any]:
  """Returns the decorator of the functions of one kind.

  Args:
    base: The class that the decorated functions return an instance of: a kind
      of `Term`, or any class for functions that do not add.
    inputs: Number of inputs, the first parameters of a function.

  Returns:
    ``decorate(fn=None, *, check=None, **convert)``. ``convert`` names for some
    settings a function ``(value, name) -> value`` that checks and converts; a
    number without one becomes float32. ``check`` is called with all converted
    settings by name.
  """
  applied = getattr(base, 'Applied', None) or _applied(base)

  def decorate(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    check: Callable[..., None] | None = None,
    **convert: Convert,
  ) -> Any:
    if fn is None:
      return functools.partial(decorate, check=check, **convert)
    signature = inspect.signature(fn)
    settings = signature.replace(
      parameters=[*signature.parameters.values()][inputs:],
      return_annotation=base,
    )

    @functools.wraps(fn)
    def make(*args: Any, **kwargs: Any) -> Any:
      bound = settings.bind(*args, **kwargs)
      bound.apply_defaults()
      values = {
        name: convert.get(name, _converted)(value, name)
        for name, value in bound.arguments.items()
      }
      if check:
        check(**values)
      return applied(make, {k: _wrapped(v) for k, v in values.items()})

    del make.__wrapped__  # it has another signature
    make.__signature__ = settings
    make.applied, make.fn = applied, fn
    return make

  return decorate


def at_least(least: float) -> Convert:
  """Conversion to float32 that raises `ValueError` below ``least``."""
  return functools.partial(number, least=least)


def numbers(tree: Any, name: str) -> Any:
  """Conversion of every leaf of a pytree to float32."""
  return jax.tree.map(lambda leaf: number(leaf, name), tree)


def _converted(value: Any, name: str) -> Any:
  """A number, or a list of some, as float32; anything else as it is."""
  if isinstance(value, np.bool_):
    return bool(value)
  if isinstance(value, int | float | list | np.ndarray | np.generic):
    if np.asarray(value).dtype.kind in 'iuf' and np.size(value):
      return number(value, name)
  return value


@pytree_dataclass(static=('value',))
class _Static:
  """Pytree without leaves: a name, a flag, a function."""

  value: Any


def _wrapped(value: Any) -> Any:
  """A setting whose parts are arrays, pytrees, or `_Static`."""
  if type(value) in (tuple, list):
    return tuple(map(_wrapped, value))
  # A function that is a pytree, such as a term or a Partial, has leaves.
  function = callable(value) and jax.tree_util.all_leaves([value])
  if value is None or isinstance(value, str | bool | int) or function:
    return _Static(value)
  return value


def _unwrapped(value: Any) -> Any:
  if type(value) is tuple:
    return tuple(map(_unwrapped, value))
  return value.value if isinstance(value, _Static) else value
