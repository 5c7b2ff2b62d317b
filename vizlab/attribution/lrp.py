"""Layer-wise relevance propagation."""

from typing import Any

import jax
import jax.numpy as jnp

from vizlab import rules
from vizlab.attribution.checks import nan_where_undefined, need_score
from vizlab.batching import vary_with
from vizlab.image.checks import check_images
from vizlab.objectives import Score
from vizlab.objectives.base import check_score
from vizlab.objectives.contract import run_net
from vizlab.rules import Composite, Redistribution
from vizlab.types import Array

__all__ = [
  'EPSILON_ALPHA2_BETA1',
  'EPSILON_ALPHA2_BETA1_FLAT',
  'EPSILON_GAMMA_BOX',
  'EPSILON_PLUS',
  'EPSILON_PLUS_FLAT',
  'lrp',
]


def _usual(conv: Redistribution, first: Redistribution | None) -> Composite:
  """Rules of convolutions and of what reads the image; epsilon for others."""
  ends = {} if first is None else {'first': first}
  return rules.composite({'BatchNorm': rules.passed(), **ends, 'Conv': conv})


EPSILON_PLUS = _usual(rules.z_plus(), None)
EPSILON_PLUS_FLAT = _usual(rules.z_plus(), rules.flat())
EPSILON_ALPHA2_BETA1 = _usual(rules.alpha_beta(2.0, 1.0), None)
EPSILON_ALPHA2_BETA1_FLAT = _usual(rules.alpha_beta(2.0, 1.0), rules.flat())
EPSILON_GAMMA_BOX = _usual(rules.gamma(0.25), rules.z_box())


def lrp(score: Score, x: Array, composite: Composite = EPSILON_PLUS) -> Array:
  r"""Layer-wise relevance propagation: the score, shared among the pixels.

  .. math::
    R_i = \sum_j \frac{x_i w_{ij}}{\sum_{i'} x_{i'} w_{i'j} + b_j} R_j

  and variants of it, layer by layer from the score to the image. It starts with
  the activations or logits that the objective reads, each times the slope of
  the objective. The relevance of all pixels together is the score, but for what
  biases and stabilisers take, if the objective is linear: not a probability. In
  some networks biases take most of it.

  Args:
    score: A `Score` whose network holds backward rules and calls
      ``rules.apply`` for its linear layers, as the classifiers of `vizlab.nets`
      do.
    x: Images ``[..., H, W, C]`` in [0, 1].
    composite: Rules by layer, see `vizlab.rules.composite`. By default the
      z-plus rule for convolutions, and the epsilon rule for others. Batch
      normalisation passes relevance on; `vizlab.nets.merge_batch_norm` makes it
      a part of the convolution before it. Static under `jax.jit`:
      ``jax.jit(lrp, static_argnames='composite')``.

  Returns:
    ``[..., H, W, C]``, in score units; NaN where the score is NaN or infinite.
    `vizlab.render.signed` shows the sum over the channels of an image.

  Raises:
    ValueError: ``x`` is not a batch of float images, ``score`` does not give
      one number per image, its network has no rules, a rule does not suit a
      layer, or a pattern fits none.

  References:
    Bach et al. 2015; Montavon, Binder, Lapuschkin, Samek & Mueller 2019
    (composites); Kohlbrenner et al. 2020.
  """
  score = need_score(score, 'lrp')
  check_images(x)
  if not isinstance(composite, Composite):
    raise ValueError(
      f'composite: got {composite!r}, expected one of rules.composite'
    )
  layers: list[tuple[Any, bool]] = []

  def rule(layer: Any, *given: Any) -> Array:
    layers.append((layer, given[-1] is not None))
    return composite(layer, *given)

  net = rules.with_relevance(score.net, rule)
  outputs, backward = jax.vjp(lambda x: run_net(net, x), vary_with(score, x))
  composite.check(layers)
  y, to_outputs = jax.vjp(lambda outputs: score.read(*outputs), outputs)
  check_score(y, x)
  # The relevance of what the objective reads: its value times its slope.
  (slopes,) = to_outputs(jnp.ones_like(y))
  read = jax.tree.map(
    lambda value, slope: jnp.where(slope != 0, value * slope, 0),
    outputs,
    slopes,
  )
  return nan_where_undefined(backward(read)[0], y)
