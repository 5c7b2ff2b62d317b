"""How much of an attribution lies where the truth is known to be."""

import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['energy_inside']


def energy_inside(attribution: Array, mask: Array) -> Array:
  """The share of an attribution's positive part that lies inside a mask.

  ``sum(max(a, 0) m) / sum(max(a, 0))``. For a map without a sign, such as a
  saliency, it is the share of all of it; pass ``abs(a)`` if the sign of a map
  means nothing.

  Args:
    attribution: Maps ``[..., H, W]``.
    mask: ``[..., H, W]``, 1 inside and 0 outside.

  Returns:
    ``[...]`` in [0, 1]; 0 for a map that is nowhere positive. A map that is the
    same everywhere gives the mask's share of the image.

  Raises:
    ValueError: The two have different shapes.

  Reference:
    Wang et al. 2020 (Score-CAM), section 4.3: the energy-based pointing game.

  >>> import jax.numpy as jnp
  >>> mask = jnp.array([[1.0, 0.0], [0.0, 0.0]])
  >>> float(energy_inside(jnp.array([[3.0, 1.0], [-9.0, 0.0]]), mask))
  0.75
  """
  if jnp.shape(attribution) != jnp.shape(mask):
    raise ValueError(
      f'mask: got shape {jnp.shape(mask)}, expected that of the attribution, '
      f'{jnp.shape(attribution)}'
    )
  positive = jnp.maximum(attribution, 0)
  inside, total = (positive * mask).sum((-2, -1)), positive.sum((-2, -1))
  empty = total == 0
  return jnp.where(empty, 0, inside / jnp.where(empty, 1, total))
