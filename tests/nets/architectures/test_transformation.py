import jax
import numpy as np
import pytest

from vizlab import nets
from vizlab.nets.architectures.transformation import generator
from vizlab.nets.graph import init_params


def test_each_part_of_a_description_has_layers_of_its_own():
  ops = generator({'style': 3, 'view': 2}, (6, 4), side=4, features=5)
  spec = nets.InputSpec(1, (0.0,) * 5, (1.0,) * 5)
  params = init_params(ops, spec.shape, jax.random.key(0))
  net = nets.Network('generator', ops, spec, params)
  x = jax.random.normal(jax.random.key(1), (2, 1, 1, 5))
  before, after = net(x)[1], net(x.at[..., 3:].add(1.0))[1]
  assert before['drawn'].shape == (2, 8, 8, 4)
  assert before['parts'].shape == (2, 1, 1, 10)
  np.testing.assert_array_equal(before['style2'], after['style2'])
  assert not np.allclose(before['view2'], after['view2'])
  assert not np.allclose(before['drawn'], after['drawn'])
  assert 0 <= before['drawn'].min() and before['drawn'].max() <= 1


def test_a_generator_needs_widths():
  with pytest.raises(ValueError, match=r'widths: got \(\), expected some'):
    generator({'style': 3}, (), side=4)
