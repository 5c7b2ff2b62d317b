import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.evaluate import energy_inside


def test_shares_by_hand():
  mask = jnp.array([[1.0, 0.5], [0.0, 0.0]])
  maps = jnp.array(
    [
      [[2.0, 2.0], [4.0, -8.0]],
      [[0.0, 0.0], [0.0, 0.0]],
      [[-1.0, -1.0], [-1.0, -1.0]],
      [[1.0, 1.0], [1.0, 1.0]],
    ]
  )
  got = energy_inside(maps, jnp.broadcast_to(mask, maps.shape))
  np.testing.assert_allclose(got, [3 / 8, 0, 0, 1.5 / 4])


def test_nan_is_not_hidden_and_shapes_must_match():
  mask = jnp.ones((2, 2))
  assert jnp.isnan(energy_inside(mask * jnp.nan, mask))
  with pytest.raises(ValueError, match=r'mask: got shape \(2, 2\), expected'):
    energy_inside(jnp.ones((3, 2, 2)), mask)
