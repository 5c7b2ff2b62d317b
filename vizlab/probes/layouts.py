"""Layouts of points in the plane."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

__all__ = ['on_grid', 'principal']


def principal(features: np.ndarray, count: int = 2) -> np.ndarray:
  """Coordinates of points along their principal components, ``[N, count]``.

  The sign of each component is such that its largest loading is positive.

  Args:
    features: ``[N, D]``.
    count: Number of components, at most ``min(N, D)``.

  Raises:
    ValueError: The features are no finite matrix, or there are too few.
  """
  x = np.asarray(features, np.float64)
  if x.ndim != 2 or not np.isfinite(x).all():
    raise ValueError(
      f'features: got shape {x.shape}, expected finite numbers [N, D]'
    )
  if not 1 <= count <= min(x.shape):
    raise ValueError(f'count: got {count}, expected 1 to {min(x.shape)}')
  u, s, v = np.linalg.svd(x - x.mean(0), full_matrices=False)
  at = np.abs(v).argmax(1)
  signs = np.where(v[np.arange(len(v)), at] < 0, -1, 1)
  return (u * s * signs)[:, :count]


def on_grid(points: np.ndarray, rows: int, columns: int) -> np.ndarray:
  """Cells of a grid for points, one each, as near to them as possible.

  Minimises the sum of squared distances after the points are scaled to the
  grid, by linear assignment. Takes seconds for some thousands of points.

  Args:
    points: ``[N, 2]``, horizontal and vertical coordinates.
    rows: Rows of the grid.
    columns: Columns of the grid; ``rows * columns`` is at least ``N``.

  Returns:
    int ``[N, 2]``, row and column of each point; no two are the same.

  >>> on_grid([[0, 0], [0.1, 0], [1, 0]], 1, 3).tolist()
  [[0, 0], [0, 1], [0, 2]]
  """
  points = np.asarray(points, np.float64)
  shape = points.shape
  if len(shape) != 2 or shape[1] != 2 or not shape[0]:
    raise ValueError(f'points: got shape {shape}, expected [N, 2], N above 0')
  if not np.isfinite(points).all():
    raise ValueError('points: got numbers that are not finite')
  if rows * columns < len(points):
    raise ValueError(
      f'rows, columns: got {rows} and {columns}, expected room for '
      f'{len(points)} points'
    )
  low, high = points.min(0), points.max(0)
  span = np.where(high > low, high - low, 1)
  scaled = (points - low) / span * [columns - 1, rows - 1]
  y, x = np.mgrid[:rows, :columns]
  cells = np.stack([x.ravel(), y.ravel()], 1)
  which, cell = linear_sum_assignment(cdist(scaled, cells, 'sqeuclidean'))
  chosen = np.empty(len(points), int)
  chosen[which] = cell
  return np.stack([chosen // columns, chosen % columns], 1)
