"""Recipes of style: transfer, texture and doodle, from coarse to fine.

Each is a generator over `vizlab.optimize.run`:
``optimize.final(style.transfer(net, photo, [painting])).image``.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from vizlab import optimize, penalties
from vizlab.image import colour
from vizlab.image.filters import resize
from vizlab.lookup import check_name
from vizlab.objectives import Score
from vizlab.style.scores import (
  COLOURS,
  doodle_loss,
  score_of,
  shrunk_size,
  texture_loss,
  texture_net,
  transfer_loss,
)
from vizlab.synthesis.images import pixels
from vizlab.synthesis.lbfgs import lbfgs
from vizlab.synthesis.multiscale import coarse_to_fine, octave_sizes
from vizlab.synthesis.transforms import project
from vizlab.types import Array, Net, check_image

__all__ = [
  'OPTIMIZERS',
  'adam_in_range',
  'doodle',
  'doodle_start',
  'lbfgs_in_range',
  'noise',
  'texture',
  'transfer',
]

_LAYERS = ('relu1_1', 'relu2_1', 'relu3_1', 'relu4_1', 'relu5_1')


def adam_in_range(learning_rate: float | Array = 0.02) -> Any:
  """Adam on pixels that stay in [0, 1]; the rate is in intensities."""
  return optax.chain(optax.adam(learning_rate), project())


def lbfgs_in_range(learning_rate: float | Array = 0.05) -> Any:
  """L-BFGS with damped curvature on pixels that stay in [0, 1]."""
  rate = learning_rate
  return optax.chain(lbfgs(rate, rate, smooth=0.5), project())


# Optimizers of pixels, and the learning rate that suits each. Images stay in
# [0, 1]: clipping them in the end would change the loss.
OPTIMIZERS = {'lbfgs': (lbfgs_in_range, 0.05), 'adam': (adam_in_range, 0.02)}


def transfer(
  net: Net,
  image: Array,
  styles: Sequence[Array],
  *,
  octaves: int = 1,
  steps: int = 150,
  normalise: bool = True,
  alpha: float = 0.05,
  beta: float = 1.0,
  tv: float = 0.0,
  colours: str = 'free',
  masks: Array | None = None,
  start: Array | None = None,
  optimizer: optimize.Optimizer | None = None,
  chunk: int = 16,
  **settings: Any,
) -> Iterator[optimize.Progress]:
  """Paints a photo in the style of paintings.

  Args:
    net: A net, best with average pooling.
    image: The photo ``[H, W, 3]`` in [0, 1].
    styles: Paintings ``[H', W', 3]``.
    octaves: Number of sizes from coarse to fine, each twice the one before.
    steps: Steps at each size.
    normalise: Normalises the gradient of each layer (Johnson 2015), so that
      ``alpha`` and ``beta`` suit any net. The paper's own loss with VGG-19:
      ``normalise=False, alpha=1, beta=10``.
    alpha: Weight of the content.
    beta: Weight of the style.
    tv: Weight of total variation.
    colours: ``'free'``, ``'matched'`` or ``'luminance'``, as of the photo; see
      `transfer_loss`.
    masks: ``[H, W, S]``, where each style goes; ``None`` for everywhere.
    start: ``[H, W, 3]``; the photo by default.
    optimizer: Of `vizlab.optimize.run`; `adam_in_range` by default.
    chunk: Steps between two snapshots.
    **settings: Further ones of `total_loss`: ``content_layer``,
      ``style_layers``, ``style_weights``, ``shares``, ``statistic``.

  Yields:
    `vizlab.optimize.Progress` after each chunk of each size.

  Raises:
    ValueError: Not images in [0, 1], or as `total_loss`.

  Reference:
    Gatys, Ecker & Bethge 2016; colours as in Gatys et al. 2016 (Preserving
    color); from coarse to fine as in Gatys et al. 2017.
  """
  check_image(image, 'image')
  for each in styles:
    check_image(each, 'styles')
  check_name('colours', colours, COLOURS)
  if start is not None:
    check_image(start, 'start')
  first = image if start is None else start
  if colours == 'luminance':
    first = colour.luminance(jnp.asarray(first))
  sizes = octave_sizes(*image.shape[:2], octaves)

  def score_at(size: tuple[int, int]) -> Score:
    loss = transfer_loss(
      net,
      image,
      styles,
      size,
      colours=colours,
      masks=masks,
      alpha=alpha,
      beta=beta,
      **settings,
    )
    return score_of(net, loss, normalise=normalise)

  progress = _painted(
    score_at, resize(first, sizes[0]), sizes, steps, tv, optimizer, chunk
  )
  if colours != 'luminance':
    return progress
  return (_with_colours_of(image, now) for now in progress)


def texture(
  net: Net,
  image: Array,
  key: Array,
  *,
  layers: Sequence[str] = _LAYERS,
  components: int = 0,
  statistic: str = 'gram',
  size: tuple[int, int] | None = None,
  octaves: int = 3,
  steps: int = 300,
  normalise: bool = True,
  tv: float = 0.0,
  optimizer: optimize.Optimizer | None = None,
  chunk: int = 16,
) -> Iterator[optimize.Progress]:
  """Synthesises a texture like an image, from noise.

  Args:
    net: A net, best with average pooling.
    image: The example ``[H, W, 3]`` in [0, 1].
    key: A JAX random key, for the noise.
    layers: Names of the layers whose statistics are matched.
    components: Principal components that are matched of each layer; 0 for all
      channels.
    statistic: One of `STATISTICS`.
    size: Height and width of the texture in pixels; the example's by default.
    octaves: Number of sizes from coarse to fine, each twice the one before.
    steps: Steps at each size.
    normalise: Normalises the gradient of each layer.
    tv: Weight of total variation.
    optimizer: Of `vizlab.optimize.run`; `adam_in_range` by default.
    chunk: Steps between two snapshots.

  Yields:
    `vizlab.optimize.Progress` after each chunk of each size.

  Raises:
    ValueError: Not an image in [0, 1], or an unknown layer or statistic.

  Reference:
    Gatys, Ecker & Bethge 2015.
  """
  check_image(image, 'image')
  height, width = image.shape[:2] if size is None else size
  sizes = octave_sizes(height, width, octaves)

  reader = texture_net(net, image, layers, components)

  def score_at(at: tuple[int, int]) -> Score:
    # The example keeps its scale relative to the texture's octaves.
    example = shrunk_size(image, at[0] / height)
    loss = texture_loss(reader, image, example, layers, statistic=statistic)
    return score_of(reader, loss, normalise=normalise)

  return _painted(
    score_at, noise(key, sizes[0]), sizes, steps, tv, optimizer, chunk
  )


def doodle(
  net: Net,
  image: Array,
  mask: Array,
  wanted: Array,
  key: Array,
  *,
  layers: Sequence[str] = _LAYERS[:3],
  statistic: str = 'gram',
  octaves: int = 3,
  steps: int = 120,
  normalise: bool = True,
  tv: float = 0.0,
  optimizer: optimize.Optimizer | None = None,
  chunk: int = 16,
) -> Iterator[optimize.Progress]:
  """Paints regions in the style of those of a painting.

  Args:
    net: A net, best with average pooling.
    image: The painting ``[H, W, 3]`` in [0, 1].
    mask: Its regions ``[H, W, R]``, one-hot.
    wanted: Regions of the new painting, ``[H', W', R]``, one-hot.
    key: A JAX random key, for the start.
    layers: Names of the layers whose statistics are matched.
    statistic: One of `STATISTICS`.
    octaves: Number of sizes from coarse to fine, each twice the one before.
    steps: Steps at each size.
    normalise: Normalises the gradient of each layer.
    tv: Weight of total variation.
    optimizer: Of `vizlab.optimize.run`; `adam_in_range` by default.
    chunk: Steps between two snapshots.

  Yields:
    `vizlab.optimize.Progress` after each chunk of each size.

  Raises:
    ValueError: Not an image in [0, 1], regions that do not fit, or an unknown
      layer or statistic.

  Reference:
    Champandard 2016 (Semantic style transfer and turning two-bit doodles into
    fine artworks).
  """
  check_image(image, 'image')
  if mask.shape[:2] != image.shape[:2] or mask.shape[-1] != wanted.shape[-1]:
    raise ValueError(
      f'mask, wanted: got shapes {mask.shape} and {wanted.shape} for an image '
      f'{image.shape}, expected as many regions and the size of the image'
    )
  sizes = octave_sizes(*wanted.shape[:2], octaves)

  def score_at(size: tuple[int, int]) -> Score:
    loss = doodle_loss(
      net, image, mask, wanted, size, layers, statistic=statistic
    )
    return score_of(net, loss, normalise=normalise)

  first = doodle_start(key, image, mask, resize(wanted, sizes[0]))
  return _painted(score_at, first, sizes, steps, tv, optimizer, chunk)


def doodle_start(key: Array, image: Array, mask: Array, wanted: Array) -> Array:
  """Each region filled with random pixels of the same region of an image.

  From grey, or from a mean colour, parts may stay so: the statistics of a
  region are means, for which other parts make up.

  Args:
    key: A JAX random key.
    image: ``[H, W, 3]``.
    mask: Its regions ``[H, W, R]``.
    wanted: Regions of the start, ``[H', W', R]``.

  Returns:
    ``[H', W', 3]``.
  """
  own = mask.reshape(-1, mask.shape[-1]).argmax(-1)
  region = wanted.argmax(-1)
  pixels = jnp.asarray(image).reshape(-1, 3)
  start = noise(key, region.shape)
  for r in range(mask.shape[-1]):
    weight = (own == r).astype(jnp.float32)
    at = jax.random.choice(
      jax.random.fold_in(key, r), len(pixels), region.shape, p=weight
    )
    there = (region == r) & (weight.sum() > 0)
    start = jnp.where(there[..., None], pixels[at], start)
  return start


def _painted(
  score_at: Callable[[tuple[int, int]], Score],
  start: Array,
  sizes: Sequence[tuple[int, int]],
  steps: int,
  tv: float,
  optimizer: optimize.Optimizer | None,
  chunk: int,
) -> Iterator[optimize.Progress]:
  def optimize_at(
    octave: int, size: tuple[int, int], start: Array
  ) -> Iterator[optimize.Progress]:
    return optimize.run(
      score_at(size),
      pixels(jnp.clip(start, 0, 1)),
      jax.random.key(octave),  # nothing is drawn
      steps=steps,
      penalty=tv * penalties.tv(),
      optimizer=Partial(adam_in_range) if optimizer is None else optimizer,
      chunk=chunk,
    )

  return coarse_to_fine(optimize_at, start, sizes)


def noise(key: Array, size: Sequence[int]) -> Array:
  """Grey with a little noise ``[H, W, 3]``, the start of a texture."""
  return 0.5 + 0.1 * jax.random.normal(key, (*size, 3), jnp.float32)


def _with_colours_of(image: Array, now: optimize.Progress) -> optimize.Progress:
  photo = resize(jnp.asarray(image), now.image.shape[:2])
  return now._replace(image=colour.with_colours_of(now.image, photo))
