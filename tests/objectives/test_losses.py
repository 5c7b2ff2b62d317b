import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.objectives import cross_entropy, dlr

LOGITS = np.array([[3.0, 1.0, 0.5, -2.0, 2.0], [0.0, 4.0, 1.0, 2.5, -1.0]])
LABELS = np.array([0, 2])


def read(objective):
  return np.asarray(objective(jnp.asarray(LOGITS, jnp.float32), {}))


def test_the_cross_entropy_by_hand():
  p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
  want = -np.log(p[[0, 1], LABELS])
  np.testing.assert_allclose(read(cross_entropy(LABELS)), want, rtol=1e-5)


def test_the_ratio_of_differences_by_hand():
  # Right: -(3 - 2) / (3 - 1); wrong: -(1 - 4) / (4 - 1).
  np.testing.assert_allclose(read(dlr(LABELS)), [-0.5, 1.0], rtol=1e-5)
  # Towards class 3: (-2 - 3) / (3 - 1.5 / 2), (2.5 - 1) / (4 - 1 / 2).
  np.testing.assert_allclose(
    read(dlr(LABELS, 3)), [-5 / 2.25, 1.5 / 3.5], rtol=1e-5
  )


def test_scales_and_shifts_of_the_logits_change_nothing():
  changed = jnp.asarray(100 * LOGITS + 7, jnp.float32)
  for wish in (dlr(LABELS), dlr(LABELS, 1)):
    np.testing.assert_allclose(wish(changed, {}), read(wish), rtol=1e-4)


def test_what_is_missing_is_named():
  few = jnp.zeros((1, 3))
  assert dlr(0)(few, {}).shape == (1,)
  with pytest.raises(ValueError, match='dlr: got 3 classes, expected 4 or mor'):
    dlr(0, 1)(few, {})
  with pytest.raises(ValueError, match='other: got 9, expected 0 to 4'):
    read(dlr(0, 9))
  with pytest.raises(ValueError, match='target: got 5, expected 0 to 4'):
    read(cross_entropy(5))
  with pytest.raises(ValueError, match='target: this net has no classifier'):
    cross_entropy(1)(None, {})
  assert jnp.isnan(jax.jit(lambda i: cross_entropy(i)(few, {}))(7)).all()
