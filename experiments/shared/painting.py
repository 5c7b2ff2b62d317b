"""Images painted by a network, and the time that a pass takes."""

import time

import jax
import numpy as np

from vizlab import generate, nets

__all__ = ['GRID', 'paint', 'painted']

GRID = 4  # pixels of the mesh that two enlargements leave
paint = jax.jit(generate.transformed, static_argnames='border')


def painted(
  net: nets.Network, image: np.ndarray, border: int = 40
) -> dict[str, np.ndarray]:
  """The ``image`` that a network makes, and the ``seconds`` of its second pass.

  Args:
    net: A network that makes images.
    image: The image, ``[H, W, 3]``.
    border: Pixels by which it is continued; see `vizlab.generate.transformed`.
  """
  jax.block_until_ready(paint(net, image, border=border))  # compiles
  begun = time.perf_counter()
  made = jax.block_until_ready(paint(net, image, border=border))
  seconds = time.perf_counter() - begun
  return {'image': np.asarray(made), 'seconds': np.float64(seconds)}
