"""Scores of the recipes: losses of style at a size, to be maximised."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from vizlab.image import colour
from vizlab.image.filters import resize
from vizlab.lookup import check_name
from vizlab.objectives import Objective, Score, normalised, score
from vizlab.style.components import principal
from vizlab.style.losses import masks_at, style_loss, total_loss
from vizlab.types import Array, Net

__all__ = [
  'COLOURS',
  'LEAST',
  'doodle_loss',
  'score_of',
  'shrink',
  'shrunk_size',
  'texture_net',
  'texture_loss',
  'transfer_loss',
]

# Colours of a transfer: the style's; the content's, under painted luminance;
# the style's brought to the content's mean and covariance.
COLOURS = ('free', 'luminance', 'matched')
# Least side of an example in pixels: below it deep layers see nothing.
LEAST = 16

Size = tuple[int, int]

# Compiled as a whole: the losses of a few octaves take less time than eager
# calls of one.
_total_loss = jax.jit(
  total_loss, static_argnames=('content_layer', 'style_layers', 'statistic')
)
_style_loss = jax.jit(style_loss, static_argnames=('layers', 'statistic'))
_principal = jax.jit(principal, static_argnums=(2, 3))


def score_of(net: Net, loss: Objective, *, normalise: bool = True) -> Score:
  """The score that is maximised to lower a loss.

  Args:
    net: A net.
    loss: A weighted sum of objectives that read one layer each.
    normalise: Normalises the gradient of each, so that the same weights suit
      any net; the loss itself may then rise. See
      `vizlab.objectives.normalised`.
  """
  return score(net, -1.0 * (normalised(loss) if normalise else loss))


def shrunk_size(image: Array, share: float) -> Size:
  """Height and width of an image at a share of its size, `LEAST` at least."""
  height, width = (max(LEAST, round(n * share)) for n in image.shape[:2])
  return height, width


def shrink(image: Array, share: float) -> Array:
  """An image ``[H, W, C]`` (or masks) at a share of its size."""
  return resize(jnp.asarray(image), shrunk_size(image, share))


def transfer_loss(
  net: Net,
  image: Array,
  styles: Sequence[Array],
  size: Size,
  *,
  colours: str = 'free',
  masks: Array | None = None,
  **settings: Any,
) -> Objective:
  """`total_loss` of an image of another size than the content.

  Args:
    net: A net.
    image: The content ``[H, W, 3]`` in [0, 1].
    styles: Images ``[H', W', 3]``; they shrink as the content does.
    size: Height and width of what is made, in pixels.
    colours: ``'free'``; ``'luminance'``: of grey images, for a result that gets
      the content's colours; ``'matched'``: the styles' colours get the
      content's mean and covariance first.
    masks: ``[H, W, S]``, where each style goes; ``None`` for everywhere.
    **settings: Further ones of `total_loss`.

  Raises:
    ValueError: Unknown colours, or as `total_loss`.
  """
  check_name('colours', colours, COLOURS)
  content = resize(jnp.asarray(image), size)
  styles = [shrink(x, size[0] / image.shape[0]) for x in styles]
  if colours == 'matched':
    styles = [colour.match_colours(x, content) for x in styles]
  if colours == 'luminance':
    content = colour.luminance(content)
    styles = [colour.match_luminance(x, content) for x in styles]
  masks = None if masks is None else resize(masks, size)
  if 'style_layers' in settings:
    settings['style_layers'] = tuple(settings['style_layers'])
  return _total_loss(net, content, styles, masks=masks, **settings)


def texture_net(
  net: Net, image: Array, layers: Sequence[str], components: int = 0
) -> Net:
  """The net whose maps a texture matches.

  Args:
    net: A net.
    image: ``[H, W, 3]`` in [0, 1], whole: a small one has too few positions for
      its components.
    layers: Names of layers that give maps.
    components: Principal components that are kept of each layer (Gatys et al.
      2015, section 4.2); 0 for all channels, the net as it is.
  """
  if not components:
    return net
  return _principal(net, jnp.asarray(image), tuple(layers), components)


def texture_loss(
  net: Net,
  image: Array,
  size: Size,
  layers: Sequence[str],
  *,
  statistic: str = 'gram',
) -> Objective:
  """`style_loss` of an image of another size.

  Args:
    net: A net, by `texture_net`.
    image: ``[H, W, 3]`` in [0, 1].
    size: Height and width to which the image is resized, in pixels.
    layers: Names of layers that give maps.
    statistic: One of `STATISTICS`.
  """
  image = resize(jnp.asarray(image), size)
  return _style_loss(net, image, layers=tuple(layers), statistic=statistic)


def doodle_loss(
  net: Net,
  image: Array,
  mask: Array,
  wanted: Array,
  size: Size,
  layers: Sequence[str],
  *,
  statistic: str = 'gram',
) -> Objective:
  """`style_loss` of the regions of an image, each where it is wanted.

  Args:
    net: A net.
    image: The painting ``[H, W, 3]`` in [0, 1].
    mask: Its regions ``[H, W, R]``, one-hot.
    wanted: Regions of what is made, ``[H', W', R]``.
    size: Height and width of what is made, in pixels.
    layers: Names of layers that give maps.
    statistic: One of `STATISTICS`.
  """
  layers, share = tuple(layers), size[0] / wanted.shape[0]
  image, mask = (shrink(x, share) for x in (image, mask))
  regions = masks_at(net, resize(wanted, size), layers)
  return _style_loss(
    net, image, layers=layers, statistic=statistic, mask=mask, wanted=regions
  )
