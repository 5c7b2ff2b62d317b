import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vizlab.runs import loop, training
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
    assert sorted(file) == ['b', 'seconds', 'w']


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


def test_a_loop_that_ends_early_is_an_error(new_recorder):
  chunks = [loop.Chunk(1, np.zeros(2)), loop.Chunk(2, np.ones(2))]
  with pytest.raises(ValueError, match='short: its chunks ended before step 3'):
    loop.resumable(new_recorder(), 'short', lambda _: iter(chunks), 3)
