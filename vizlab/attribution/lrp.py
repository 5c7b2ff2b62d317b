"""Layer-wise relevance propagation."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import rules
from vizlab.attribution.checks import nan_where_undefined, need_score
from vizlab.batching import vary_with
from vizlab.image.checks import check_images
from vizlab.lookup import check_name
from vizlab.objectives import Score
from vizlab.objectives.base import check_score
from vizlab.objectives.contract import run_net
from vizlab.rules import Composite, Redistribution
from vizlab.types import Acts, Array

__all__ = [
  'EPSILON_ALPHA2_BETA1',
  'EPSILON_ALPHA2_BETA1_FLAT',
  'EPSILON_GAMMA_BOX',
  'EPSILON_PLUS',
  'EPSILON_PLUS_FLAT',
  'layer_relevance',
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


def lrp(
  score: Score,
  x: Array,
  composite: Composite | Mapping[str, Redistribution] = EPSILON_PLUS,
  through: Mapping[str, Array] | None = None,
) -> Array:
  r"""Layer-wise relevance propagation: the score, shared among the pixels.

  .. math::
    R_i = \sum_j \frac{x_i w_{ij}}{\sum_{i'} x_{i'} w_{i'j} + b_j} R_j

  and variants of it, layer by layer from the score to the image. It starts with
  the activations or logits that the objective reads, each times the slope of
  the objective. The relevance of all pixels together is the score, but for what
  biases and stabilisers take, if the objective is linear: not a probability. In
  some networks biases take most of it.

  With ``through`` it is concept relevance: only what passes the chosen units of
  a layer goes on to the image. The parts of all channels sum to what passes the
  layer.

  Args:
    score: A `Score` whose network holds backward rules and calls
      ``rules.apply`` for its linear layers, as the classifiers of `vizlab.nets`
      do.
    x: Images ``[..., H, W, C]`` in [0, 1].
    composite: Rules by layer: `vizlab.rules.composite`, or its table, such as
      ``{'first': rules.z_box(), 'Conv': rules.gamma(0.25)}``. By default the
      z-plus rule for convolutions, and the epsilon rule for others. Batch
      normalisation passes relevance on; `vizlab.nets.merge_batch_norm` makes it
      a part of the convolution before it. Static under `jax.jit`, where it is
      no table: ``jax.jit(lrp, static_argnames='composite')``.
    through: ``{layer: mask}``, by which the relevance of the layer is
      multiplied: ``[C]``, such as ``jnp.eye(C)[channel]``, or of any shape that
      broadcasts to the activation. With several layers it passes the chosen
      units of all of them.

  Returns:
    ``[..., H, W, C]``, in score units; NaN where the score is NaN or infinite.
    `vizlab.render.signed` shows the sum over the channels of an image.

  Raises:
    ValueError: ``x`` is not a batch of float images, ``score`` does not give
      one number per image, its network has no rules, a rule does not suit a
      layer, a pattern fits none, or a layer in ``through`` is unknown or its
      mask has another shape.

  References:
    Bach et al. 2015; Montavon, Binder, Lapuschkin, Samek & Mueller 2019
    (composites); Kohlbrenner et al. 2020; Achtibat et al. 2023 (``through``).
  """
  relevance, _, y = _propagated(score, x, composite, through, ())
  return nan_where_undefined(relevance, y)


def layer_relevance(
  score: Score,
  x: Array,
  layer: str,
  composite: Composite | Mapping[str, Redistribution] = EPSILON_PLUS,
  through: Mapping[str, Array] | None = None,
) -> Array:
  """Relevance that arrives at the units of a layer, as `lrp` propagates it.

  Its sum over the positions of a channel is the relevance of the channel, by
  which Achtibat et al. 2023 rank the concepts of a prediction. With ``through``
  it says of which lower concepts chosen units of a higher layer are composed.

  Args:
    score: See `lrp`.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the layer; static under `jax.jit`, like the composite.
    composite: See `lrp`.
    through: See `lrp`.

  Returns:
    ``[..., H', W', C']`` or ``[..., C']``, the shape of the activation, in
    score units; NaN where the score is NaN or infinite.

  Raises:
    ValueError: See `lrp`; or the layer is unknown.
  """
  _, relevance, y = _propagated(score, x, composite, through, (layer,))
  return nan_where_undefined(relevance[layer], y)


def _propagated(
  score: Score,
  x: Array,
  composite: Composite | Mapping[str, Redistribution],
  through: Mapping[str, Array] | None,
  at: Sequence[str],
) -> tuple[Array, dict[str, Array], Array]:
  """Relevance of the images and at some layers, and the scores."""
  score = need_score(score, 'lrp')
  check_images(x)
  if isinstance(composite, Mapping):
    composite = rules.composite(composite)
  if not isinstance(composite, Composite):
    raise ValueError(
      f'composite: got {composite!r}, expected {{pattern: rule}}, or one of '
      'rules.composite'
    )
  if through is not None and not isinstance(through, Mapping):
    raise ValueError(f'through: got {through!r}, expected {{layer: mask}}')
  through = dict(through or {})
  acts: Acts = {}
  if through or at:
    acts = jax.eval_shape(lambda x: score.run(x)[1], x)
  for name in through:
    check_name('through', name, acts)
  for name in at:
    check_name('layer', name, acts)
  layers: list[tuple[Any, bool]] = []

  def rule(layer: Any, *given: Any) -> Array:
    layers.append((layer, given[-1] is not None))
    return composite(layer, *given)

  net = rules.with_relevance(score.net, rule)

  def run(x: Array, offsets: dict[str, Array]) -> tuple[Array | None, Acts]:
    def edit(name: str, a: Array) -> Array:
      if name in through:
        a = _masked(a, _mask(name, through[name], a))
      return a + offsets[name] if name in offsets else a

    names = {*through, *offsets}
    return run_net(net, x, {n: functools.partial(edit, n) for n in names})

  x = vary_with(score, x)
  # Relevance goes to an offset of a layer as a gradient would.
  offsets = {
    name: vary_with((score, x), jnp.zeros(acts[name].shape, acts[name].dtype))
    for name in at
  }
  outputs, backward = jax.vjp(run, x, offsets)
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
  return *backward(read), y


def _mask(name: str, mask: Array, a: Array) -> Array:
  """A mask of the shape of an activation."""
  if not isinstance(mask, jax.Array | np.ndarray) or not mask.ndim:
    raise ValueError(
      f'through: got {mask!r} for {name!r}, expected a mask, such as '
      'jnp.eye(C)[channel]'
    )
  try:
    shape = jnp.broadcast_shapes(mask.shape, a.shape)
  except ValueError:
    shape = None
  if shape != a.shape or jnp.iscomplexobj(mask):
    raise ValueError(
      f'through: got a {mask.dtype} mask of shape {mask.shape} for {name!r}, '
      f'expected real numbers that broadcast to {a.shape}'
    )
  return jnp.broadcast_to(jnp.asarray(mask, a.dtype), a.shape)


@jax.custom_vjp
def _masked(a: Array, mask: Array) -> Array:
  """The activation itself, whose relevance is multiplied by a mask."""
  del mask
  return a


def _masked_fwd(a: Array, mask: Array) -> tuple[Array, Array]:
  return a, mask


def _masked_bwd(mask: Array, g: Array) -> tuple[Array, Array]:
  # Not a product: relevance that is NaN elsewhere does not pass.
  return jnp.where(mask == 0, 0, mask * g), jnp.zeros_like(mask)


_masked.defvjp(_masked_fwd, _masked_bwd)
