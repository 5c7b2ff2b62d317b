"""Receptive fields of units (Araujo et al. 2019)."""

import dataclasses

__all__ = ['Field', 'Slide']


@dataclasses.dataclass(frozen=True)
class Slide:
  """Kernel, stride and padding of a layer, the same on both axes.

  Output ``i`` reads inputs ``i * stride - padding`` to
  ``i * stride - padding + size - 1``; a pointwise layer has a window of 1.

  Attributes:
    size: Side of the window, in positions of the input.
    stride: Step of the window, in positions of the input.
    padding: Positions added before the first one.
  """

  size: int = 1
  stride: int = 1
  padding: int = 0


@dataclasses.dataclass(frozen=True)
class Field:
  """Receptive field of the units of a map: a square of pixels.

  Unit ``i`` sees pixels ``offset + i * stride`` to
  ``offset + i * stride + size - 1``; those outside the image are padding.

  Attributes:
    size: Side of the square, in pixels.
    stride: Pixels between the fields of neighbouring units.
    offset: First pixel of unit 0's field; negative where it begins in padding.
  """

  size: int = 1
  stride: int = 1
  offset: int = 0

  def after(self, slide: Slide) -> 'Field':
    """Receptive field of a unit that reads a window of such units."""
    return Field(
      self.size + (slide.size - 1) * self.stride,
      self.stride * slide.stride,
      self.offset - slide.padding * self.stride,
    )

  def union(self, other: 'Field') -> 'Field':
    """Smallest field that contains both; their strides must be equal."""
    if self.stride != other.stride:
      raise ValueError(
        f'other: got stride {other.stride}, expected {self.stride}'
      )
    start = min(self.offset, other.offset)
    stop = max(self.offset + self.size, other.offset + other.size)
    return Field(stop - start, self.stride, start)

  def pixels(self, i: int) -> tuple[int, int]:
    """First and one past the last pixel that unit ``i`` sees along an axis."""
    start = self.offset + i * self.stride
    return start, start + self.size
