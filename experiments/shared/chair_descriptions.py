"""Descriptions of chairs for a generator, and their pictures."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import data
from vizlab.types import Array

__all__ = [
  'CHANGES',
  'Described',
  'described',
  'draw',
  'neutral',
  'parts',
  'random_chairs',
  'views',
]

# Amounts of each change: those of -1 and 1 in a description.
CHANGES = {
  'right': (-0.1, 0.1),
  'down': (-0.1, 0.1),
  'angle': (-0.25, 0.25),
  'zoom': (0.75, 1.15),
  'stretch': (0.8, 1.2),
  'saturation': (0.2, 1.4),
  'brightness': (0.6, 1.2),
  'hue': (-1.2, 1.2),
}
_ELEVATIONS = 0.2, 0.7
_NEUTRAL = {'zoom': 1.0, 'stretch': 1.0, 'saturation': 1.0, 'brightness': 1.0}


class Described(NamedTuple):
  """Chairs, a style, a view and a change each.

  Attributes:
    style: Numbers of their styles, int ``[N]``.
    azimuth: Radians, ``[N]``.
    elevation: Radians, ``[N]``.
    change: Changes in [-1, 1], ``[N, 8]`` in the order of `CHANGES`.
  """

  style: Array
  azimuth: Array
  elevation: Array
  change: Array


def parts(styles: int) -> dict[str, int]:
  """Channels of each part of a description."""
  return {'style': styles, 'view': 4, 'change': len(CHANGES)}


def neutral() -> np.ndarray:
  """The change that changes nothing, ``[8]``."""
  low, high = np.array(list(CHANGES.values()), np.float32).T
  none = np.array([_NEUTRAL.get(name, 0.0) for name in CHANGES], np.float32)
  return 2 * (none - low) / (high - low) - 1


def views(azimuths: int) -> tuple[np.ndarray, np.ndarray]:
  """Azimuths that are trained with, and those halfway between, in radians."""
  all_of_them = np.arange(azimuths, dtype=np.float32) * 2 * np.pi / azimuths
  return all_of_them[::2], all_of_them[1::2]


def random_chairs(
  key: Array, count: int, styles: int, azimuths: np.ndarray, *, changed: bool
) -> Described:
  """Chairs of random styles and elevations, seen from some of the azimuths.

  Args:
    key: A JAX random key.
    count: How many.
    styles: How many styles there are.
    azimuths: Azimuths in radians.
    changed: Whether they are changed: each chair by about half of the changes.
  """
  keys = jax.random.split(key, 5)
  style = jax.random.randint(keys[0], (count,), 0, styles)
  azimuth = jax.random.choice(keys[1], jnp.asarray(azimuths), (count,))
  elevation = jax.random.uniform(
    keys[2], (count,), minval=_ELEVATIONS[0], maxval=_ELEVATIONS[1]
  )
  change = jnp.broadcast_to(neutral()[None], (count, len(CHANGES)))
  if changed:
    amounts = jax.random.uniform(keys[3], change.shape, minval=-1.0)
    chosen = jax.random.bernoulli(keys[4], shape=change.shape)
    change = jnp.where(chosen, amounts, change)
  return Described(style, azimuth, elevation, change)


def described(chairs: Described, styles: int) -> Array:
  """Descriptions that the generator reads, ``[N, 1, 1, C]``.

  The number of a style as one of ``styles`` channels; sine and cosine of both
  angles; the changes.
  """
  style = jax.nn.one_hot(chairs.style, styles)
  angles = jnp.stack([chairs.azimuth, chairs.elevation], -1)
  view = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)
  return jnp.concatenate([style, view, chairs.change], -1)[:, None, None]


def draw(chairs: Described, size: int) -> Array:
  """Images of chairs and their masks as a fourth channel, ``[N, S, S, 4]``."""
  low, high = jnp.array(list(CHANGES.values())).T

  def one(chair: Described) -> Array:
    amounts = low + (chair.change + 1) / 2 * (high - low)
    right, down, *others = amounts
    change = data.ChairChange((right, down), *others)
    style = data.chair_style(chair.style)
    image, mask = data.chair(
      style, chair.azimuth, chair.elevation, change, size=size
    )
    return jnp.concatenate([image, mask[..., None]], -1)

  return jax.vmap(one)(chairs)
