"""Score-CAM: a class activation map without gradients."""

import jax
import jax.numpy as jnp

from vizlab import extrema
from vizlab.attribution.cam import upsample, weigh
from vizlab.attribution.checks import need_map, need_score
from vizlab.batching import at_once, vary_with
from vizlab.image.checks import as_image, check_images
from vizlab.image.scaling import minmax_scale
from vizlab.objectives import Score
from vizlab.objectives.base import check_score
from vizlab.types import Array

__all__ = ['score_cam']


def score_cam(
  score: Score,
  x: Array,
  *,
  layer: str,
  baseline: float | Array = 0.0,
  rectify: bool = True,
  resize: bool = True,
  chunk: int = 16,
) -> Array:
  r"""Score-CAM: maps weighted by the score of the image that they mask.

  .. math::
    w_k = \mathrm{softmax}_k \; y(x_0 + M_k \odot (x - x_0))

  ``M_k`` is the map ``A_k`` upsampled to the image and scaled to [0, 1]. No
  gradient is computed.

  A constant map masks everything, so its image is the baseline. Such maps,
  often half of those of a trained network, are not evaluated.

  Args:
    score: A `Score`; the weights compare logits or probabilities.
    x: Images ``[..., H, W, C]`` in [0, 1].
    layer: Name of the layer whose maps are weighted, such as ``'relu5_3'``.
    baseline: ``x0``, the content of masked pixels: a number, a colour ``[C]``
      or an image ``[..., H, W, C]``.
    rectify: Whether to set negative values of the map to 0.
    resize: Whether to upsample the map to the image, bilinearly.
    chunk: Images evaluated at once, but at least one map for the whole batch.

  Returns:
    ``[..., H, W]``, or ``[..., H', W']`` of the layer without ``resize``.

  Raises:
    ValueError: ``score`` is not a `Score`, or ``layer`` is unknown or gives a
      vector instead of a map.

  Reference:
    Wang et al. 2020, equations 6 to 8; the score of the baseline, which the
    paper subtracts, cancels in the softmax.
  """
  check_images(x)
  score = need_score(score, 'score_cam')
  a = need_map(score.net, score.run(x)[1], layer, x)
  x0 = as_image(baseline, x, 'baseline')
  # A map with NaN has an undefined mask: it must not count as constant.
  low, high = (f(a, (-3, -2)) for f in (extrema.min_over, extrema.max_over))
  marks = high != low
  channels = a.shape[-1]
  maps = min(channels, at_once(x, chunk))
  # Maps that are not constant in some image come first; only these are run.
  runs = marks.any(tuple(range(marks.ndim - 1)))
  order = jnp.argsort(~runs, stable=True)
  order = jnp.pad(order, (0, -channels % maps), mode='edge')

  def masked_score(k: Array) -> Array:
    map_ = upsample(jnp.take(a, k, axis=-1), x.shape[-3:-1])[..., None]
    # Upsampling a constant map does not keep it constant to the last bit.
    some = jnp.take(marks, k, axis=-1)[..., None, None, None]
    mask = jnp.where(some, minmax_scale(map_, (-3, -2)), 0)
    return score(x0 + mask * (x - x0))

  def run(y: Array, item: tuple[Array, Array]) -> tuple[Array, None]:
    i, which = item
    there = i * maps < runs.sum()
    scores = jax.lax.cond(
      there, jax.vmap(masked_score), lambda which: y[which], which
    )
    return y.at[which].set(scores), None

  blank = score(jnp.broadcast_to(x0, x.shape))
  check_score(blank, x)
  y = vary_with((score, x), blank)
  y = jnp.broadcast_to(y, (channels, *blank.shape))
  order = order.reshape(-1, maps)
  y, _ = jax.lax.scan(run, y, (jnp.arange(len(order)), order))
  weight = jnp.moveaxis(jax.nn.softmax(y, 0), 0, -1)
  return weigh(a, weight[..., None, None, :], x, rectify, resize)
