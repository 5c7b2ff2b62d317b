"""Relevance equals that of zennit, for the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.baselines import relevance_library
from tools import jit_once

from vizlab import attribution, nets, rules
from vizlab.nets.graph import wiring
from vizlab.nets.layers import Add, Conv, Dense, GlobalPool, Pool, ReLU
from vizlab.objectives import logit, score

pytestmark = pytest.mark.slow

torch = pytest.importorskip('torch')
nn = torch.nn


composites = relevance_library()
if composites is None:
  pytest.skip('zennit is not installed', allow_module_level=True)


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
  found = jit_once(attribution.lrp, static_argnums=2)(
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


class Built(nn.Module):
  """The layers of a network of ours as torch's modules, which zennit knows."""

  def __init__(self, net):
    super().__init__()
    self.steps = [*wiring(net.ops)]
    params = nets.get_params(net)
    for op, _ in self.steps:
      made = MODULES[op.kind](op, params.get(op.name, {}))
      self.add_module(op.name.replace('.', '/'), made)

  def forward(self, x):
    values = {None: x}
    for op, inputs in self.steps:
      read = [values[name] for name in inputs]
      module = getattr(self, op.name.replace('.', '/'))
      if op.kind == 'Concat':
        values[op.name] = torch.cat(read, 1)
      elif op.kind == 'Add':
        values[op.name] = module(torch.stack(read, -1))
      else:
        values[op.name] = module(*read)
    return values[self.steps[-1][0].name]


def filled(module, params, order):
  with torch.no_grad():
    kernel = np.array(params['kernel'].transpose(order))
    module.weight.copy_(torch.tensor(kernel))
    module.bias.copy_(torch.tensor(np.array(params['bias'])))
  return module


def convolution(op, params):
  *_, width, features = params['kernel'].shape
  module = nn.Conv2d(
    width * op.groups, features, op.kernel, op.stride, op.padding
  )
  return filled(module, params, (3, 2, 0, 1))


class Flat(nn.Module):
  """Flattens a map as ours, with the channels last."""

  def forward(self, x):
    return x.permute(0, 2, 3, 1).flatten(1)


MODULES = {
  'Conv': convolution,
  'Dense': lambda op, params: filled(
    nn.Linear(*params['kernel'].shape), params, (1, 0)
  ),
  'ReLU': lambda op, params: nn.ReLU(),
  'Pool': lambda op, params: nn.MaxPool2d(
    op.window.size,
    op.window.stride,
    op.window.padding,
    ceil_mode=op.window.ceil,
  ),
  'AdaptivePool': lambda op, params: nn.AdaptiveAvgPool2d(op.size),
  'GlobalPool': lambda op, params: nn.Sequential(
    nn.AdaptiveAvgPool2d(1), nn.Flatten()
  ),
  'Flatten': lambda op, params: Flat(),
  'Add': lambda op, params: pytest.importorskip('zennit.layer').Sum(),
  'Concat': lambda op, params: nn.Identity(),
}


def shaken(net):
  """A network whose biases and statistics are not those of a new one."""
  rng = np.random.default_rng(0)
  params = nets.get_params(net)
  for values in params.values():
    for name, v in values.items():
      if name in ('scale', 'var'):
        values[name] = v * rng.uniform(0.7, 1.4, v.shape).astype(np.float32)
      elif name in ('bias', 'mean'):
        values[name] = v + 0.05 * rng.normal(size=v.shape).astype(np.float32)
  return nets.with_params(net, params)


@pytest.mark.parametrize(
  ('arch', 'name'),
  [
    ('vgg16', 'EPSILON_PLUS'),
    ('googlenet_bn', 'EPSILON_PLUS'),
    ('resnet18', 'EPSILON_ALPHA2_BETA1'),
  ],
)
def test_relevance_of_whole_networks_equals_zennits(arch, name):
  made = shaken(nets.create(arch, key=jax.random.key(3), classes=10))
  net = nets.merge_batch_norm(made)
  x = jax.random.uniform(jax.random.key(4), (2, 64, 64, 3))
  model = Built(net).eval()
  inputs = torch.tensor(np.array(net.spec(x)).transpose(0, 3, 1, 2))
  with torch.no_grad():
    logits = model(inputs).numpy()
  top = np.abs(logits).max()
  np.testing.assert_allclose(net(x)[0], logits, atol=1e-4 * top)
  composite = getattr(composites, SPECS[name][0])()
  wanted = theirs(composite, net, model, x, 2)
  found = jit_once(attribution.lrp, static_argnums=2)(
    score(net, logit(2)), x, getattr(attribution, name)
  )
  np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
