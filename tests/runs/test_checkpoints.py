import numpy as np

from vizlab.runs import checkpoints


def test_the_last_one_is_kept(tmp_path):
  with checkpoints.opened(tmp_path / 'kept') as kept:
    for step in (3, 5, 8):
      checkpoints.save(kept, step, {'a': np.full(2, step)})
    checkpoints.save(kept, 8, {'a': np.zeros(2, int)})  # saved already
  with checkpoints.opened(tmp_path / 'kept') as kept:
    assert [each.step for each in kept.checkpoints] == [8]
    np.testing.assert_array_equal(kept.load()['a'], [8, 8])
