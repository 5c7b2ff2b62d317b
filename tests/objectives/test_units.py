import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.objectives import (
  channel,
  layer_energy,
  logit,
  margin,
  neuron,
  peak,
  probability,
  score,
  top_label,
  total,
)

LOGITS = jnp.array([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
MAP = jnp.arange(2 * 2 * 3 * 4.0).reshape(2, 2, 3, 4)
ACTS = {'map': MAP, 'vector': LOGITS}

# Each objective, and its values worked by hand for the two images.
EXPECTED = {
  'logit': (logit(2), [3.0, 4.0]),
  'logit an image': (logit(jnp.array([0, 1])), [1.0, -1.0]),
  'probability': (
    probability(0),
    [
      np.exp(1) / np.exp([1, 2, 3]).sum(),
      np.exp(0) / np.exp([0.0, -1, 4]).sum(),
    ],
  ),
  'top_label': (top_label(), [2, 2]),
  'neuron': (neuron('map', 1, (1, 2)), [21.0, 45.0]),
  'neuron an image': (
    neuron('map', jnp.array([0, 3]), (jnp.array([0, 1]), jnp.array([2, 0]))),
    [8.0, 39.0],
  ),
  'neuron of a vector': (neuron('vector', 1), [2.0, -1.0]),
  'channel': (channel('map', 3), [13.0, 37.0]),
  'total': (total('map', 3), [78.0, 222.0]),
  'peak': (peak('map', jnp.array([0, 1])), [20.0, 45.0]),
  'layer_energy': (
    layer_energy('map'),
    [np.square(np.arange(24)).mean(), np.square(np.arange(24, 48)).mean()],
  ),
  'layer_energy of a power': (
    layer_energy('vector', 3.0),
    [(1 + 8 + 27) / 3, (0 + 1 + 64) / 3],
  ),
  'arithmetic': (
    2 * logit(0) - logit(1) * 0.5 + channel('map', 3),
    [14.0, 37.5],
  ),
  'negated': (-logit(2), [-3.0, -4.0]),
  'numpy weight': (np.array([2.0, 3.0]) * logit(0), [2.0, 0.0]),
  'weight an image': (jnp.array([2.0, 3.0]) * logit(0), [2.0, 0.0]),
}


@pytest.mark.parametrize('name', EXPECTED)
@pytest.mark.parametrize('jit', [False, True], ids=['eager', 'jit'])
def test_values_by_hand(name, jit):
  objective, expected = EXPECTED[name]

  def call(o, logits, acts):
    return o(logits, acts)

  call = jax.jit(call) if jit else call
  np.testing.assert_allclose(call(objective, LOGITS, ACTS), expected, rtol=1e-5)


@pytest.mark.parametrize('name', EXPECTED)
def test_an_image_alone_is_a_leading_batch_of_rank_zero(name):
  objective, expected = EXPECTED[name]
  one = jax.tree.map(
    lambda leaf: leaf[0] if jnp.ndim(leaf) else leaf, objective
  )
  acts = {name: a[0] for name, a in ACTS.items()}
  np.testing.assert_allclose(one(LOGITS[0], acts), expected[0], rtol=1e-5)


def test_peak_sends_its_gradient_to_one_unit():
  flat = {'map': jnp.ones((1, 2, 2, 3))}
  g = jax.grad(lambda acts: peak('map', 1)(None, acts).sum())(flat)['map']
  assert g[0, 0, 0, 1] == 1 and g.sum() == 1


def test_objectives_are_pytrees_with_layers_as_structure():
  a, b = channel('x', 1), channel('x', 2)
  assert jax.tree.structure(a) == jax.tree.structure(b)
  assert jax.tree.structure(a) != jax.tree.structure(channel('y', 1))


def test_a_dict_of_objectives_gives_a_dict(tiny, images):
  got = score(tiny, {'a': logit(0), 'b': top_label()})(images)
  logits, _ = tiny(images)
  np.testing.assert_allclose(got['a'], logits[:, 0])
  np.testing.assert_array_equal(got['b'], logits.argmax(-1))


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda: logit(1.5), 'target: got 1.5, expected integers'),
    (lambda: float('nan') * logit(1), 'weight: got nan, expected finite'),
    (lambda: logit(3)(LOGITS, ACTS), 'target: got 3, expected 0 to 2'),
    (lambda: logit(2**32 + 1), 'target: got 4294967297, expected 32-bit'),
    (lambda: logit(jnp.ones(2)), 'target: got .*expected integers'),
    (
      lambda: logit(jnp.array([0, 1, 2]))(LOGITS, ACTS),
      r'target: got shape \(3,\), expected one number',
    ),
    (lambda: score(lambda x: x, 243), 'objective: got 243, expected an'),
    (lambda: neuron('map', 0)(LOGITS, ACTS), 'position: got None'),
    (lambda: logit(0)(None, ACTS), 'target: this net has no classifier'),
    (
      lambda: logit(jnp.array([[1, 2]]))(LOGITS, ACTS),
      r'target: got shape \(1, 2\)',
    ),
    (
      lambda: channel('mop', 0)(LOGITS, ACTS),
      "layer: got 'mop', expected one of .'map'",
    ),
    (lambda: channel('vector', 0)(LOGITS, ACTS), "'vector' gives a vector"),
    (
      lambda: channel('map', 4)(LOGITS, ACTS),
      'channel: got 4, expected 0 to 3',
    ),
    (lambda: neuron('map', 0, (2, 0))(LOGITS, ACTS), 'row: got 2'),
    (lambda: neuron('map', 0, (0, 3))(LOGITS, ACTS), 'column: got 3'),
    (lambda: layer_energy('map', 0.5), 'power: got 0.5, expected at least 1'),
    (lambda: layer_energy('map', np.ones(2)), r'power: got shape \(2,\)'),
  ],
)
def test_wrong_arguments_are_named(make, message):
  with pytest.raises(ValueError, match=message):
    make()


def test_only_objectives_add():
  with pytest.raises(ValueError, match='other: got 1, expected an objective'):
    logit(1) + 1


def test_margin_is_to_the_largest_other_and_stops_at_enough():
  logits = jnp.array([[1.0, 4.0, 2.5], [1.0, 4.0, 2.5]])
  target = jnp.array([1, 2])
  np.testing.assert_allclose(margin(target)(logits, {}), [1.5, -1.5])
  np.testing.assert_allclose(margin(1, 1.0)(logits, {}), [1.0, 1.0])
  slope = jax.grad(lambda a: margin(target, 1.0)(a, {}).sum())(logits)
  np.testing.assert_allclose(slope, [[0, 0, 0], [0, -1, 1]])
  with pytest.raises(ValueError, match='target: got 3, expected 0 to 2'):
    margin(3)(logits, {})
  with pytest.raises(ValueError, match='enough: got nan'):
    margin(1, float('nan'))
