"""Small networks without biases, and composites of rules, for relevance."""

import jax

from vizlab import attribution, nets, rules
from vizlab.nets.graph import init_params
from vizlab.nets.layers import (
  LRN,
  Add,
  AveragePool,
  Concat,
  Conv,
  Dense,
  Flatten,
  GlobalPool,
  Pool,
  ReLU,
)

KEY = jax.random.key(0)
PLAIN = nets.InputSpec(8, (0.0,) * 3, (1.0,) * 3)
CHAIN = (
  Conv('conv1', 6, bias=False), ReLU('relu1'), Pool('pool1'),
  Conv('conv2', 8, bias=False), ReLU('relu2'), GlobalPool('gap'),
  Dense('fc', 4),
)  # fmt: skip
RESIDUAL = (
  Conv('conv1', 6, bias=False), ReLU('relu1'),
  Conv('conv2', 6, bias=False), Add('sum', inputs=('conv2', 'relu1')),
  ReLU('relu2'), GlobalPool('gap'), Dense('fc', 4),
)  # fmt: skip
BRANCHES = (
  Conv('conv1', 6, bias=False), ReLU('relu1'),
  Conv('left', 4, bias=False), ReLU('left_relu'),
  Conv('right', 5, 1, 1, 0, bias=False, inputs=('relu1',)), ReLU('right_relu'),
  Concat('both', inputs=('left_relu', 'right_relu')), LRN('norm'),
  Pool('pool'), Flatten('flat'), Dense('fc', 4),
)  # fmt: skip
LINES = (
  Conv('conv1', 6, bias=False), ReLU('relu1'),
  AveragePool('mean', rules.PoolWindow(3, 1, 1)),
  Conv('row', 5, (1, 3), 1, (0, 1), bias=False), ReLU('relu2'),
  GlobalPool('gap'), Dense('fc', 4),
)  # fmt: skip
NETS = {'chain': CHAIN, 'residual': RESIDUAL, 'branches': BRANCHES}
NETS |= {'lines': LINES}
COMPOSITES = {
  'epsilon': rules.composite({'*': rules.epsilon(1e-7)}),
  'plus': attribution.EPSILON_PLUS,
  'flat': attribution.EPSILON_PLUS_FLAT,
  'alpha_beta': attribution.EPSILON_ALPHA2_BETA1,
  'gamma box': attribution.EPSILON_GAMMA_BOX,
  'w_square': rules.composite({'first': rules.w_square()}),
}


def network(ops, spec=PLAIN, pool='max'):
  params = init_params(ops, spec.shape, KEY)
  by_pooling = nets.create('minivgg', pool=pool).rules
  return nets.Network('small', ops, spec, params, by_pooling)
