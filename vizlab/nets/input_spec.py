"""Input specification of a network: size and preprocessing."""

import dataclasses

import jax.numpy as jnp

from vizlab.types import Array

__all__ = ['InputSpec']


@dataclasses.dataclass(frozen=True)
class InputSpec:
  """Input size of a network and its preprocessing of images in [0, 1].

  ``input = (image[..., order] * scale - mean) / std``. A network that makes
  images of features, such as the decoder of a layer, has as many channels as
  they have, and takes a vector as a map of one position.

  Attributes:
    size: Side in pixels of the images that the network was trained on.
    mean: Mean to subtract, one number per channel (in the order of ``order``),
      3 for an image.
    std: Standard deviation to divide by, one number per channel (in the order
      of ``order``).
    scale: Factor before the mean is subtracted: 1, or 255 for Caffe's networks.
    order: Order of the channels, ``'rgb'`` or ``'bgr'``.
  """

  size: int = 224
  mean: tuple[float, ...] = (0.485, 0.456, 0.406)
  std: tuple[float, ...] = (0.229, 0.224, 0.225)
  scale: float = 1.0
  order: str = 'rgb'

  def __post_init__(self) -> None:
    """Validates the fields, which may come from the header of a file."""
    if self.order not in ('rgb', 'bgr'):
      raise ValueError(f"order: got {self.order!r}, expected 'rgb' or 'bgr'")
    if not isinstance(self.size, int) or self.size < 1:
      raise ValueError(f'size: got {self.size!r}, expected a positive int')
    numbers = (*self.mean, *self.std, self.scale)
    if not all(isinstance(v, int | float) for v in numbers):
      raise ValueError(f'mean, std, scale: got {numbers}, expected numbers')
    if not self.mean or len(self.mean) != len(self.std) or 0 in self.std:
      raise ValueError(
        f'mean, std: got {self.mean}, {self.std}, expected a number for each '
        'channel, std not 0'
      )

  @property
  def shape(self) -> tuple[int, int, int]:
    """Shape of an image of that size, ``(size, size, 3)``, or of features."""
    return self.size, self.size, len(self.mean)

  def __call__(self, image: Array) -> Array:
    """Preprocesses images ``[..., H, W, 3]`` in [0, 1], or features."""
    x = image if self.order == 'rgb' else image[..., ::-1]
    ahead = (1,) * (x.ndim - 1)
    mean = jnp.asarray(self.mean, x.dtype).reshape(*ahead, -1)
    std = jnp.asarray(self.std, x.dtype).reshape(*ahead, -1)
    return (x * self.scale - mean) / std
