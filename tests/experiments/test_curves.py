import numpy as np
import pytest
from tools import start


def read(path):
  with np.load(path) as file:
    return dict(file)


def test_detectors_are_turned_into_one_frame(tmp_path):
  settings = {'layers': 'relu3_2,relu4_1', 'angles': 16, 'radii': (8.0, 16.0)}
  results = start('probes/curves', tmp_path, directed=0.3, **settings)
  lower, upper = (read(tmp_path / f'{n}.npz') for n in ('lower', 'upper'))
  assert results['detectors/relu3_2'] == len(lower['detectors']) > 4
  assert results['detectors/relu4_1'] == len(upper['detectors']) > 4
  for each in (lower, upper):
    found = each['detectors']
    assert (each['directed'][found] >= 0.3).all()
    assert (each['curvature'][found] > 0).all()
    assert (np.diff(each['directed'][found]) <= 0).all()
  circuit = read(tmp_path / 'circuit.npz')
  assert circuit['pairs'].sum() == len(lower['detectors']) * len(
    upper['detectors']
  )
  # Curves excite those of the same direction, and inhibit those across.
  means = circuit['weights'].sum((1, 2))
  assert means[0] == means.max() > 0 > means[[2, 6]].max()


def test_without_detectors_there_is_no_circuit(tmp_path):
  results = start('probes/curves', tmp_path, radii=(1e9,))
  assert set(results.values()) == {0}
  assert read(tmp_path / 'circuit.npz')['pairs'].tolist() == [0] * 8


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layers': 'relu9,relu2_1'}, "config.layers: got 'relu9'"),
    ({'layers': 'relu2_1'}, 'config.layers: got relu2_1, expected two layers'),
    ({'layers': 'relu2_1,fc'}, 'config.layers: .* expected two layers'),
    ({'angles': 3}, 'config.angles: got 3, expected at least 4'),
    ({'radii': (0.0,)}, r'config.radii: got \(0.0,\)'),
    ({'directed': 0.0}, 'config.directed: got 0.0'),
    ({'width': 0.0}, 'config.width: got 0.0'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/curves', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
