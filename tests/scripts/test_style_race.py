import jax
import numpy as np
import pytest

from vizlab import nets

pytestmark = pytest.mark.slow


def test_the_reference_has_our_loss():
  pytest.importorskip('torch')
  from benchmarks import style_race, torch_style

  net = nets.create('vgg11', pool='avg', preprocess='caffe', classifier=False)
  x, y, z = jax.random.uniform(jax.random.key(0), (3, 32, 32, 3))
  want = -float(style_race.loss_score(net, x, y, 1)(z))
  runs = torch_style.references(net, np.asarray(x), np.asarray(y))
  for run in runs.values():
    assert run(1, np.asarray(z))[0] == pytest.approx(want, rel=1e-3)


def test_all_begin_at_one_loss_and_the_first_to_pass_the_goal_is_told():
  pytest.importorskip('torch')
  from benchmarks import style_race

  net = nets.create('vgg11', pool='avg', preprocess='caffe', classifier=False)
  x, y = jax.random.uniform(jax.random.key(0), (2, 32, 32, 3))
  found = style_race.compare(
    net, x, y, turns=1, goals=[1, 2], names=['L-BFGS, smooth 0.5 (default)']
  )
  reference, _, ours = found.values()
  for row in found.values():
    assert row['losses'][1] == pytest.approx(reference['losses'][1], rel=1e-3)
    assert row['like 1']['evaluations'] == 1
    assert row['like 1']['seconds'] == pytest.approx(row['seconds'])
  assert reference['like 2']['evaluations'] == 2
  assert ours['compile_seconds'] > 0
