"""Attention of transformers, followed from the output to the image."""

import functools
import math
from collections.abc import Sequence

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
_FUSED = {'mean': jnp.mean, 'max': extrema.max_over, 'min': extrema.min_over}


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

  with the attention of each layer over its heads, whose rows are made to sum to
  1. It does not depend on what the score reads.

  Args:
    score: A `Score` of a network with attention.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layers: Names of the layers of attention weights, ``[..., T, T, heads]``, in
      the order they run; by default all whose name ends in
      ``attention.weights``.
    heads: What is taken of the heads: ``'mean'``, as in the paper, ``'max'`` or
      ``'min'``.
    token: Number of the token that is asked; 0, the class token. The map shows
      the tokens after the first.
    resize: Whether to upsample the map to the image, bilinearly.

  Returns:
    ``[..., H, W]``, or ``[..., h, w]`` patches without ``resize``: shares from
    0, of which the token itself and the class token have the rest of 1; NaN
    where the score is NaN or infinite.

  Raises:
    ValueError: ``score`` is not a `Score`, its network has no such layers, the
      heads are unknown, or the patches do not fill the image.

  Reference:
    Abnar & Zuidema 2020, section 3, equation 1.
  """
  score = need_score(score, 'attention_rollout')
  check_name('heads', heads, _FUSED)
  check_images(x)
  found, y = _attention(score, x, layers)
  rolled = None
  for weights in found.values():
    fused = _FUSED[heads](weights, -1)
    fused = fused / fused.sum(-1, keepdims=True)
    eye = jnp.eye(fused.shape[-1], dtype=fused.dtype)
    step = (fused + jnp.broadcast_to(eye, fused.shape)) / 2
    rolled = step if rolled is None else _product(step, rolled)
  return _as_map(rolled, y, x, token, resize)


def attention_relevance(
  score: Score,
  x: Array,
  *,
  layers: Sequence[str] | None = None,
  token: int = 0,
  resize: bool = True,
) -> Array:
  r"""Relevance of patches by attention that raises a score.

  .. math::
    R \leftarrow R + \bar A_l R, \quad
    \bar A_l = \operatorname{mean}_h \bigl(
    \tfrac{\partial y}{\partial A_l} \odot A_l \bigr)^+

  from the identity, layer by layer.

  Args:
    score: A `Score` of a network with attention; the paper explains a logit.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layers: See `attention_rollout`.
    token: See `attention_rollout`.
    resize: See `attention_rollout`.

  Returns:
    ``[..., H, W]`` in score units, from 0, or ``[..., h, w]`` patches without
    ``resize``; NaN where the score is NaN or infinite.

  Raises:
    ValueError: See `attention_rollout`.

  Reference:
    Chefer, Gur & Wolf 2021, "Generic Attention-model Explainability",
    equations 5 and 6.
  """
  score = need_score(score, 'attention_relevance')
  check_images(x)
  names = _names(jax.eval_shape(lambda x: score.run(x)[1], x), layers)
  found = layer_gradients(score, x, names)
  rolled = None
  for name in names:
    raised = extrema.positive(found.gradients[name] * found.acts[name]).mean(-1)
    if rolled is None:
      eye = jnp.eye(raised.shape[-1], dtype=raised.dtype)
      rolled = jnp.broadcast_to(eye, raised.shape)
    rolled = rolled + _product(raised, rolled)
  # The gradients are already NaN where the score is.
  return _as_map(rolled, None, x, token, resize)


def _attention(
  score: Score, x: Array, layers: Sequence[str] | None
) -> tuple[Acts, Array]:
  """Attention weights of the layers by name, and the score."""
  logits, acts = score.run(x)
  return {name: acts[name] for name in _names(acts, layers)}, score.read(
    logits, acts
  )


def _names(acts: Acts, layers: Sequence[str] | None) -> tuple[str, ...]:
  """Names of the layers of attention; each is a square for each head."""
  if isinstance(layers, str):
    raise ValueError(f'layers: got the text {layers!r}, expected a list')
  if layers is None:
    names = tuple(name for name in acts if name.endswith(_SUFFIX))
  else:
    names = tuple(layers)
    for name in names:
      check_name('layers', name, acts)
  if not names:
    raise ValueError(
      f'layers: got none, and no layer of the network ends in {_SUFFIX!r}; '
      'expected names of layers of attention weights [..., T, T, heads]'
    )
  shapes = {name: acts[name].shape for name in names}
  first = shapes[names[0]]
  for name, shape in shapes.items():
    if len(shape) < 3 or shape[-3] != shape[-2] or shape[:-1] != first[:-1]:
      raise ValueError(
        f'layers: {name!r} gives {shape}, expected attention weights '
        '[..., T, T, heads] of as many tokens in all layers'
      )
  return names


_product = functools.partial(jnp.matmul, precision='highest')


def _as_map(
  rolled: Array, y: Array | None, x: Array, token: int, resize: bool
) -> Array:
  """The row of a token as a map of the patches, which fill the image."""
  tokens = rolled.shape[-1]
  if not 0 <= token < tokens:
    raise ValueError(f'token: got {token}, expected 0 to {tokens - 1}')
  height, width = x.shape[-3:-1]
  rows = round(math.sqrt((tokens - 1) * height / width))
  rows = max(rows, 1)
  if rows * ((tokens - 1) // rows) != tokens - 1 or tokens < 2:
    raise ValueError(
      f'layers: got {tokens - 1} tokens after the first, expected a grid of '
      f'patches in the proportions of the image, {height} x {width}'
    )
  row = rolled[..., token, 1:]
  found = row.reshape(*row.shape[:-1], rows, -1)
  if y is not None:
    found = nan_where_undefined(found, y)
  return upsample(found, (height, width)) if resize else found
