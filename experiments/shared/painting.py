"""Images painted by a network, and the time that a pass takes."""

import time
from collections.abc import Callable

import jax
import numpy as np

from vizlab import generate, nets
from vizlab.nets.layers import AveragePool
from vizlab.types import Array

__all__ = ['GRID', 'paint', 'painted', 'second_pass']

GRID = 4  # pixels of the mesh that two enlargements leave


def painted(
  net: nets.Network,
  image: np.ndarray,
  border: int = 40,
  style: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
  """The ``image`` that a network makes, and the ``seconds`` of its second pass.

  Args:
    net: A network that makes images.
    image: The image, ``[H, W, 3]``.
    border: Pixels by which it is continued; see `vizlab.generate.transformed`.
    style: Shares of the styles of a network of several, ``[S]``.
  """
  made, seconds = second_pass(lambda: paint(net, image, border, style))
  return {'image': made, 'seconds': np.float64(seconds)}


def paint(
  net: nets.Network,
  image: np.ndarray,
  border: int = 40,
  style: np.ndarray | None = None,
) -> Array:
  """The image that a network makes, as of `painted`, ``[H, W, 3]``."""
  if style is not None:
    image = generate.with_style(image, style)
  return _transformed(net, image, border=border, multiple=_multiple(net))


_transformed = jax.jit(
  generate.transformed, static_argnames=('border', 'multiple')
)


def _multiple(net: nets.Network) -> int:
  """Divisor of the sides of the images that a network takes.

  Two strides of 2, or the halvings of the picture in a pyramid.
  """
  halved = sum(isinstance(op, AveragePool) for op in net.ops)
  return max(GRID, 2**halved)


def second_pass(call: Callable[[], Array]) -> tuple[np.ndarray, float]:
  """The result of a call, and the seconds of a second one: the first compiles.

  Args:
    call: A function without arguments that returns an array.
  """
  jax.block_until_ready(call())
  begun = time.perf_counter()
  made = jax.block_until_ready(call())
  return np.asarray(made), time.perf_counter() - begun
