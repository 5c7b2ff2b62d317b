"""Images that excite each channel most, and where: exact, batch by batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, whole

__all__ = ['Strongest', 'merged', 'no_images', 'strongest']


class Strongest(NamedTuple):
  """Images with the strongest activations of each channel, strongest first.

  Attributes:
    values: ``[C, k]``, the largest activation of the channel in the image;
      minus infinity where there are fewer than ``k`` images.
    images: int32 ``[C, k]``, indices of the images; -1 where there are fewer.
    places: int32 ``[C, k, 2]``, row and column of that activation in the map;
      zeros for a layer whose activation is a vector.
  """

  values: Array
  images: Array
  places: Array


def no_images(channels: int, k: int) -> Strongest:
  """Start of a search for the ``k`` strongest images of each channel."""
  shape = whole(channels, 'channels'), whole(k, 'k')
  return Strongest(
    jnp.full(shape, -jnp.inf, jnp.float32),
    jnp.full(shape, -1, jnp.int32),
    jnp.zeros((*shape, 2), jnp.int32),
  )


def strongest(
  before: Strongest, acts: Array, first: int | Array = 0
) -> Strongest:
  """Strongest images among those of earlier batches and of another batch.

  An image counts once for a channel, by the largest activation in its map. For
  the weakest images give ``-acts``. The memory does not grow with the number of
  batches.

  Args:
    before: The strongest images of the batches before, `no_images` for none.
    acts: Activations of the batch, ``[B, H, W, C]`` or ``[B, C]``. An image
      with a number that is not finite in a channel is not among its strongest.
    first: Index of the batch's first image among all images.

  Returns:
    The strongest in all batches; the images are -1 as long as there are fewer
    than ``k``. Of equally strong images the first comes
    first; of equally strong places the first in row-major order.

  References:
    Zeiler & Fergus 2014, figure 2; Girshick et al. 2014, section 3.1.

  >>> import jax.numpy as jnp
  >>> acts = jnp.array([[1.0], [5.0], [3.0]])
  >>> strongest(no_images(1, 2), acts, first=10).images.tolist()
  [[11, 12]]
  """
  channels, k = before.values.shape
  if acts.ndim not in (2, 4) or acts.shape[-1] != channels or not acts.size:
    raise ValueError(
      f'acts: got {acts.shape}, expected [B, H, W, C] or [B, C] with '
      f'{channels} channels'
    )
  flat = acts.reshape(len(acts), -1, channels)
  # A maximum of the CPU loses NaN.
  peaks = jnp.where(jnp.isfinite(flat).all(1), flat.max(1), -jnp.inf)
  values, new = jax.lax.top_k(peaks.T.astype(jnp.float32), min(k, len(acts)))
  # Places of the winners only: to find all costs more than the maxima.
  each = jnp.arange(channels)[:, None]
  maps = flat.transpose(2, 0, 1)[each, new]
  at = jax.lax.argmax(maps, 2, jnp.int32)
  known = values > -jnp.inf
  width = np.int32(acts.shape[2] if acts.ndim == 4 else 1)
  places = jnp.where(
    known[..., None], jnp.stack([at // width, at % width], -1), 0
  )
  images = jnp.where(known, new.astype(jnp.int32) + jnp.int32(first), -1)
  return merged(before, Strongest(values, images, places))


def merged(one: Strongest, other: Strongest) -> Strongest:
  """Strongest images of both, as many as ``one`` has.

  Of equally strong images those of ``one`` come first.
  """
  together = jax.tree.map(lambda *v: jnp.concatenate(v, 1), one, other)
  values, at = jax.lax.top_k(together.values, one.values.shape[1])
  return Strongest(
    values,
    jnp.take_along_axis(together.images, at, 1),
    jnp.take_along_axis(together.places, at[..., None], 1),
  )
