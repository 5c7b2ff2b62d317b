import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import evaluate
from vizlab.data import SIXTEEN


def test_decisions_are_by_the_mean_over_classes():
  # The first category has the class that is most probable, and many others.
  logits = jnp.log(jnp.array([[0.4, 0.01, 0.01, 0.3, 0.28], [0.1] * 4 + [0.6]]))
  groups = [[0, 1, 2], [3], [4]]
  np.testing.assert_array_equal(evaluate.decide(logits, groups), [1, 2])


def test_bias_by_hand():
  shapes = jnp.array([0, 1, 2, 3, 3, 1])
  textures = jnp.array([1, 0, 0, 3, 1, 2])  # the fourth is no conflict
  decisions = jnp.array([0, 0, 0, 3, 3, 0])
  found = evaluate.shape_bias(decisions, shapes, textures)
  np.testing.assert_allclose(found, [2 / 5, 2 / 5, 1 / 2], rtol=1e-6)
  none = evaluate.shape_bias(decisions * 0 + 9, shapes, textures)
  assert np.isnan(none.bias)


@pytest.mark.parametrize('group', [[], [5], [-1]])
def test_classes_that_are_not_there_are_named(group):
  with pytest.raises(ValueError, match='groups: got'):
    evaluate.decide(jnp.zeros((1, 5)), [[0], group])
  with pytest.raises(ValueError, match='decisions, shapes, textures'):
    evaluate.shape_bias(jnp.zeros(2), jnp.zeros(3), jnp.zeros(2))


def test_the_sixteen_categories():
  classes = [k for group in SIXTEEN.values() for k in group]
  assert len(SIXTEEN) == 16 and len(classes) == len({*classes}) == 207
  assert 0 <= min(classes) and max(classes) < 1000
