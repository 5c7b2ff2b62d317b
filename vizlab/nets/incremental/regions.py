"""Regions of each activation that a change in the image can reach.

A box of pixels is changed at one of many places. `plan` finds, for every layer
and position, the region of its map that can differ from the unchanged image's
(the box grown by the layer's receptive field), all of one size so that places
form a batch. Where a region covers so much of the map that the whole of it is
cheaper, the plan says so, and from there on the net runs as usual.

All of this is arithmetic on numbers known before anything runs, in numpy.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vizlab.nets.graph import infer_shapes, wiring
from vizlab.nets.layers import Layer, Shape
from vizlab.nets.receptive_field import Slide

__all__ = ['Axis', 'Frame', 'Region', 'multiplications', 'plan']


class Frame(NamedTuple):
  """Along one axis: the first position for each place, and one size for all."""

  start: np.ndarray
  size: int


@dataclasses.dataclass(frozen=True)
class Axis:
  """Changed interval along one axis of a map, for each position.

  Attributes:
    first: int ``[places]``, the first position that is changed.
    last: int ``[places]``, one past the last position that is changed.
    length: Positions along the axis.
  """

  first: np.ndarray
  last: np.ndarray
  length: int

  @property
  def frame(self) -> Frame:
    """The regions: as large as the largest change, and inside of the map."""
    size = int((self.last - self.first).max())
    return Frame(np.minimum(self.first, self.length - size), size)

  @property
  def whole(self) -> Frame:
    """All of the map."""
    return Frame(np.zeros_like(self.first), self.length)

  def read(self, slide: Slide) -> Frame:
    """Input interval of these regions; it may begin in the padding."""
    start, size = self.frame
    start = start * slide.stride - slide.padding
    return Frame(start, (size - 1) * slide.stride + slide.size)

  def through(self, slide: Slide, length: int) -> 'Axis':
    """Changed interval in the output of a sliding window."""
    reach = self.first + slide.padding - slide.size
    first = np.clip(reach // slide.stride + 1, 0, length - 1)
    last = (self.last - 1 + slide.padding) // slide.stride + 1
    return Axis(first, np.clip(last, first + 1, length), length)

  def union(self, other: 'Axis') -> 'Axis':
    """Union of the changed intervals of two maps."""
    first = np.minimum(self.first, other.first)
    return Axis(first, np.maximum(self.last, other.last), self.length)


class Region(NamedTuple):
  """The regions of one activation: rows and columns for every position."""

  rows: Axis
  columns: Axis

  def through(self, slide: Slide, shape: Shape) -> 'Region':
    """The regions in the output ``shape`` of a sliding window."""
    return Region(
      *(a.through(slide, n) for a, n in zip(self, shape[:2], strict=True))
    )

  def union(self, other: 'Region') -> 'Region':
    """The regions that hold two others."""
    return Region(*(a.union(b) for a, b in zip(self, other, strict=True)))

  def worth_it(self, slide: Slide) -> bool:
    """True if reading it takes less than reading the map and its padding."""
    read, whole = 1, 1
    for axis in self:
      read *= axis.read(slide).size
      whole *= (axis.length - 1) * slide.stride + slide.size
    return read < whole


def plan(
  ops: Sequence[Layer],
  shape: Shape,
  rows: Sequence[tuple[int, int]],
  columns: Sequence[tuple[int, int]],
) -> dict[str | None, Region | None]:
  """Region of every activation.

  Args:
    ops: The layers of a net.
    shape: ``(H, W, 3)`` of the image.
    rows: First and one past the last row of the box, for each position.
    columns: First and one past the last column of the box, for each position.

  Returns:
    ``{layer: region}``, the image under ``None``; a region that is ``None``
    stands for the whole map.
  """
  shapes = infer_shapes(ops, shape)
  image: Region | None = Region(
    *(
      Axis(*np.clip(spans, 0, n).T, n)
      for spans, n in zip((rows, columns), shape[:2], strict=True)
    )
  )
  regions: dict[str | None, Region | None] = {None: image}
  for op, inputs in wiring(ops):
    regions[op.name] = _region(
      op, [regions[i] for i in inputs], shapes[op.name]
    )
  return regions


def _region(
  op: Layer, read: Sequence[Region | None], shape: Shape
) -> Region | None:
  if op.slide is None or None in read:
    return None
  first, *rest = read
  for region in rest:
    first = first.union(region)
  region = first.through(op.slide, shape)
  return region if region.worth_it(op.slide) else None


def multiplications(
  ops: Sequence[Layer],
  shape: Shape,
  regions: Mapping[str | None, Region | None] | None = None,
) -> float:
  """Multiplications of one forward, or of what a plan computes for one place.

  Args:
    ops: The layers of a net.
    shape: ``(H, W, 3)`` of the image.
    regions: What `plan` gave; ``None`` for the whole net.

  Returns:
    Multiplications by kernels; biases, ReLUs and pooling are not counted.
  """
  regions = regions or {}
  shapes: dict[str | None, Shape] = {None: shape, **infer_shapes(ops, shape)}
  count = 0.0
  for op, inputs in wiring(ops):
    out, region = shapes[op.name], regions.get(op.name)
    places = math.prod(out[:-1])
    if region is not None:
      places = region.rows.frame.size * region.columns.frame.size
    kernel = op.param_shapes(shapes[inputs[0]]).get('kernel', (0,))
    count += places * math.prod(kernel)
  return count
