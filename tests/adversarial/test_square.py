"""The square attack against its paper's equations, by loops in NumPy."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import adversarial

module = importlib.import_module('vizlab.adversarial.square')
KEY = jax.random.key(0)


def papers_pyramids(side, turned):
  """Equation 2 and the line after it, with rows and columns from 1."""

  def pyramid(rows, columns):
    n = rows // 2
    eta = np.zeros((rows, columns))
    for r in range(1, rows + 1):
      for s in range(1, columns + 1):
        m = n - max(abs(r - rows // 2 - 1), abs(s - columns // 2 - 1))
        eta[r - 1, s - 1] = sum(1 / (n + 1 - k) ** 2 for k in range(m + 1))
    return eta

  k = side // 2
  both = np.hstack([pyramid(side, k), -pyramid(side, side - k)])
  return both.T if turned else both


@pytest.mark.parametrize('turned', [False, True])
@pytest.mark.parametrize('side', [1, 2, 3, 6, 7, 10])
def test_pyramids_are_those_of_the_paper(side, turned):
  row, column = np.arange(side)[:, None], np.arange(side)[None]
  got = module._pyramids(row, column, side, jnp.bool_(turned))
  np.testing.assert_allclose(got, papers_pyramids(side, turned), rtol=1e-6)


@pytest.mark.parametrize('seed', range(3))
def test_a_step_in_l2_is_that_of_the_paper(seed):
  """Lines 4 to 10 of algorithm 3, channel by channel."""
  draw, epsilon, side = np.random.default_rng(seed), 2.0, 4
  nu = draw.normal(size=(9, 8, 3))
  nu *= 1.7 / np.linalg.norm(nu)
  here, there = np.zeros((9, 8), bool), np.zeros((9, 8), bool)
  here[2 : 2 + side, 3 : 3 + side] = True
  there[3 : 3 + side, 1 : 1 + side] = True  # they overlap
  rho = draw.choice([-1, 1], 3)
  eta = papers_pyramids(side, seed % 2)
  shape = np.zeros((9, 8, 3))
  shape[here] = (eta[..., None] * rho).reshape(-1, 3)
  want = nu.copy()
  unused = epsilon**2 - np.square(nu).sum()
  for i in range(3):
    old = nu[here, i] / np.linalg.norm(nu[here, i])
    added = rho[i] * eta.ravel() / np.linalg.norm(eta) + old
    available = np.square(nu[here | there, i]).sum() + unused / 3
    want[there, i] = 0
    want[here, i] = added / np.linalg.norm(added) * np.sqrt(available)
  got = module._with_mass(
    *(jnp.asarray(v, jnp.float32) for v in (nu, shape)),
    *(np.broadcast_to(v[..., None], nu.shape) for v in (here, there)),
    epsilon,
  )
  np.testing.assert_allclose(got, want, atol=1e-6)
  np.testing.assert_allclose(np.linalg.norm(got), epsilon, rtol=1e-6)


def test_tiles_cover_the_middle():
  """Tiles of a fifth of the shorter side: 7 x 5 of 23 x 17 pixels."""
  x = jnp.full((23, 17, 2), 0.5)
  delta = np.asarray(module._tiles(KEY, x, jnp.float32(0.3)) - 0.5)
  np.testing.assert_allclose(np.linalg.norm(delta), 0.3, rtol=1e-5)
  assert not delta[0].any() and not delta[22].any()
  assert not delta[:, 0].any() and not delta[:, 16].any()
  tiles = delta[1:22, 1:16].reshape(7, 3, 5, 3, 2)
  tiles = tiles.transpose(0, 2, 4, 1, 3).reshape(70, 3, 3)
  turned = [papers_pyramids(3, t) for t in (False, True)]
  found = set()
  for tile in tiles / np.abs(tiles).max():
    of = [
      (t, sign)
      for t in (0, 1)
      for sign in (-1, 1)
      if np.allclose(tile, sign * turned[t] / turned[t].max(), atol=1e-3)
    ]
    found |= set(of)
    assert len(of) == 1
  assert len(found) == 4


def test_squares_shrink_as_in_the_paper():
  """Halved at these of 10,000 steps, and as early of fewer."""
  marks = 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000
  got = module._halvings(10_000)
  assert len(got) == 10_000 and got[0] == 0
  np.testing.assert_array_equal(np.flatnonzero(np.diff(got)) + 1, marks)
  for step, halved in ((0, 0), (1, 2), (2, 3), (5, 4), (10, 5), (99, 9)):
    assert module._halvings(100)[step] == halved


def test_squares_climb_a_linear_score_in_l2():
  w = jax.random.normal(KEY, (12, 12, 3))

  def score(x):
    return jnp.einsum('...hwc,hwc->...', x, w, precision='highest') - 1e3

  x = jnp.full((2, 12, 12, 3), 0.5)
  most = 0.5 * np.linalg.norm(w)
  gained = []
  for steps in (1, 100, 1500):
    found = adversarial.square(
      score, x, KEY, epsilon=0.5, norm='l2', steps=steps
    )
    np.testing.assert_allclose(found.distance, 0.5, rtol=1e-4)
    gained.append(float((score(found.raw) - score(x))[0]))
  assert gained[0] < gained[1] < gained[2] <= most
  # A random direction gains about a twentieth.
  assert gained[2] > 0.5 * most


def test_a_norm_without_squares_is_refused():
  x = jnp.full((1, 8, 8, 3), 0.5)
  with pytest.raises(ValueError, match="norm: got 'l1'"):
    adversarial.square(lambda x: x.sum((1, 2, 3)), x, KEY, epsilon=1, norm='l1')
