"""Decorated functions as pytrees, and their arithmetic."""

import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import penalties, synthesis
from vizlab.objectives import (
  Objective,
  content,
  direction,
  features,
  index,
  logit,
  objective,
  score,
)
from vizlab.terms import at_least, decorator, numbers
from vizlab.types import whole

traces = []


@objective(power=at_least(1.0), shift=whole)
def energy(logits, acts, layer, power=2.0, *, shift=1, squared=False):
  """The energy."""
  traces.append(layer)
  y = (abs(acts[layer]) ** power).sum(-1) + shift
  return y**2 if squared else y


ACTS = {'a': jnp.array([[1.0, 2.0], [3.0, 0.0]]), 'b': jnp.ones((2, 2))}


def test_settings_are_those_after_the_inputs():
  assert [*inspect.signature(energy).parameters] == [
    *('layer', 'power', 'shift', 'squared')
  ]
  assert inspect.signature(energy).return_annotation is Objective
  assert energy.__doc__ == 'The energy.' and energy.__name__ == 'energy'
  np.testing.assert_allclose(energy('a')(None, ACTS), [6, 10])
  np.testing.assert_allclose(energy('a', 1.0, shift=3)(None, ACTS), [6, 6])
  made = energy('a', squared=True)
  np.testing.assert_allclose(made(None, ACTS), [36, 100])
  assert (made.layer, made.squared, made.shift) == ('a', True, 1)
  assert repr(made).startswith("energy(layer='a'")
  with pytest.raises(AttributeError, match="has no 'lyer'"):
    _ = made.lyer
  for wrong in ({'more': 1}, {'layer': 'b'}):
    with pytest.raises(TypeError):
      energy('a', **wrong)


def test_numbers_are_leaves_and_the_rest_is_structure():
  made = energy('a', 3.0)
  assert jax.tree.leaves(made) == [3.0]
  assert jax.tree.leaves(made)[0].dtype == np.float32
  traces.clear()
  read = jax.jit(lambda term: term(None, ACTS))
  others = energy('a', 1.0), energy('b'), energy('a', shift=2)
  for term in (made, *others, energy('a', squared=True), energy('a', 7.0)):
    np.testing.assert_allclose(read(term), term(None, ACTS), rtol=1e-6)
  # Traced once for each structure, and called once more for each of the six.
  assert len(traces) == 4 + 6


def test_bad_settings_are_named_when_it_is_made():
  with pytest.raises(ValueError, match='power: got 0.5, expected at least 1'):
    energy('a', 0.5)
  with pytest.raises(ValueError, match='shift: got 0, expected a whole'):
    energy('a', shift=0)
  with pytest.raises(ValueError, match='power: got nan, expected finite'):
    energy('a', np.nan)


def test_a_check_sees_all_settings():
  def ordered(low, high):
    if low > high:
      raise ValueError('low, high: not in order')

  @decorator(object, 1)(check=ordered)
  def between(x, low=0.0, high=1.0):
    return (low <= x) & (x <= high)

  assert between(high=2.0)(1.5) and not between()(1.5)
  with pytest.raises(ValueError, match='low, high: not in order'):
    between(3.0)


def test_terms_of_one_kind_add_and_scale():
  both = 2.0 * energy('a') - energy('b') * jnp.array([1.0, 10.0])
  np.testing.assert_allclose(both(None, ACTS), [12 - 3, 20 - 30])
  np.testing.assert_allclose((-energy('a'))(None, ACTS), [-6, -10])
  lazy = np.array([1.0, 2.0]) * energy('b')
  np.testing.assert_allclose(lazy(None, ACTS), [3, 6])
  with pytest.raises(ValueError, match='expected an objective to add'):
    energy('a') + penalties.l2()
  with pytest.raises(ValueError, match='expected a penalty to add'):
    penalties.l2() - energy('a')
  less = penalties.tv() - penalties.l2()
  np.testing.assert_allclose(less(jnp.ones((4, 4, 3))), -48)


def test_trees_of_numbers_are_converted():
  made = numbers({'mean': [1, 2], 'std': jnp.ones(2)}, 'targets')
  assert [leaf.dtype for leaf in jax.tree.leaves(made)] == [np.float32] * 3
  with pytest.raises(ValueError, match='targets: got inf'):
    numbers((1.0, np.inf), 'targets')


def test_an_objective_of_ones_own_goes_through_a_score(minivgg, images):
  @objective(channels=index)
  def strongest(logits, acts, layer, channels):
    return acts[layer][..., channels].max((-3, -2, -1))

  read = jax.jit(score(minivgg, strongest('relu3_2', [1, 5])))
  acts = minivgg(images)[1]['relu3_2']
  np.testing.assert_allclose(
    read(images), acts[..., [1, 5]].max((1, 2, 3)), rtol=1e-5
  )


@objective
def through(logits, acts, layers, function=jax.nn.relu, flag=False):
  y = sum(function(acts[layer]).sum(-1) for layer in layers)
  return -y if flag else y


def test_functions_and_lists_of_names_are_structure():
  read = jax.jit(lambda term: term(None, ACTS))
  for function in (jax.nn.relu, jnp.abs, abs):
    np.testing.assert_allclose(read(through(['a', 'b'], function)), [5, 5])
  np.testing.assert_allclose(
    read(through(('a',), flag=np.bool_(True))), [-3, -3]
  )
  assert not jax.tree.leaves(through(['a', 'b']))


def test_a_partial_has_leaves():
  def scaled(weight, x):
    return weight * x

  @jax.jit
  def read(weight):
    partial = jax.tree_util.Partial(scaled, weight)
    return through(['a'], partial)(None, ACTS)

  np.testing.assert_allclose(read(2.0), [6, 6])


def test_a_tuple_of_functions_and_terms():
  mixed = synthesis.compose(lambda key, x: 2 * x, synthesis.noise(0.0))
  x = jnp.ones((4, 4, 3))
  call = jax.jit(lambda augment, x: augment(jax.random.key(0), x))
  np.testing.assert_allclose(call(mixed, x), 2 * x)
  assert len(jax.tree.leaves(mixed)) == 1


def test_lists_of_numbers_are_arrays():
  acts = {'v': jnp.array([3.0, 4.0]), 'm': jnp.ones((2, 2, 2))}
  logits = jnp.zeros(3)
  np.testing.assert_allclose(features('v', [3.0, 0.0])(logits, acts), 16 / 9)
  np.testing.assert_allclose(content('v', (3.0, 0.0))(logits, acts), 8)
  np.testing.assert_allclose(direction('m', (1, 2))(logits, acts), 3)


def test_terms_are_pickled():
  term = 2.0 * logit(1) - energy('a', 3.0)
  again = pickle.loads(pickle.dumps(term))
  assert repr(again) == repr(term) and 'Objective.Sum' in repr(term)
  assert jax.tree.structure(again) == jax.tree.structure(term)
  noise = pickle.loads(pickle.dumps(synthesis.robust(12)))
  assert jax.tree.structure(noise) == jax.tree.structure(synthesis.robust(12))


def test_numbers_without_a_conversion_are_float32():
  @objective
  def kept(logits, acts, value):
    return value

  for value in (3, 0.5, np.int64(3), np.ones(2), [1, 2]):
    (leaf,) = jax.tree.leaves(kept(value))
    assert leaf.dtype == np.float32 and leaf.shape == np.shape(value)
  array = jnp.arange(3)
  assert jax.tree.leaves(kept(array))[0] is array
  for value in (True, None, 'a', [], np.str_('a')):
    term = kept(value)
    assert not jax.tree.leaves(term)
    assert term.value == (() if value == [] else value)
  assert kept(np.bool_(True)).value is True
  with pytest.raises(ValueError, match='value: got nan, expected finite'):
    kept(np.nan)
