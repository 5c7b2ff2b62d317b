"""What all metrics check before they compute."""

import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['check_map', 'check_on_image']


def check_map(value: Array, attribution: Array, name: str) -> None:
  """Raises a `ValueError` unless both are maps ``[..., H, W]`` alike."""
  if jnp.shape(value) != jnp.shape(attribution) or jnp.ndim(value) < 2:
    raise ValueError(
      f'{name}: got shape {jnp.shape(value)}, expected that of the '
      f'attribution, {jnp.shape(attribution)}'
    )


def check_on_image(attribution: Array, x: Array) -> None:
  """Raises a `ValueError` unless there is one number a pixel of ``x``."""
  if jnp.shape(attribution) != x.shape[:-1]:
    raise ValueError(
      f'attribution: got shape {jnp.shape(attribution)}, expected one number a '
      f'pixel of the images {x.shape}: {x.shape[:-1]}; sum over colours first'
    )
