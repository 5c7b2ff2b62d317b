"""Weights as pictures: first-layer filters and expanded weights."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import rules
from vizlab.lookup import check_name
from vizlab.probes.angles import modulo
from vizlab.types import Array, Net

__all__ = [
  'Grating',
  'Spectrum',
  'aliasing',
  'cropped',
  'expanded_weights',
  'filter_order',
  'grating',
  'spectrum',
  'used',
]

_FREQUENCIES = 64  # frequencies along an axis, of kernels padded with zeros


def expanded_weights(
  net: Net,
  upper: str,
  channels: Array,
  *,
  lower: str | None = None,
  shape: tuple[int, int],
) -> Array:
  """Weights from a map, or the image, to units of a layer above it.

  The layers between are made linear: a ReLU and a local response normalisation
  are the identity, and pooling averages, so that the weights are products of
  kernels, summed over all paths from one unit to another. The unit of a map is
  the one in its middle.

  Args:
    net: A network that calls the rules of its ReLUs and pooling layers, such as
      those of `vizlab.nets`.
    upper: Layer of the units.
    channels: int ``[K]``, channels of ``upper``; not checked if traced.
    lower: Layer from which they read; ``None`` for the image.
    shape: Height and width of the image in pixels. The weights are complete if
      it holds the receptive field of the unit.

  Returns:
    ``[K, H, W, C]``, the derivative of each unit by ``lower`` (for the image,
    per unit of brightness in [0, 1]); zero where a unit does not look, and
    everywhere if it does not read ``lower``. See `cropped`.

  Raises:
    ValueError: A layer is unknown, or a channel is outside of ``upper``.

  References:
    Cammarata et al. 2020, "Thread: Circuits"; Voss et al. 2021, "Visualizing
    Weights".
  """
  linear = rules.with_rules(
    net, relu=_identity, pool=rules.avg_pool, lrn=_identity
  )
  image = jnp.full((1, *shape, 3), 0.5, jnp.float32)
  known = jax.eval_shape(lambda x: net(x)[1], image)
  for name in (upper, *([] if lower is None else [lower])):
    check_name('layer', name, known)
  count = known[upper].shape[-1]
  traced = isinstance(channels, jax.core.Tracer)
  at = channels if traced else np.asarray(channels)
  inside = traced or (at.size and 0 <= at.min() <= at.max() < count)
  if at.ndim != 1 or not inside:
    raise ValueError(
      f'channels: got {at if traced else at.tolist()}, expected numbers from 0 '
      f'to {count - 1}'
    )

  def units(added: Array) -> Array:
    if lower is None:
      _, acts = linear(image + added)
    else:
      _, acts = linear(image, {lower: lambda a: a + added})
    if acts[upper].ndim == 2:
      return acts[upper][0]
    _, height, width, _ = acts[upper].shape
    return acts[upper][0, height // 2, width // 2]

  read = image.shape if lower is None else known[lower].shape
  _, pull = jax.vjp(units, jnp.zeros(read, jnp.float32))
  rows = jnp.zeros((at.size, count)).at[np.arange(at.size), at].set(1)
  return jax.lax.map(lambda row: pull(row)[0][0], rows)


def _identity(x: Array, normalise: Callable | None = None) -> Array:
  del normalise
  return x


def used(weights: np.ndarray) -> tuple[slice, slice]:
  """Rows and columns of weights ``[K, H, W, C]`` that hold any; or all."""
  some = np.asarray(weights != 0).any((0, 3))
  if not some.any():
    return slice(0, some.shape[0]), slice(0, some.shape[1])
  rows, columns = (np.flatnonzero(some.any(axis)) for axis in (1, 0))
  return tuple(slice(int(v[0]), int(v[-1]) + 1) for v in (rows, columns))


def cropped(weights: np.ndarray) -> np.ndarray:
  """Crops weights ``[K, H, W, C]`` to the rows and columns that hold any."""
  rows, columns = used(weights)
  return weights[:, rows, columns]


class Grating(NamedTuple):
  """The grating to which a filter is closest, and its colour.

  Attributes:
    angle: ``[K]`` in [0, pi), of the direction in which the filter changes
      most, clockwise from the horizontal; 0 for a vertical edge.
    coherence: ``[K]`` in [0, 1]: 0 if it changes as much in all directions.
    colour: ``[K]`` in [0, 1], share of the energy that differs between the
      colour channels.
    hue: ``[K]`` in [0, 2 pi), direction of its strongest colour contrast.
  """

  angle: Array
  coherence: Array
  colour: Array
  hue: Array


def grating(kernels: Array) -> Grating:
  """Orientation and colour of filters ``[K, h, w, 3]`` over RGB.

  The angle is that of the largest eigenvector of the structure tensor, of the
  brightness, or of the strongest colour contrast of a filter whose energy is
  mostly colour.
  """
  kernels = jnp.asarray(kernels)
  if kernels.ndim != 4 or kernels.shape[-1] != 3:
    raise ValueError(f'kernels: got {kernels.shape}, expected [K, h, w, 3]')
  energy = jnp.square(kernels).sum((1, 2, 3))
  grey = kernels.mean(-1, keepdims=True)
  chroma = kernels - grey
  safe = jnp.where(energy > 0, energy, 1)
  colour = jnp.square(chroma).sum((1, 2, 3)) / safe
  # Hue: the principal direction in the plane that is orthogonal to grey.
  plane = np.array([[2, -1, -1], [0, 3**0.5, -(3**0.5)]], np.float32) / 6**0.5
  u, v = jnp.einsum('khwc,dc->dkhw', chroma, plane, precision='highest')
  hue = _direction(*_moments(u, v))
  along = u * jnp.cos(hue)[:, None, None] + v * jnp.sin(hue)[:, None, None]
  # An axis has two ends: that of the stronger half counts.
  opposite = jnp.power(along, 3).sum((1, 2)) < 0
  hue = modulo(jnp.where(opposite, hue + jnp.pi, hue), 2 * np.pi)
  picture = jnp.where((colour > 0.5)[:, None, None], along, grey[..., 0])
  across, down = jnp.diff(picture, axis=2), jnp.diff(picture, axis=1)
  across = across[:, 1:] + across[:, :-1]  # both amid four positions
  down = down[:, :, 1:] + down[:, :, :-1]
  xx, yy, xy = _moments(across, down)
  spread = jnp.sqrt(jnp.square(xx - yy) + 4 * jnp.square(xy))
  coherence = spread / jnp.where(xx + yy > 0, xx + yy, 1)
  angle = modulo(_direction(xx, yy, xy), np.pi)
  return Grating(angle, coherence, colour, hue)


def _moments(x: Array, y: Array) -> tuple[Array, Array, Array]:
  return tuple((a * b).sum((1, 2)) for a, b in ((x, x), (y, y), (x, y)))


def _direction(xx: Array, yy: Array, xy: Array) -> Array:
  """Angle of the largest eigenvector of ``[[xx, xy], [xy, yy]]``."""
  return jnp.arctan2(2 * xy, xx - yy) / 2


def filter_order(kernels: Array) -> Array:
  """Order of filters ``[K, h, w, 3]``: grey by angle, then coloured by hue.

  Returns:
    int ``[K]``, a permutation.
  """
  angle, _, colour, hue = grating(kernels)
  coloured = colour > 0.5
  return jnp.lexsort((jnp.where(coloured, hue, angle), coloured))


class Spectrum(NamedTuple):
  """Energy of filters by frequency.

  Attributes:
    frequency: ``[F]``, from 0 to 1/2 cycles per position.
    energy: ``[K, F]``, share of a filter's energy where the larger of the
      frequencies along the two axes is this one; zeros for a filter of zeros.
  """

  frequency: np.ndarray
  energy: Array


def spectrum(kernels: Array) -> Spectrum:
  """Energy of filters ``[K, h, w, C]`` by frequency, summed over channels."""
  side = max(_FREQUENCIES, *kernels.shape[1:3])
  power = jnp.square(jnp.abs(jnp.fft.fft2(kernels, (side, side), (1, 2))))
  power = power.sum(-1).reshape(len(kernels), -1)
  each = np.abs(np.fft.fftfreq(side, 1 / side)).astype(int)
  larger = np.maximum(each[:, None], each).reshape(-1)
  energy = jax.ops.segment_sum(power.T, larger, side // 2 + 1).T
  total = energy.sum(1, keepdims=True)
  return Spectrum(
    np.arange(side // 2 + 1) / side, energy / jnp.where(total > 0, total, 1)
  )


def aliasing(kernels: Array, stride: int) -> Array:
  """Share of a filter's energy that its stride folds onto other frequencies.

  The energy of the spectrum where a frequency along one of the axes is above
  ``1 / (2 stride)`` cycles per position, the Nyquist limit of the output.

  Args:
    kernels: ``[K, h, w, C]``.
    stride: Stride of the layer, at least 1.

  Returns:
    ``[K]`` in [0, 1]; 0 for a stride of 1, and for a filter of zeros.

  References:
    Zeiler & Fergus 2014, section 4.1: the large stride of AlexNet's first layer
    aliases.
  """
  if stride < 1:
    raise ValueError(f'stride: got {stride}, expected at least 1')
  frequency, energy = spectrum(kernels)
  return energy[:, frequency > 1 / (2 * stride)].sum(1)
