import numpy as np
import pytest
from tools import read, start

from vizlab import io, nets, probes
from vizlab_experiments.probes import building_blocks
from vizlab_experiments.shared import groups


def test_contributions_of_a_linear_path_are_the_logit(tmp_path):
  results = start('probes/building_blocks', tmp_path, layer='relu5_2', grid=3)
  net = nets.load('minivgg')
  x = io.read_image('sample:star_and_square', shorter=96, crop=96)[None]
  logits, acts = net(x)
  seen = read(tmp_path, 'contributions')
  assert results['target'] == seen['target'] == logits.argmax()
  np.testing.assert_allclose(
    seen['acts'], acts['relu5_2'][0], rtol=1e-4, atol=1e-4
  )
  bias = nets.get_params(net)['fc']['bias'][results['target']]
  wanted = float(logits.max() - bias)
  assert abs(results['together'] - wanted) < 1e-3
  by_unit = (seen['acts'] * seen['gradients']).sum((0, 1))
  np.testing.assert_allclose(by_unit.sum(), wanted, rtol=1e-3)


def test_many_groups_add_up_to_the_whole(tmp_path):
  results = start(
    'probes/building_blocks', tmp_path, layer='relu5_2', groups=30, steps=1
  )
  assert abs(results['groups'] - results['together']) < 0.3
  parts = read(tmp_path, 'groups')
  assert parts['positions'].shape == (6, 6, 30)
  whole = np.einsum('hwg,gc->hwc', parts['positions'], parts['units'])
  acts = read(tmp_path, 'contributions')['acts']
  assert np.square(whole - acts).sum() < 0.01 * np.square(acts).sum()
  assert (parts['positions'] >= 0).all() and (parts['units'] >= 0).all()


def test_contributions_between_layers_are_those_of_the_lower_groups(tmp_path):
  results = start('probes/building_blocks', tmp_path, lower='pool3', groups=4)
  flow = read(tmp_path, 'between')['contributions']
  assert flow.shape == (5, 5)
  np.testing.assert_allclose(flow.sum(), results['together_lower'], rtol=1e-3)
  net = nets.load('minivgg')
  x = io.read_image('sample:star_and_square', shorter=96, crop=96)[None]
  a = np.asarray(net(x)[1]['pool3'])
  lower = read(tmp_path, 'lower_groups')
  parts = np.einsum('hwg,gc->ghwc', lower['positions'], lower['units'])
  # An activation is shared among its groups; what they lack is the rest.
  parts = parts * np.minimum(1, a[0] / np.maximum(parts.sum(0), 1e-9))
  wanted = [
    probes.contributions(net, 'pool3', part / np.maximum(a, 1e-9), x)
    for part in [*parts, a[0] - parts.sum(0)]
  ]
  np.testing.assert_allclose(
    flow.sum(1),
    [each[0, results['target']] for each in wanted],
    rtol=1e-3,
    atol=1e-4,
  )


def test_a_negative_activation_is_in_no_group():
  acts = np.array([[[-1.0, 2.0, 4.0]]])
  parts = groups.Groups(np.ones((1, 1, 2)), np.array([[1.0, 1, 1], [1, 3, 1]]))
  np.testing.assert_allclose(
    parts.shares(acts)[:, 0, 0], [[0, 0.25, 0.25], [0, 0.75, 0.25]]
  )


def test_the_grid_is_aligned_unless_it_is_not_asked_for(tmp_path):
  made = {}
  for reach in (1.0, None):
    start(
      'probes/building_blocks', tmp_path / str(reach), reach=reach, grid=3,
      steps=24, positions=1,
    )  # fmt: skip
    made[reach] = read(tmp_path / str(reach), 'grid_icons')
  aligned = made[1.0]['images']
  assert aligned.shape == (3, 3, 32, 32, 3)
  alone = made[None]['icons'].reshape(3, 3, 32, 32, 3) / 255
  differences = [
    np.square(np.diff(x, axis=1)).mean() / x.var() for x in (aligned, alone)
  ]
  assert differences[0] < 0.8 * differences[1]


def test_a_class_is_named_or_numbered(tmp_path):
  for i, target in enumerate(('square', '7')):
    results = start(
      'probes/building_blocks', tmp_path / str(i), target=target, steps=1
    )
    assert results['target'] == 7


def test_cells_are_means_of_the_parts_of_a_map():
  acts = np.arange(5 * 4 * 2.0).reshape(5, 4, 2)
  cells = building_blocks._cells(acts, 2)
  np.testing.assert_array_equal(cells[0, 1], acts[:2, 2:].mean((0, 1)))
  np.testing.assert_array_equal(cells[1, 0], acts[2:, :2].mean((0, 1)))


def test_strong_positions_are_those_of_the_longest_vectors():
  acts = np.zeros((3, 4, 2))
  acts[2, 1], acts[0, 3] = [3, 4], [0, 4.5]
  positions = building_blocks._strong_positions(acts, 2)
  assert positions.tolist() == [[2, 1], [0, 3]]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'layer': 'fc'}, "config.layer: 'fc' gives no map"),
    ({'target': 'cat'}, "config.target: .*'cat'"),
    ({'target': 'star,disc'}, "config.target: got 'star,disc', expected one"),
    ({'grid': 13}, 'config.grid: got 13, expected at most 12 in relu4_2'),
    ({'units': 65}, 'config.units: got 65, expected at most 64'),
    ({'reach': 0.0}, 'config.reach: got 0.0, expected at least'),
    ({'lower': 'relu4_2'}, "config.lower: got 'relu4_2', expected a layer tha"),
    ({'lower': 'gap'}, "config.lower: 'gap' gives no map"),
    ({'groups': 0}, 'config.groups: got 0'),
    ({'image': 'none.png'}, 'config.image: no such file'),
    ({'power': -1.0}, 'config.power: got -1.0'),
    ({'size': 4}, 'config.size: .*too small'),
  ],
)
def test_wrong_settings_are_named(change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start('probes/building_blocks', tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()
