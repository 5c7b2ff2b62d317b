import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.objectives import (
  alignment,
  caricature,
  direction,
  diversity,
  features,
  guide,
)

LOGITS = jnp.zeros((3, 5))


@pytest.fixture
def acts():
  a = jax.random.normal(jax.random.key(0), (3, 4, 5, 6))
  return {'map': a, 'vector': a[:, 0, 0]}


@pytest.mark.parametrize('power', [0.0, 2.0])
def test_direction(acts, power):
  v = np.asarray(jax.random.normal(jax.random.key(1), (6,)))
  got = direction('map', v, power=power)(LOGITS, acts)
  for n in range(3):
    total = 0.0
    for a in np.asarray(acts['map'][n]).reshape(-1, 6):
      cosine = a @ v / np.linalg.norm(a) / np.linalg.norm(v)
      total += a @ v * max(cosine, 0.1) ** power
    np.testing.assert_allclose(got[n], total / 20, rtol=1e-5)


def test_direction_of_a_dead_map_has_a_finite_slope():
  wish = direction('map', np.ones(6), power=2.0)
  slope = jax.grad(lambda a: wish(None, {'map': a}).sum())(jnp.zeros((4, 4, 6)))
  assert jnp.isfinite(slope).all()


def test_guide_takes_the_best_guide_at_each_place(acts):
  g = np.asarray(jax.random.normal(jax.random.key(1), (7, 6)))
  got = guide('map', g)(LOGITS, acts)
  expected = (np.asarray(acts['map']) @ g.T).max(-1).mean((1, 2))
  np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_diversity_by_hand(acts):
  grams = []
  for a in np.asarray(acts['map']).reshape(3, 20, 6):
    gram = a.T @ a
    grams.append(gram.ravel() / np.linalg.norm(gram))
  cosine = np.array(grams) @ np.array(grams).T
  expected = -(cosine.sum(1) - 1) / 2
  np.testing.assert_allclose(
    diversity('map')(LOGITS, acts), expected, rtol=1e-5
  )


def test_diversity_does_not_see_where_things_are(acts):
  rolled = {'map': acts['map'].at[1].set(jnp.roll(acts['map'][1], 2, 0))}
  np.testing.assert_allclose(
    diversity('map')(LOGITS, rolled), diversity('map')(LOGITS, acts), rtol=1e-5
  )


def test_alignment_by_hand(acts):
  a = np.asarray(acts['map'])
  first, second = ((a[i] - a[i + 1]).__pow__(2).mean() for i in (0, 1))
  np.testing.assert_allclose(
    alignment('map')(LOGITS, acts),
    [-first, -first - second, -second],
    rtol=1e-5,
  )


@pytest.mark.parametrize('layer', ['map', 'vector'])
@pytest.mark.parametrize('shared', [True, False])
def test_features_by_hand(acts, layer, shared):
  a = acts[layer]
  target = a[0] + 1 if shared else a + 1
  got = features(layer, target)(LOGITS, acts)
  for n in range(3):
    wanted = np.asarray(target if shared else target[n])
    apart = ((np.asarray(a[n]) - wanted) ** 2).sum() / (wanted**2).sum()
    np.testing.assert_allclose(got[n], apart, rtol=1e-5)


@pytest.mark.parametrize(
  ('wish', 'message'),
  [
    (direction('map', np.ones(5)), r'vector: got shape \(5,\), expected'),
    (guide('map', np.ones((2, 5))), 'vectors: got shape'),
    (guide('map', np.ones((0, 6))), 'vectors: got shape'),
    (guide('map', np.ones(6)), 'vectors: got shape'),
    (direction('map', np.ones((2, 6))), 'vector: got shape'),
    (diversity('vector'), "layer: 'vector' gives a vector"),
    (features('map', np.ones((4, 4, 6))), 'target: got shape'),
    (features('map', np.ones(6)), 'target: got shape'),
    (features('map', np.ones((5, 6))), 'target: got shape'),
    (features('nap', np.ones(6)), "layer: got 'nap', expected one of"),
  ],
  ids=str,
)
def test_what_does_not_fit_is_named(acts, wish, message):
  with pytest.raises(ValueError, match=message):
    wish(LOGITS, acts)


@pytest.mark.parametrize('wish', [diversity('map'), alignment('map')])
def test_comparisons_need_a_batch(acts, wish):
  with pytest.raises(ValueError, match='a batch of two or more'):
    wish(None, {'map': acts['map'][0]})
  with pytest.raises(ValueError, match='a batch of two or more'):
    wish(None, {'map': acts['map'][:1]})


def test_numbers_that_are_not_finite_are_refused():
  with pytest.raises(ValueError, match='vector: got .* expected finite'):
    direction('map', np.array([1.0, np.nan]))


def test_a_direction_at_one_position(acts):
  vector = np.array([1, -2, 0.5, 0, 1, 3], np.float32)
  a = np.asarray(acts['map'], np.float64)
  wish = direction('map', vector, power=2.0, position=(1, np.array([0, 2, 4])))
  for i, column in enumerate((0, 2, 4)):
    dot = a[i, 1, column] @ vector
    size = np.linalg.norm(a[i, 1, column]) * np.linalg.norm(vector)
    want = dot * max(dot / size, 0.1) ** 2
    np.testing.assert_allclose(wish(None, acts)[i], want, rtol=1e-4)
  with pytest.raises(ValueError, match='row: got 9'):
    direction('map', vector, position=(9, 0))(None, acts)


@pytest.mark.parametrize('power', [0.0, 1.0, 3.0])
def test_caricature_by_hand(acts, power):
  a = np.asarray(acts['map'], np.float64)
  target = a[1]
  got = caricature('map', target, power=power)(None, acts)
  for i in range(len(a)):
    dot = (a[i] * target).sum()
    cosine = dot / (np.linalg.norm(a[i]) * np.linalg.norm(target))
    places = a.shape[1] * a.shape[2]
    want = dot * max(cosine, 0.1) ** power / places
    np.testing.assert_allclose(got[i], want, rtol=1e-4)
  with pytest.raises(ValueError, match='target: got shape'):
    caricature('map', target[:1])(None, acts)


def test_alignment_with_several_neighbours():
  values = np.array([0.0, 1.0, 3.0, 7.0])
  a = jnp.asarray(values[:, None, None, None] + np.zeros((1, 2, 2, 3)))
  got = alignment('map', neighbours=2, decay=0.5)(None, {'map': a})
  near, far = np.diff(values) ** 2, (values[2:] - values[:-2]) ** 2
  want = [near[0] + far[0] / 2, near[0] + near[1] + far[1] / 2]
  want += [near[1] + near[2] + far[0] / 2, near[2] + far[1] / 2]
  np.testing.assert_allclose(got, [-w for w in want], rtol=1e-6)
  # More neighbours than there are count as all.
  assert alignment('map', neighbours=9)(None, {'map': a}).shape == (4,)


def test_each_image_may_have_its_own_direction(tiny):
  x = jax.random.uniform(jax.random.key(0), (3, 16, 16, 3))
  logits, acts = tiny(x)
  vectors = jax.random.normal(jax.random.key(1), (3, 12))
  both = direction('relu2', vectors, power=1.5)(logits, acts)
  for i in range(3):
    one = direction('relu2', vectors[i], power=1.5)(
      logits[i : i + 1], {'relu2': acts['relu2'][i : i + 1]}
    )
    np.testing.assert_allclose(both[i], one[0], rtol=1e-5)
  with pytest.raises(ValueError, match=r'vector: got shape \(2, 12\)'):
    direction('relu2', vectors[:2])(logits, acts)
