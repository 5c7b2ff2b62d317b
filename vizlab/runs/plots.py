"""Plots as uint8 pictures, drawn with matplotlib."""

import importlib.util
import io as streams
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

__all__ = [
  'curves',
  'label_colours',
  'lines',
  'matrices',
  'need',
  'need_matplotlib',
  'polar',
  'ribbons',
  'scatter',
]

_NAMED = 20  # most lines that a legend names; more get a colour bar


def need(module: str, what_for: str, extra: str = 'analysis') -> None:
  """Raises a `ValueError` with instructions if a module is not installed."""
  if importlib.util.find_spec(module) is None:
    raise ValueError(
      f"{module} is not installed; it {what_for}: pip install -e '.[{extra}]'"
    )


def need_matplotlib() -> None:
  """Raises a `ValueError` if matplotlib is not installed."""
  need('matplotlib', 'draws the plots')


def curves(
  panels: Mapping[str, Mapping[str, Sequence[float]]],
  x: Sequence[float] | Sequence[str],
  x_label: str,
  y_label: str | None = None,
) -> np.ndarray:
  """Plots lines in adjacent panels with a common legend.

  Args:
    panels: Values by panel and line, ``{title: {line: values}}``; all panels
      have the same lines.
    x: Positions of the values, numbers or names.
    x_label: Label of the x axis.
    y_label: Label of the y axes, which then have one range, so that panels can
      be compared.

  Returns:
    A uint8 picture ``[H, W, 3]``.
  """
  from matplotlib import colormaps
  from matplotlib.figure import Figure

  figure = Figure((5.2 * len(panels), 4.6), 100, layout='constrained')
  names = list(next(iter(panels.values())))
  axes = figure.subplots(
    1, len(panels), squeeze=False, sharey=y_label is not None
  )[0]
  for axis, (title, lines) in zip(axes, panels.items(), strict=True):
    for i, name in enumerate(names):
      colour = colormaps['tab20'](i % 20)
      style = '-' if i < 10 else '--'
      axis.plot(x, lines[name], style, color=colour, label=name, marker='.')
    axis.set(title=title, xlabel=x_label)
    axis.grid(alpha=0.3)
    if isinstance(x[0], str):
      axis.tick_params('x', rotation=60)
  axes[0].set_ylabel(y_label or '')
  handles, labels = axes[0].get_legend_handles_labels()
  figure.legend(handles, labels, loc='outside right center', fontsize=8)
  return _drawn(figure)


def lines(
  series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  x_label: str,
  y_label: str,
  *,
  log: bool = False,
) -> np.ndarray:
  """Plots lines, each with its own x values.

  A legend names up to 20 lines; more get a colour bar.

  Args:
    series: ``{line: (x values, y values)}``.
    x_label: Label of the x axis.
    y_label: Label of the y axis.
    log: Whether the y axis is logarithmic; all values must be positive.

  Returns:
    A uint8 picture ``[H, W, 3]``.
  """
  return _drawn(_lines(series, x_label, y_label, log))


def _lines(
  series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  x_label: str,
  y_label: str,
  log: bool,
) -> Any:
  from matplotlib import cm, colormaps, colors
  from matplotlib.figure import Figure

  figure = Figure((10.0, 4.6), 100, layout='constrained')
  axis = figure.subplots()
  few = len(series) <= _NAMED
  colour = colormaps['tab20' if few else 'viridis']
  span = colors.Normalize(0, max(1, len(series) - 1))
  for i, (name, (x, y)) in enumerate(series.items()):
    axis.plot(x, y, color=colour(i if few else span(i)), label=name, lw=1.2)
  axis.set(xlabel=x_label, ylabel=y_label, yscale='log' if log else 'linear')
  axis.grid(alpha=0.3)
  if few:
    figure.legend(loc='outside right center', fontsize=8)
  else:
    label = f'index of the line, of the {len(series)}'
    figure.colorbar(cm.ScalarMappable(span, colour), ax=axis, label=label)
  return figure


def matrices(
  panels: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str]
) -> np.ndarray:
  """Plots matrices of numbers in [0, 1] beside each other, with the numbers.

  Args:
    panels: ``{title: matrix [R, C]}``.
    rows: Names of the rows.
    columns: Names of the columns.

  Returns:
    A uint8 picture ``[H, W, 3]``.
  """
  from matplotlib.figure import Figure

  side = 0.45 * max(len(rows), len(columns)) + 1.4
  figure = Figure((side * len(panels), side + 0.3), 100, layout='constrained')
  axes = figure.subplots(1, len(panels), squeeze=False)[0]
  for axis, (title, matrix) in zip(axes, panels.items(), strict=True):
    axis.imshow(matrix, cmap='magma', vmin=0, vmax=1)
    axis.set_xticks(range(len(columns)), columns, rotation=90)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_title(title, fontsize=10)
    for (i, j), value in np.ndenumerate(matrix):
      colour = 'black' if value > 0.6 else 'white'
      text = f'{value:.2f}'
      axis.text(j, i, text, ha='center', va='center', fontsize=7, color=colour)
  return _drawn(figure)


def polar(
  panels: Mapping[str, Mapping[str, Sequence[float]]],
  angles: Sequence[float],
  columns: int = 4,
) -> np.ndarray:
  """Plots lines about the centre of adjacent panels, with a common legend.

  Args:
    panels: Radii by panel and line, ``{title: {line: values}}``.
    angles: Angle of each value in radians, clockwise from the right; the lines
      are closed.
    columns: Panels in a row.

  Returns:
    A uint8 picture ``[H, W, 3]``.
  """
  from matplotlib import colormaps
  from matplotlib.figure import Figure

  rows = -(-len(panels) // columns)
  figure = Figure((2.6 * columns + 1.4, 2.8 * rows), 100, layout='constrained')
  axes = figure.subplots(
    rows, columns, squeeze=False, subplot_kw={'projection': 'polar'}
  ).ravel()
  for axis, (title, each) in zip(axes, panels.items(), strict=False):
    span = max(1, len(each) - 1)
    for i, (name, values) in enumerate(each.items()):
      colour = colormaps['viridis'](i / span)
      axis.plot(
        [*angles, angles[0]], [*values, values[0]], c=colour, label=name
      )
    axis.set_theta_direction(-1)
    axis.set(title=title, xticklabels=[], yticklabels=[])
  for axis in axes[len(panels) :]:
    axis.remove()
  handles, labels = axes[0].get_legend_handles_labels()
  figure.legend(handles, labels, loc='outside right center', fontsize=8)
  return _drawn(figure)


def label_colours(labels: np.ndarray) -> np.ndarray:
  """RGB in [0, 1] of labels, int ``[...]`` from 0; repeats after twenty."""
  from matplotlib import colormaps

  return colormaps['tab20'](np.asarray(labels) % 20)[..., :3]


def scatter(
  places: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> np.ndarray:
  """Plots points in the plane, coloured by label.

  Args:
    places: Coordinates of the points, ``[N, 2]``.
    labels: Label of each point, int ``[N]``, from 0.
    names: Name of each label.

  Returns:
    A uint8 picture ``[H, W, 3]``.
  """
  from matplotlib.figure import Figure

  figure = Figure((6.4, 4.6), 100, layout='constrained')
  axis = figure.subplots()
  for i in np.unique(labels):
    colour = label_colours(np.array([i]))
    axis.scatter(*places[labels == i].T, 18, colour, label=names[i])
  axis.set(xticks=[], yticks=[])
  figure.legend(loc='outside right center', fontsize=8)
  return _drawn(figure)


def ribbons(
  values: np.ndarray,
  left: Mapping[str, np.ndarray | None],
  right: Mapping[str, np.ndarray | None],
) -> np.ndarray:
  """Plots what flows from parts at the left to parts at the right.

  Args:
    values: ``[L, R]``; a ribbon is as wide as its value is large, red above
      and blue below zero.
    left: Pictures uint8 ``[h, w, 3]`` of the parts by label, of one size; a
      part may have none.
    right: The same for the other side.

  Returns:
    A uint8 picture ``[H, W, 3]``.
  """
  from matplotlib.figure import Figure
  from matplotlib.patches import PathPatch
  from matplotlib.path import Path

  values = np.asarray(values, np.float64)
  size = np.abs(values)
  # The widest end takes most of the room of its part.
  size = size * 0.9 / max(size.sum(0).max(), size.sum(1).max(), 1e-12)
  figure = Figure((9, 1.1 * max(values.shape)), 100, layout='constrained')
  axis = figure.subplots()
  starts = []
  for parts, axis_of_parts in ((left, 1), (right, 0)):
    middle = (np.arange(len(parts)) + 0.5) / len(parts) * max(values.shape)
    top = middle - size.sum(axis_of_parts) / 2
    before = np.cumsum(size, axis_of_parts) - size
    starts.append(np.expand_dims(top, axis_of_parts) + before)
    _column(axis, parts, middle, -1 if axis_of_parts else 1)
  for i, j in np.ndindex(*values.shape):
    a, b, wide = starts[0][i, j], starts[1][i, j], size[i, j]
    corners = [
      (0, a), (2, a), (2, b), (4, b),
      (4, b + wide), (2, b + wide), (2, a + wide), (0, a + wide), (0, a),
    ]  # fmt: skip
    curve = [Path.CURVE4] * 3
    codes = [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY]
    colour = '#b2182b' if values[i, j] > 0 else '#2166ac'
    axis.add_patch(PathPatch(Path(corners, codes), fc=colour, lw=0, alpha=0.6))
  axis.set(xlim=(-3.2, 7.2), ylim=(max(values.shape), 0), aspect='equal')
  axis.axis('off')
  return _drawn(figure)


def _column(
  axis: Any,
  parts: Mapping[str, np.ndarray | None],
  middle: np.ndarray,
  side: int,
) -> None:
  """Draws pictures and labels of parts left (-1) or right (1) of ribbons."""
  for (label, picture), y in zip(parts.items(), middle, strict=True):
    start = 0.0 if side < 0 else 4.0
    if picture is not None:
      tall = 0.8
      wide = tall * picture.shape[1] / picture.shape[0]
      near, far = start + side * 0.05, start + side * (0.05 + wide)
      box = (min(near, far), max(near, far), y + tall / 2, y - tall / 2)
      axis.imshow(picture, extent=box, interpolation='antialiased')
      start = far
    axis.text(
      start + side * 0.1, y, label, va='center',
      ha='right' if side < 0 else 'left', fontsize=9,
    )  # fmt: skip


def _drawn(figure: Any) -> np.ndarray:
  buffer = streams.BytesIO()
  figure.savefig(buffer, format='png')
  return np.asarray(Image.open(buffer).convert('RGB'))
