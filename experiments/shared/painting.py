"""Images painted by a network, and the time that a pass takes."""

import time
from collections.abc import Callable

import jax
import numpy as np

from vizlab import generate, nets
from vizlab.types import Array

__all__ = ['GRID', 'paint', 'painted', 'second_pass']

GRID = 4  # pixels of the mesh that two enlargements leave
paint = jax.jit(generate.transformed, static_argnames='border')


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
  made, seconds = second_pass(
    lambda: paint(net, image, border=border, style=style)
  )
  return {'image': made, 'seconds': np.float64(seconds)}


def second_pass(call: Callable[[], Array]) -> tuple[np.ndarray, float]:
  """The result of a call, and the seconds of a second one: the first compiles.

  Args:
    call: A function without arguments that returns an array.
  """
  jax.block_until_ready(call())
  begun = time.perf_counter()
  made = jax.block_until_ready(call())
  return np.asarray(made), time.perf_counter() - begun
