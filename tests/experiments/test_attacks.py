import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import (
  read,
  start,
  start_and_stop,
  stops_of_the_same,
  write_pictures,
  write_tasks,
)

from vizlab import adversarial, image, nets, objectives
from vizlab.data.scenes import scenes
from vizlab.objectives import score
from vizlab_experiments.adversarial import (
  defences,
  robust_training,
)
from vizlab_experiments.configs.adversarial import robustness

ATTACK = 'adversarial/attack'
ROBUST = 'adversarial/robustness'
PICTURES = 'adversarial/robust_pictures'
TRAIN = 'adversarial/robust_training'
CERTIFY = 'adversarial/certificates'
DEFEND = 'adversarial/defences'
TRANSFER = 'adversarial/transfer'


def test_images_are_attacked_and_told_of(tmp_path):
  results = start(ATTACK, tmp_path, attacks='pgd,fmn', steps=20)
  net = nets.load('minivgg')
  found = read(tmp_path, 'pgd')
  said = np.asarray(net(found['projected'])[0].argmax(-1))
  assert results['pgd_success'] == found['success'].mean() == 1
  assert said[0] != 13  # a star
  near = read(tmp_path, 'fmn')
  assert near['success'].all()
  assert results['fmn_l2'] < results['pgd_l2']
  page = (tmp_path / 'report.html').read_text()
  assert 'star_and_square' in page and 'pgd' in page


def test_a_class_is_led_to_by_name(tmp_path):
  start(ATTACK, tmp_path, attacks='pgd', steps=40, target='disc', epsilon=0.1)
  found = read(tmp_path, 'pgd')
  assert found['success'].all()
  said = nets.load('minivgg')(found['projected'])[0].argmax(-1)
  assert (said == 0).all()


def test_robust_accuracy_is_that_of_the_library(tmp_path):
  results = start(ROBUST, tmp_path, others='', epsilons=(0.0, 4 / 255))
  config = robustness.get_test_config()
  x = scenes(jax.random.key(config.seed), 3, objects=1, size=96)
  want = adversarial.robust_accuracy(
    nets.load('minivgg'), x.image, x.labels[:, 0], jax.random.key(config.seed),
    epsilon=[0.0, 4 / 255], batch=2, steps=config.steps,
    targets=config.targets, squares=config.squares,
  )  # fmt: skip
  assert results['minivgg_clean'] == want.clean
  assert results['minivgg_robust'] == pytest.approx(want.robust[-1])


def test_defences_are_those_of_the_library(tmp_path):
  results = start(DEFEND, tmp_path, refused=0.4)
  seen = scenes(jax.random.key(0), 3, objects=1, size=96)
  label, net = seen.labels[:, 0], nets.load('minivgg')
  smooth = adversarial.Defence(adversarial.behind(image.median, net))
  found = read(tmp_path, 'net_0_median')
  next_best = np.argsort(net(seen.image)[0], -1)[:, -2]
  worst = True
  for way, goal in (
    ('blind', adversarial.mislead(net, label)),
    ('away', adversarial.aware(smooth, label)),
    ('next', adversarial.aware(smooth, label, jnp.asarray(next_best))),
  ):
    moved = adversarial.pgd(
      goal,
      seen.image,
      jax.random.fold_in(jax.random.key(0), 1_000_000),
      epsilon=0.03,
      steps=2,
    ).projected
    margin = score(smooth.net, objectives.margin(label))(moved)
    np.testing.assert_allclose(
      found[f'{way}/margin'][:, 0], margin, rtol=1e-3, atol=1e-3
    )
    held = np.asarray(adversarial.withstood(smooth, moved, label))
    np.testing.assert_array_equal(found[f'{way}/withstood'][:, 0], held)
    worst &= held
  assert results['minivgg/median/knowing'] == pytest.approx(worst.mean())
  # One half of the known images for the heads, the other for the limit.
  key = jax.random.fold_in(jax.random.key(0), 1_000_002)
  known = scenes(key, 6, size=96).image
  heads = adversarial.fit_heads(net, ['relu2_1'], known[::2])
  doubt = adversarial.heads_doubt(net, heads)
  found = read(tmp_path, 'net_0_heads')
  np.testing.assert_allclose(
    found['clean/doubt'][:, 0], doubt(seen.image), rtol=1e-3, atol=1e-4
  )
  limit = np.quantile(doubt(known[1::2]), 0.6)
  np.testing.assert_array_equal(
    found['clean/refused'], found['clean/doubt'] > limit
  )
  assert results['minivgg/heads/right'] == 1
  # An attack that knows of noise is judged by other draws of it.
  assert read(tmp_path, 'net_0_noise')['next/margin'].shape == (3, 1)


def test_transfer_is_that_of_the_library(tmp_path):
  results = start(TRANSFER, tmp_path, epsilon=0.1, steps=6, batch=3)
  seen = scenes(jax.random.key(0), 3, objects=1, size=96)
  x, label = seen.image, seen.labels[:, 0]
  judged = {
    name: nets.load(name) for name in ('minivgg', 'minivgg_random_labels')
  }
  said = {name: net(x)[0].argmax(-1) for name, net in judged.items()}
  key = jax.random.fold_in(jax.random.key(0), 1_000_002)
  for i, (name, net) in enumerate(judged.items()):
    moved = adversarial.pgd(
      adversarial.mislead(net, label), x, key, epsilon=0.1, steps=6
    ).projected
    found = read(tmp_path, f'net_{i}')
    for j, (other, judge) in enumerate(judged.items()):
      wrong = np.asarray(judge(moved)[0].argmax(-1) != label)
      np.testing.assert_array_equal(found['pgd/margin'][:, j] < 0, wrong)
      right = np.asarray(said[other] == label)
      share = (wrong & right).sum() / max(right.sum(), 1)
      assert results[f'pgd/{name}/{other}'] == pytest.approx(share)
    near = adversarial.deepfool(net, x, said[name], steps=2, candidates=2)
    far = np.asarray(near.distance)
    np.testing.assert_allclose(found['far'], far, rtol=1e-3)
    length = np.sqrt(np.square(np.asarray(x)).sum((1, 2, 3)))
    np.testing.assert_allclose(found['relative'], far / length, rtol=1e-3)
    delta = read(tmp_path, f'universal_{i}')['delta']
    assert 0 < np.abs(delta).max() <= 20.01 / 255
    wrong = net(jnp.clip(x + delta[None], 0, 1))[0].argmax(-1) != label
    np.testing.assert_array_equal(found['universal/margin'][:, i] < 0, wrong)
    known = scenes(jax.random.fold_in(jax.random.key(0), 1_000_000), 4, size=96)
    pair = [known.image, jnp.clip(known.image + delta[None], 0, 1)]
    before, after = (net(each)[0].argmax(-1) for each in pair)
    share = (before != after).mean()
    assert results[f'{name}/known'] == pytest.approx(float(share))
  assert results['pgd/minivgg/minivgg'] > 0


def test_transfer_resumes(tmp_path, monkeypatch):
  assert stops_of_the_same(TRANSFER, tmp_path, monkeypatch) > 0


def test_accuracy_under_an_attack_never_rises_with_the_radius():
  held = {
    'clean/withstood': np.array([[True], [True], [False]]),
    'blind/withstood': np.array([[False, True], [True, True], [True, True]]),
    'away/withstood': np.array([[True, True], [True, False], [True, True]]),
    'next/withstood': np.ones((3, 2), bool),
  }
  found = defences._withstood(held)
  np.testing.assert_array_equal(
    found['blind'], [[False, False], [True, True], [False, False]]
  )
  np.testing.assert_array_equal(
    found['knowing'], [[False, False], [True, False], [False, False]]
  )


def test_defences_resume(tmp_path, monkeypatch):
  assert stops_of_the_same(DEFEND, tmp_path, monkeypatch) > 0


@pytest.mark.parametrize(
  ('arrays', 'message'),
  [
    ({'x': np.zeros(1)}, r"holds \['x'\], expected x_test and y_test"),
    (
      {'x_test': np.zeros((2, 8, 8, 3)), 'y_test': np.zeros(2, int)},
      r'got x_test float64 \(2, 8, 8, 3\)',
    ),
    (
      {'x_test': np.zeros((1, 8, 8, 3), np.uint8), 'y_test': np.array([16])},
      'the class 16 in y_test, expected classes below 16',
    ),
  ],
)
def test_files_of_images_are_checked(arrays, message, tmp_path):
  np.savez(tmp_path / 'data.npz', **arrays)
  with pytest.raises(ValueError, match=f'config.data: .*{message}'):
    start(ROBUST, tmp_path / 'run', data=str(tmp_path / 'data.npz'))
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('name', 'change', 'message'),
  [
    (ATTACK, {'attacks': ''}, 'config.attacks: got none'),
    (ATTACK, {'target': 'disc,star'}, 'config.target: got disc,star, expected'),
    (ATTACK, {'target': 'disc'}, 'config.attacks: got deepfool with a target'),
    (ATTACK, {'epsilon': -1.0}, 'config.epsilon: got -1.0'),
    (ROBUST, {'epsilons': ()}, 'config.epsilons: got'),
    (ROBUST, {'epsilons': (-0.1,)}, 'config.epsilons: got'),
    (ROBUST, {'others': 'minivgg'}, 'config.others: got minivgg again'),
    (CERTIFY, {'sigmas': (0.0,)}, 'config.sigmas: got .0.0,., expected'),
    (CERTIFY, {'samples': 0}, 'config.samples: got 0'),
    (CERTIFY, {'radii': (-1.0,)}, 'config.radii: got .-1.0,., expected'),
    (PICTURES, {'targets': ''}, 'config.targets: got none'),
    (PICTURES, {'layer': 'relu9'}, "config.layer: got 'relu9'"),
    (TRAIN, {'stages': (32, 2)}, 'config.stages: got .32, 2., expected'),
    (TRAIN, {'epsilons': (float('nan'),)}, 'config.epsilons: got'),
    (TRAIN, {'norm': 'l0'}, "config.norm: got 'l0'"),
  ],
)
def test_wrong_settings_are_named(name, change, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    start(name, tmp_path / 'run', **change)
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_layers_in_half_precision_are_trained_in_float32(dtype, tmp_path):
  start(TRAIN, tmp_path, net={'dtype': dtype}, learning_rate=1e-5)
  before = nets.get_params(nets.load('minivgg'))['conv3_1']['kernel']
  before = before.astype(dtype).astype(jnp.float32)
  after = nets.get_params(nets.load(tmp_path / 'robust.safetensors'))
  step = np.abs(after['conv3_1']['kernel'] - before)
  # Steps of Adam, of which half precision would keep none.
  assert 1e-7 < step.max() < 1e-4


def test_robust_training_lowers_the_loss_of_attacked_images(tmp_path):
  """A few steps learn one small batch by heart."""
  start(TRAIN, tmp_path, stages=((32, 12),), batch_size=8, learning_rate=3e-3)
  net = nets.load(tmp_path / 'robust.safetensors')
  step = jax.random.fold_in(jax.random.key(0), 3)
  seen = scenes(step, 8, size=32)
  losses = [
    adversarial.madry_loss(
      each, seen.image, seen.labels[:, 0], jax.random.key(1), epsilon=8 / 255
    ).mean()
    for each in (nets.load('minivgg'), net)
  ]
  assert losses[1] < losses[0]
  record = json.loads((tmp_path / 'record.json').read_text())
  assert record['results']['after_clean'] <= 1
  found = read(tmp_path, 'after')
  assert found['clean'] >= found['robust']
  assert jnp.isfinite(found['curve']).all()


def test_robust_training_on_a_file(tmp_path):
  write_tasks(tmp_path)
  changes = {
    'data': str(tmp_path / 'task.npz'),
    'stages': ((16, 2),),
    'batch_size': 4,
    'eval_scenes': 5,
  }
  results = start(TRAIN, tmp_path / 'run', **changes)
  assert 0 <= results['after_robust'] <= results['after_clean'] <= 1
  net = nets.load(tmp_path / 'run' / 'robust.safetensors')
  assert nets.layer_info(net)[-1].shape == (2,)
  for change, message in (
    ({'stages': ((32, 2),)}, 'config.stages: got .*, expected a side of 16'),
    ({'eval_scenes': 7}, 'config.eval_scenes: got 7, expected at most the 6'),
  ):
    with pytest.raises(ValueError, match=message):
      start(TRAIN, tmp_path / 'no', **changes | change)


def test_judged_photos_are_not_known_ones(tmp_path):
  write_pictures(tmp_path, ['0_a', '1_b', '2_c'])
  changes = {
    'photos': str(tmp_path),
    'known_photos': f'{tmp_path}/1_b.png',
    'others': '',
  }
  with pytest.raises(ValueError, match='config.known_photos: got .*1_b.png of'):
    start('adversarial/defences', tmp_path / 'run', **changes)


def test_images_of_a_file_are_flipped_and_moved():
  x = jax.random.uniform(jax.random.key(0), (40, 16, 16, 3))
  new = np.asarray(robust_training._augmented(jax.random.key(1), x))
  padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode='reflect')
  found = set()
  for whole, one in zip(padded, new, strict=True):
    ways = [
      (flip, i, j)
      for flip in (1, -1)
      for i in range(5)
      for j in range(5)
      if np.array_equal(whole[:, ::flip][i : i + 16, j : j + 16], one)
    ]
    assert len(ways) == 1
    found.add(ways[0])
  assert len(found) > 20 and {way[0] for way in found} == {1, -1}


def test_gradients_are_measured(tmp_path):
  results = start(PICTURES, tmp_path, targets='star,disc')
  known = scenes(jax.random.key(0), 3, objects=1, size=96)
  net = nets.load('minivgg')

  def total(x):
    return jnp.take_along_axis(net(x)[0], known.labels[:, :1], -1).sum()

  g = np.asarray(jax.grad(total)(known.image), np.float64)
  x = np.asarray(known.image, np.float64)
  aligned, inside, fine = [], [], []
  window = np.outer(np.hanning(98)[1:-1], np.hanning(98)[1:-1])
  far = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96)[None])
  for i in range(3):
    aligned.append(abs(np.corrcoef(g[i].ravel(), x[i].ravel())[0, 1]))
    strength = np.abs(g[i]).max(-1)
    inside.append((strength * known.masks[i, 0]).sum() / strength.sum())
    power = sum(
      np.abs(np.fft.fft2((g[i, ..., c] - g[i, ..., c].mean()) * window)) ** 2
      for c in range(3)
    )
    power[far >= 0.5] = 0
    fine.append(power[far >= 0.25].sum() / power.sum())
  assert results['plain_aligned'] == pytest.approx(np.mean(aligned), rel=1e-2)
  assert results['plain_inside'] == pytest.approx(np.mean(inside), rel=1e-3)
  assert results['plain_fine'] == pytest.approx(np.mean(fine), rel=0.1)
  images = read(tmp_path, 'plain_towards')['images']
  moved = np.sqrt(np.square(images - x[:1]).sum((1, 2, 3)))
  assert images.shape == (2, 96, 96, 3)
  assert (moved <= 12.01).all() and (moved > 1).all()
  between = read(tmp_path, 'plain_between')['images']
  np.testing.assert_allclose(between[0], x[0], atol=0.05)


@pytest.mark.parametrize(
  ('name', 'changes'),
  [
    (ROBUST, {'others': ''}),
    (TRAIN, {}),
    (TRAIN, {'method': 'free', 'stages': ((32, 5), (40, 4))}),
    (PICTURES, {}),
  ],
  ids=str,
)
def test_a_stopped_one_ends_the_same(name, changes, tmp_path, monkeypatch):
  wanted = start(name, tmp_path / 'whole', **changes)
  found, stops = start_and_stop(
    name, tmp_path / 'run', monkeypatch, every=3, **changes
  )
  assert stops > 0
  wanted.pop('seconds_per_step', None)
  found.pop('seconds_per_step', None)
  assert found == wanted
