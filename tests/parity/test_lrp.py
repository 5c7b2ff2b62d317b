"""Relevance equals that of zennit, for the same weights."""

import importlib.util
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import attribution, nets, rules
from vizlab.nets.layers import Add, Conv, Dense, GlobalPool, Pool, ReLU
from vizlab.objectives import logit, score

pytestmark = pytest.mark.slow

torch = pytest.importorskip('torch')
nn = torch.nn


class Absent(type(np)):
  """A module of classes without instances.

  zennit names classes of torchvision, of which these tests need nothing.
  """

  def __getattr__(self, name):
    if name.startswith('__'):
      raise AttributeError(name)
    return type(name, (), {})


if importlib.util.find_spec('torchvision') is None:
  for name in ('', '.models', '.models.resnet', '.models.vgg'):
    sys.modules[f'torchvision{name}'] = Absent(f'torchvision{name}')
composites = pytest.importorskip('zennit.composites')


class Residual(nn.Module):
  def __init__(self, width):
    super().__init__()
    self.conv = nn.Conv2d(width, width, 3, padding=1)
    self.sum = pytest.importorskip('zennit.layer').Sum()

  def forward(self, x):
    return self.sum(torch.stack([self.conv(x), x], -1))


def models():
  """Layers of ours, and the same in torch."""
  torch.manual_seed(0)
  ops = (
    Conv('conv1', 8, 5, 1, 2), ReLU('relu1'), Pool('pool1'),
    Conv('conv2', 12), ReLU('relu2'),
    Conv('conv3', 12), Add('sum', inputs=('conv3', 'relu2')), ReLU('relu3'),
    Pool('pool3'), GlobalPool('gap'), Dense('fc1', 10), ReLU('relu4'),
    Dense('fc2', 5),
  )  # fmt: skip
  model = nn.Sequential(
    nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(),
    Residual(12), nn.ReLU(),
    nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 5),
  ).eval()  # fmt: skip
  names = {
    'conv1': '0', 'conv2': '3', 'conv3': '5.conv', 'fc1': '10', 'fc2': '12'
  }  # fmt: skip
  state = {k: v.numpy() for k, v in model.state_dict().items()}
  spec = nets.InputSpec(24, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
  return nets.from_layers(ops, spec, state, names=names), model


SPECS = {
  'EPSILON_PLUS': ('EpsilonPlus', {}),
  'EPSILON_PLUS_FLAT': ('EpsilonPlusFlat', {}),
  'EPSILON_ALPHA2_BETA1': ('EpsilonAlpha2Beta1', {}),
  'EPSILON_ALPHA2_BETA1_FLAT': ('EpsilonAlpha2Beta1Flat', {}),
  'EPSILON_GAMMA_BOX': ('EpsilonGammaBox', {}),
}


def ends(net):
  """Black and white after the preprocessing, as zennit wants them."""
  return [
    torch.tensor(np.array(net.spec(jnp.full((1, 1, 1, 3), v))))
    .permute(0, 3, 1, 2)
    for v in (0.0, 1.0)
  ]  # fmt: skip


def theirs(composite, net, model, x, target):
  inputs = np.array(net.spec(x)).transpose(0, 3, 1, 2)
  inputs = torch.tensor(inputs, requires_grad=True)
  with composite.context(model) as modified:
    out = modified(inputs)
    seed = torch.zeros_like(out)
    seed[:, target] = out[:, target].detach()
    (relevance,) = torch.autograd.grad(out, inputs, seed)
  return relevance.detach().numpy().transpose(0, 2, 3, 1)


@pytest.mark.parametrize('name', SPECS)
def test_composites_equal_zennits(name):
  net, model = models()
  x = jax.random.uniform(jax.random.key(0), (3, 24, 20, 3))
  kind, settings = SPECS[name]
  if 'Box' in kind:
    settings = dict(zip(('low', 'high'), ends(net), strict=True))
  composite = getattr(composites, kind)(**settings)
  wanted = theirs(composite, net, model, x, 2)
  found = jax.jit(attribution.lrp, static_argnums=2)(
    score(net, logit(2)), x, getattr(attribution, name)
  )
  np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


RULES = {
  'Epsilon': (rules.epsilon(0.1), {'epsilon': 0.1}),
  'ZPlus': (rules.z_plus(), {}),
  'AlphaBeta': (rules.alpha_beta(1.5, 0.5), {'alpha': 1.5, 'beta': 0.5}),
  'Gamma': (rules.gamma(0.7), {'gamma': 0.7}),
  'WSquare': (rules.w_square(), {}),
  'Flat': (rules.flat(), {}),
}


@pytest.mark.parametrize('name', RULES)
def test_a_rule_everywhere_equals_zennits(name):
  """Inputs of both signs, in the first layer."""
  library = pytest.importorskip('zennit.rules')
  ours, settings = RULES[name]
  net, model = models()
  x = jax.random.uniform(jax.random.key(1), (2, 24, 24, 3))
  layers = pytest.importorskip('zennit.types').Linear
  composite = composites.LayerMapComposite(
    [*composites.layer_map_base(), (layers, getattr(library, name)(**settings))]
  )
  wanted = theirs(composite, net, model, x, 1)
  table = rules.composite({'Conv': ours, 'Dense': ours})
  found = attribution.lrp(score(net, logit(1)), x, table)
  np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
