"""The precision in which the layers of a network compute."""

import jax.numpy as jnp

from vizlab.nets.network import Network, get_params, with_params

__all__ = ['check_dtype', 'with_dtype']

DTYPES = 'float32', 'bfloat16', 'float16'


def with_dtype(net: Network, dtype: str) -> Network:
  """Returns a copy of a network whose layers compute in a dtype.

  It holds its parameters in that dtype. Images, logits, activations and
  gradients remain float32, so every method works as before, only less exactly;
  half of the precision takes half of the memory, and on a GPU less time. A
  float16 larger than 65,504 overflows, bfloat16 has the range of float32 and
  three significant digits.

  Args:
    net: The network.
    dtype: ``'bfloat16'``, ``'float16'`` or ``'float32'``.

  Raises:
    ValueError: ``dtype`` is another one, ``net`` is not of vizlab's layers, or
      a parameter is outside of the range.

  >>> from vizlab import nets
  >>> net = nets.with_dtype(nets.load('minivgg'), 'bfloat16')
  >>> net.params['fc']['bias'].dtype
  dtype(bfloat16)
  """
  check_dtype(dtype)
  if not isinstance(net, Network):
    raise ValueError(
      f'net: got a {type(net).__name__}, expected a network of vizlab; a model '
      'of your own computes in the dtype that it was written for'
    )
  params = {
    layer: {name: value.astype(dtype) for name, value in each.items()}
    for layer, each in get_params(net).items()
  }
  for layer, each in params.items():
    for name, value in each.items():
      if not jnp.isfinite(value).all():
        raise ValueError(
          f'net: {layer}/{name} holds numbers that {dtype} cannot'
        )
  new = with_params(net, params)
  object.__setattr__(new, 'dtype', dtype)
  return new


def check_dtype(dtype: str) -> None:
  """Raises a `ValueError` for a dtype in which networks do not compute."""
  if dtype not in DTYPES:
    raise ValueError(f'dtype: got {dtype!r}, expected one of {DTYPES}')
