"""Losses of style transfer: content and style.

Losses are objectives, to be minimised: ``score(net, -loss)`` goes to
`vizlab.optimize.run`. All functions here are pure and may be jitted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from vizlab.image import statistics
from vizlab.image.filters import resize
from vizlab.lookup import check_name
from vizlab.objectives import (
  Objective,
  content,
  covariances,
  grams,
  moments,
  wasserstein,
)
from vizlab.objectives.base import activation, feature_map
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net

__all__ = ['STATISTICS', 'content_loss', 'masks_at', 'style_loss', 'total_loss']

# What style is taken to be: the statistic, and the objective that matches it.
STATISTICS = {
  'gram': (statistics.gram, grams),
  'moments': (statistics.moments, moments),
  'covariance': (statistics.covariance, covariances),
  'wasserstein': (statistics.covariance, wasserstein),
}


def content_loss(net: Net, image: Array, layer: str = 'relu4_2') -> Objective:
  """``||F - P||^2 / 2``: distance of a layer's activations from the image's.

  Args:
    net: A net.
    image: ``[..., H, W, 3]``, of the size of what is made.
    layer: Name of a layer.

  Raises:
    ValueError: An unknown layer.

  Reference:
    Gatys, Ecker & Bethge 2016, equation 1.
  """
  return content(layer, activation(run_net(net, image)[1], layer))


def style_loss(
  net: Net,
  image: Array,
  layers: Sequence[str],
  *,
  statistic: str = 'gram',
  weights: Sequence[float] | None = None,
  mask: Array | None = None,
  wanted: Mapping[str, Array] | None = None,
) -> Objective:
  """``sum_l w_l E_l``: distance of layers' statistics from the image's.

  Args:
    net: A net.
    image: ``[H, W, 3]``, of any size.
    layers: Names of layers that give maps.
    statistic: One of `STATISTICS`.
    weights: ``w_l`` of each layer; else 1 over their number.
    mask: ``[H, W, R]``: for each of R regions, how much each pixel of the image
      belongs to it.
    wanted: ``{layer: [H', W', R]}`` by `masks_at`: the regions of what is made.
      Each gets the style of the same region of the image.

  Raises:
    ValueError: An unknown layer or statistic, weights that do not fit, or a
      mask without the other.

  Reference:
    Gatys, Ecker & Bethge 2015, equations 1 to 4; regions as in Champandard 2016
    and Gatys et al. 2017, section 5 (there with guided sums).
  """
  check_name('statistic', statistic, STATISTICS)
  if not layers:
    raise ValueError('layers: got none, expected some')
  if len(set(layers)) < len(layers):
    raise ValueError(f'layers: got {[*layers]}, expected each of them once')
  if weights is None:
    weights = [1 / len(layers)] * len(layers)
  if len(weights) != len(layers):
    raise ValueError(
      f'weights: got {len(weights)}, expected one a layer, {len(layers)}'
    )
  if (mask is None) != (wanted is None):
    raise ValueError('mask, wanted: got one of them, expected both or none')
  if mask is not None:
    _check_regions(image, layers, mask, wanted)
  measure, match = STATISTICS[statistic]
  acts = run_net(net, image)[1]
  maps = {layer: feature_map(acts, layer) for layer in layers}
  each = dict(zip(layers, weights, strict=True))
  if mask is None:
    return match({layer: measure(a) for layer, a in maps.items()}, weights=each)
  own = {layer: resize(mask, a.shape[-3:-1]) for layer, a in maps.items()}
  parts = [
    match(
      {layer: measure(a, own[layer][..., r]) for layer, a in maps.items()},
      weights=each,
      masks={layer: wanted[layer][..., r] for layer in layers},
    )
    for r in range(mask.shape[-1])
  ]
  return sum(parts[1:], parts[0]) * (1 / len(parts))


def masks_at(net: Net, mask: Array, layers: Sequence[str]) -> dict[str, Array]:
  """Masks ``[H, W, R]`` of an image at the resolution of layers.

  Args:
    net: A net.
    mask: ``[H, W, R]``, of the size of the image.
    layers: Names of layers that give maps.

  Returns:
    ``{layer: [H', W', R]}``, resized by smooth interpolation.
  """
  image = jax.ShapeDtypeStruct((*mask.shape[:2], 3), jnp.float32)
  acts = jax.eval_shape(lambda x: run_net(net, x)[1], image)
  return {
    layer: resize(mask, feature_map(acts, layer).shape[-3:-1])
    for layer in layers
  }


def total_loss(
  net: Net,
  image: Array,
  styles: Sequence[Array],
  *,
  content_layer: str = 'relu4_2',
  style_layers: Sequence[str] = tuple(f'relu{i}_1' for i in range(1, 6)),
  style_weights: Sequence[float] | None = None,
  alpha: float | Array = 1.0,
  beta: float | Array = 10.0,
  shares: Sequence[float] | None = None,
  masks: Array | None = None,
  statistic: str = 'gram',
) -> Objective:
  """``alpha L_content / M + beta sum_s share_s L_style``: style transfer.

  ``M`` is the number of positions of the content layer. The paper sums the
  content loss over them while its Gram matrices are means, so that its balance
  changes with the size of the image: its ``beta / alpha`` of 1000 is one of 1
  here for relu4_2 at 256 pixels, and of 0.25 at 512.

  Args:
    net: A net, by the paper one with average pooling. The defaults of ``alpha``
      and ``beta`` are for VGG nets that see 0 to 255.
    image: The content ``[H, W, 3]``.
    styles: Images ``[H', W', 3]`` of any sizes.
    content_layer: Of the content.
    style_layers: Of the styles.
    style_weights: Weight of each style layer; else 1 over their number.
    alpha: Weight of the content.
    beta: Weight of the style.
    shares: Of each style; equal, with a sum of 1, if ``None``.
    masks: ``[H, W, S]``: for each of S styles, its share of each pixel of the
      content; the whole content if ``None``.
    statistic: One of `STATISTICS`.

  Raises:
    ValueError: As `content_loss` and `style_loss`; no style; or other shares or
      masks.

  Reference:
    Gatys, Ecker & Bethge 2016, equation 7; masks as in Gatys et al. 2017,
    section 4 (there as guided sums).
  """
  if not styles:
    raise ValueError('styles: got none, expected an image')
  if shares is None:
    shares = [1 / len(styles)] * len(styles)
  if len(shares) != len(styles):
    raise ValueError(
      f'shares: got {len(shares)}, expected one a style, {len(styles)}'
    )
  target = activation(run_net(net, image)[1], content_layer)
  loss = alpha * content(content_layer, target, mean=True)
  regions: list[dict[str, Any]] = [{} for _ in styles]
  if masks is not None:
    want = (*image.shape[:2], len(styles))
    if masks.shape != want:
      raise ValueError(f'masks: got shape {masks.shape}, expected {want}')
    maps = masks_at(net, masks, style_layers)
    regions = [
      {
        'mask': jnp.ones((*style.shape[:2], 1)),
        'wanted': {layer: mask[..., i : i + 1] for layer, mask in maps.items()},
      }
      for i, style in enumerate(styles)
    ]
  for share, style, where in zip(shares, styles, regions, strict=True):
    part = style_loss(
      net,
      style,
      style_layers,
      statistic=statistic,
      weights=style_weights,
      **where,
    )
    loss += (beta * share) * part
  return loss


def _check_regions(
  image: Array, layers: Sequence[str], mask: Array, wanted: Mapping[str, Array]
) -> None:
  size, count = image.shape[-3:-1], mask.shape[-1]
  if mask.ndim != 3 or mask.shape[:2] != size or not count:
    raise ValueError(
      f'mask: got shape {mask.shape}, expected ({size[0]}, {size[1]}, R)'
    )
  for layer in layers:
    if layer not in wanted or wanted[layer].shape[-1] != count:
      got = wanted[layer].shape if layer in wanted else 'nothing'
      raise ValueError(
        f'wanted: got {got} for {layer!r}, expected [H, W, {count}] as of '
        'masks_at'
      )
