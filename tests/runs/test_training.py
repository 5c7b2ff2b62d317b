import gc
import os
import pathlib
import subprocess
import sys
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

from vizlab.runs import checkpoints, loop, training
from vizlab.runs.reader import read_metrics
from vizlab.runs.recorder import Recorder
from vizlab_experiments.configs.training import minivgg as config_of_minivgg

TX = optax.adam(0.1)
STEPS = 7


@pytest.fixture
def new_recorder(tmp_path):
  def new(name='run'):
    recorder = Recorder(tmp_path / name, config_of_minivgg.get_test_config())
    recorder.open()
    return recorder

  return new


def batch(step):
  return jax.random.normal(jax.random.fold_in(jax.random.key(0), step), (4, 3))


def train_step(state, data, step):
  def loss_fn(params):
    return jnp.square(data @ params['w'] + params['b'] - data.sum(1)).mean()

  params, opt = state
  loss, grads = jax.value_and_grad(loss_fn)(params)
  with jax.numpy_dtype_promotion('standard'):
    updates, opt = TX.update(grads, opt, params)
    params = optax.apply_updates(params, updates)
  return (params, opt), {'loss': loss, 'index': step}


def train(recorder, batch=batch, **settings):
  params = {'w': jnp.zeros(3), 'b': jnp.zeros(())}
  return training.train_resumable(
    recorder,
    'fit/line',
    train_step,
    (params, TX.init(params)),
    batch,
    steps=STEPS,
    log_every=3,
    **settings,
  )


def by_hand():
  state = {'w': jnp.zeros(3), 'b': jnp.zeros(())}
  state, losses = (state, TX.init(state)), []
  for step in range(STEPS):
    state, metrics = jax.jit(train_step)(state, batch(step), step)
    losses.append(metrics['loss'])
  return state, np.stack(losses)


def test_it_equals_a_loop_by_hand(new_recorder):
  recorder = new_recorder()
  state, losses = by_hand()
  trained = train(recorder)
  jax.tree.map(np.testing.assert_array_equal, trained.result, state)
  assert trained.seconds > 0
  rows = read_metrics(recorder.workdir)
  assert [row['step'] for row in rows] == [3, 6, 7]
  means = [losses[:3].mean(), losses[3:6].mean(), losses[6]]
  np.testing.assert_allclose([r['fit/line/loss'] for r in rows], means, 1e-6)
  assert [row['fit/line/index'] for row in rows] == [1.0, 4.0, 6.0]
  assert not (recorder.workdir / 'checkpoints').exists()


def test_a_finished_one_is_read(new_recorder):
  recorder = new_recorder()
  first = train(recorder)
  again = train(recorder, batch=lambda step: pytest.fail('it trains again'))
  jax.tree.map(np.testing.assert_array_equal, again, first)


def test_a_part_of_the_state_is_kept(new_recorder):
  recorder = new_recorder()
  whole = train(new_recorder('whole')).result[0]
  kept = train(recorder, keep=lambda state: state[0]).result
  jax.tree.map(np.testing.assert_array_equal, kept, whole)
  with np.load(recorder.workdir / 'fit_line.npz') as file:
    assert sorted(file) == ['result/b', 'result/w', 'seconds']


@pytest.mark.parametrize('at', range(1, STEPS))
@pytest.mark.parametrize('every', [0.0, 60.0])
def test_an_interrupted_one_ends_the_same(at, every, new_recorder, monkeypatch):
  monkeypatch.setattr(loop, '_EVERY', every)
  whole = train(new_recorder('whole'))
  recorder, asked = new_recorder('killed'), []

  def killing(step):
    asked.append(step)
    if asked == [*range(at + 1)]:
      raise KeyboardInterrupt
    return batch(step)

  with pytest.raises(KeyboardInterrupt):
    train(recorder, killing)
  resumed = train(recorder, killing)
  assert asked == [*range(at + 1), *range(at, STEPS)]
  jax.tree.map(np.testing.assert_array_equal, resumed.result, whole.result)
  logs = [
    (folder / 'metrics.jsonl').read_text()
    for folder in (
      recorder.workdir,
      recorder.workdir.parent / 'whole',
    )
  ]
  assert logs[0] == logs[1]
  assert resumed.seconds > 0


@pytest.mark.parametrize('at', [1, 3, 4, 6])
def test_milestones_are_kept(at, new_recorder, monkeypatch):
  monkeypatch.setattr(loop, '_EVERY', 0.0)
  asked = []

  def killing(step):
    asked.append(step)
    if asked == [*range(at + 1)]:
      raise KeyboardInterrupt
    return batch(step)

  recorder = new_recorder()
  settings = {'keep': lambda state: state[0], 'milestones': (1, 4, STEPS)}
  with pytest.raises(KeyboardInterrupt):
    train(recorder, killing, **settings)
  trained = train(recorder, killing, **settings)
  state = ({'w': jnp.zeros(3), 'b': jnp.zeros(())},) * 2
  state = state[0], TX.init(state[1])
  for step in range(STEPS):
    state, _ = jax.jit(train_step)(state, batch(step), step)
    if step + 1 in (1, 4, STEPS):
      kept = trained.milestones[step + 1]
      jax.tree.map(np.testing.assert_array_equal, kept, state[0])
  assert list(trained.milestones) == [1, 4, STEPS]
  again = train(recorder, lambda step: pytest.fail('trains again'), **settings)
  jax.tree.map(np.testing.assert_array_equal, again, trained)
  (recorder.workdir / 'fit_line_000004.npz').unlink()
  with pytest.raises(ValueError, match='a milestone has been removed'):
    train(recorder, **settings)


@pytest.mark.parametrize('at', [None, 2, 4])
def test_a_training_ends_early(at, new_recorder, monkeypatch):
  monkeypatch.setattr(loop, '_EVERY', 0.0)
  recorder, asked = new_recorder(), []

  def counting(step):
    asked.append(step)
    if step == at and asked.count(step) == 1:
      raise KeyboardInterrupt
    return batch(step)

  def run():
    return training.train_resumable(
      recorder,
      'sum',
      lambda state, data, step: (state + 1, {'loss': data.mean()}),
      jnp.int32(0),
      counting,
      steps=50,
      log_every=2,
      stop=lambda state: state >= 5,
    )

  if at is not None:
    with pytest.raises(KeyboardInterrupt):
      run()
  assert run().result == 6  # looked at after 2, 4 and 6 steps
  assert run().result == 6 and max(asked) == 5
  assert [row['step'] for row in read_metrics(recorder.workdir)] == [2, 4, 6]
  assert not (recorder.workdir / 'checkpoints').exists()


def test_trainings_with_other_arrays_share_a_program(new_recorder):
  recorder, traced = new_recorder(), []

  def step_of(offset, state, data, step):
    traced.append(1)
    return state + offset, {'loss': data.mean()}

  for i, offset in enumerate((1.0, 2.0)):
    before = len(traced)
    done = training.train_resumable(
      recorder,
      f'run_{i}',
      Partial(step_of, jnp.float32(offset)),
      jnp.float32(0),
      batch,
      steps=3,
    )
    assert done.result == 3 * offset
    # One look at the shapes; the program is there.
    assert len(traced) - before == (1 if i else 2)


def test_a_function_is_not_kept_after_its_training(new_recorder):
  def local(state, data, step):
    return state + 1, {'loss': data.mean()}

  training.train_resumable(
    new_recorder(), 'x', local, jnp.float32(0), batch, steps=2
  )
  ref = weakref.ref(local)
  del local
  gc.collect()
  assert ref() is None


def test_a_training_that_diverges_stops(new_recorder):
  recorder = new_recorder()

  def diverging(state, data, step):
    return state, {'loss': jnp.where(step < 4, 1.0, jnp.nan)}

  with pytest.raises(ValueError, match='x: loss is nan at step 6, .* smaller'):
    training.train_resumable(
      recorder, 'x', diverging, jnp.zeros(2), batch, steps=50, log_every=3
    )
  rows = read_metrics(recorder.workdir)
  assert [row['step'] for row in rows] == [3, 6]
  assert not recorder.has('x')


def drift(state, data, step):
  """A state of several types, one of them a number of Python at first."""
  w = (state['w'] * state['rate']).astype(jnp.bfloat16)
  state = {**state, 'w': w, 'seconds': state['seconds'] + 1}
  return state, {'mean': w.astype(jnp.float32).mean()}


def test_every_type_is_resumed_to_the_bit(new_recorder, monkeypatch):
  monkeypatch.setattr(loop, '_EVERY', 0.0)
  state = {
    'w': jnp.linspace(0, 1, 7, dtype=jnp.bfloat16),
    'rate': 0.9,
    'seconds': 3,
    'name': np.arange(2, dtype=np.int8),
    'file': jnp.array([True, False]),
  }

  def drifting(recorder, batch):
    return training.train_resumable(
      recorder, 'drift', drift, state, batch, steps=6
    ).result

  with jax.numpy_dtype_promotion('standard'):
    whole = drifting(new_recorder('whole'), lambda step: step)
    recorder, asked = new_recorder('killed'), []

    def killing(step):
      asked.append(step)
      if asked == [0, 1, 2]:
        raise KeyboardInterrupt
      return step

    with pytest.raises(KeyboardInterrupt):
      drifting(recorder, killing)
    resumed = drifting(recorder, killing)
    read = drifting(recorder, killing)
  assert whole['w'].dtype == jnp.bfloat16 and whole['seconds'] == 9
  for each in (resumed, read):
    jax.tree.map(np.testing.assert_array_equal, each, whole)
    assert [v.dtype for v in jax.tree.leaves(each)] == [
      v.dtype for v in jax.tree.leaves(whole)
    ]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'steps': 0}, 'steps: got 0'),
    ({'log_every': 0}, 'log_every: got 0'),
    ({'milestones': (1, 4)}, 'milestones: got 4, expected 1 to 3'),
    ({'milestones': (1,), 'stop': bool}, 'milestones: got some with stop'),
    (
      {'state': {'key': jax.random.key(0)}},
      r"state: \['key'\] is a random key",
    ),
    (
      {'train_step': lambda state, data, step: (state, {'a': data})},
      r"train_step: got the metric 'a' of shape \(4, 3\)",
    ),
    (
      {'train_step': lambda state, data, step: (state, {'a/b': step})},
      "train_step: got the metric 'a/b'",
    ),
  ],
)
def test_wrong_arguments_are_named(change, message, new_recorder):
  arguments = {
    'train_step': lambda state, data, step: (state, {}),
    'state': jnp.zeros(2),
    'steps': 3,
    **change,
  }
  with pytest.raises(ValueError, match=message):
    training.train_resumable(new_recorder(), 'x', batch=batch, **arguments)


def test_a_checkpoint_of_another_state_is_told(new_recorder):
  recorder = new_recorder()

  def killing(step):
    if step == 3:
      raise KeyboardInterrupt
    return batch(step)

  with pytest.raises(KeyboardInterrupt):
    train(recorder, killing)
  with pytest.raises(ValueError, match='fit/line: its checkpoint is of anothe'):
    training.train_resumable(
      recorder,
      'fit/line',
      lambda state, data, step: (state, {}),
      jnp.zeros(2),
      batch,
      steps=STEPS,
    )


def test_a_checkpoint_of_another_version_is_told(new_recorder):
  recorder = new_recorder()
  folder = recorder.workdir / 'checkpoints' / 'old'
  with checkpoints.opened(folder) as checkpointer:
    checkpoints.save(checkpointer, 1, {'state': {'0000': np.zeros(2)}})
  with pytest.raises(ValueError, match='checkpoints/old is a checkpoint of a'):
    loop.resumable(recorder, 'old', lambda _: iter(()), 3)


def test_a_loop_keeps_the_metrics_of_others(new_recorder):
  recorder = new_recorder()
  for name in ('a', 'a/b'):
    recorder.metrics(1, {f'{name}/loss': 0.5})
  chunk = loop.Chunk(1, np.zeros(2))
  loop.resumable(recorder, 'a', lambda _: iter([chunk]), 1)
  assert read_metrics(recorder.workdir) == [{'step': 1, 'a/b/loss': 0.5}]


def test_a_loop_that_ends_early_is_an_error(new_recorder):
  chunks = [loop.Chunk(1, np.zeros(2)), loop.Chunk(2, np.ones(2))]
  with pytest.raises(ValueError, match='short: its chunks ended before step 3'):
    loop.resumable(new_recorder(), 'short', lambda _: iter(chunks), 3)


@pytest.mark.slow
def test_several_devices_train_what_one_does(tmp_path):
  found = []
  for count in (1, 8):
    flags = f'--xla_force_host_platform_device_count={count}'
    path = tmp_path / str(count)
    program = pathlib.Path(__file__).parent / 'devices_training.py'
    done = subprocess.run(
      [sys.executable, str(program), str(path), str(count)],
      env=os.environ | {'XLA_FLAGS': flags},
      capture_output=True,
      text=True,
      timeout=900,
    )
    assert done.returncode == 0, done.stderr
    with np.load(path / 'net.npz') as file:
      found.append(dict(file))
  one, several = found
  assert one.keys() == several.keys()
  for key in {*one} - {'seconds'}:
    np.testing.assert_allclose(several[key], one[key], atol=1e-6, err_msg=key)
