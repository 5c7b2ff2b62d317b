"""Layer-wise relevance propagation."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from vizlab import rules
from vizlab.attribution.checks import nan_where_undefined, need_score
from vizlab.batching import vary_with
from vizlab.image.checks import check_images
from vizlab.lookup import check_name
from vizlab.objectives import Score
from vizlab.objectives.base import check_score
from vizlab.objectives.contract import run_net
from vizlab.rules import Composite, Redistribution
from vizlab.types import Acts, Array, Edits

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
  composite: Composite = EPSILON_PLUS,
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
    composite: Rules by layer, see `vizlab.rules.composite`. By default the
      z-plus rule for convolutions, and the epsilon rule for others. Batch
      normalisation passes relevance on; `vizlab.nets.merge_batch_norm` makes it
      a part of the convolution before it. Static under `jax.jit`:
      ``jax.jit(lrp, static_argnames='composite')``.
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
    (composites); Kohlbrenner et al. 2020; Achtibat et al. 2023, equation 4
    (``through``).
  """
  edits = {}
  for name, mask in (through or {}).items():
    check_name('through', name, _activations(score, x))
    edits[name] = _passing(name, mask)
  relevance, _, y = _propagated(score, x, composite, edits)
  return nan_where_undefined(relevance, y)


def layer_relevance(
  score: Score, x: Array, layer: str, composite: Composite = EPSILON_PLUS
) -> Array:
  """Relevance of the units of a layer, as `lrp` propagates it.

  Its sum over the positions of a channel is the relevance of the channel, by
  which Achtibat et al. 2023 rank the concepts of a prediction.

  Args:
    score: See `lrp`.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the layer.
    composite: See `lrp`.

  Returns:
    ``[..., H', W', C']`` or ``[..., C']``, the shape of the activation, in
    score units; NaN where the score is NaN or infinite.

  Raises:
    ValueError: See `lrp`; or the layer is unknown.
  """
  acts = _activations(score, x)
  check_name('layer', layer, acts)
  zero = jnp.zeros(acts[layer].shape, acts[layer].dtype)
  zero = vary_with((score, x), zero)
  # Relevance goes to an offset of the layer as a gradient would.
  _, relevance, y = _propagated(score, x, composite, {}, {layer: zero})
  return nan_where_undefined(relevance[layer], y)


def _activations(score: Score, x: Array) -> Acts:
  """Shapes of the activations."""
  score = need_score(score, 'lrp')
  check_images(x)
  return jax.eval_shape(lambda x: score.run(x)[1], x)


def _propagated(
  score: Score,
  x: Array,
  composite: Composite,
  edits: Edits,
  offsets: Mapping[str, Array] | None = None,
) -> tuple[Array, dict[str, Array], Array]:
  """Relevance of the images and of offsets of layers, and the scores.

  Args:
    score: See `lrp`.
    x: Images.
    composite: Rules by layer.
    edits: Edits of the network.
    offsets: ``{layer: zeros}`` that are added to activations.
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

  def run(x: Array, offsets: dict[str, Array]) -> tuple[Array | None, Acts]:
    adding = {
      name: functools.partial(jnp.add, v) for name, v in offsets.items()
    }
    return run_net(net, x, {**edits, **adding})

  x = vary_with(score, x)
  outputs, backward = jax.vjp(run, x, dict(offsets or {}))
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


def _passing(name: str, mask: Array) -> Callable[[Array], Array]:
  """Edit that changes nothing but what goes back through a layer."""

  def edit(a: Array) -> Array:
    try:
      shape = jnp.broadcast_shapes(jnp.shape(mask), a.shape)
    except ValueError:
      shape = None
    if shape != a.shape:
      raise ValueError(
        f'through: got a mask of shape {jnp.shape(mask)} for {name!r}, '
        f'expected one that broadcasts to {a.shape}'
      )
    return _masked(a, jnp.broadcast_to(jnp.asarray(mask, a.dtype), a.shape))

  return edit


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
