"""Weights between units of two layers, in parts that memory holds."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from vizlab import nets, probes
from vizlab.runs import stopping
from vizlab.runs.inputs import layer_info
from vizlab.types import Array

__all__ = ['weights_between']

_AT_ONCE = 8  # units


def weights_between(
  net: nets.Network,
  upper: str,
  units: np.ndarray,
  lower: str | None = None,
) -> np.ndarray:
  """Expanded weights ``[U, h, w, C]``, cropped to what any of the units reads.

  Computed for some units at once, as those of large maps are large before they
  are cropped.

  Args:
    net: The network.
    upper: Layer of the units.
    units: Channels of it, int ``[U]``, at least one.
    lower: Layer that they read, by default the image; if it is a vector, ``h``
      and ``w`` are 1.
  """
  size = _side(net, upper, lower)

  @jax.jit
  def some_weights(net: nets.Network, some: Array) -> Array:
    weights = probes.expanded_weights(
      net, upper, some, lower=lower, shape=(size, size)
    )
    return weights if weights.ndim == 4 else weights[:, None, None]

  parts = []
  for i in range(0, len(units), _AT_ONCE):
    stopping.check()
    # Always as many, so that one program makes them all.
    some = np.resize(units[i : i + _AT_ONCE], _AT_ONCE)
    parts.append(_Crop.of(np.asarray(some_weights(net, some))))
  return _joined(parts)[: len(units)]


def _side(net: nets.Network, upper: str, lower: str | None) -> int:
  """Side of an image whose middle unit sees nothing but the image.

  The network's input size, which every network takes, if that is enough.
  """
  field = layer_info(net, upper).field
  if field is None:
    return net.spec.size
  if lower is not None:
    read = layer_info(net, lower)
    if read.field is None:
      return net.spec.size
    window = (field.size - read.field.size) // read.field.stride + 1
    if min(read.shape[:2]) >= 2 * window:
      return net.spec.size
  return max(net.spec.size, field.size + 4 * field.stride)


class _Crop(NamedTuple):
  """Weights within the rows and columns that hold any, and where these are."""

  weights: np.ndarray
  top: int
  left: int

  @classmethod
  def of(cls, weights: np.ndarray) -> '_Crop':
    """Crops ``[K, H, W, C]``."""
    rows, columns = probes.used(weights)
    cut = weights[:, rows, columns].copy()  # a view would keep all
    return cls(cut, rows.start, columns.start)


def _joined(parts: Sequence[_Crop]) -> np.ndarray:
  """All weights, in the box that holds each of them."""
  known = [part for part in parts if part.weights.any()] or parts[:1]
  top, left = (min(part[i] for part in known) for i in (1, 2))
  bottom = max(part.top + part.weights.shape[1] for part in known)
  right = max(part.left + part.weights.shape[2] for part in known)
  whole = []
  for part in parts:
    count, height, width, channels = part.weights.shape
    each = np.zeros((count, bottom - top, right - left, channels), np.float32)
    if part.weights.any():
      y, x = part.top - top, part.left - left
      each[:, y : y + height, x : x + width] = part.weights
    whole.append(each)
  return np.concatenate(whole)
