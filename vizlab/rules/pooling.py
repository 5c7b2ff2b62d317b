"""Pooling over square windows; max pooling records the winning positions."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax import lax

from vizlab.types import Array, pytree_dataclass, widened

__all__ = ['PoolWindow', 'avg_pool', 'max_pool']


@dataclasses.dataclass(frozen=True)
class PoolWindow:
  """A square pooling window: its size and stride in positions, and padding.

  Attributes:
    size: Side of the window.
    stride: Step between windows.
    padding: Positions added on each side; they never win a maximum, and a mean
      counts them only in ``AveragePool``.
    ceil: Whether to round the number of windows up, as Caffe does; the last
      window may extend beyond the border.
  """

  size: int = 2
  stride: int = 2
  padding: int = 0
  ceil: bool = False

  def __post_init__(self) -> None:
    """Checks the numbers."""
    if not 1 <= self.size <= 16:  # the record of winners is 8 bits wide
      raise ValueError(f'size: got {self.size}, expected 1 to 16')
    if self.stride < 1:
      raise ValueError(f'stride: got {self.stride}, expected at least 1')
    if not 0 <= 2 * self.padding <= self.size:
      raise ValueError(
        f'padding: got {self.padding}, expected 0 to half the size, '
        f'{self.size // 2}'
      )

  def length(self, n: int) -> int:
    """Number of windows along an axis of ``n`` positions."""
    span = n + 2 * self.padding - self.size
    count = (-(-span // self.stride) if self.ceil else span // self.stride) + 1
    if self.ceil and (count - 1) * self.stride >= n + self.padding:
      count -= 1  # as in torch: a window must start inside the image
    return count


def _pad(x: Array, window: PoolWindow, value: float, rim: int = 0) -> Array:
  """Pads ``[N, H, W, C]`` so that every window is full; may also crop.

  ``x`` may have a ``rim`` of the padding on each side already.
  """
  config, front = [(0, 0, 0)], window.padding - rim
  for n in x.shape[1:3]:
    need = (window.length(n - 2 * rim) - 1) * window.stride + window.size
    config.append((front, need - n - front, 0))
  return lax.pad(x, jnp.asarray(value, x.dtype), [*config, (0, 0, 0)])


def _places(x: Array, window: PoolWindow) -> list[Array]:
  """Returns ``size^2`` strided slices: position ``i`` of every window.

  XLA's CPU backend fuses slices with adjacent operations but not
  ``reduce_window``, which doubles the forward time of a VGG.
  """
  s, (h, w) = window.stride, x.shape[1:3]
  last = window.size - 1
  return [
    x[:, i : h - last + i : s, j : w - last + j : s]
    for i in range(window.size)
    for j in range(window.size)
  ]


def _argmax(x: Array, window: PoolWindow) -> tuple[Array, Array]:
  """Maximum of each window and its position (the first one, on a tie)."""
  first, *rest = _places(_pad(x, window, -jnp.inf), window)
  best, which = first, jnp.zeros(first.shape, jnp.uint8)
  for place, other in enumerate(rest, 1):
    wins = (other > best) | jnp.isnan(other)  # propagates NaN
    which = jnp.where(wins, jnp.uint8(place), which)
    best = jnp.where(wins, other, best)
  return best, which


def _unpool(g: Array, which: Array, shape: tuple, window: PoolWindow) -> Array:
  """Routes ``g`` to the winning positions: the deconvnet's unpooling."""
  size, s = window.size, window.stride
  if size == s:  # disjoint windows: each input is in one window, no sum needed
    n, h, w, c = g.shape
    place = jnp.arange(size * size, dtype=which.dtype)
    place = place.reshape(1, 1, size, 1, size, 1)
    won = which.reshape(n, h, 1, w, 1, c) == place
    full = jnp.where(won, g.reshape(n, h, 1, w, 1, c), 0)
    full = full.reshape(n, h * size, w * size, c)
  else:
    full = _overlapping(g, which, window)
  crop = [(0, 0, 0)]
  for n, have in zip(shape[1:3], full.shape[1:3], strict=True):
    crop.append((-window.padding, n + window.padding - have, 0))
  return lax.pad(full, jnp.zeros((), g.dtype), [*crop, (0, 0, 0)])


def _overlapping(g: Array, which: Array, window: PoolWindow) -> Array:
  """Sum of what windows that overlap route to each of their positions.

  Position ``t * stride + p`` gets something from windows ``t``, ``t - 1`` and
  so on, as their position ``p``, ``p + stride`` and so on. For each ``p`` of
  both axes this is a sum of slices, which XLA's CPU backend fuses; padded by
  zeros inside, they would take up to ten times as long.
  """
  size, s = window.size, window.stride
  more = (size - 1) // s
  edges = [(0, 0), (more, more), (more, more), (0, 0)]
  g, which = jnp.pad(g, edges), jnp.pad(which, edges)
  n, h, w, c = g.shape
  h, w = h - more, w - more

  def routed(i: int, j: int) -> Array:
    top, left = more - i // s, more - j // s
    part = slice(None), slice(top, top + h), slice(left, left + w)
    return jnp.where(which[part] == i * size + j, g[part], 0)

  def summed(p: int, q: int) -> Array:
    places = [(i, j) for i in range(p, size, s) for j in range(q, size, s)]
    return sum(
      (routed(i, j) for i, j in places), jnp.zeros((n, h, w, c), g.dtype)
    )

  rows = [jnp.stack([summed(p, q) for q in range(s)], 3) for p in range(s)]
  return jnp.stack(rows, 2).reshape(n, h * s, w * s, c)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_pool(x: Array, window: PoolWindow = PoolWindow()) -> Array:
  """Max pooling; the gradient goes to the winning position.

  The record of winners is the deconvnet's *switches* (Zeiler & Fergus 2014,
  section 2.1). On a tie the first position in row-major order wins, so a
  gradient is never split.

  Args:
    x: ``[N, H, W, C]``.
    window: Size, stride and padding of the window.

  Returns:
    ``[N, H', W', C]`` with ``H' = window.length(H)``.
  """
  return _argmax(x, window)[0]


# A shape is not an array; wrapping it keeps residuals a valid pytree.
@pytree_dataclass(static=('shape',))
class _Switches:
  which: Array
  shape: tuple[int, ...]


def _max_pool_fwd(x: Array, window: PoolWindow) -> tuple[Array, _Switches]:
  best, which = _argmax(x, window)
  return best, _Switches(which, x.shape)


def _max_pool_bwd(window: PoolWindow, switches: _Switches, g: Array) -> tuple:
  return (_unpool(g, switches.which, switches.shape, window),)


max_pool.defvjp(_max_pool_fwd, _max_pool_bwd)


def avg_pool(
  x: Array, window: PoolWindow = PoolWindow(), padding_counts: bool = False
) -> Array:
  """Average pooling over the positions of each window inside the image.

  Args:
    x: ``[N, H, W, C]``.
    window: Size, stride and padding of the window.
    padding_counts: Whether the zeros of the padding count, too.

  Returns:
    ``[N, H', W', C]`` with ``H' = window.length(H)``.
  """
  total = sum(_places(_pad(widened(x), window, 0), window))
  rim = window.padding if padding_counts else 0
  counted = (1, *(n + 2 * rim for n in x.shape[1:3]), 1)
  counts = _pad(jnp.ones(counted, total.dtype), window, 0, rim)
  mean = total / sum(_places(counts, window))
  return mean if total.dtype == x.dtype else mean.astype(x.dtype)
