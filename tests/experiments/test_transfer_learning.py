"""Fine tuning, and the experiments that transfer what was learned."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tools import (
  read,
  start,
  start_and_stop,
  stops_of_the_same,
)

from vizlab import nets, probes
from vizlab.runs import experiments
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import assign
from vizlab_experiments.shared import fine_tuning
from vizlab_experiments.shared.fine_tuning import Plan
from vizlab_experiments.shared.tasks import balanced, load_task


def config_of(name='training/transfer_learning', **changes):
  config = experiments.config_module(name).get_test_config()
  assign(config, changes)
  return config


@pytest.fixture
def recorder(tmp_path):
  opened = Recorder(tmp_path / 'run', config_of())
  opened.open()
  return opened


def small_task():
  config = config_of(examples=160, tests=16)
  return load_task(config, 'tasks', 'shapes', 96)


def tuned_net(config, recorder, net, plan, task, rows, key=0):
  """The parameters that a fine tuning ends with, and its steps."""
  return fine_tuning.fine_tune(
    config,
    recorder,
    'tuned',
    net,
    plan,
    task,
    rows,
    jax.random.key(key),
    keep=nets.get_params,
  )


def test_frozen_layers_are_those_of_a_masked_training(recorder):
  task, config = small_task(), config_of(steps=5, learning_rate=0.01)
  rows = balanced(config, task, 3)
  net = nets.load('minivgg')
  plan = Plan('pool2', ('conv3_1', 'conv3_2'), 0.3)
  tuned = tuned_net(config, recorder, net, plan, task, rows, key=7)
  old = nets.get_params(net)
  for layer, params in tuned.kept.items():
    same = jnp.array_equal(params['kernel'], old[layer]['kernel'])
    assert same == (layer in ('conv1_1', 'conv2_1'))
  # The same steps on images, whose gradients are computed for all layers.
  shares = {name: 1.0 for name in old} | {'conv3_1': 0.3, 'conv3_2': 0.3}
  shares |= {'conv1_1': 0.0, 'conv2_1': 0.0}
  sizes = {
    share: optax.warmup_cosine_decay_schedule(0.0, 0.01 * share, 1, 5)
    for share in {*shares.values()}
  }
  groups = {
    share: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    if share
    else optax.set_to_zero()
    for share, rate in sizes.items()
  }
  labels = {k: dict.fromkeys(v, shares[k]) for k, v in old.items()}
  tx = optax.partition(groups, labels)
  params, opt = old, tx.init(old)

  @jax.jit
  def advance(params, opt, x, y):
    def loss(params):
      logits = nets.with_params(net, params)(x)[0]
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
      return losses.mean()

    grads = jax.grad(loss)(params)
    with jax.numpy_dtype_promotion('standard'):
      updates, opt = tx.update(grads, opt, params)
      return optax.apply_updates(params, updates), opt

  for step in range(5):
    key = jax.random.fold_in(jax.random.key(7), step)
    at = rows[0][np.asarray(jax.random.randint(key, (2,), 0, len(rows[0])))]
    params, opt = advance(params, opt, task.images[at], task.labels[at])
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
    tuned.kept,
    params,
  )


def test_it_ends_early(recorder):
  task = small_task()
  config = config_of(steps=400, learning_rate=0.5, patience=2)
  rows = balanced(config, task, 4)
  net = nets.load('minivgg')
  # So large a rate destroys the network within a few looks.
  tuned = tuned_net(config, recorder, net, Plan(), task, rows)
  assert 60 <= tuned.steps < 200 and tuned.steps % 20 == 0
  assert all(jnp.isfinite(v).all() for v in jax.tree.leaves(tuned.kept))


def test_half_precision_is_trained_in_float32(recorder):
  task, config = small_task(), config_of(learning_rate=1e-4)
  net = nets.load('minivgg', dtype='bfloat16')
  rows = balanced(config, task, 2)
  tuned = tuned_net(config, recorder, net, Plan('relu4_2'), task, rows)
  old = nets.get_params(nets.load('minivgg'))['conv5_1']['kernel']
  step = np.abs(tuned.kept['conv5_1']['kernel'] - old).max()
  # Steps of Adam, of which bfloat16 would keep none.
  assert tuned.kept['conv5_1']['kernel'].dtype == jnp.float32
  assert 1e-6 < step < 1e-2


@pytest.mark.parametrize(
  ('step', 'lowest', 'checks', 'looked'),
  [(19, np.inf, 0, True), (19, 0.0, 4, False), (3, np.inf, 3, False)],
)
def test_the_best_parameters_are_kept(step, lowest, checks, looked):
  task, config = small_task(), config_of(steps=60, learning_rate=0.01)
  net = nets.load('minivgg')
  recipe = fine_tuning._recipe(config, net, Plan(), (16, 16, 3))
  params = nets.get_params(net)
  zeros = jax.tree.map(jnp.zeros_like, params)
  state = fine_tuning._State(
    params,
    recipe.optimizer.init(params),
    zeros,
    jnp.float32(lowest),
    jnp.int32(3),
    jnp.int32(9),
  )
  data = jnp.asarray(task.images[:4]), jnp.asarray(task.labels[:4])
  # Three images in batches of two: the last one is filled up.
  held = fine_tuning._in_batches(task.images[:3], task.labels[:3], 2)
  new, _ = jax.jit(recipe.train_step)(net, held, state, data, np.int32(step))
  assert new.checks == checks and new.steps == 10
  best = new.params if looked else zeros
  jax.tree.map(np.testing.assert_array_equal, new.best, best)
  logits = nets.with_params(net, new.params)(data[0][:3])[0]
  loss = optax.softmax_cross_entropy_with_integer_labels(logits, data[1][:3])
  expected = loss.mean() if looked else lowest
  np.testing.assert_allclose(new.lowest, expected, rtol=1e-5)


def test_a_linear_classifier_is_the_best_probe(tmp_path):
  changes = {'strategies': 'linear', 'per_class': (4,), 'examples': 160}
  found = start('training/transfer_learning', tmp_path / 'run', **changes)
  config = config_of(**changes)
  task = load_task(config, 'tasks', 'shapes', 96)
  fitted, held = balanced(config, task, 4)
  gap = jax.jit(lambda net, x: net(x)[1]['gap'])
  net = nets.load('minivgg')
  x = {
    at: gap(net, images)
    for at, images in (
      ('fitted', task.images[fitted]),
      ('held', task.images[held]),
      ('test', task.test_images),
    )
  }
  losses = {}
  for decay in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
    probe = probes.linear_probe(
      x['fitted'], task.labels[fitted], 16, decay=decay
    )
    logits = probes.probe_logits(probe, x['held'])
    loss = optax.softmax_cross_entropy_with_integer_labels(
      logits, jnp.asarray(task.labels[held])
    )
    losses[float(loss.mean())] = probes.probe_logits(probe, x['test'])
  wanted = losses[min(losses)]
  logits = read(tmp_path / 'run', 'shapes_4_linear_0')['logits']
  np.testing.assert_allclose(logits, wanted, atol=0.02)
  assert found == {'shapes/4/linear': task.accuracy(logits)}


def test_each_strategy_trains_its_layers(tmp_path, monkeypatch):
  plans = {}

  def recorded(config, recorder, name, net, plan, task, rows, key, *, keep):
    plans[name.split('/')[2]] = net, plan
    return fine_tuning.Tuned(np.zeros((16, 16)), 1)

  monkeypatch.setattr(fine_tuning, 'fine_tune', recorded)
  start('training/transfer_learning', tmp_path / 'run')
  assert [*plans] == ['last', 'all', 'scratch']
  old = nets.get_params(nets.load('minivgg'))

  def kept(name):
    params = nets.get_params(plans[name][0])
    return [
      k for k in old if jnp.array_equal(params[k]['kernel'], old[k]['kernel'])
    ]

  convs = [*old][:-1]
  assert kept('last') == kept('all') == convs and kept('scratch') == []
  assert plans['last'][1] == Plan('relu3_2', tuple(convs[4:]), 0.3)
  assert plans['all'][1] == Plan(None, tuple(convs), 0.3)
  assert plans['scratch'][1] == Plan()


def test_layers_are_copied_from_their_network(tmp_path, monkeypatch):
  """BnB from the one that learned B, AnB from the one that is given."""
  plans = {}

  def recorded(config, recorder, name, net, plan, task, rows, key, *, keep):
    plans[name] = net, plan
    learned = jax.tree.map(lambda v: v + 1, nets.get_params(net))
    logits = np.zeros((16, task.classes))
    return fine_tuning.Tuned({'logits': logits, 'params': learned}, 1)

  monkeypatch.setattr(fine_tuning, 'fine_tune', recorded)
  start('training/transferability', tmp_path / 'run')
  first, plan = plans.pop('base/0')
  assert plan == Plan()
  old, drawn = (nets.get_params(v) for v in (nets.load('minivgg'), first))
  convs = [*old][:-1]
  sources = {'A': old, 'B': jax.tree.map(lambda v: v + 1, drawn)}
  names = [op.name for op in first.ops]
  assert len(plans) == 4 * 2
  heads = []
  for name, (net, plan) in plans.items():
    kind, layer, _ = name.split('/')
    params, source = nets.get_params(net), sources[kind[0]]
    for conv in convs:
      same = jnp.array_equal(params[conv]['kernel'], source[conv]['kernel'])
      assert same == (names.index(conv) < names.index(layer)), name
      # The others are random, and other ones than those of the base.
      assert not jnp.array_equal(params[conv]['kernel'], drawn[conv]['kernel'])
    assert plan == (Plan() if kind.endswith('+') else Plan(layer))
    heads.append(params[[*params][-1]]['kernel'])
  assert all(jnp.array_equal(head, heads[0]) for head in heads)


def test_stopped_copies_end_the_same(tmp_path, monkeypatch):
  name = 'training/transferability'
  assert stops_of_the_same(name, tmp_path, monkeypatch, every=3) > 0


def test_a_run_that_is_stopped_ends_the_same(tmp_path, monkeypatch):
  """To the bit, with looks at the validation part behind it."""
  name = 'training/transfer_learning'
  changes = {'strategies': 'linear,last', 'steps': 44, 'patience': 1}
  wanted = start(name, tmp_path / 'whole', **changes)
  found, stops = start_and_stop(
    name, tmp_path / 'run', monkeypatch, every=15, **changes
  )
  assert found == wanted and stops >= 2
  paths = sorted((tmp_path / 'whole').glob('*.npz'))
  assert len(paths) == 2
  for path in paths:
    one, other = (read(tmp_path / kind, path.stem) for kind in ('whole', 'run'))
    for key in {*one} - {'seconds'}:
      np.testing.assert_array_equal(one[key], other[key], f'{path} {key}')


def test_probes_read_each_layer_of_each_network(tmp_path):
  found = start('probes/linear_probes', tmp_path / 'run')
  titles = [key.rpartition('/')[0] for key in found][::2]
  assert titles == ['shapes/minivgg', 'shapes/untrained']
  config = config_of('probes/linear_probes')
  task = load_task(config, 'tasks', 'shapes', 96)
  fitted, _ = balanced(config, task, 2)
  read_gap = jax.jit(lambda net, x: net(x)[1]['gap'])
  net = nets.load('minivgg')
  arrays = read(tmp_path / 'run', 'shapes_0')
  probe = probes.linear_probe(
    read_gap(net, task.images[fitted]),
    task.labels[fitted],
    16,
    decay=float(arrays['gap/decay']),
  )
  wanted = probes.probe_logits(probe, read_gap(net, task.test_images))
  np.testing.assert_allclose(arrays['gap/logits'], wanted, atol=0.02)
  assert found['shapes/minivgg/gap'] == task.accuracy(arrays['gap/logits'])


def test_stopped_probes_end_the_same(tmp_path, monkeypatch):
  assert stops_of_the_same('probes/linear_probes', tmp_path, monkeypatch) > 0


def test_a_task_of_arrays_names_them_where_images_are_too_small(tmp_path):
  np.savez(
    tmp_path / 'task.npz',
    x_train=np.zeros((4, 4, 4, 3), np.uint8),
    y_train=np.arange(4) % 2,
    x_test=np.zeros((4, 4, 4, 3), np.uint8),
    y_test=np.arange(4) % 2,
  )
  data = {'data': str(tmp_path / 'task.npz'), 'tasks': 'data'}
  for name in ('training/transfer_learning', 'probes/linear_probes'):
    with pytest.raises(ValueError, match='config.data: got images of 4x4'):
      start(name, tmp_path / 'run', **data)
    with pytest.raises(ValueError, match='config.size: got images of 4x4'):
      start(name, tmp_path / 'run', size=4)


def test_networks_that_cannot_be_drawn_again_are_named(tmp_path):
  (tmp_path / 'own.py').write_text(
    'import jax\n'
    'from vizlab import nets\n'
    'def load_net():\n'
    '  return nets.from_function(lambda x: jax.nn.relu(x).mean((1, 2)) @\n'
    '    jax.numpy.ones((3, 4)), jax.numpy.zeros((1, 16, 16, 3)))\n'
  )
  nets.save(nets.create('resnet20'), tmp_path / 'resnet20.safetensors')
  for name in (
    'training/transfer_learning',
    'training/transferability',
    'probes/linear_probes',
  ):
    for weights, message in (
      ('own.py', r'config.net.weights: got a function'),
      ('resnet20.safetensors', 'got resnet20 with batch normalisation'),
    ):
      with pytest.raises(ValueError, match=message):
        start(
          name, tmp_path / 'run', **{'net.weights': str(tmp_path / weights)}
        )
