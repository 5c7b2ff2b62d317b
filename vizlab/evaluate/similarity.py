"""How alike two maps are: SSIM, rank correlation, correlation of their HOGs."""

import dm_pix as pix
import jax.numpy as jnp
import jax.scipy.stats as stats

from vizlab.attribution.base import unit_range
from vizlab.evaluate.base import check_map
from vizlab.types import Array

__all__ = ['hog', 'hog_correlation', 'spearman', 'ssim']


def ssim(a: Array, b: Array) -> Array:
  """The structural similarity of maps, each scaled to [0, 1] first.

  Args:
    a: Maps ``[..., H, W]``, at least 11 pixels a side.
    b: The same shape.

  Returns:
    ``[...]`` in [-1, 1]; 1 for equal maps. Flat maps are zeros.

  Raises:
    ValueError: The two have different shapes, or are too small.

  Reference:
    Wang, Bovik, Sheikh & Simoncelli 2004; Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  if min(a.shape[-2:]) < 11:
    raise ValueError(f'a: got shape {a.shape}, expected at least 11 pixels')
  flat = (unit_range(v, (-2, -1)).reshape(-1, *v.shape[-2:], 1) for v in (a, b))
  return pix.ssim(*flat).reshape(a.shape[:-2])


def spearman(a: Array, b: Array) -> Array:
  """Spearman's rank correlation of the pixels of maps.

  Args:
    a: Maps ``[..., H, W]``.
    b: The same shape.

  Returns:
    ``[...]`` in [-1, 1]. Equal pixels share the mean of their ranks, and a flat
    map correlates with nothing: 0.

  Raises:
    ValueError: The two have different shapes.

  Reference:
    Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  return _correlation(
    *(stats.rankdata(_flat(v), axis=-1, method='average') for v in (a, b))
  )


def hog(image: Array, *, bins: int = 9, cell: int = 8) -> Array:
  """Histograms of oriented gradients of maps, normalised in blocks of 3x3.

  Args:
    image: Maps ``[..., H, W]``, at least three cells a side.
    bins: Number of orientations in half a turn.
    cell: Side of a cell in pixels; what is left over is cut off.

  Returns:
    ``[..., rows - 2, columns - 2, 3, 3, bins]`` for ``rows`` by ``columns``
    cells.

  Raises:
    ValueError: The image is too small.

  Reference:
    Dalal & Triggs 2005, with L2-Hys normalisation.
  """
  rows, columns = (n // cell for n in image.shape[-2:])
  if min(rows, columns) < 3:
    raise ValueError(
      f'image: got shape {image.shape}, expected at least {3 * cell} pixels'
    )
  down = jnp.zeros_like(image)
  down = down.at[..., 1:-1, :].set(image[..., 2:, :] - image[..., :-2, :])
  right = jnp.zeros_like(image)
  right = right.at[..., 1:-1].set(image[..., 2:] - image[..., :-2])
  size = jnp.hypot(down, right)
  turn = jnp.rad2deg(jnp.arctan2(down, right)) % 180
  # A turn just below 180 may round to it.
  kind = jnp.floor(turn / (180 / bins)).astype(jnp.int32) % bins
  one_hot = (
    jnp.arange(bins).reshape((1,) * image.ndim + (bins,)) == (kind[..., None])
  )
  votes = jnp.where(one_hot, size[..., None], 0)
  votes = votes[..., : rows * cell, : columns * cell, :]
  cells = votes.reshape(
    *image.shape[:-2], rows, cell, columns, cell, bins
  ).mean((-4, -2))
  blocks = jnp.stack(
    [
      jnp.stack(
        [
          cells[..., i : rows - 2 + i, j : columns - 2 + j, :] for j in range(3)
        ],
        -2,
      )
      for i in range(3)
    ],
    -3,
  )
  blocks = jnp.minimum(_normalised(blocks), 0.2)
  return _normalised(blocks)


def hog_correlation(a: Array, b: Array, *, cell: int = 8) -> Array:
  """Pearson's correlation of the HOGs of maps.

  Args:
    a: Maps ``[..., H, W]``; each is scaled to [0, 1] first.
    b: The same shape.
    cell: Side of a cell in pixels.

  Returns:
    ``[...]`` in [-1, 1]; 0 where one of them is flat.

  Raises:
    ValueError: The two have different shapes, or are too small.

  Reference:
    Adebayo et al. 2018.
  """
  check_map(b, a, 'b')
  lead = a.shape[:-2]
  return _correlation(
    *(
      hog(unit_range(v, (-2, -1)), cell=cell).reshape(*lead, -1) for v in (a, b)
    )
  )


def _flat(values: Array) -> Array:
  return values.reshape(*values.shape[:-2], -1)


def _normalised(blocks: Array) -> Array:
  square = jnp.square(blocks).sum((-3, -2, -1), keepdims=True)
  return blocks / jnp.sqrt(square + 1e-10)


def _correlation(a: Array, b: Array) -> Array:
  a, b = (v - v.mean(-1, keepdims=True) for v in (a, b))
  size = jnp.sqrt(jnp.square(a).sum(-1) * jnp.square(b).sum(-1))
  return (a * b).sum(-1) / jnp.where(size > 0, size, 1)
