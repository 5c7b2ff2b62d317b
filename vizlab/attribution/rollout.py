"""Attention of transformers, followed from the output to the image."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.attribution.cam import upsample
from vizlab.attribution.checks import nan_where_undefined, need_score
from vizlab.attribution.layer_gradients import layer_gradients
from vizlab.image.checks import check_images
from vizlab.lookup import check_name
from vizlab.objectives import Score
from vizlab.types import Acts, Array

__all__ = ['attention_relevance', 'attention_rollout']

_SUFFIX = 'attention.weights'  # of the layers of our own transformers
_REDUCTIONS = {
  'mean': jnp.mean,
  'max': extrema.max_over,
  'min': extrema.min_over,
}


def attention_rollout(
  score: Score,
  x: Array,
  *,
  layers: Sequence[str] | None = None,
  heads: str = 'mean',
  token: int = 0,
  resize: bool = True,
) -> Array:
  r"""Attention rollout: the share of each patch in a token of the last layer.

  .. math::
    R = \hat A_L \cdots \hat A_2 \hat A_1, \quad
    \hat A_l = \tfrac12 (A_l + I)

  with the attention weights of each layer over its heads; the rows of each
  factor are scaled to a sum of 1. It does not depend on the objective.

  Args:
    score: A `Score` of a network with attention.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layers: Names of the layers of attention weights, ``[..., T, T, heads]``, in
      the order in which they run; by default all layers of the network whose
      name ends in ``attention.weights``.
    heads: Reduction of the heads: ``'mean'``, as in the paper, ``'max'`` or
      ``'min'``.
    token: Index of the token that is explained; 0 is the class token. The map
      holds the tokens after the first.
    resize: Whether to upsample the map to the image, bilinearly. Pixels at the
      right and lower border that no patch covers are not left out.

  Returns:
    ``[..., H, W]``, or ``[..., h, w]`` patches without ``resize``, shares from
    0; with that of the class token they sum to 1. NaN where the score is NaN or
    infinite.

  Raises:
    ValueError: ``score`` is not a `Score`, its network has no such layers, or
      the reduction or the token is unknown.

  Reference:
    Abnar & Zuidema 2020, section 3, equation 1.
  """
  score = need_score(score, 'attention_rollout')
  check_name('heads', heads, _REDUCTIONS)
  check_images(x)
  logits, acts = score.run(x)
  y = score.read(logits, acts)
  rolled = None
  for name in _names(score.net, acts, layers):
    weights = _REDUCTIONS[heads](acts[name], -1)
    weights = weights + _identity(weights)
    weights = weights / weights.sum(-1, keepdims=True)
    rolled = weights if rolled is None else _product(weights, rolled)
  return _as_map(nan_where_undefined(rolled, y), x, token, resize)


def attention_relevance(
  score: Score,
  x: Array,
  *,
  layers: Sequence[str] | None = None,
  token: int = 0,
  resize: bool = True,
) -> Array:
  r"""Relevance of patches by the attention that raises a score.

  .. math::
    R \leftarrow R + \bar A_l R, \quad
    \bar A_l = \operatorname{mean}_h \bigl(
    \tfrac{\partial y}{\partial A_l} \odot A_l \bigr)^+

  from the identity, layer by layer.

  Args:
    score: A `Score` of a network with attention; the paper explains a logit.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layers: Names of the layers of attention weights, ``[..., T, T, heads]``, in
      the order in which they run; by default all layers of the network whose
      name ends in ``attention.weights``.
    token: Index of the token that is explained; 0 is the class token. The map
      holds the tokens after the first.
    resize: Whether to upsample the map to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., h, w]`` patches without ``resize``, from 0. As
    it holds products over layers, it is not proportional to the score. NaN
    where the score is NaN or infinite.

  Raises:
    ValueError: ``score`` is not a `Score`, its network has no such layers, or
      the token is unknown.

  Reference:
    Chefer, Gur & Wolf 2021, "Generic Attention-model Explainability",
    equations 5 and 6.
  """
  score = need_score(score, 'attention_relevance')
  check_images(x)
  acts = jax.eval_shape(lambda x: score.run(x)[1], x)
  names = _names(score.net, acts, layers)
  found = layer_gradients(score, x, names)
  rolled = None
  for name in names:
    # The gradients are NaN where the score is undefined.
    raised = extrema.positive(found.gradients[name] * found.acts[name]).mean(-1)
    if rolled is None:
      rolled = _identity(raised)
    rolled = rolled + _product(raised, rolled)
  return _as_map(rolled, x, token, resize)


def _names(
  net: Any, acts: Acts, layers: Sequence[str] | None
) -> tuple[str, ...]:
  """Names of the layers of attention weights, in the order they run."""
  if isinstance(layers, str):
    raise ValueError(f'layers: got the text {layers!r}, expected a list')
  if layers is None:
    # Not of the activations: JAX sorts the keys of what a program returns.
    known = getattr(net, 'layer_names', ())
    names = tuple(name for name in known if name.endswith(_SUFFIX))
  else:
    names = tuple(layers)
    for name in names:
      check_name('layers', name, acts)
  if not names:
    raise ValueError(
      f'layers: got none, and no layer of the network ends in {_SUFFIX!r}; '
      'expected names of layers of attention weights [..., T, T, heads]'
    )
  first = acts[names[0]].shape
  for name in names:
    shape = acts[name].shape
    if len(shape) < 3 or shape[-3] != shape[-2] or shape[:-1] != first[:-1]:
      raise ValueError(
        f'layers: {name!r} gives {shape}, expected attention weights '
        '[..., T, T, heads] of as many tokens in all layers'
      )
  return names


def _identity(weights: Array) -> Array:
  eye = jnp.eye(weights.shape[-1], dtype=weights.dtype)
  return jnp.broadcast_to(eye, weights.shape)


_product = functools.partial(jnp.matmul, precision='highest')


def _as_map(rolled: Array, x: Array, token: int, resize: bool) -> Array:
  """The row of a token as a map of the patches, which fill the image."""
  tokens = rolled.shape[-1]
  if not 0 <= token < tokens:
    raise ValueError(f'token: got {token}, expected 0 to {tokens - 1}')
  row = rolled[..., token, 1:]
  height, width = x.shape[-3:-1]
  rows = _rows(tokens - 1, height / width)
  patches = row.reshape(*row.shape[:-1], rows, -1)
  return upsample(patches, (height, width)) if resize else patches


def _rows(patches: int, aspect: float) -> int:
  """Rows of the grid of patches whose proportions are nearest to an image's."""
  divisors = [n for n in range(1, patches + 1) if patches % n == 0]
  if not divisors:
    raise ValueError('layers: got one token, expected patches after the first')
  return min(divisors, key=lambda n: abs(math.log(n * n / patches / aspect)))
