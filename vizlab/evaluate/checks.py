"""Checks that metrics share."""

import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['check_map', 'check_on_image', 'nan_where_nan']


def check_map(value: Array, attribution: Array, name: str) -> None:
  """Raises a `ValueError` unless both are maps ``[..., H, W]`` of one shape."""
  if jnp.shape(value) != jnp.shape(attribution) or jnp.ndim(value) < 2:
    raise ValueError(
      f'{name}: got shape {jnp.shape(value)}, expected that of the '
      f'attribution, {jnp.shape(attribution)}'
    )


def check_on_image(value: Array, x: Array, name: str) -> None:
  """Raises a `ValueError` unless there is one number per pixel of ``x``."""
  if jnp.shape(value) != x.shape[:-1]:
    raise ValueError(
      f'{name}: got shape {jnp.shape(value)}, expected one number per pixel of '
      f'the images, {x.shape[:-1]}'
    )


def nan_where_nan(values: Array, attribution: Array) -> Array:
  """Makes a metric ``[...]`` NaN where its map ``[..., H, W]`` has a NaN.

  Sorting and thresholds would otherwise turn it into a plausible number.
  """
  return jnp.where(jnp.isnan(attribution).any((-2, -1)), jnp.nan, values)
