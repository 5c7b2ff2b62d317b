"""The precision in which the layers of a network compute."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from vizlab.nets.network import Network, get_params, with_params
from vizlab.types import Array

__all__ = ['check_dtype', 'with_dtype']

DTYPES = 'float32', 'bfloat16', 'float16'
_Params = dict[str, dict[str, Array]]


def with_dtype(net: Network, dtype: Any) -> Network:
  """Returns a copy of a network whose layers compute in a dtype.

  It holds its parameters in that dtype. Images, logits, activations and their
  gradients remain float32, so every method works as before, only less exactly.
  Parameters take half of the memory, and an accelerator takes less time.

  bfloat16 has the range of float32 and three significant digits. float16 has
  four, but numbers above 65,504 overflow, and those below 6e-8, such as the
  gradients of small losses, become zero.

  Args:
    net: The network. Tile it afterwards, see `vizlab.nets.tiled`.
    dtype: ``'bfloat16'``, ``'float16'`` or ``'float32'``.

  Raises:
    ValueError: ``dtype`` is another one, ``net`` is not of vizlab's layers, or
      a parameter is outside of the range.

  >>> from vizlab import nets
  >>> net = nets.with_dtype(nets.load('minivgg'), 'bfloat16')
  >>> net.params['fc']['bias'].dtype
  dtype(bfloat16)
  """
  name = check_dtype(dtype)
  if not isinstance(net, Network):
    raise ValueError(
      f'net: got a {type(net).__name__}, expected a network of vizlab, not '
      'tiled; a model of your own computes in the dtype that it was written for'
    )
  params, lost = _cast(get_params(net), name)
  for layer, each in lost.items():
    for parameter, some in each.items():
      if not isinstance(some, jax.core.Tracer) and some:
        raise ValueError(
          f'net: {layer}/{parameter} has numbers that {name} cannot hold'
        )
  new = with_params(net, params)
  object.__setattr__(new, 'dtype', name)
  return new


def check_dtype(dtype: Any) -> str:
  """Name of a dtype; raises a `ValueError` if networks do not compute in it."""
  name = getattr(dtype, 'name', getattr(dtype, '__name__', dtype))
  if name not in DTYPES:
    raise ValueError(f'dtype: got {dtype!r}, expected one of {DTYPES}')
  return name


@functools.partial(jax.jit, static_argnames='dtype')
def _cast(params: _Params, dtype: str) -> tuple[_Params, _Params]:
  """Parameters in a dtype, and whether it cannot hold some of each."""

  def lost(old: Array, new: Array) -> Array:
    return (jnp.isfinite(old) & ~jnp.isfinite(new)).any()

  new = jax.tree.map(lambda old: old.astype(dtype), params)
  return new, jax.tree.map(lost, params, new)
