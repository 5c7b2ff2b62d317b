"""Networks on overlapping tiles, for images that do not fit in memory.

Keeps only the part of each tile that its cut edges do not affect, so the joined
maps equal those of the whole image, without seams. The gradient recomputes each
tile, so only the joined maps are stored.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab.nets.info import layer_info
from vizlab.nets.network import Network, check_layers
from vizlab.nets.receptive_field import Field
from vizlab.types import Acts, Array, Edits, Net, pytree_dataclass

__all__ = ['tiled']


class _Cuts(NamedTuple):
  """Tiles along one axis, in pixels.

  Attributes:
    size: Side of each tile.
    starts: First pixel of each tile.
    bounds: First pixel of the part that each tile contributes; the first is 0.
    reach: Distance from a cut edge up to which a tile is invalid; 0 if nothing
      is cut.
  """

  size: int
  starts: list[int]
  bounds: list[int]
  reach: int


@pytree_dataclass(static=('fields', 'side', 'step'))
class _Tiled:
  """Network that runs on overlapping tiles, built by `tiled`."""

  net: Network
  fields: tuple[tuple[str, Field], ...]
  side: int
  step: int

  def __call__(self, x: Array, edits: Edits | None = None) -> tuple[None, Acts]:
    """Runs the network on images ``[..., H, W, 3]``."""
    if edits:
      raise ValueError(f'edits: got {[*edits]}, expected none for tiles')
    far = _reach([field for _, field in self.fields], self.step)
    rows, columns = (
      _cuts(n, self.side, self.step, far) for n in x.shape[-3:-1]
    )
    ahead = (0,) * (x.ndim - 3)
    size = (*x.shape[:-3], rows.size, columns.size, 3)
    shapes = jax.eval_shape(self.net, jax.ShapeDtypeStruct(size, x.dtype))[1]
    spare = {
      layer: [
        _spare(cuts, length, field.stride)
        for cuts, length in zip(
          (rows, columns), shapes[layer].shape[-3:-1], strict=True
        )
      ]
      for layer, field in self.fields
    }

    @jax.checkpoint
    def run(start: Array) -> Acts:
      acts = self.net(jax.lax.dynamic_slice(x, (*ahead, *start, 0), size))[1]
      # The first tiles are valid at their start, so they drop their end.
      return {
        layer: jax.lax.dynamic_slice(
          acts[layer],
          (*ahead, *jnp.where(start > 0, jnp.array(less), 0), 0),
          _without(acts[layer].shape, less),
        )
        for layer, less in spare.items()
      }

    starts = [(row, column) for row in rows.starts for column in columns.starts]
    maps = jax.lax.map(run, jnp.array(starts, jnp.int32))
    return None, {
      layer: _joined(
        maps[layer],
        *(
          _owned(cuts, field.stride, less)
          for cuts, less in zip((rows, columns), spare[layer], strict=True)
        ),
      )
      for layer, field in self.fields
    }


def tiled(net: Network, names: Sequence[str], side: int = 512) -> Net:
  """Returns a network that computes maps of large images in little memory.

  Args:
    net: The network.
    names: Names of the layers to compute, which must give maps. Other layers
      and logits are not returned.
    side: Side of the tiles in pixels. They overlap by the receptive field of
      the deepest layer.

  Returns:
    A network ``x -> (None, acts)`` with the same maps and gradients, up to
    rounding.

  Raises:
    ValueError: A layer is unknown or sees the whole image, or the tiles are too
      small for the layers.
  """
  check_layers(net, names)
  if not names:
    raise ValueError('names: got none, expected at least one layer')
  rows = {row.name: row for row in layer_info(net)}
  for name in names:
    if rows[name].field is None:
      raise ValueError(
        f'names: got {name!r}, which sees the whole image or has no square '
        'receptive fields, expected a layer that has'
      )
  fields = tuple((name, rows[name].field) for name in names)
  step = math.lcm(*(field.stride for _, field in fields))
  least = 2 * _reach([field for _, field in fields], step) + 2 * step
  if side < least:
    raise ValueError(
      f'side: got {side}, expected at least {least} pixels for these layers'
    )
  return _Tiled(net, fields, side, step)


def _reach(fields: Sequence[Field], step: int) -> int:
  """Distance up to which units see beyond a cut edge, in whole steps."""
  far = max(
    max(-field.offset, field.offset + field.size - field.stride)
    for field in fields
  )
  return math.ceil(far / step) * step


def _cuts(length: int, side: int, step: int, reach: int) -> _Cuts:
  """Places tiles at multiples of ``step``; the last ends with the image."""
  if length <= side:
    return _Cuts(length, [0], [0], 0)
  size = side - (side - length) % step
  starts, bounds = [0], [0]
  while starts[-1] + size < length:
    bounds.append((starts[-1] + size) // step * step - reach)
    starts.append(min(bounds[-1] - reach, length - size))
  return _Cuts(size, starts, bounds, reach)


def _without(shape: Sequence[int], units: Sequence[int]) -> tuple[int, ...]:
  """Shape of a map without some rows and columns."""
  *ahead, height, width, channels = shape
  return (*ahead, height - units[0], width - units[1], channels)


def _spare(cuts: _Cuts, length: int, stride: int) -> int:
  """Number of units of a tile's map, of ``length``, that are dropped.

  At most the units that cut edges can change; fewer if the map is so short, for
  lack of padding, that the end of the first tile is needed.
  """
  if len(cuts.starts) == 1:
    return 0
  return min(cuts.reach // stride, length - cuts.bounds[1] // stride)


def _joined(maps: Array, down: list[slice], across: list[slice]) -> Array:
  """Joins the maps of tiles ``[tiles, ..., H, W, C]`` to that of the image."""
  parts = iter(maps)
  strips = [
    jnp.concatenate([next(parts)[..., own, each, :] for each in across], -2)
    for own in down
  ]
  return jnp.concatenate(strips, -3)


def _owned(cuts: _Cuts, stride: int, less: int) -> list[slice]:
  """Slices of the kept units that each tile contributes to the joined map."""
  ends = [*cuts.bounds[1:], None]
  slices = []
  for start, first, end in zip(cuts.starts, cuts.bounds, ends, strict=True):
    offset = start + (less * stride if start else 0)
    last = None if end is None else (end - offset) // stride
    slices.append(slice((first - offset) // stride, last))
  return slices
