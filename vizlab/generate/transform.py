"""Images by image transformation networks."""

import jax.numpy as jnp

from vizlab.objectives.base import activation
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net, check_image

__all__ = ['transformed', 'with_style']


def transformed(
  net: Net,
  image: Array,
  *,
  layer: str = 'image',
  border: int = 40,
  multiple: int = 4,
  factor: int = 1,
) -> Array:
  """Image that a transformation network makes of an image.

  The image is continued by its mirror image, and the result is cropped: what a
  network makes of the border of its input is worst, as it was padded many times
  on the way.

  Args:
    net: A network whose activation ``layer`` is an image, such as
      ``fast_style`` or ``super_resolution_x4``.
    image: ``[..., H, W, 3]`` in [0, 1], or with further channels that the
      network reads, such as those of `with_style`.
    layer: Name of that activation.
    border: Pixels by which the image is continued on each side.
    multiple: Number that divides the sides which the network can take.
    factor: By how much the sides of the image grow, 4 for
      ``super_resolution_x4``.

  Returns:
    ``[..., factor H, factor W, 3]`` in [0, 1].

  Raises:
    ValueError: A number is out of range, the layer is unknown, or its
      activation has another size.

  References:
    Johnson, Alahi & Fei-Fei 2016, supplementary material (a border of 40).

  >>> from vizlab import generate, io, nets
  >>> net = nets.load('super_resolution_pixel')
  >>> small = io.read_image('sample:star_and_square', shorter=24)
  >>> generate.transformed(
  ...     net, small, border=8, multiple=1, factor=4
  ... ).shape
  (96, 96, 3)
  """
  check_image(image, 'image')
  if border < 0 or min(multiple, factor) < 1:
    raise ValueError(
      f'border, multiple, factor: got {border}, {multiple} and {factor}, '
      'expected at least 0, 1 and 1'
    )
  height, width = image.shape[-3:-1]
  sides = [_sides(n, border, multiple) for n in (height, width)]
  lead = [(0, 0)] * (image.ndim - 3)
  # A side of one pixel has no mirror image.
  mode = 'reflect' if min(height, width) > 1 else 'edge'
  padded = jnp.pad(image, [*lead, *sides, (0, 0)], mode)
  made = activation(run_net(net, padded)[1], layer)
  rows, columns = (factor * n for n in padded.shape[-3:-1])
  if made.shape[-3:] != (rows, columns, 3):
    raise ValueError(
      f'layer, factor: {layer!r} gave {made.shape[-3:]} for a continued image '
      f'of {padded.shape[-3:]}, expected {(rows, columns, 3)} by a factor of '
      f'{factor}'
    )
  rows, columns = (
    slice(factor * before, factor * (before + n))
    for (before, _), n in zip(sides, (height, width), strict=True)
  )
  return jnp.clip(made[..., rows, columns, :], 0, 1)


def with_style(image: Array, style: Array) -> Array:
  """An image and the shares of styles, the input of a network of several.

  All styles of a network with conditional instance normalisation share its
  convolutions. Each is a scale and a bias of each channel, and a mixture has
  the weighted sums of the styles'.

  Args:
    image: ``[..., H, W, 3]`` in [0, 1].
    style: Shares of the styles, usually of sum 1: ``[S]`` for all images, or
      ``[..., S]``.

  Returns:
    ``[..., H, W, 3 + S]``, with a constant channel for each style.

  Raises:
    ValueError: The image has another shape, or the shares suit no batch of it.

  References:
    Dumoulin, Shlens & Kudlur 2017, equation 5 and section 3.2.

  >>> import jax.numpy as jnp
  >>> half_and_half = with_style(jnp.zeros((8, 9, 3)), jnp.array([0.5, 0.5]))
  >>> half_and_half.shape
  (8, 9, 5)
  """
  image = jnp.asarray(image)
  check_image(image, 'image')
  if image.shape[-1] != 3:
    raise ValueError(f'image: got shape {image.shape}, expected [..., H, W, 3]')
  style = jnp.asarray(style, image.dtype)
  if not style.ndim or style.shape[:-1] not in ((), image.shape[:-3]):
    raise ValueError(
      f'style: got shape {style.shape}, expected [S] or '
      f'{[*image.shape[:-3], "S"]}'
    )
  grid = (*image.shape[:-1], style.shape[-1])
  ahead = (1,) * (image.ndim - 2 - style.ndim)
  planes = style.reshape(*ahead, *style.shape[:-1], 1, 1, style.shape[-1])
  return jnp.concatenate([image, jnp.broadcast_to(planes, grid)], -1)


def _sides(length: int, border: int, multiple: int) -> tuple[int, int]:
  """Pixels before and after, so that ``multiple`` divides the sum."""
  total = length + 2 * border
  total += -total % multiple
  before = (total - length) // 2
  return before, total - length - before
