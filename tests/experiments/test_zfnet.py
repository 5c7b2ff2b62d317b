import numpy as np
import pytest
from tools import read, start

from vizlab import nets, probes


def test_both_nets_are_trained_and_measured(tmp_path):
  results = start('probes/zfnet', tmp_path)
  for name, stride, kernel in (('alexnet', 4, 11), ('zfnet', 2, 7)):
    net = nets.load(tmp_path / f'{name}.safetensors')
    shapes = {row.name: row.shape for row in nets.layer_info(net)}
    assert shapes['relu1'] == (32 // stride, 32 // stride, 4)
    assert shapes['relu2'] == (4, 4, 8) and shapes['relu5'] == (2, 2, 8)
    kernels = np.moveaxis(np.asarray(net.params['conv1']['kernel']), -1, 0)
    assert kernels.shape == (4, kernel, kernel, 3)
    aliased = float(probes.aliasing(kernels, stride).mean())
    # The file holds half of the digits.
    found = results[f'{name}/aliased energy of conv1']
    assert abs(found - aliased) < 1e-3 and 0 < aliased < 1
    arrays = read(tmp_path, name)
    assert arrays['maps'].shape == (2, 2, 32, 32, 3)
    # The second layer sees the image through kernels a stride apart.
    side = kernel + 2 * stride + 4 * 2 * stride
    assert arrays['expanded'].shape == (8, side, side, 3)
  assert results['alexnet/parameters'] > results['zfnet/parameters']


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'width': 0}, 'config.width: got 0'),
    ({'units': 9}, 'config.units: got 9, expected at most twice the width, 8'),
    ({'top': 5}, 'config.top: got 5, .* 4 of config.scenes'),
    ({'stages': ()}, 'config.stages: got'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/zfnet', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
