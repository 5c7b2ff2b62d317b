import itertools

import numpy as np
import pytest
from sklearn.decomposition import PCA

from vizlab import probes

RNG = np.random.default_rng(0)


def test_components_equal_those_of_scikit_learn():
  x = RNG.normal(size=(30, 8)) * np.arange(1, 9)
  got = probes.principal(x, 5)
  wanted = PCA(5).fit_transform(x)
  np.testing.assert_allclose(np.abs(got), np.abs(wanted), rtol=1e-6)
  # The sign does not depend on the order of the points.
  order = RNG.permutation(30)
  np.testing.assert_allclose(probes.principal(x[order], 5), got[order])


def cost(points, cells, rows, columns):
  low, span = points.min(0), np.ptp(points, 0)
  scaled = (points - low) / span * [columns - 1, rows - 1]
  return np.square(scaled - np.asarray(cells)[:, ::-1]).sum()


def test_cells_are_the_best_of_all():
  points = RNG.normal(size=(5, 2))
  cells = probes.on_grid(points, 2, 3)
  assert len({tuple(cell) for cell in cells}) == 5
  every = list(itertools.product(range(2), range(3)))
  best = min(
    cost(points, some, 2, 3) for some in itertools.permutations(every, 5)
  )
  np.testing.assert_allclose(cost(points, cells, 2, 3), best)


def test_a_grid_stays_as_it_is():
  y, x = np.mgrid[:4, :6]
  points = np.stack([x.ravel(), y.ravel()], 1)
  order = RNG.permutation(24)
  cells = probes.on_grid(3.0 * points[order] - 7, 4, 6)
  np.testing.assert_array_equal(cells, points[order][:, ::-1])


def test_points_on_a_line_and_equal_points():
  cells = probes.on_grid(np.zeros((3, 2)), 1, 4)
  assert len({tuple(cell) for cell in cells}) == 3
  line = np.stack([np.arange(4.0), np.zeros(4)], 1)
  assert probes.on_grid(line, 1, 4)[:, 1].tolist() == [0, 1, 2, 3]


def test_wrong_arguments_are_named():
  with pytest.raises(ValueError, match='features: got shape'):
    probes.principal(np.full((3, 2), np.nan))
  for count in (0, 3):
    with pytest.raises(ValueError, match=f'count: got {count}, .* 1 to 2'):
      probes.principal(np.eye(3)[:, :2], count)
  for shape in ((3, 3), (0, 2), (4,)):
    with pytest.raises(ValueError, match='points: got shape'):
      probes.on_grid(np.zeros(shape), 2, 2)
  with pytest.raises(ValueError, match='points: .* not finite'):
    probes.on_grid(np.full((2, 2), np.inf), 2, 2)
  with pytest.raises(ValueError, match='rows, columns: got 1 and 2'):
    probes.on_grid(np.zeros((3, 2)), 1, 2)
