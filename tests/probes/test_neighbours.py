import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import probes

K = 4


def by_brute_force(queries, features, metric):
  q, x = (np.asarray(v, np.float64) for v in (queries, features))
  if metric == 'cosine':
    q, x = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (q, x))
    distances = 1 - q @ x.T
  else:
    distances = np.linalg.norm(q[:, None] - x, axis=-1)
  order = np.argsort(distances, 1, kind='stable')[:, :K]
  return np.take_along_axis(distances, order, 1), order


@pytest.fixture
def points():
  keys = jax.random.split(jax.random.key(0))
  return jax.random.normal(keys[0], (5, 9)), jax.random.normal(keys[1], (31, 9))


@pytest.mark.parametrize('size', [1, 7, 31])
@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
def test_batches_give_what_brute_force_gives(metric, size, points):
  queries, features = points
  search = jax.jit(probes.nearest, static_argnames='metric')
  found = probes.no_neighbours(5, K)
  for first in range(0, 31, size):
    batch = features[first : first + size]
    found = search(found, queries, batch, first, metric=metric)
  distances, order = by_brute_force(queries, features, metric)
  np.testing.assert_array_equal(found.indices, order)
  np.testing.assert_allclose(found.distances, distances, atol=1e-5)


@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
def test_an_image_is_not_its_own_neighbour(metric, points):
  _, features = points
  start = probes.no_neighbours(3, K)
  own = jnp.array([4, 0, -1])
  queries = features[jnp.array([4, 0, 2])]
  got = probes.nearest(start, queries, features, metric=metric, exclude=own)
  assert 4 not in got.indices[0] and 0 not in got.indices[1]
  assert got.indices[2, 0] == 2
  if metric == 'euclidean':
    assert got.distances[2, 0] == 0


def test_ties_go_to_the_first_and_missing_ones_are_marked():
  features = jnp.array([[1.0, 0], [1, 0], [0, 1]])
  found = probes.no_neighbours(1, 3)
  for first in range(3):
    batch = features[first : first + 1]
    found = probes.nearest(found, features[:1], batch, first)
    if first == 0:
      assert found.indices.tolist() == [[0, -1, -1]]
      assert found.distances.tolist() == [[0, np.inf, np.inf]]
  assert found.indices.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
def test_what_is_not_finite_is_nobodys_neighbour(metric, points):
  queries, features = points
  features = features.at[3, 1].set(jnp.nan).at[5, 0].set(jnp.inf)
  start = probes.no_neighbours(5, 31)
  got = probes.nearest(start, queries, features, metric=metric)
  assert not {3, 5} & {*np.asarray(got.indices).ravel().tolist()}
  assert (got.indices[:, -2:] == -1).all() and (got.indices[:, :-2] >= 0).all()


def test_a_vector_of_zeros_is_one_apart():
  features = jnp.array([[0.0, 0], [2, 0]])
  got = probes.nearest(probes.no_neighbours(2, 2), features, features)
  assert got.distances.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'metric': 'angle'}, "metric: got 'angle', expected one of"),
    ({'features': jnp.zeros((3, 8))}, r'queries, features: got \(5, 9\) and'),
    ({'queries': jnp.zeros((2, 3, 9))}, 'queries, features: got'),
  ],
)
def test_wrong_arguments_are_named(change, message, points):
  arguments = {'queries': points[0], 'features': points[1], **change}
  with pytest.raises(ValueError, match=message):
    probes.nearest(probes.no_neighbours(5, 2), **arguments)


@pytest.mark.parametrize('wrong', [(0, 3), (3, 0), (3, 1.5)])
def test_wrong_numbers_are_named(wrong):
  with pytest.raises(ValueError, match='queries: got|k: got'):
    probes.no_neighbours(*wrong)
