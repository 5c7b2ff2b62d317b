"""Incremental evaluation of a network with one box of the image replaced.

Only the region that the box can change is computed. The activations of the
unchanged image are computed once; at every layer the region is inserted into
them, cropped with a margin for the kernel, and passed through the layer, for
many positions at once. The result equals that of the network on the changed
image.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vizlab.nets.graph import infer_shapes, wiring
from vizlab.nets.incremental.regions import Frame, Region, plan
from vizlab.nets.layers import Shape
from vizlab.types import Acts, Array

__all__ = ['occlude']

Frames = tuple[Frame, ...]  # rows, columns


class _Baseline(NamedTuple):
  """Unchanged images ``[B, H, W, 3]`` (under ``None``) and activations."""

  acts: dict[str | None, Array]
  shapes: dict[str | None, Shape]


def occlude(
  net: Any,
  read: Callable[[Array | None, Acts], Any],
  x: Array,
  other: Array,
  rows: Sequence[tuple[int, int]],
  columns: Sequence[tuple[int, int]],
  chunk: int = 16,
  places: Array | None = None,
) -> Any:
  """Evaluates a network with each box of ``x`` replaced by that of ``other``.

  Args:
    net: A `vizlab.nets.Network`.
    read: Function of ``(logits, acts)`` that returns a pytree of arrays
      ``[..., *rest]``.
    x: Images ``[..., H, W, 3]`` in [0, 1].
    other: Images of the same shape that fill the boxes.
    rows: First and one past the last row of each row of boxes, clipped to the
      image.
    columns: First and one past the last column of each column of boxes, clipped
      to the image.
    chunk: Images evaluated at once, but at least two positions for the whole
      batch.
    places: Boxes to evaluate, int ``[P]``, counted row by row; all by default.

  Returns:
    The output of ``read``, with each array as
    ``[..., len(rows), len(columns), *rest]``, or ``[..., P, *rest]`` if
    ``places`` is given.

  Raises:
    ValueError: There is no box, a box is empty or outside of the image, or the
      shape of ``other`` is not that of ``x``.
  """
  _check(x, other, rows, columns, chunk)
  lead, (h, w, c) = x.shape[:-3], x.shape[-3:]
  dtype = net.dtype_for(x)
  flat, other = (
    net.spec(v).reshape(-1, h, w, c).astype(dtype) for v in (x, other)
  )
  acts = {
    name: act.reshape(-1, *act.shape[len(lead) :]).astype(dtype)
    for name, act in net(x)[1].items()
  }
  shapes = {None: (h, w, c), **infer_shapes(net.ops, (h, w, c))}
  baseline = _Baseline({None: flat, **acts}, shapes)
  boxes = [(row, column) for row in rows for column in columns]
  regions = plan(net.ops, (h, w, c), *zip(*boxes, strict=True))
  run = _program(net, baseline, other, regions)

  def at(places: Array) -> Any:
    acts = {
      name: act.reshape(len(places), *lead, *act.shape[1:]).astype(x.dtype)
      for name, act in run(places).items()
    }
    last = acts[net.ops[-1].name]
    logits = last if last.ndim == len(lead) + 2 else None
    return jax.vmap(read)(logits, acts)

  def arrange(values: Array) -> Array:
    values = jnp.moveaxis(values, 0, len(lead))
    if places is not None:
      return values
    rest = values.shape[len(lead) + 1 :]
    return values.reshape(*lead, len(rows), len(columns), *rest)

  every = np.arange(len(boxes)) if places is None else places
  return jax.tree.map(arrange, _in_chunks(at, every, chunk // math.prod(lead)))


def _check(
  x: Array,
  other: Array,
  rows: Sequence[tuple[int, int]],
  columns: Sequence[tuple[int, int]],
  chunk: int,
) -> None:
  if other.shape != x.shape:
    raise ValueError(f'other: got shape {other.shape}, expected {x.shape}')
  if chunk < 1:
    raise ValueError(f'chunk: got {chunk}, expected at least 1 image')
  for name, spans, n in zip(
    ('rows', 'columns'), (rows, columns), x.shape[-3:-1], strict=True
  ):
    wrong = [s for s in spans if not max(0, s[0]) < min(s[1], n)]
    if wrong or not len(spans):
      raise ValueError(
        f'{name}: got {wrong[0] if wrong else "none"}, expected (first, one '
        f'past the last) that covers some of the {n} pixels'
      )


def _in_chunks(fn: Callable[[Array], Any], places: Array, most: int) -> Any:
  """Maps ``fn`` over positions ``[P]``, ``most`` at once but at least two.

  All chunks have one size, so there is one program; the last position is
  repeated to fill the last chunk. XLA's CPU backend fails to compile the loops
  for chunks of one position (jax 0.10.2).
  """
  count = len(places)
  chunks = math.ceil(count / max(2, most))
  size = max(2, math.ceil(count / chunks))
  filled = jnp.asarray(places)[np.minimum(np.arange(chunks * size), count - 1)]
  results = lax.map(fn, filled.reshape(chunks, size))
  return jax.tree.map(lambda v: v.reshape(-1, *v.shape[2:])[:count], results)


def _program(
  net: Any,
  baseline: _Baseline,
  other: Array,
  regions: Mapping[str | None, Region | None],
) -> Callable[[Array], Acts]:
  """Returns a function of positions ``[P]`` to activations ``[P B, ...]``.

  Regions are ``[P, B, h, w, C]``, whole maps ``[P B, H, W, C]``.
  """

  def laying(name: str | None, frames: Frames) -> Callable:
    return _laying(baseline.acts[name], _frames(regions[name]), frames)

  # Everything independent of the position is built here, outside of the loop.
  layings = {}
  for op, inputs in wiring(net.ops):
    region = regions[op.name]
    if region and op.without_padding(baseline.shapes[inputs[0]]):
      read = tuple(axis.read(op.slide) for axis in region)
      layings[op.name] = [laying(name, read) for name in inputs]

  def run(places: Array) -> Acts:
    values = {None: _boxes(baseline.acts[None], other, regions[None], places)}

    def whole(name: str | None) -> Array:
      if not (region := regions[name]):
        return values[name]
      lay = laying(name, tuple(axis.whole for axis in region))
      return _as_one(lay(values[name], places))

    for op, inputs in wiring(net.ops):
      params = net.params_of(op, other.dtype)
      region = regions[op.name]
      if op.name in layings:
        lays = zip(layings[op.name], inputs, strict=True)
        read = [_as_one(lay(values[name], places)) for lay, name in lays]
        bare = op.without_padding(baseline.shapes[inputs[0]])
        y = bare(params, net.rules, *read)
        y = y.reshape(len(places), -1, *y.shape[1:])
      else:
        y = op(params, net.rules, *map(whole, inputs))
        if region:
          y = y.reshape(len(places), -1, *y.shape[1:])
          y = _cut(y, _frames(region), places)
      values[op.name] = y
    return {op.name: whole(op.name) for op in net.ops}

  return run


def _laying(base: Array, have: Frames, want: Frames) -> Callable:
  """Returns a function that inserts regions into a map and crops the result.

  Args:
    base: The unchanged map ``[B, H, W, C]``, padded with zeros.
    have: Frames of the regions.
    want: Frames of the crops, which may reach beyond the map.

  Returns:
    Function ``(regions [P, B, h, w, C], places [P]) -> [P, B, h', w', C]``.
  """
  if all(
    a.size == b.size and (a.start == b.start).all()
    for a, b in zip(have, want, strict=True)
  ):
    return lambda values, places: values
  pads, corners, inner, sizes, crop = [(0, 0, 0)], [], [], [], []
  for a, b, n in zip(have, want, base.shape[1:3], strict=True):
    # A frame that contains both; usually the crop contains the region.
    before = max(0, int((b.start - a.start).max()))
    after = max(0, int((a.start + a.size - b.start - b.size).max()))
    start, size = b.start - before, before + b.size + after
    low, high = max(0, -int(start.min())), int((start + size).max()) - n
    pads.append((low, max(0, high), 0))
    corners.append(start + low)
    inner.append(a.start - start)
    sizes.append(size)
    crop.append(slice(before, before + b.size))
  padded = lax.pad(base, jnp.zeros((), base.dtype), [*pads, (0, 0, 0)])
  corners, inner = (jnp.asarray(np.stack(v, -1)) for v in (corners, inner))

  def lay(values: Array, places: Array) -> Array:
    def one(item: tuple[Array, Array, Array]) -> Array:
      value, (row, column), (i, j) = item
      size = (len(base), *sizes, base.shape[-1])
      frame = lax.dynamic_slice(padded, (0, row, column, 0), size)
      frame = lax.dynamic_update_slice(frame, value, (0, i, j, 0))
      return frame[:, *crop]

    return lax.map(one, (values, corners[places], inner[places]))

  return lay


def _cut(maps: Array, frames: Frames, places: Array) -> Array:
  """Crops the regions of whole maps ``[P, B, H, W, C]``."""
  starts = jnp.asarray(_starts(frames))[places]
  size = (maps.shape[1], *(frame.size for frame in frames), maps.shape[-1])

  def one(item: tuple[Array, Array]) -> Array:
    value, (row, column) = item
    return lax.dynamic_slice(value, (0, row, column, 0), size)

  return lax.map(one, (maps, starts))


def _boxes(x: Array, other: Array, region: Region, places: Array) -> Array:
  """Crops regions of ``x``, with the box of each position from ``other``."""
  frames = _frames(region)
  starts = jnp.asarray(_starts(frames))
  size = (len(x), *(frame.size for frame in frames), x.shape[-1])
  inside = []
  for axis, frame in zip(region, frames, strict=True):
    at = frame.start[:, None] + np.arange(frame.size)
    inside.append((axis.first[:, None] <= at) & (at < axis.last[:, None]))
  rows, columns = map(jnp.asarray, inside)

  def one(place: Array) -> Array:
    row, column = starts[place]
    mine, theirs = (
      lax.dynamic_slice(v, (0, row, column, 0), size) for v in (x, other)
    )
    box = rows[place][:, None] & columns[place][None]
    return jnp.where(box[None, :, :, None], theirs, mine)

  return lax.map(one, places)


def _frames(region: Region) -> Frames:
  return tuple(axis.frame for axis in region)


def _starts(frames: Frames) -> np.ndarray:
  return np.stack([frame.start for frame in frames], -1)


def _as_one(values: Array) -> Array:
  """Reshapes ``[P, B, ...]`` to ``[P B, ...]``, the input of layers."""
  return values.reshape(-1, *values.shape[2:])
