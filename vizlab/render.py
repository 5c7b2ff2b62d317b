"""Rendering of arrays as uint8 pictures ``[H, W, 3]``, with NumPy.

A picture is an array that a notebook shows. Wherever one is expected, an image
of floats in [0, 1] is converted.

Methods return raw maps; scaling and colour are handled here. A constant map
gives the colour of zero, never NaN. A map with non-finite numbers is an error,
so that a picture cannot hide them.
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vizlab.types import check_image

__all__ = [
  'Picture',
  'activations',
  'crop',
  'filters',
  'grid',
  'heat',
  'overlay',
  'percentile_scale',
  'resize',
  'rgb',
  'signed',
  'table',
  'to_uint8',
]

# Evenly spaced control points of the colour maps, 0 to 255.
_HEAT = (
  (0, 0, 4),
  (40, 11, 84),
  (101, 21, 110),
  (159, 42, 99),
  (212, 72, 66),
  (245, 125, 21),
  (250, 193, 39),
  (252, 255, 164),
)
_SIGNED = (
  (33, 60, 140),
  (67, 127, 191),
  (165, 202, 226),
  (250, 250, 250),
  (247, 184, 156),
  (209, 88, 72),
  (130, 13, 38),
)
_ON_BLACK = ((80, 140, 255), (0, 0, 0), (255, 255, 255))

_GAP = 4  # pixels between pictures


class Picture(np.ndarray):
  """uint8 array ``[H, W, 3]`` or ``[H, W]`` that a notebook shows."""

  def _repr_png_(self) -> bytes | None:
    colour = self.ndim == 3 and self.shape[-1] == 3
    if self.dtype != np.uint8 or not (colour or self.ndim == 2):
      return None  # it is shown as an array
    file = io.BytesIO()
    Image.fromarray(np.asarray(self)).save(file, 'PNG')
    return file.getvalue()


def to_uint8(image: np.ndarray) -> Picture:
  """Converts an image ``[..., H, W, 3]`` to a uint8 picture, with clipping.

  Args:
    image: Floats in about [0, 1]; a uint8 picture is returned unchanged.

  Raises:
    ValueError: Numbers are not finite, or are far outside [0, 1].
  """
  image = np.asarray(image)
  if image.dtype == np.uint8:
    return image.view(Picture)
  check_image(image, 'image')
  image = _finite(image)
  return (np.clip(image, 0, 1) * 255).round().astype(np.uint8).view(Picture)


def percentile_scale(
  values: np.ndarray, percentile: float = 99.5
) -> np.ndarray:
  """Divides by a high percentile of ``|values|`` and clips to [-1, 1].

  Args:
    values: Any shape.
    percentile: Percentile of ``|values|`` that maps to 1, in [0, 100]; below
      100, outliers do not darken the rest.

  Returns:
    Values of the same shape in [-1, 1]; all zeros stay zeros.
  """
  values = _finite(values)
  top = np.percentile(np.abs(values), percentile)
  top = top if top > 0 else np.abs(values).max(initial=0)
  return np.clip(values / top, -1, 1) if top > 0 else np.zeros_like(values)


def heat(values: np.ndarray) -> Picture:
  """Renders a nonnegative map ``[H, W]``, from black over red to yellow."""
  return _colour(np.maximum(percentile_scale(values), 0), _HEAT)


def signed(values: np.ndarray) -> Picture:
  """Renders a signed map ``[H, W]``: blue below, white at, red above zero."""
  return _colour((percentile_scale(values) + 1) / 2, _SIGNED)


def rgb(values: np.ndarray) -> Picture:
  """Renders a gradient ``[H, W, 3]``; zero is grey."""
  return to_uint8(0.5 + percentile_scale(values) / 2)


def overlay(
  values: np.ndarray, image: np.ndarray, alpha: float = 0.6
) -> Picture:
  """Overlays a map ``[H, W]`` in colour on its image ``[H, W, 3]``.

  Args:
    values: The map ``[H, W]``; negative values are not shown.
    image: The image ``[H, W, 3]`` in [0, 1].
    alpha: Opacity at the maximum of the map, in [0, 1].
  """
  grey = to_uint8(image).mean(-1, keepdims=True) * 0.8 + 25
  strength = np.sqrt(np.maximum(percentile_scale(values), 0))[..., None]
  mixed = grey * (1 - alpha * strength) + heat(values) * alpha * strength
  return mixed.round().astype(np.uint8).view(Picture)


def filters(
  kernel: np.ndarray,
  *,
  columns: int = 8,
  side: int = 40,
  shared: bool = False,
) -> Picture:
  """Renders first-layer kernels side by side.

  Args:
    kernel: Kernels ``[k, k, 3, D]``; zero is grey.
    columns: Number of kernels per row.
    side: Side of each rendered kernel in pixels.
    shared: Whether all kernels have one scale, so that weak ones are grey; by
      default each is scaled separately.
  """
  kernels = np.moveaxis(np.asarray(kernel), -1, 0)
  if shared:
    kernels = percentile_scale(kernels, 100)
  else:
    kernels = [percentile_scale(k, 100) for k in kernels]
  return _in_rows(
    [resize(to_uint8(0.5 + k / 2), side) for k in kernels], columns
  )


def activations(
  maps: np.ndarray, *, columns: int = 8, side: int = 48
) -> Picture:
  """Renders the channels of a map ``[H, W, C]`` as tiles on one scale.

  Zero is black, positive activations are white and negative ones blue.

  Args:
    maps: Activations or gradients ``[H, W, C]``.
    columns: Number of tiles per row.
    side: Longer side of each tile in pixels.
  """
  values = (percentile_scale(maps) + 1) / 2
  tiles = np.moveaxis(values, -1, 0)
  return _in_rows(
    [resize(_colour(tile, _ON_BLACK), side) for tile in tiles], columns
  )


def _in_rows(pictures: Sequence[np.ndarray], columns: int) -> Picture:
  """Arranges pictures in a grid, row by row."""
  return grid(
    [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
  )


def resize(picture: np.ndarray, side: int) -> Picture:
  """Resizes a picture so that its longer side is about ``side`` pixels.

  Enlarging keeps the pixels visible (nearest neighbour); shrinking smooths.
  """
  picture = to_uint8(picture)
  height, width = picture.shape[:2]
  scale = side / max(height, width)
  size = max(1, round(width * scale)), max(1, round(height * scale))
  kind = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
  return _picture(Image.fromarray(picture).resize(size, kind))


def crop(
  picture: np.ndarray,
  rows: tuple[int, int],
  columns: tuple[int, int],
  fill: int = 128,
) -> Picture:
  """Crops a picture ``[H, W, 3]``; pixels outside of it are grey.

  Args:
    picture: uint8 ``[H, W, 3]``.
    rows: First and one past the last row; they may lie outside.
    columns: First and one past the last column; they may lie outside.
    fill: Grey value of pixels outside of the picture, 0 to 255.
  """
  picture = to_uint8(picture)
  pads = [
    (max(0, -start), max(0, stop - n))
    for (start, stop), n in zip((rows, columns), picture.shape, strict=False)
  ]
  padded = _picture(np.pad(picture, (*pads, (0, 0)), constant_values=fill))
  top, left = rows[0] + pads[0][0], columns[0] + pads[1][0]
  return padded[
    top : top + rows[1] - rows[0], left : left + columns[1] - columns[0]
  ]


def grid(rows: Sequence[Sequence[np.ndarray]], gap: int = _GAP) -> Picture:
  """Arranges pictures in rows and columns on white.

  Each column is as wide as its widest picture.

  Args:
    rows: Rows of uint8 pictures ``[H, W, 3]``; they may have different lengths.
    gap: Pixels between pictures and around them.
  """
  rows = [[to_uint8(picture) for picture in row] for row in rows]
  columns = max(len(row) for row in rows)
  widths = [
    max(row[j].shape[1] for row in rows if j < len(row)) for j in range(columns)
  ]
  heights = [max(picture.shape[0] for picture in row) for row in rows]
  size = sum(heights) + gap * (len(rows) + 1), sum(widths) + gap * (columns + 1)
  sheet = np.full((*size, 3), 255, np.uint8)
  top = gap
  for row, height in zip(rows, heights, strict=True):
    left = gap
    for picture, width in zip(row, widths, strict=False):
      h, w = picture.shape[:2]
      y, x = top + (height - h) // 2, left + (width - w) // 2
      sheet[y : y + h, x : x + w] = picture
      left += width + gap
    top += height + gap
  return sheet.view(Picture)


def table(
  pictures: Sequence[Sequence[np.ndarray]],
  columns: Sequence[str],
  rows: Sequence[str],
  side: int = 128,
  width: int | None = None,
) -> Picture:
  """Arranges pictures in a grid with column titles and row labels.

  If the grid is wrapped, each block begins with the first column.

  Args:
    pictures: Rows of uint8 pictures ``[H, W, 3]``; each is resized.
    columns: Titles of the columns.
    rows: Labels of the rows; ``\\n`` breaks a line. If all are empty there is
      no column of labels.
    side: Longer side of a picture in pixels.
    width: Maximum width in pixels; further columns are wrapped into a block
      below. ``None`` does not wrap.
  """
  taken = 1 + any(rows)  # by the first column and the labels
  most = len(columns) if width is None else width // (side + _GAP) - taken
  if len(columns) - 1 > max(1, most):
    return _wrapped(pictures, columns, rows, side, max(1, most))
  body = [[resize(picture, side) for picture in row] for row in pictures]
  head = [_text(title, (side, 22)) for title in columns]
  if not any(rows):
    return grid([head, *body])
  lines = [
    [_text(text, (side, side)), *row]
    for text, row in zip(rows, body, strict=True)
  ]
  return grid([[_text('', (side, 22)), *head], *lines])


def _wrapped(
  pictures: Sequence[Sequence[np.ndarray]],
  columns: Sequence[str],
  rows: Sequence[str],
  side: int,
  most: int,
) -> Picture:
  """Stacks tables of the first column and at most ``most`` others each."""
  others = np.arange(1, len(columns))
  blocks = []
  for some in np.array_split(others, -(-len(others) // most)):
    chosen = [0, *some]
    part = [[row[j] for j in chosen] for row in pictures]
    blocks.append(table(part, [columns[j] for j in chosen], rows, side))
  wide = max(block.shape[1] for block in blocks)
  padded = [
    np.pad(
      block, ((0, 0), (0, wide - block.shape[1]), (0, 0)), constant_values=255
    )
    for block in blocks
  ]
  return _picture(np.concatenate(padded))


def _text(text: str, size: tuple[int, int]) -> Picture:
  """Renders black text centred in a white box of (width, height) pixels.

  It is broken into two lines, or made smaller, until it fits.
  """
  box = Image.new('RGB', size, 'white')
  draw = ImageDraw.Draw(box)
  tried = [
    *((text, points) for points in (15, 13, 11)),
    *((_halved(text), points) for points in (11, 9, 7)),
  ]
  for lines, points in tried:
    font = ImageFont.load_default(points)
    left, top, right, bottom = draw.multiline_textbbox(
      (0, 0), lines, font, spacing=1
    )
    if right - left <= size[0] - 2 and bottom - top <= size[1]:
      break
  place = (size[0] - right - left) / 2, (size[1] - bottom - top) / 2
  draw.multiline_text(place, lines, 'black', font, spacing=1, align='center')
  return _picture(box)


def _halved(text: str) -> str:
  """The text in two lines, if it is one: broken where a word ends."""
  ends = [i for i, letter in enumerate(text) if letter in ' _-/']
  if '\n' in text or not ends:
    return text
  at = min(ends, key=lambda i: abs(2 * i - len(text)))
  return f'{text[: at + 1].rstrip()}\n{text[at + 1 :]}'


def _colour(values: np.ndarray, points: tuple) -> Picture:
  """Applies a colour map to values in [0, 1]."""
  table = np.asarray(points, np.float64)
  places = np.linspace(0, 1, len(table))
  channels = [np.interp(values, places, table[:, c]) for c in range(3)]
  return np.stack(channels, -1).round().astype(np.uint8).view(Picture)


def _picture(values: Image.Image | np.ndarray) -> Picture:
  return np.asarray(values).view(Picture)


def _finite(values: np.ndarray) -> np.ndarray:
  values = np.asarray(values, np.float32)
  if not np.isfinite(values).all():
    raise ValueError('values: got non-finite numbers, expected a finite map')
  return values
