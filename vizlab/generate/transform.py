"""Images by image transformation networks."""

from collections.abc import Mapping

import jax.numpy as jnp

from vizlab.objectives.base import activation
from vizlab.objectives.contract import run_net
from vizlab.types import Array, Net, check_image

__all__ = ['mixed_styles', 'transformed']


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
    image: ``[..., H, W, 3]`` in [0, 1].
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


def _sides(length: int, border: int, multiple: int) -> tuple[int, int]:
  """Pixels before and after, so that ``multiple`` divides the sum."""
  total = length + 2 * border
  total += -total % multiple
  before = (total - length) // 2
  return before, total - length - before


def mixed_styles(
  params: Mapping[str, Mapping[str, Array]], weights: Array
) -> dict[str, dict[str, Array]]:
  """Parameters of a mixture of the styles of a conditional network.

  Conditional instance normalisation has a scale and a bias for each style; all
  other parameters are shared. A mixture has their weighted sums, so that
  ``nets.with_params(net, mixed_styles(params, one_hot))`` is the network of one
  style, and those between two go from one to the other.

  Args:
    params: Parameters by layer; a ``scale`` and a ``bias`` ``[S, C]`` are those
      of S styles, all others are returned as they are.
    weights: ``[S]``, usually of sum 1.

  Raises:
    ValueError: No layer has several styles, or another number than there are
      weights.

  References:
    Dumoulin, Shlens & Kudlur 2017, equation 5 and section 3.2.

  >>> import jax.numpy as jnp
  >>> table = {'norm': {'scale': jnp.eye(2), 'bias': jnp.zeros((2, 2))}}
  >>> mixed_styles(table, jnp.array([0.25, 0.75]))['norm']['scale'].tolist()
  [0.25, 0.75]
  """
  mixed, found = {}, False
  for layer, values in params.items():
    mixed[layer] = dict(values)
    for name in ('scale', 'bias'):
      table = values.get(name)
      if table is not None and table.ndim == 2:
        found = True
        if table.shape[0] != len(weights):
          raise ValueError(
            f'weights: got {len(weights)}, expected one for each of the '
            f'{table.shape[0]} styles of {layer!r}'
          )
        mixed[layer][name] = weights @ table
  if not found:
    raise ValueError(
      'params: got no scale or bias of shape [S, C], expected those of a '
      'conditional network'
    )
  return mixed
