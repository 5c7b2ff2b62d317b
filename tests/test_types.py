"""The nouns as pytrees: other classes are other programs."""

import itertools

import jax
import numpy as np
import pytest

from vizlab import penalties
from vizlab.objectives import layer_energy, logit, probability
from vizlab.types import check_image, check_picture, pytree_dataclass, whole


@pytree_dataclass(static=('name',))
class One:
  name: str
  number: float


@pytree_dataclass(static=('name',))
class Two:
  name: str
  number: float


def test_classes_alike_in_all_but_name_have_other_structures():
  """A difference that `register_dataclass` does not see in jax 0.10."""
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


@pytest.mark.parametrize(
  ('image', 'message'),
  [
    (np.zeros((4, 4, 3), np.uint8), 'x: got uint8, expected float32 in .0, 1.'),
    (np.full((4, 4, 3), 200.0), 'x: got values from 0 to 200, expected'),
    (np.full((2, 4, 4, 3), -100.0), 'x: got values from -100 to 0, expected'),
    (np.zeros((4, 3)), r'x: got shape \(4, 3\), expected'),
  ],
)
def test_images_of_another_range_are_named(image, message):
  with pytest.raises(ValueError, match=message):
    check_image(image, 'x')


def test_images_that_overshoot_or_are_traced_pass():
  check_image(np.linspace(-0.5, 1.5, 48).reshape(4, 4, 3), 'x')
  check_image(np.full((1, 1, 3), np.nan), 'x')
  jax.eval_shape(
    lambda x: check_image(x, 'x'), jax.ShapeDtypeStruct((4, 4, 3), np.float32)
  )


@pytest.mark.parametrize('value', [40.0, True, 0, '3', None, np.float32(2)])
def test_whole_numbers(value):
  with pytest.raises(ValueError, match='steps: got .*expected a whole number'):
    whole(value, 'steps')


def test_whole_numbers_of_numpy_are_ints():
  assert type(whole(np.int64(3), 'steps')) is int
  assert whole(0, 'steps', 0) == 0


def test_pictures_are_uint8():
  check_picture(np.zeros((2, 2, 3), np.uint8), 'picture')
  with pytest.raises(ValueError, match='picture: got float32.*render.to_uint8'):
    check_picture(np.zeros((2, 2, 3), np.float32), 'picture')
