import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import stats, style

KEY = jax.random.key(0)


def test_colours_are_exchanged_as_in_yiq():
  a, b = np.asarray(jax.random.uniform(KEY, (2, 4, 5, 3), maxval=0.6)) + 0.2
  got = np.asarray(style.with_colours_of(jnp.asarray(a), jnp.asarray(b)))
  for i in range(4):
    for j in range(5):
      y = colorsys.rgb_to_yiq(*a[i, j])[0]
      _, *colour = colorsys.rgb_to_yiq(*b[i, j])
      expected = np.array(b[i, j]) + y - colorsys.rgb_to_yiq(*b[i, j])[0]
      np.testing.assert_allclose(got[i, j], expected.clip(0, 1), atol=0.01)
      if 0.02 < got[i, j].min() and got[i, j].max() < 0.98:
        found = colorsys.rgb_to_yiq(*got[i, j])
        np.testing.assert_allclose(found, [y, *colour], atol=0.01)


def test_matched_colours_have_mean_and_covariance_of_the_content():
  turn = jax.random.normal(jax.random.key(1), (3, 3)) / 5
  painting = 0.5 + jax.random.normal(KEY, (30, 20, 3)) @ turn
  content = jax.random.uniform(KEY, (10, 40, 3), maxval=0.7) ** 2
  got = style.match_colours(painting, content)
  for one, two in zip(
    stats.covariance(got), stats.covariance(content), strict=True
  ):
    np.testing.assert_allclose(one, two, atol=1e-4)
  same = style.match_colours(content, content)
  np.testing.assert_allclose(same, content, atol=1e-4)


def test_grey_pictures_stay_finite():
  grey = jnp.full((8, 8, 3), 0.4)
  other = jax.random.uniform(KEY, (8, 8, 3))
  for one, two in ((grey, other), (other, grey)):
    assert jnp.isfinite(style.match_colours(one, two)).all()
  np.testing.assert_allclose(style.luminance(grey), grey, atol=1e-6)


def test_other_shapes_are_named():
  with pytest.raises(ValueError, match=r'other: got shape \(4, 5, 3\)'):
    style.with_colours_of(jnp.zeros((4, 4, 3)), jnp.zeros((4, 5, 3)))
