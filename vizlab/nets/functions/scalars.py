"""Functions of single numbers: operations in NumPy, and those with a name.

NumPy computes with numbers at any time, also while JAX traces a function.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal
from scipy import special

from vizlab.nets.functions.steps import inner_jaxprs

__all__ = ['AFFINE', 'OTHER', 'apply_scalar', 'is_scalar', 'kind_of']

AFFINE, OTHER = 'affine', 'other'

_ONE: dict[str, Callable[..., Any]] = {
  'abs': np.abs,
  'cbrt': np.cbrt,
  'ceil': np.ceil,
  'copy': np.copy,
  'cos': np.cos,
  'cosh': np.cosh,
  'erf': special.erf,
  'erfc': special.erfc,
  'erf_inv': special.erfinv,
  'exp': np.exp,
  'exp2': np.exp2,
  'expm1': np.expm1,
  'floor': np.floor,
  'is_finite': np.isfinite,
  'log': np.log,
  'log1p': np.log1p,
  'logistic': special.expit,
  'neg': np.negative,
  'not': np.logical_not,
  'round': np.round,
  'rsqrt': lambda x: 1 / np.sqrt(x),
  'sign': np.sign,
  'sin': np.sin,
  'sinh': np.sinh,
  'sqrt': np.sqrt,
  'square': np.square,
  'stop_gradient': np.copy,
  'tan': np.tan,
  'tanh': np.tanh,
}
_MORE: dict[str, Callable[..., Any]] = {
  'add': np.add,
  'add_any': np.add,
  'and': np.logical_and,
  'atan2': np.arctan2,
  'clamp': lambda low, x, high: np.clip(x, low, high),
  'div': np.divide,
  'eq': np.equal,
  'ge': np.greater_equal,
  'gt': np.greater,
  'le': np.less_equal,
  'lt': np.less,
  'max': np.maximum,
  'min': np.minimum,
  'mul': np.multiply,
  'ne': np.not_equal,
  'or': np.logical_or,
  'pow': np.power,
  'rem': np.fmod,
  'select_n': lambda which, *cases: np.choose(np.asarray(which, int), cases),
  'sub': np.subtract,
}
_OPERATIONS = {**_ONE, **_MORE}
_SHAPES = frozenset(
  ('broadcast_in_dim', 'convert_element_type', 'pcast', 'pvary', 'reshape')
)
_CALLS = frozenset(('jit', 'pjit', 'custom_jvp_call', 'custom_vjp_call'))

_SELU = 1.0507009873554805, 1.6732632423543772


def _elu(x: np.ndarray) -> np.ndarray:
  return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _softplus(x: np.ndarray) -> np.ndarray:
  return np.logaddexp(x, 0)


def _gelu(x: np.ndarray) -> np.ndarray:
  return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


def _hard_sigmoid(x: np.ndarray) -> np.ndarray:
  return np.clip(x + 3, 0, 6) / 6


_NAMED: tuple[tuple[str, Callable[[np.ndarray], np.ndarray]], ...] = (
  ('relu', lambda x: np.maximum(x, 0)),
  ('relu6', lambda x: np.clip(x, 0, 6)),
  ('elu', _elu),
  (
    'selu',
    lambda x: _SELU[0] * np.where(x > 0, x, _SELU[1] * _elu(x)),
  ),
  ('gelu', _gelu),
  ('gelu', lambda x: x * (1 + special.erf(x / np.sqrt(2))) / 2),
  ('silu', lambda x: x * special.expit(x)),
  ('hard_silu', lambda x: x * _hard_sigmoid(x)),
  ('mish', lambda x: x * np.tanh(_softplus(x))),
  ('sigmoid', special.expit),
  ('hard_sigmoid', _hard_sigmoid),
  ('tanh', np.tanh),
  ('hard_tanh', lambda x: np.clip(x, -1, 1)),
  ('softplus', _softplus),
  ('log_sigmoid', lambda x: -_softplus(-x)),
  ('soft_sign', lambda x: x / (1 + abs(x))),
  ('abs', np.abs),
  ('square', np.square),
  ('exp', np.exp),
)
# Also numbers so large or small that only a clip or a guard of a denominator
# tells them from others.
_FAR = [1e-8, 1e-6, 1e-4, 1e-2, 12, 30, 1e2, 300, 1e3, 1e4, 1e6]
_GRID = np.concatenate([np.linspace(-7, 7, 57), _FAR, np.negative(_FAR)])


def is_scalar(eqn: JaxprEqn) -> bool:
  """Tells if each number of the result depends on one of each argument."""
  name = eqn.primitive.name
  if name in ('custom_jvp_call', 'custom_vjp_call') and len(eqn.outvars) == 1:
    shape = eqn.outvars[0].aval.shape
    return all(_body_is_scalar(each, shape) for each in inner_jaxprs(eqn))
  if name == 'convert_element_type':  # of a mask; others change the precision
    return eqn.invars[0].aval.dtype == bool
  return name in _OPERATIONS or name == 'integer_pow'


def _body_is_scalar(closed: ClosedJaxpr, shape: tuple[int, ...]) -> bool:
  if closed.consts:
    return False
  for eqn in closed.jaxpr.eqns:
    shapes = {var.aval.shape for var in (*eqn.invars, *eqn.outvars)}
    name = eqn.primitive.name
    if name in _CALLS:
      inside = inner_jaxprs(eqn)
      fits = all(_body_is_scalar(each, shape) for each in inside)
    else:
      fits = name in _SHAPES or is_scalar(eqn)
    if not fits or not shapes <= {(), shape}:
      return False
  return True


def apply_scalar(eqn: JaxprEqn, values: Sequence[Any]) -> Any:
  """The result of an equation for numbers; shapes in it do not count.

  ``None`` if it is no function of single numbers.
  """
  name = eqn.primitive.name
  with np.errstate(all='ignore'):
    if name in _SHAPES:
      return np.asarray(values[0]).astype(eqn.outvars[0].aval.dtype)
    if name == 'integer_pow':
      return values[0] ** eqn.params['y']
    if name in _OPERATIONS:
      return _OPERATIONS[name](*values)
    if name not in _CALLS:
      return None
  (closed, *_) = inner_jaxprs(eqn)
  known = dict(zip(closed.jaxpr.invars, values, strict=True))

  def read(var: Any) -> Any:
    return var.val if isinstance(var, Literal) else known[var]

  for each in closed.jaxpr.eqns:
    out = apply_scalar(each, [read(var) for var in each.invars])
    known[each.outvars[0]] = out
  return read(closed.jaxpr.outvars[0])


def kind_of(function: Callable[[np.ndarray], Any]) -> str:
  """Name of a function by its values; `AFFINE`, or `OTHER` without a name."""
  with np.errstate(all='ignore'):
    values = np.broadcast_to(function(_GRID), _GRID.shape).astype(float)
    offset = float(function(0.0))
    slope = float(function(1.0)) - offset
    if _equal(values, slope * _GRID + offset, abs(slope) + abs(offset)):
      return AFFINE
    for name, known in _NAMED:
      if _equal(values, known(_GRID)):
        return name
    ratio = values[0] / _GRID[0]
    if _equal(values, np.where(_GRID > 0, 1, ratio) * _GRID):
      return 'leaky_relu'
  return OTHER


def _equal(values: np.ndarray, others: np.ndarray, size: float = 1.0) -> bool:
  # Constants of the functions have the precision of float32.
  return np.allclose(values, others, rtol=1e-4, atol=1e-9 * size)
