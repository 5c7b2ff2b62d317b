import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.image import colour, statistics

KEY = jax.random.key(0)


def test_colours_are_exchanged_as_in_yiq():
  a, b = np.asarray(jax.random.uniform(KEY, (2, 4, 5, 3), maxval=0.6)) + 0.2
  got = np.asarray(colour.with_colours_of(jnp.asarray(a), jnp.asarray(b)))
  for i in range(4):
    for j in range(5):
      y = colorsys.rgb_to_yiq(*a[i, j])[0]
      _, *chroma = colorsys.rgb_to_yiq(*b[i, j])
      expected = np.array(b[i, j]) + y - colorsys.rgb_to_yiq(*b[i, j])[0]
      np.testing.assert_allclose(got[i, j], expected.clip(0, 1), atol=0.01)
      if 0.02 < got[i, j].min() and got[i, j].max() < 0.98:
        found = colorsys.rgb_to_yiq(*got[i, j])
        np.testing.assert_allclose(found, [y, *chroma], atol=0.01)


def test_colours_that_leave_the_range_are_clipped():
  white, blue = jnp.ones((2, 2, 3)), jnp.zeros((2, 2, 3)).at[..., 2].set(1.0)
  got = colour.with_colours_of(white, blue)
  np.testing.assert_allclose(got[0, 0], [0.886, 0.886, 1.0], atol=2e-3)
  dark = colour.with_colours_of(0 * white, blue)
  np.testing.assert_allclose(dark[0, 0], [0.0, 0.0, 0.886], atol=2e-3)


def test_matched_colours_by_hand():
  """``A = C_c^1/2 C_s^-1/2``; of colours whose covariances do not commute."""
  rng = np.random.default_rng(0)
  painting, content = (
    rng.normal(size=(4, 6, 3)) @ rng.normal(size=(3, 3)) / 5 + 0.5
    for _ in range(2)
  )

  def of(image):
    flat = image.reshape(-1, 3)
    return flat.mean(0), np.cov(flat.T, bias=True)

  def power(cov, power):
    values, vectors = np.linalg.eigh(cov)
    return vectors @ np.diag(values**power) @ vectors.T

  (mean_s, cov_s), (mean_c, cov_c) = of(painting), of(content)
  change = power(cov_c, 0.5) @ power(cov_s, -0.5)
  expected = (painting - mean_s) @ change.T + mean_c
  got = colour.match_colours(jnp.float32(painting), jnp.float32(content))
  np.testing.assert_allclose(got, expected, atol=1e-3)


def test_matched_colours_have_mean_and_covariance_of_the_content():
  turn = jax.random.normal(jax.random.key(1), (3, 3)) / 5
  painting = 0.5 + jax.random.normal(KEY, (30, 20, 3)) @ turn
  content = jax.random.uniform(KEY, (10, 40, 3), maxval=0.7) ** 2
  got = colour.match_colours(painting, content)
  for one, two in zip(
    statistics.covariance(got), statistics.covariance(content), strict=True
  ):
    np.testing.assert_allclose(one, two, atol=1e-4)
  same = colour.match_colours(content, content)
  np.testing.assert_allclose(same, content, atol=1e-4)


def test_grey_pictures_stay_finite():
  grey = jnp.full((8, 8, 3), 0.4)
  other = jax.random.uniform(KEY, (8, 8, 3))
  for one, two in ((grey, other), (other, grey)):
    assert jnp.isfinite(colour.match_colours(one, two)).all()
  # Both are grey to a deviation of a thousandth, which is no colour yet.
  noise = 1e-5 * jax.random.normal(KEY, grey.shape)
  got = colour.match_colours(grey + noise, grey)
  np.testing.assert_allclose(got, grey + noise, atol=5e-6)
  np.testing.assert_allclose(colour.luminance(grey), grey, atol=1e-6)
  for primary, weight in zip(np.eye(3), (0.299, 0.587, 0.114), strict=True):
    seen = colour.luminance(jnp.broadcast_to(jnp.float32(primary), (2, 3, 3)))
    np.testing.assert_allclose(seen, weight, atol=1e-3)


def test_other_shapes_are_named():
  with pytest.raises(ValueError, match=r'other: got shape \(4, 5, 3\)'):
    colour.with_colours_of(jnp.zeros((4, 4, 3)), jnp.zeros((4, 5, 3)))


def test_matched_luminance_has_the_contents_mean_and_deviation():
  painting = jax.random.uniform(KEY, (9, 7, 3)) ** 3
  content = 0.3 + 0.2 * jax.random.uniform(jax.random.key(7), (12, 8, 3))
  got = np.asarray(colour.match_luminance(painting, content))
  weights = np.array([0.299, 0.587, 0.114])
  light, want = (
    np.asarray(v, np.float64) @ weights for v in (painting, content)
  )
  by_hand = (light - light.mean()) * want.std() / light.std() + want.mean()
  for channel in range(3):
    np.testing.assert_allclose(got[..., channel], by_hand, atol=1e-5)
  flat = colour.match_luminance(jnp.full((4, 4, 3), 0.9), content)
  np.testing.assert_allclose(flat, want.mean(), atol=1e-5)
