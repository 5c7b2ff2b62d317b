"""Regions of each activation that a change in the image can reach.

A box of pixels is replaced at one of many positions. `plan` computes, for every
layer and box position, the region of the map that can differ from that of the
unchanged image: the box grown by the receptive field of the layer. All regions
of a layer have one size, so that they form a batch. If computing the whole map
is cheaper, the plan uses the whole map from that layer on.

All numbers are known before anything runs and are computed with NumPy.
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
  """Intervals along one axis: a start per box position and a common size."""

  start: np.ndarray
  size: int


@dataclasses.dataclass(frozen=True)
class Axis:
  """Changed interval along one axis of a map, for each position.

  Attributes:
    first: int ``[P]``, the first changed position for each box.
    last: int ``[P]``, one past the last changed position for each box.
    length: Number of positions along the axis.
  """

  first: np.ndarray
  last: np.ndarray
  length: int

  @property
  def frame(self) -> Frame:
    """Frame of the regions, of the size of the largest change."""
    size = int((self.last - self.first).max())
    return Frame(np.minimum(self.first, self.length - size), size)

  @property
  def whole(self) -> Frame:
    """Frame of the whole map."""
    return Frame(np.zeros_like(self.first), self.length)

  def read(self, slide: Slide) -> Frame:
    """Input interval of these regions; it may start in the padding."""
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
  """Regions of one activation: rows and columns for every box position."""

  rows: Axis
  columns: Axis

  def through(self, slide: Slide, shape: Shape) -> 'Region':
    """Regions in the output ``shape`` of a sliding window."""
    return Region(
      *(a.through(slide, n) for a, n in zip(self, shape[:2], strict=True))
    )

  def union(self, other: 'Region') -> 'Region':
    """Smallest regions that contain two others."""
    return Region(*(a.union(b) for a, b in zip(self, other, strict=True)))

  def worth_it(self, slide: Slide) -> bool:
    """Returns True if the region is smaller than the padded map."""
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
  """Computes the region of every activation.

  Args:
    ops: The layers of a network.
    shape: ``(H, W, 3)`` of the image.
    rows: First and one past the last row of the box, for each position.
    columns: First and one past the last column of the box, for each position.

  Returns:
    ``{layer: region}``, with the image under ``None``. A region of ``None``
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
  """Counts multiplications of a forward pass, or of a plan per box position.

  Args:
    ops: The layers of a network.
    shape: ``(H, W, 3)`` of the image.
    regions: Output of `plan`; ``None`` for the whole network.

  Returns:
    Number of multiplications by kernels, without biases, ReLUs and pooling.
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
