"""Backward rules for ReLU and pooling, as values.

All ReLU rules have one forward, ``max(x, 0)``; they differ in what they let
through on the way back (Springenberg et al. 2015, figure 1):

================= ==========================================
`relu`            where the input was positive
`deconv_relu`     where the gradient is positive (Zeiler & Fergus 2014)
`guided_relu`     where both are
`redirected_relu` where the input was positive; of an image that gets nothing
                  so, where the gradient is negative, too (Olah 2017)
================= ==========================================

`with_rules` puts a rule into a net: same weights, same forward, another
backward. Guided backprop is nothing but a gradient through such a net. A model
of your own takes part when it, or any module in it, holds a `Rules` and calls
``self.rules.relu`` instead of ``jax.nn.relu``.

The rules are ``custom_vjp`` functions: reverse mode only (``jax.jvp`` through
them raises). Arrays are ``[N, H, W, C]`` for pooling and of any shape for ReLU.
"""

from vizlab.rules.pooling import PoolWindow, avg_pool, max_pool
from vizlab.rules.rectifiers import (
  deconv_relu,
  guided_relu,
  redirected_relu,
  relu,
)
from vizlab.rules.substitution import Rules, run, with_rules

__all__ = [
  'Rules',
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
