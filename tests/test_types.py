"""The nouns as pytrees: other classes are other programs."""

import itertools

import jax
import numpy as np
import pytest

from vizlab import penalties
from vizlab.objectives import layer_energy, logit, probability
from vizlab.types import value


@value('name')
class One:
  name: str
  number: float


@value('name')
class Two:
  name: str
  number: float


def test_classes_alike_in_all_but_name_have_other_structures():
  """Which `jax.tree_util.register_dataclass` does not see in jax 0.10."""
  values = [
    *(One('a', 1.0), One('b', 1.0), Two('a', 1.0), logit(1), probability(1)),
    *(layer_energy('a'), penalties.l2(), penalties.tv(2.0)),
  ]
  for one, two in itertools.combinations(values, 2):
    structures = [jax.tree.structure(v) for v in (one, two)]
    assert structures[0] != structures[1], structures
  assert jax.tree.structure(One('a', 1)) == jax.tree.structure(One('a', 2))


def test_a_value_is_frozen_and_maps():
  one = One('a', 1.0)
  with pytest.raises(AttributeError):
    one.number = 2.0
  two = jax.tree.map(lambda v: v + 1, one)
  assert (type(two), two.name, two.number) == (One, 'a', 2.0)
  ((path, leaf),) = jax.tree_util.tree_leaves_with_path(one)
  assert jax.tree_util.keystr(path) == '.number' and leaf == 1.0
  np.testing.assert_array_equal(jax.jit(lambda v: v.number)(one), 1.0)
