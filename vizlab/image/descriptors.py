"""Hand-crafted descriptors: HOG and dense SIFT, differentiable.

A descriptor maps images of one channel ``[..., H, W]`` to a map of histograms
of gradient orientations ``[..., rows, columns, C]``. `as_net` wraps one as a
network, for use with objectives and methods.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from vizlab import extrema
from vizlab.image.colour import grey
from vizlab.types import Acts, Array, Edits, Net, pytree_dataclass

__all__ = ['Descriptor', 'as_net', 'hog', 'sift']

# Normalised descriptors are clipped at this value (Lowe 2004).
_LIMIT = 0.2


def hog(
  image: Array,
  *,
  bins: int = 9,
  cell: int = 8,
  signed: bool = False,
  soft: bool = False,
) -> Array:
  """Histograms of oriented gradients, normalised in blocks of 3x3 cells.

  Args:
    image: Maps ``[..., H, W]`` of at least three cells per side.
    bins: Number of orientations, over 180 degrees, or 360 if ``signed``.
    cell: Side of a cell in pixels; remaining pixels are cut off.
    signed: Whether to distinguish the sign of gradients (dark on bright from
      bright on dark).
    soft: Whether to interpolate each gradient between the two nearest
      orientations, so that the histograms are continuous; otherwise each
      gradient counts for one orientation.

  Returns:
    ``[..., rows - 2, columns - 2, 9 * bins]`` for ``rows`` by ``columns``
    cells; features are ordered by row of the block, column, orientation.

  Raises:
    ValueError: The image is too small.

  Reference:
    Dalal & Triggs 2005, with L2-Hys normalisation.
  """
  rows, columns = _cells(image, cell, bins, 3)
  down, right = _differences(image)
  votes = _votes(down, right, bins, 360.0 if signed else 180.0, soft)
  votes = votes[..., : rows * cell, : columns * cell, :]
  cells = votes.reshape(
    *image.shape[:-2], rows, cell, columns, cell, bins
  ).mean((-4, -2))
  return _clipped(_blocks(cells, 3))


def sift(image: Array, *, bins: int = 8, cell: int = 8) -> Array:
  """Dense SIFT: histograms of gradient orientations in blocks of 4x4 cells.

  Pixels are weighted by a triangle that reaches to the centres of the adjacent
  cells, and gradients are interpolated between the two nearest orientations.
  The 16 cells are weighted by a Gaussian of half the width of the block.

  Args:
    image: Maps ``[..., H, W]`` of at least four cells per side.
    bins: Number of orientations over 360 degrees.
    cell: Side of a cell in pixels; remaining pixels are cut off.

  Returns:
    ``[..., rows - 3, columns - 3, 16 * bins]`` for ``rows`` by ``columns``
    cells.

  Raises:
    ValueError: The image is too small.

  Reference:
    Lowe 2004, section 6; on a grid and upright, as in Mahendran & Vedaldi 2015.
  """
  rows, columns = _cells(image, cell, bins, 4)
  down, right = _differences(image)
  votes = _votes(down, right, bins, 360.0, soft=True)
  cells = jnp.einsum(
    'ih,jw,...hwk->...ijk',
    _triangles(rows, image.shape[-2], cell).astype(votes.dtype),
    _triangles(columns, image.shape[-1], cell).astype(votes.dtype),
    votes,
    precision='highest',
  )
  far = np.square((np.arange(4) - 1.5) / 2)
  weights = np.exp(-(far[:, None] + far[None]) / 2).astype(votes.dtype)
  blocks = _blocks(cells, 4)
  weights = np.repeat(weights.reshape(-1), bins)
  return _clipped(blocks * weights.reshape((1,) * (blocks.ndim - 1) + (-1,)))


@pytree_dataclass(static=('name', 'descriptor'))
class Descriptor:
  """A descriptor as a network with one layer and no logits."""

  name: str
  descriptor: Callable[[Array], Array]

  def __call__(self, x: Array, edits: Edits | None = None) -> tuple[None, Acts]:
    """Describes images ``[..., H, W, 3]`` or ``[..., H, W, 1]``."""
    described = self.descriptor(grey(x))
    if edits and self.name in edits:
      described = edits[self.name](described)
    return None, {self.name: described}


def as_net(name: str, descriptor: Callable[[Array], Array]) -> Net:
  """Wraps a descriptor of the luma as a network with one layer, no logits.

  Args:
    name: Name of the layer.
    descriptor: ``[..., H, W] -> [..., H', W', C]``: `hog`, `sift`, or a
      function of your own.

  >>> import jax
  >>> _, acts = as_net('hog', hog)(jax.numpy.zeros((2, 64, 48, 3)))
  >>> acts['hog'].shape
  (2, 6, 4, 81)
  """
  return Descriptor(name, descriptor)


def _cells(image: Array, cell: int, bins: int, least: int) -> tuple[int, int]:
  if cell < 1 or bins < 1:
    raise ValueError(f'cell, bins: got {cell}, {bins}, expected at least 1')
  rows, columns = (n // cell for n in image.shape[-2:])
  if min(rows, columns) < least:
    raise ValueError(
      f'image: got shape {image.shape}, expected [..., H, W] of at least '
      f'{least * cell} pixels'
    )
  return rows, columns


def _differences(image: Array) -> tuple[Array, Array]:
  """Central differences along rows and columns; zero at the border."""
  down = jnp.zeros_like(image)
  down = down.at[..., 1:-1, :].set(image[..., 2:, :] - image[..., :-2, :])
  right = jnp.zeros_like(image)
  right = right.at[..., 1:-1].set(image[..., 2:] - image[..., :-2])
  return down, right


def _votes(
  down: Array, right: Array, bins: int, turn: float, soft: bool
) -> Array:
  """Gradient magnitudes by orientation: ``[..., H, W, bins]``."""
  # Magnitude and angle are not differentiable at a zero gradient.
  flat = (down == 0) & (right == 0)
  right = jnp.where(flat, 1, right)
  size = jnp.where(flat, 0, jnp.hypot(down, right))
  angle = (jnp.rad2deg(jnp.arctan2(down, right)) % turn) / (turn / bins)
  kinds = np.arange(bins, dtype=np.int32).reshape((1,) * down.ndim + (bins,))

  def share(kind: Array, part: Array) -> Array:
    # An angle just below the full circle may round up to it.
    kind = kind.astype(jnp.int32) % bins
    return jnp.where(kind[..., None] == kinds, (part * size)[..., None], 0.0)

  if not soft:
    return share(jnp.floor(angle), jnp.ones_like(size))
  below = jnp.floor(angle - 0.5)
  above = angle - 0.5 - below
  return share(below, 1 - above) + share(below + 1, above)


def _triangles(cells: int, pixels: int, cell: int) -> np.ndarray:
  """Triangular weights ``[cells, pixels]``, 0 at the next cell's centre."""
  centres = (np.arange(cells) + 0.5) * cell - 0.5
  far = np.abs(np.arange(pixels)[None] - centres[:, None]) / cell
  return np.maximum(1 - far, 0)


def _blocks(cells: Array, side: int) -> Array:
  """Stacks ``side`` by ``side`` cells: ``[..., H', W', side^2 * K]``."""
  rows, columns = (n - side + 1 for n in cells.shape[-3:-1])
  return jnp.concatenate(
    [
      cells[..., i : i + rows, j : j + columns, :]
      for i in range(side)
      for j in range(side)
    ],
    -1,
  )


def _clipped(blocks: Array) -> Array:
  """Normalises to length 1, clips at `_LIMIT`, and normalises again."""
  return _normalised(extrema.minimum(_normalised(blocks), _LIMIT))


def _normalised(blocks: Array) -> Array:
  square = jnp.square(blocks).sum(-1, keepdims=True)
  return blocks / jnp.sqrt(square + 1e-10)
