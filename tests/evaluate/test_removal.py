"""Deletion, insertion, ROAD, drop and increase, on scores known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import evaluate
from vizlab.image.filters import blur

KEY = jax.random.key(4)


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (3, 8, 6, 3))


@pytest.fixture
def weight():
  return jnp.abs(jax.random.normal(jax.random.key(1), (8, 6, 3)))


def linear(weight):
  return lambda x: jnp.einsum('...hwc,hwc->...', x, weight, precision='highest')


def by_loop(x, attribution, fill, count):
  """Pixels replaced one by one, the strongest first."""
  out = np.array(x)
  for b in range(len(out)):
    order = np.argsort(-np.asarray(attribution[b]).ravel(), kind='stable')
    for place in order[:count]:
      out[b, place // 6, place % 6] = fill[b, place // 6, place % 6]
  return out


@pytest.mark.parametrize('chunk', [1, 7, 100])
def test_deletion_and_insertion_are_the_loop(chunk, x, weight):
  fn, a = linear(weight), jax.random.normal(KEY, (3, 8, 6))
  grey = np.full(x.shape, 0.5, np.float32)
  curve = jax.jit(
    lambda x, a: evaluate.deletion(fn, x, a, steps=6, chunk=chunk)
  )(x, a)
  np.testing.assert_allclose(curve.shares, np.linspace(0, 1, 7))
  expected = [fn(by_loop(x, a, grey, 8 * i)) for i in range(7)]
  np.testing.assert_allclose(curve.scores, np.stack(expected, 1), rtol=1e-5)
  np.testing.assert_allclose(
    curve.area, np.trapezoid(np.stack(expected, 1), dx=1 / 6), rtol=1e-5
  )
  curve = evaluate.insertion(fn, x, a, baseline=0.5, steps=6, chunk=chunk)
  expected = [fn(by_loop(grey, a, np.asarray(x), 8 * i)) for i in range(7)]
  np.testing.assert_allclose(curve.scores, np.stack(expected, 1), rtol=1e-5)


def test_the_true_order_is_the_best(x, weight):
  fn = linear(weight)
  truth = (x * weight[None]).sum(-1)
  noise = jax.random.normal(KEY, truth.shape)

  def area(metric, a, **settings):
    return metric(fn, x, a, baseline=0.0, **settings).area

  assert (area(evaluate.deletion, truth) < area(evaluate.deletion, noise)).all()
  assert (
    area(evaluate.deletion, noise) < area(evaluate.deletion, -truth)
  ).all()
  inserted = area(evaluate.insertion, truth), area(evaluate.insertion, noise)
  assert (inserted[0] > inserted[1]).all()


def test_insertion_starts_from_the_blurred_image(x, weight):
  curve = evaluate.insertion(linear(weight), x, x.sum(-1), steps=2)
  blurred = linear(weight)(blur(x, 8.0))
  np.testing.assert_allclose(curve.scores[:, 0], blurred, rtol=1e-5)
  np.testing.assert_allclose(curve.scores[:, 2], linear(weight)(x), rtol=1e-5)


def test_drop_and_increase_by_hand():
  def brightness(x):
    return x.mean((-3, -2, -1))

  x = jnp.full((1, 2, 2, 3), 0.5)
  half = jnp.array([[[2.0, 2.0], [-3.0, 0.0]]])
  got = evaluate.drop_increase(brightness, x, half)
  np.testing.assert_allclose(got.drop, 0.5)
  np.testing.assert_array_equal(got.increase, 0)
  got = evaluate.drop_increase(brightness, x, half, baseline=1.0)
  np.testing.assert_array_equal(got.drop, 0)
  np.testing.assert_array_equal(got.increase, 1)
  nothing = evaluate.drop_increase(brightness, x, jnp.zeros((1, 2, 2)))
  np.testing.assert_array_equal(nothing.drop, 1)


def test_imputed_pixels_solve_the_papers_system():
  sparse = pytest.importorskip('scipy.sparse')
  solve = pytest.importorskip('scipy.sparse.linalg').spsolve
  x = jax.random.uniform(KEY, (2, 9, 7, 3))
  gone = jax.random.bernoulli(jax.random.key(1), 0.6, (2, 9, 7))
  gone = gone.at[1].set(False).at[1, 2:8, 0:5].set(True)
  got = jax.jit(lambda x, g: evaluate.impute(x, g, tolerance=1e-6))(x, gone)
  for b in range(2):
    unknown = [tuple(p) for p in np.argwhere(gone[b])]
    matrix = sparse.lil_matrix((len(unknown), len(unknown)))
    right = np.zeros((len(unknown), 3))
    for n, (i, j) in enumerate(unknown):
      for di, dj in np.ndindex(3, 3):
        p, q = i + di - 1, j + dj - 1
        if (di, dj) == (1, 1) or not (0 <= p < 9 and 0 <= q < 7):
          continue
        weight = 1 / 6 if 1 in (di, dj) else 1 / 12
        matrix[n, n] += weight
        if gone[b, p, q]:
          matrix[n, unknown.index((p, q))] -= weight
        else:
          right[n] += weight * np.asarray(x)[b, p, q]
    filled = np.array(x[b])
    filled[np.asarray(gone[b])] = solve(matrix.tocsc(), right)
    np.testing.assert_allclose(got[b], filled, atol=1e-4)


def test_imputing_nothing_everything_and_a_flat_image(x):
  none = jnp.zeros(x.shape[:-1], bool)
  np.testing.assert_array_equal(evaluate.impute(x, none), x)
  mean = x.mean((1, 2), keepdims=True)
  np.testing.assert_allclose(
    evaluate.impute(x, ~none), jnp.broadcast_to(mean, x.shape), rtol=1e-5
  )
  flat = jnp.full((4, 5, 3), 0.3)
  gone = jnp.zeros((4, 5), bool).at[1:].set(True)
  np.testing.assert_allclose(evaluate.impute(flat, gone), flat, atol=1e-6)


def test_road_prefers_the_true_order_and_is_odd(x, weight):
  fn, truth = linear(weight - 1.0), (x * (weight - 1.0)[None]).sum(-1)
  good = jax.jit(lambda a: evaluate.road(fn, x, a, KEY, noise=0.0))(truth)
  bad = evaluate.road(fn, x, -truth, KEY, noise=0.0)
  np.testing.assert_allclose(good, -bad, rtol=1e-2, atol=1e-2)
  assert (good > bad).all()


def bright_middle():
  """A bright pixel in grey, a map that marks it, and its light as the score."""
  x = jnp.full((2, 3, 3, 3), 0.2).at[:, 1, 1].set(1.0)
  order = [[0.0, 1.0, 2.0], [3.0, 9.0, 4.0], [5.0, 6.0, 7.0]]
  return x, jnp.stack([jnp.array(order)] * 2), lambda x: x[..., 1, 1, 0]


def test_road_by_hand():
  """Filled from its neighbours, the middle is as grey as they are."""
  x, a, light = bright_middle()
  settings = {'shares': (1 / 9, 2 / 9, 3 / 9)}
  got = evaluate.road(light, x, a, KEY, noise=0.0, **settings)
  np.testing.assert_allclose(got, (1.0 - 0.2) / 2, atol=1e-4)
  flipped = evaluate.road(light, x, -a, KEY, noise=0.0, **settings)
  np.testing.assert_allclose(flipped, (0.2 - 1.0) / 2, atol=1e-4)
  # What is filled in has noise of this strength, the same for both images.
  grain = 0.5 * float(jax.random.normal(KEY, (3, 3, 3))[1, 1, 0])
  noisy = evaluate.road(light, x, a, KEY, noise=0.5, **settings)
  np.testing.assert_allclose(noisy, (1.0 - 0.2 - grain) / 2, atol=1e-4)


def test_road_is_the_mean_over_its_shares():
  x, a, light = bright_middle()
  a = a.at[:, 2, 2].set(10.0)  # the middle is the second to go
  got = evaluate.road(light, x, a, KEY, shares=(1 / 9, 2 / 9), noise=0.0)
  np.testing.assert_allclose(got, (0.0 + 0.8) / 2 / 2, atol=1e-4)


def test_the_area_is_the_mean_score_over_the_range_of_the_shares():
  """Removed are one, two, and six of eight pixels, to unequal widths."""
  x = jnp.arange(8.0).reshape(1, 2, 4, 1) / 8
  a = x[..., 0]

  def black(x, gone):
    return jnp.where(gone[..., None], 0.0, x)

  curve = evaluate.removal_curve(
    lambda x: 8 * x.sum((-3, -2, -1)), x, a, black, shares=(0.125, 0.25, 0.75)
  )
  np.testing.assert_allclose(curve.scores, [[21, 15, 1]], rtol=1e-6)
  area = (18 * 0.125 + 8 * 0.5) / 0.625
  np.testing.assert_allclose(curve.area, [area], rtol=1e-6)
  # Shares between two pixels go to the nearest one.
  near = evaluate.removal_curve(
    lambda x: 8 * x.sum((-3, -2, -1)), x, a, black, shares=(0.0, 0.2, 1.0)
  )
  np.testing.assert_allclose(near.scores, [[28, 15, 0]], rtol=1e-6)


def test_areas_of_deletion_and_insertion_by_hand():
  x = jnp.arange(4.0).reshape(1, 2, 2, 1) / 4
  total = lambda x: 4 * x.sum((-3, -2, -1))  # noqa: E731
  settings = {'baseline': 0.0, 'steps': 4}
  gone = evaluate.deletion(total, x, x[..., 0], **settings)
  np.testing.assert_allclose(gone.scores, [[6, 3, 1, 0, 0]], atol=1e-6)
  np.testing.assert_allclose(gone.area, [(3 + 3 + 1) / 4], rtol=1e-6)
  seen = evaluate.insertion(total, x, x[..., 0], **settings)
  np.testing.assert_allclose(seen.scores, [[0, 3, 5, 6, 6]], atol=1e-6)
  np.testing.assert_allclose(seen.area, [(3 + 3 + 5 + 6) / 4], rtol=1e-6)
  # Equal pixels go in row-major order.
  flat = evaluate.deletion(total, x, jnp.ones((1, 2, 2)), **settings)
  np.testing.assert_allclose(flat.scores, [[6, 6, 5, 3, 0]], atol=1e-6)


def test_drop_of_a_score_that_is_not_positive_is_not_divided():
  def above(x):
    return x.mean((-3, -2, -1)) - 0.5

  x = jnp.full((2, 2, 2, 3), 0.5)
  half = jnp.array([[[2.0, 2.0], [-3.0, 0.0]]] * 2)
  got = evaluate.drop_increase(above, x, half)
  np.testing.assert_allclose(got.drop, 0.25, rtol=1e-6)
  same = evaluate.drop_increase(above, x, jnp.ones((2, 2, 2)))
  np.testing.assert_array_equal(same, 0)  # neither a drop nor an increase


@pytest.mark.parametrize(
  ('call', 'message'),
  [
    (
      lambda x: evaluate.deletion(jnp.sum, x, x),
      r'attribution: got shape \(3, 8, 6, 3\), expected one number per pixel',
    ),
    (
      lambda x: evaluate.deletion(jnp.sum, x, x[..., 0]),
      r'score: gave shape \(\)',
    ),
    (
      lambda x: evaluate.deletion(jnp.sum, x, x[..., 0], steps=0),
      'steps: got 0',
    ),
    (
      lambda x: evaluate.road(jnp.sum, x, x[..., 0], KEY, shares=(0.5, 0.1)),
      'shares: got .*, expected two or more, rising',
    ),
    (
      lambda x: evaluate.road(jnp.sum, x, x[..., 0], KEY, shares=(0.5, 0.5)),
      'shares: got .*, expected two or more, rising',
    ),
    (
      lambda x: evaluate.road(jnp.sum, x, x[..., 0], KEY, shares=(0.5,)),
      'shares: got .*, expected two or more, rising',
    ),
    (
      lambda x: evaluate.road(jnp.sum, x, x[..., 0], KEY, shares=(-0.5, 0.5)),
      r'shares: got .*, expected in \[0, 1\]',
    ),
    (
      lambda x: evaluate.road(jnp.sum, x, x[..., 0], KEY, shares=(0.5, 1.5)),
      r'shares: got .*, expected in \[0, 1\]',
    ),
    (
      lambda x: evaluate.impute(x, x > 0),
      'gone: got shape',
    ),
  ],
)
def test_wrong_settings_are_named(call, message, x):
  with pytest.raises(ValueError, match=message):
    call(x)
