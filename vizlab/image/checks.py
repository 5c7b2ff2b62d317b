"""Checks of image batches and of values that broadcast with them."""

import math

import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['as_image', 'check_images']


def check_images(x: Array) -> None:
  """Raises a `ValueError` unless ``x`` holds images ``[..., H, W, C]``."""
  if not hasattr(x, 'shape'):
    raise ValueError(f'x: got a {type(x).__name__}, expected an array')
  shape, dtype = jnp.shape(x), jnp.result_type(x)
  if len(shape) < 3:
    raise ValueError(f'x: got shape {shape}, expected [..., H, W, C]')
  if dtype not in (jnp.float32, jnp.float64):
    raise ValueError(f'x: got {dtype}, expected float32 in [0, 1]')
  if math.prod(shape) == 0:
    raise ValueError(f'x: got shape {shape}, expected at least one image')


def as_image(value: float | Array, x: Array, name: str) -> Array:
  """Reshapes a number, a colour or an image to broadcast with ``x``.

  Args:
    value: ``[]``, ``[C]``, ``[H, W, C]`` or of the shape of ``x``.
    x: Images ``[..., H, W, C]``.
    name: Name of the argument in error messages.

  Returns:
    An array of the rank of ``x``.
  """
  value = jnp.asarray(value, x.dtype)
  if value.shape not in ((), x.shape[-1:], x.shape[-3:], x.shape):
    raise ValueError(
      f'{name}: got shape {value.shape}, expected a number, a colour '
      f'{x.shape[-1:]} or an image {x.shape}'
    )
  return value.reshape((1,) * (x.ndim - value.ndim) + value.shape)
