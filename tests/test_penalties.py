import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from tools import defaults

from vizlab import penalties

EVERY = {
  'alpha_norm': penalties.alpha_norm(6.0),
  'alpha_norm of 1': penalties.alpha_norm(1.0),
  'l2': penalties.l2(),
  'tv': penalties.tv(2.0),
  'tv of 1': penalties.tv(1.0),
  'blur': penalties.blur(1.0),
  'sum': 0.5 * penalties.l2(0.5) + penalties.tv(1.5) * 2.0,
}
each = pytest.mark.parametrize('name', EVERY)


def test_every_penalty_has_a_row():
  rows = {row.fn.__name__ for row in EVERY.values() if hasattr(row, 'fn')}
  assert rows | {'l2', 'penalty', 'Penalty'} == {*penalties.__all__}


@pytest.fixture
def x():
  return jax.random.uniform(jax.random.key(0), (3, 7, 9, 3))


def by_hand(name, x):
  x = np.asarray(x, np.float64)

  def tv(beta):
    total = 0.0
    for i in range(x.shape[0] - 1):
      for j in range(x.shape[1] - 1):
        for c in range(3):
          down, right = x[i + 1, j, c] - x[i, j, c], x[i, j + 1, c] - x[i, j, c]
          total += (down**2 + right**2) ** (beta / 2)
    return total

  if name == 'blur':
    smooth = ndimage.gaussian_filter(
      x, (1, 1, 0), mode='reflect', radius=(3, 3, 0)
    )
    return ((x - smooth) ** 2).sum()
  return {
    'alpha_norm': lambda: (np.abs(x - 0.5) ** 6).sum(),
    'alpha_norm of 1': lambda: np.abs(x - 0.5).sum(),
    'l2': lambda: (x**2).sum(),
    'tv': lambda: tv(2.0),
    'tv of 1': lambda: tv(1.0),
    'sum': lambda: 0.5 * ((x - 0.5) ** 2).sum() + 2 * tv(1.5),
  }[name]()


@each
def test_each_image_is_as_by_hand(name, x):
  got = EVERY[name](x)
  assert got.shape == (3,)
  for i, image in enumerate(x):
    np.testing.assert_allclose(got[i], by_hand(name, image), rtol=1e-5)
    np.testing.assert_allclose(EVERY[name](image), got[i], rtol=1e-6)


@each
def test_slope_is_that_of_finite_differences(name, x):
  image = x[0]
  way = jax.random.normal(jax.random.key(1), image.shape)
  slope = (jax.grad(EVERY[name])(image) * way).sum()
  step = 1e-4
  ahead, behind = (
    by_hand(name, np.asarray(image, np.float64) + s * step * np.asarray(way))
    for s in (1, -1)
  )
  np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=2e-3)


@each
def test_slope_of_a_flat_grey_image_is_finite(name):
  flat = jnp.full((5, 5, 3), 0.5)
  assert jnp.isfinite(jax.jit(jax.grad(EVERY[name]))(flat)).all()


def test_defaults_are_those_of_the_papers():
  assert defaults(penalties) == {
    'alpha_norm': {'alpha': 6.0, 'centre': 0.5},
    'blur': {'sigma': 1.0},
    'l2': {'centre': 0.0},
    'tv': {'beta': 2.0},
  }


def test_flat_places_cost_nothing_and_have_no_slope():
  flat = jnp.full((2, 4, 5, 3), 0.5)
  for part in (penalties.alpha_norm(1.5), penalties.tv(1.5), penalties.blur()):
    np.testing.assert_allclose(part(flat), 0, atol=1e-9)
    slope = jax.grad(lambda x, part=part: part(x).sum())(flat)
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_a_weight_for_each_image(x):
  weighed = np.array([0.0, 1.0, -2.0]) * penalties.tv()
  np.testing.assert_allclose(
    weighed(x), np.asarray(penalties.tv()(x)) * [0, 1, -2], rtol=1e-6
  )


def test_another_weight_does_not_recompile(x):
  traces = []

  @jax.jit
  def read(penalty, x):
    traces.append(0)
    return penalty(x)

  one, two = (read(w * penalties.tv(b), x) for w, b in ((1.0, 2.0), (3.0, 2.0)))
  read(2.0 * penalties.tv(1.0), x)
  assert len(traces) == 1
  np.testing.assert_allclose(two, 3 * one, rtol=1e-6)


def test_checkerboard():
  board = (jnp.indices((4, 4)).sum(0) % 2)[..., None].astype(jnp.float32)
  assert float(penalties.tv(2.0)(board)) == 9 * 2
  np.testing.assert_allclose(penalties.tv(1.0)(board), 9 * 2**0.5, rtol=1e-6)


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: penalties.tv(0.0), 'beta: got 0.0, expected at least'),
    (lambda: penalties.alpha_norm(0.5), 'alpha: got 0.5, expected at least 1'),
    (lambda: penalties.blur(0.0), 'sigma: got 0.0, expected at least'),
    (lambda: penalties.tv(float('nan')), 'beta: got nan, expected finite'),
    (lambda: float('inf') * penalties.l2(), 'weight: got inf, expected finite'),
    (lambda: penalties.l2() + 3, 'other: got 3, expected a penalty'),
  ],
)
def test_bad_numbers_are_named(make, message):
  with pytest.raises(ValueError, match=message):
    make()
