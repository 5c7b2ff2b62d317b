"""Regions of each activation that a change in the image can reach.

A box of pixels is changed at one of many places. `plan` finds, for every layer
and place, the window of its map that can differ from the unchanged image's
(the box grown by the layer's receptive field), all of one size so that places
form a batch. Where a window covers so much of the map that the whole of it is
cheaper, the plan says so, and from there on the net runs as usual.

All of this is arithmetic on numbers known before anything runs, in numpy.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vizlab.nets.graph import infer_shapes, wiring
from vizlab.nets.ops import Layer, Shape
from vizlab.nets.receptive_field import Slide

__all__ = ['Axis', 'Frame', 'Window', 'multiplications', 'plan']


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
    """The windows: as large as the largest change, and inside of the map."""
    size = int((self.last - self.first).max())
    return Frame(np.minimum(self.first, self.length - size), size)

  @property
  def whole(self) -> Frame:
    """All of the map."""
    return Frame(np.zeros_like(self.first), self.length)

  def read(self, slide: Slide) -> Frame:
    """Input interval of these windows; it may begin in the padding."""
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


class Window(NamedTuple):
  """The windows of one activation: rows and columns for every place."""

  rows: Axis
  columns: Axis

  def through(self, slide: Slide, shape: Shape) -> 'Window':
    """The windows in the output ``shape`` of a sliding window."""
    return Window(
      *(a.through(slide, n) for a, n in zip(self, shape[:2], strict=True))
    )

  def union(self, other: 'Window') -> 'Window':
    """The windows that hold two others."""
    return Window(*(a.union(b) for a, b in zip(self, other, strict=True)))

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
) -> dict[str | None, Window | None]:
  """The window of every activation.

  Args:
    ops: The layers of a net.
    shape: ``(H, W, 3)`` of the image.
    rows: First and one past the last row of the box, for each place.
    columns: The same for the columns.

  Returns:
    ``{layer: window}``, the image under ``None``; a window that is ``None``
    stands for the whole map.
  """
  shapes = infer_shapes(ops, shape)
  whole: Window | None = Window(
    *(
      Axis(*np.clip(spans, 0, n).T, n)
      for spans, n in zip((rows, columns), shape[:2], strict=True)
    )
  )
  windows: dict[str | None, Window | None] = {None: whole}
  for op, inputs in wiring(ops):
    windows[op.name] = _window(
      op, [windows[i] for i in inputs], shapes[op.name]
    )
  return windows


def _window(
  op: Layer, read: Sequence[Window | None], shape: Shape
) -> Window | None:
  if op.slide is None or None in read:
    return None
  first, *rest = read
  for window in rest:
    first = first.union(window)
  window = first.through(op.slide, shape)
  return window if window.worth_it(op.slide) else None


def multiplications(
  ops: Sequence[Layer],
  shape: Shape,
  windows: Mapping[str | None, Window | None] | None = None,
) -> float:
  """Multiplications of one forward, or of what a plan computes for one place.

  Args:
    ops: The layers of a net.
    shape: ``(H, W, 3)`` of the image.
    windows: What `plan` gave; ``None`` for the whole net.

  Returns:
    Multiplications by kernels; biases, ReLUs and pooling are not counted.
  """
  windows = windows or {}
  shapes: dict[str | None, Shape] = {None: shape, **infer_shapes(ops, shape)}
  count = 0.0
  for op, inputs in wiring(ops):
    out, window = shapes[op.name], windows.get(op.name)
    places = math.prod(out[:-1])
    if window is not None:
      places = window.rows.frame.size * window.columns.frame.size
    kernel = op.param_shapes(shapes[inputs[0]]).get('kernel', (0,))
    count += places * math.prod(kernel)
  return count
