"""Foolbox on the same weights is the oracle of attacks."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from vizlab import adversarial, nets
from vizlab.nets.layers import Conv, Dense, Flatten, ReLU

with warnings.catch_warnings():
  warnings.simplefilter('ignore')
  foolbox = pytest.importorskip('foolbox')

KEY = jax.random.key(0)
COUNT = 100


@pytest.fixture(scope='module')
def both():
  """A net in torch and here, images, and what it says of them."""
  torch.manual_seed(0)
  model = nn.Sequential(
    nn.Conv2d(3, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 4, 2, 1), nn.ReLU(),
    nn.Flatten(), nn.Linear(8 * 16, 10),
  ).eval()  # fmt: skip
  ops = (
    Conv('c1', 8, 4, 2, 1), ReLU('r1'), Conv('c2', 8, 4, 2, 1), ReLU('r2'),
    Flatten('flat'), Dense('fc', 10),
  )  # fmt: skip
  w = {k: v.numpy() for k, v in model.state_dict().items()}
  dense = w['5.weight'].reshape(10, 8, 4, 4).transpose(2, 3, 1, 0)
  params = {
    'c1': {'kernel': w['0.weight'].transpose(2, 3, 1, 0), 'bias': w['0.bias']},
    'c2': {'kernel': w['2.weight'].transpose(2, 3, 1, 0), 'bias': w['2.bias']},
    'fc': {'kernel': dense.reshape(128, 10), 'bias': w['5.bias']},
  }
  spec = nets.InputSpec(16, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
  net = nets.Network('small', ops, spec, jax.tree.map(jnp.asarray, params))
  peer = foolbox.PyTorchModel(
    model,
    bounds=(0, 1),
    device='cpu',
    preprocessing={
      'mean': [0.4, 0.5, 0.6], 'std': [0.2, 0.3, 0.25], 'axis': -3,
    },
  )  # fmt: skip
  x = jax.random.uniform(KEY, (COUNT, 16, 16, 3))
  label = net(x)[0].argmax(-1)
  return net, peer, x, label


def theirs(both, attack, epsilon):
  """Images of foolbox, and where it succeeds."""
  _, peer, x, label = both
  images = torch.tensor(np.asarray(x).transpose(0, 3, 1, 2).copy())
  labels = torch.tensor(np.asarray(label)).long()
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    _, found, success = attack(peer, images, labels, epsilons=epsilon)
  return found.numpy().transpose(0, 2, 3, 1), success.numpy()


def distances(found, x, order):
  flat = (found - np.asarray(x)).reshape(COUNT, -1)
  return np.linalg.norm(flat, order, axis=1)


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_steps_within_a_ball_are_the_same(both, norm):
  net, _, x, label = both
  wish = adversarial.mislead(net, label)
  epsilon = {'linf': 0.01, 'l2': 0.15}[norm]
  attack = {
    'linf': (foolbox.attacks.LinfFastGradientAttack, foolbox.attacks.LinfPGD),
    'l2': (foolbox.attacks.L2FastGradientAttack, foolbox.attacks.L2PGD),
  }[norm]
  want, success = theirs(both, attack[0](), epsilon)
  got = adversarial.fgsm(wish, x, epsilon=epsilon, norm=norm)
  np.testing.assert_allclose(got.raw, want, atol=1e-5)
  np.testing.assert_array_equal(got.success, success)
  peer = attack[1](steps=20, rel_stepsize=0.125, random_start=False)
  want, success = theirs(both, peer, epsilon)
  got = adversarial.pgd(
    wish, x, KEY, epsilon=epsilon, norm=norm, steps=20, random_start=False
  )
  assert 0 < success.sum() < COUNT
  assert (np.asarray(got.success) != success).sum() <= 1
  # The best point is kept here, and the last one there.
  loss = wish(jnp.asarray(want))['loss']
  assert (wish(got.raw)['loss'] >= loss - 1e-4).all()


@pytest.mark.parametrize('norm', ['linf', 'l2'])
def test_deepfool_goes_as_far(both, norm):
  net, _, x, label = both
  attack, order = {
    'linf': (foolbox.attacks.LinfDeepFoolAttack(), np.inf),
    'l2': (foolbox.attacks.L2DeepFoolAttack(), 2),
  }[norm]
  want, success = theirs(both, attack, None)
  got = adversarial.deepfool(net, x, label, norm=norm)
  assert success.all() and got.success.all()
  np.testing.assert_allclose(got.distance, distances(want, x, order), rtol=0.01)


def test_the_fast_minimum_norm_goes_as_far(both):
  net, _, x, label = both
  wish = adversarial.mislead(net, label)
  want, success = theirs(both, foolbox.attacks.LInfFMNAttack(steps=100), None)
  got = adversarial.fmn(wish, x)
  assert success.all() and got.success.all()
  np.testing.assert_allclose(
    got.distance, distances(want, x, np.inf), rtol=0.01, atol=1e-5
  )


@pytest.mark.slow
def test_carlini_and_wagner_go_as_far(both):
  net, _, x, label = both
  peer = foolbox.attacks.L2CarliniWagnerAttack(
    binary_search_steps=4, steps=100, initial_const=1.0, abort_early=False
  )
  want, success = theirs(both, peer, None)
  got = adversarial.carlini_wagner(
    adversarial.mislead(net, label), x, steps=300, searches=4
  )
  assert success.all() and got.success.all()
  far = distances(want, x, 2)
  # The schedules of the weight differ, and with them single images.
  ratio = np.asarray(got.distance) / far
  np.testing.assert_allclose(np.median(ratio), 1, atol=0.02)
  assert (np.abs(ratio - 1) < 0.1).mean() >= 0.98
