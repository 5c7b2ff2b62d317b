import numpy as np
import pytest
from ml_collections import ConfigDict

from vizlab.runs import Recorder, reduce_resumable

ROWS = np.arange(1.0, 24.0)


def opened(path):
  recorder = Recorder(path, ConfigDict({'experiment': 'x'}))
  recorder.open()
  return recorder


def reduce(recorder, add=None, **sizes):
  def sums(state, rows):
    some = ROWS[rows]
    return {'sum': state['sum'] + some.sum(), 'last': some[-1:]}

  return reduce_resumable(
    recorder,
    'sums',
    {'sum': np.float64(0), 'last': np.zeros(1)},
    add or sums,
    lambda one, other: {
      'sum': one['sum'] + other['sum'],
      'last': other['last'],
    },
    count=len(ROWS),
    **{'batch': 3, 'part': 7, **sizes},
  )


@pytest.mark.parametrize('batch, part', [(3, 7), (1, 1), (30, 4), (4, 100)])
def test_parts_make_the_whole(tmp_path, batch, part):
  result = reduce(opened(tmp_path / 'run'), batch=batch, part=part)
  assert result['sum'] == 276
  assert result['last'] == [23]


def test_parts_are_whole_batches(tmp_path):
  seen = []

  def add(state, rows):
    seen.append((rows.start, rows.stop))
    return state

  reduce(opened(tmp_path / 'run'), add)
  assert seen == [
    *((0, 3), (3, 6), (6, 9), (9, 12), (12, 15), (15, 18), (18, 21), (21, 23))
  ]


def test_what_is_saved_is_not_computed_again(tmp_path):
  recorder = opened(tmp_path / 'run')
  reduce(recorder)
  assert reduce(recorder, lambda state, rows: pytest.fail())['sum'] == 276


def test_a_stopped_pass_loses_one_part(tmp_path):
  recorder = opened(tmp_path / 'run')
  stop, seen = [True], []

  def add(state, rows):
    if rows.start == 9 and stop:
      raise KeyboardInterrupt
    seen.append(rows.start)
    return {'sum': state['sum'] + ROWS[rows].sum(), 'last': ROWS[rows][-1:]}

  with pytest.raises(KeyboardInterrupt):
    reduce(recorder, add)
  assert seen == [0, 3, 6]
  stop.clear()
  assert reduce(recorder, add)['sum'] == 276
  assert seen == [0, 3, 6, *range(6, 23, 3)]


def test_another_state_is_refused(tmp_path):
  recorder = opened(tmp_path / 'run')
  reduce(recorder)
  with pytest.raises(ValueError, match='sums: .* another state'):
    reduce_resumable(
      recorder, 'sums', {'sum': np.zeros(2)}, None, None, count=23, batch=3,
      part=7,
    )  # fmt: skip


@pytest.mark.parametrize('name', ['batch', 'part'])
def test_wrong_sizes_are_named(tmp_path, name):
  with pytest.raises(ValueError, match=f'{name}: got 0'):
    reduce(opened(tmp_path / 'run'), **{name: 0})
