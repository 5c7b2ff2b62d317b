"""Backward rules for ReLU and pooling, as values.

All ReLU rules compute ``max(x, 0)`` in the forward pass and differ in the
gradient that they pass back (Springenberg et al. 2015, figure 1):

================= ==========================================
`relu`            where the input is positive
`deconv_relu`     where the gradient is positive (Zeiler & Fergus 2014)
`guided_relu`     where both are positive
`redirected_relu` where the input is positive; for an image whose gradient
                  would be 0, where the gradient is negative (Olah 2017)
================= ==========================================

`with_rules` returns a copy of a network with another rule: the same weights and
forward pass, another backward pass. Guided backprop is the gradient of such a
network. To support rules in your own model, let it or any module in it hold a
`Rules` and call ``self.rules.relu`` instead of ``jax.nn.relu``.

`with_relevance` propagates relevance instead (LRP), by rules of linear layers:
`epsilon`, `gamma`, `z_plus`, `alpha_beta`, `w_square`, `flat`, `z_box`.

The rules are ``custom_vjp`` functions: reverse mode only (``jax.jvp`` through
them raises). Arrays are ``[N, H, W, C]`` for pooling and have any shape for
ReLU.
"""

from vizlab.rules.pooling import PoolWindow, avg_pool, max_pool
from vizlab.rules.rectifiers import (
  deconv_relu,
  guided_relu,
  redirected_relu,
  relu,
)
from vizlab.rules.redistribution import (
  Redistribution,
  alpha_beta,
  epsilon,
  flat,
  gamma,
  norm,
  passed,
  w_square,
  z_box,
  z_plus,
)
from vizlab.rules.relevance import Composite, composite, with_relevance
from vizlab.rules.substitution import Rules, run, with_rules

__all__ = [
  'Composite',
  'Redistribution',
  'Rules',
  'alpha_beta',
  'composite',
  'epsilon',
  'flat',
  'gamma',
  'norm',
  'passed',
  'w_square',
  'with_relevance',
  'z_box',
  'z_plus',
  'PoolWindow',
  'avg_pool',
  'deconv_relu',
  'guided_relu',
  'max_pool',
  'redirected_relu',
  'relu',
  'run',
  'with_rules',
]
