import jax
import numpy as np
import pytest
from tools import start

from vizlab import nets, probes


def test_the_strongest_units_and_inputs_come_first(tmp_path):
  results = start(
    'probes/filters', tmp_path / 'run', layers='conv3_1', count=4, inputs=64
  )
  assert results['filters'] == 32 and results['aliased'] == 0
  with np.load(tmp_path / 'run' / 'conv3_1.npz') as file:
    units = dict(file)
  norms = np.square(units['expanded']).sum((1, 2, 3))
  assert (np.diff(norms) <= 0).all()
  others = sorted({*range(96)} - {*units['channels'].tolist()})
  expanded = jax.jit(
    lambda net: probes.expanded_weights(
      net, 'conv3_1', np.array(others), shape=(48, 48)
    )
  )(nets.load('minivgg'))
  assert np.square(expanded).sum((1, 2, 3)).max() < norms.min()
  kernel = nets.get_params(nets.load('minivgg'))['conv3_1']['kernel']
  for k, order, kernels in zip(
    units['channels'], units['inputs'], units['kernels'], strict=True
  ):
    np.testing.assert_allclose(kernels, kernel[..., order, k], rtol=1e-4)
    strength = np.abs(kernels).sum((0, 1))
    assert (np.diff(strength) <= 1e-6).all()


def test_chosen_channels_are_shown(tmp_path):
  start('probes/filters', tmp_path / 'run', layers='conv2_1', channels='7,3')
  with np.load(tmp_path / 'run' / 'conv2_1.npz') as file:
    assert file['channels'].tolist() == [7, 3]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layers': 'conv1_1'}, "layers: got 'conv1_1', expected convolutions"),
    ({'layers': 'relu2_1'}, "layers: got 'relu2_1', expected convolutions"),
    ({'layers': 'conv9'}, "config.layers: got 'conv9'"),
    ({'channels': '99'}, 'config.channels: got 99, expected 0 to 63'),
    ({'count': 0}, 'config.count: got 0'),
    ({'inputs': -1}, 'config.inputs: got -1'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/filters', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
