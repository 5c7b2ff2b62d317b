"""Procedural scenes with ground truth: shapes, textures, exact masks.

A scene holds one or two objects of sixteen shapes and sixteen textures, with
random position, size, rotation and colour, on a textured background under
random light. Everything is a pure function of a key, so a seed defines a data
set. ``correlation`` sets how often the texture of an object predicts its shape,
to train networks that rely on texture, on shape, or on both (Geirhos et al.
2019).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.batching import vary_with
from vizlab.data.shapes import SHAPES, signed_distance
from vizlab.data.textures import TEXTURES, grey
from vizlab.types import Array

__all__ = ['SHAPE_NAMES', 'TEXTURE_NAMES', 'Scene', 'scene', 'scenes']

SHAPE_NAMES = tuple(SHAPES)
TEXTURE_NAMES = tuple(TEXTURES)


class Scene(NamedTuple):
  """Image with its ground truth; `scenes` adds a leading batch axis.

  Attributes:
    image: ``[H, W, 3]`` RGB in [0, 1].
    labels: int32 ``[2]``, the shape of each object; -1 for no object.
    textures: int32 ``[2]``, the texture of each object; -1 for no object.
    masks: ``[2, H, W]``, the fraction of each pixel that the object covers, in
      [0, 1]. Objects do not overlap.
    poses: ``[2, 4]``, of each object column and row of its centre and its
      radius, in units of the image's side, and its angle in radians, clockwise;
      NaN for no object.
  """

  image: Array
  labels: Array
  textures: Array
  masks: Array
  poses: Array


class _Numbers(NamedTuple):
  """All random numbers of one scene; a trait takes the first of its 12."""

  labels: Array  # int32 [2], the first shape and the step to the second
  light: Array  # [2], in [0, 1)
  layout: Array  # [7, 12], in [0, 1)
  # In [0, 1) [7, 12], the texture, and the texture's seed.
  backdrop: tuple[Array, Array, Array]
  objects: tuple[Array, Array, Array]  # the same, of both objects


class _Object(NamedTuple):
  """All sampled parameters of one object."""

  label: Array
  texture: Array
  centre: Array  # [2], in units of the image's side
  radius: Array
  angle: Array
  seed: Array
  period: Array
  colours: Array  # [2, 3]


def scene(
  key: Array,
  *,
  objects: int | Array = 1,
  size: int = 96,
  correlation: float | Array = 0.0,
) -> Scene:
  """Draws one scene.

  Args:
    key: A JAX random key; the same key gives the same scene.
    objects: Number of objects, 1 or 2, an int or an int array ``[]``.
    size: Side of the image in pixels; the same key at another size is the same
      scene at another resolution.
    correlation: Probability in [0, 1] that an object's texture is the one with
      the index of its shape; otherwise it is drawn at random.

  Returns:
    A `Scene`.
  """
  _check(objects, size, correlation)
  drawn = _draw_numbers(key)
  two = jnp.asarray(objects) == 2
  backdrop, back_colour = _backdrop(drawn.backdrop, size)
  centres, radii = _place(drawn.layout, two)
  first, step = drawn.labels
  labels = jnp.stack([first, (first + step) % len(SHAPES)])
  light = _within(drawn.light, -1.0, 1.0)
  light = light / jnp.maximum(jnp.linalg.norm(light), 1e-3)
  present = jnp.array([True, False]) | two[None]

  def add(
    image: Array, row: tuple[Array, ...]
  ) -> tuple[Array, tuple[Array, Array, Array]]:
    present, *own = row
    thing = _sample(*own, back_colour, correlation)
    image, mask = jax.lax.cond(present, _draw, _leave, image, thing, light)
    pose = jnp.stack([*thing.centre, thing.radius, thing.angle])
    return image, (
      mask,
      jnp.where(present, thing.texture, -1),
      jnp.where(present, pose, jnp.nan),
    )

  # A loop, as it compiles one object and not two.
  rows = present, drawn.objects, labels, centres, radii
  image, (masks, textures, poses) = jax.lax.scan(add, backdrop, rows)
  labels = jnp.where(present, labels, -1)
  y, x = _pixels(size)
  shade = 0.92 + 0.16 * ((x - 0.5) * light[0] + (y - 0.5) * light[1])
  image = jnp.clip(image * shade[..., None], 0, 1)
  return Scene(image, labels, textures, masks, poses)


def scenes(
  key: Array,
  n: int,
  *,
  objects: int | Array = 1,
  size: int = 96,
  correlation: float | Array = 0.0,
  batch_size: int | None = None,
  first: int | Array = 0,
) -> Scene:
  """Draws ``n`` scenes.

  Args:
    key: A JAX random key; scene ``i`` is ``scene(fold_in(key, i))``.
    n: Number of scenes.
    objects: Number of objects per scene, 1 or 2, an int or an int array
      ``[n]``.
    size: Side of the images in pixels.
    correlation: Probability in [0, 1] that an object's texture is the one with
      the index of its shape; otherwise it is drawn at random.
    batch_size: Number of scenes drawn in parallel. ``None`` draws them one by
      one, which is fastest on a CPU, as ``lax.switch`` then runs only the
      required shape and texture; up to 16 scenes share a program, and those up
      to each multiple of 64, to 256. On an accelerator 256 is a good choice.
    first: Index of the first scene, to draw a data set in parts.

  Returns:
    A `Scene` with a batch axis ``[n]`` in front of every field.
  """
  n = int(n)
  if n < 1:
    raise ValueError(f'n: got {n}, expected at least 1 scene')
  if jnp.ndim(objects) == 0:
    _check(objects, size, correlation)
  first = jnp.asarray(first, jnp.int32)
  count = jnp.broadcast_to(jnp.asarray(objects, jnp.int32), (n,))
  # Compiling takes seconds: numbers near to each other share a program. Of many
  # images, a copy of those that were asked for would be large.
  many = n > 256 or batch_size is not None
  room = n if many else 16 if n <= 16 else 64 * -(-n // 64)
  count = jnp.pad(count, (0, room - n), constant_values=1)
  correlation = jnp.asarray(correlation, jnp.float32)
  found = _draw_all(key, count, correlation, first, n, size, batch_size)
  return found if room == n else jax.tree.map(lambda rows: rows[:n], found)


@functools.partial(jax.jit, static_argnames=('size', 'batch_size'))
def _draw_all(
  key: Array,
  count: Array,
  correlation: Array,
  first: Array,
  n: int | Array,
  size: int,
  batch_size: int | None,
) -> Scene:
  def draw(item: tuple[Array, Array]) -> Scene:
    i, objects = item
    return scene(
      jax.random.fold_in(key, i),
      objects=objects,
      size=size,
      correlation=correlation,
    )

  if batch_size is not None:
    items = jnp.arange(len(count), dtype=jnp.int32) + first, count
    return jax.lax.map(draw, items, batch_size=batch_size)
  row = jax.eval_shape(draw, (first, count[0]))
  drawn_with = key, count, correlation, first
  blank = jax.tree.map(
    lambda a: vary_with(drawn_with, jnp.zeros((len(count), *a.shape), a.dtype)),
    row,
  )
  # As many as are asked for: the rest of the room is never drawn.
  return jax.lax.fori_loop(
    0,
    n,
    lambda i, drawn: jax.tree.map(
      lambda rows, row: jax.lax.dynamic_update_index_in_dim(rows, row, i, 0),
      drawn,
      draw((i + first, count[i])),
    ),
    blank,
  )


def _check(objects: int | Array, size: int, correlation: float | Array) -> None:
  """Checks the numbers that are not traced."""
  if size < 1:
    raise ValueError(f'size: got {size}, expected at least 1 pixel')
  if not isinstance(objects, jax.Array) and objects not in (1, 2):
    raise ValueError(f'objects: got {objects}, expected 1 or 2')
  if not isinstance(correlation, jax.Array) and not 0 <= correlation <= 1:
    raise ValueError(f'correlation: got {correlation}, expected 0 to 1')


_SIDES = np.array([[1], [-1]], np.float32)  # sides of the centre


def _pixels(size: int) -> tuple[Array, Array]:
  """Row and column of every pixel's centre ``[H, W]``, in [0, 1]."""
  place = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
  return jnp.meshgrid(place, place, indexing='ij')


def _turn(x: Array, y: Array, angle: Array) -> Array:
  c, s = jnp.cos(angle), jnp.sin(angle)
  return jnp.stack([c * x + s * y, c * y - s * x], -1)


def _draw_numbers(key: Array) -> _Numbers:
  """Draws all random numbers of a scene.

  Each kind in one call: a draw is a large program, and there are two dozen.
  """
  # Explicit dtypes, so that the draws are the same with x64.
  keys = jax.random.split(key, 6)
  below = jax.vmap(lambda k: jax.random.split(k, 7))(keys)
  uniform = jax.vmap(
    jax.vmap(lambda k: jax.random.uniform(k, (12,), jnp.float32))
  )
  u = uniform(below)
  # The two labels, and the textures of the background and of the objects.
  whole = jax.vmap(
    lambda k, low, high: jax.random.randint(k, (), low, high, jnp.int32)
  )(
    below[np.array([0, 0, 2, 4, 5]), np.array([0, 1, 0, 1, 1])],
    jnp.array([0, 1, 0, 0, 0]),
    jnp.array([len(SHAPES)] * 2 + [len(TEXTURES)] * 3),
  )
  seeds = jax.vmap(lambda k: jax.random.bits(k, (), jnp.uint32))(
    below[np.array([2, 4, 5]), np.array([3, 5, 5])]
  )
  return _Numbers(
    labels=whole[:2],
    light=jax.random.uniform(keys[3], (2,), jnp.float32),
    layout=u[1],
    backdrop=(u[2], whole[2], seeds[0]),
    objects=(u[4:], whole[3:], seeds[1:]),
  )


def _within(u: Array, low: float, high: float) -> Array:
  """Numbers in [0, 1) as numbers in [low, high)."""
  return u * (np.float32(high) - np.float32(low)) + np.float32(low)


def _place(u: Array, two: Array) -> tuple[Array, Array]:
  """Centres ``[2, 2]`` and radii ``[2]``: inside the image, not overlapping."""
  radii = jnp.where(two, 0.15 + 0.08 * u[0, :2], 0.17 + 0.25 * u[0, :2])
  anywhere = u[1, :4].reshape(2, 2)
  alone = radii[:, None] + anywhere * (1 - 2 * radii[:, None])
  # Two objects: on opposite sides of the centre, along a random direction.
  angle = u[2, 0] * 2 * jnp.pi
  way = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
  reach = (0.5 - radii[:, None]) / jnp.maximum(jnp.abs(way).max(), 1e-3)
  least = (radii.sum() + 0.01) / 2
  reach = least + anywhere[:, :1] * (reach - least)
  apart = 0.5 + _SIDES * reach * way[None]
  return jnp.where(two, apart, alone), radii


def _far_colour(u: Array, colour: Array) -> Array:
  """Returns the farthest of four random colours from ``colour``."""
  some = _within(u.reshape(4, 3), 0.05, 1.0)
  return some[jnp.square(some - colour[None]).sum(-1).argmax()]


def _sample(
  drawn: tuple[Array, Array, Array],
  label: Array,
  centre: Array,
  radius: Array,
  back_colour: Array,
  correlation: float | Array,
) -> _Object:
  u, free, seed = drawn
  first = _far_colour(u[2], back_colour)
  second = _far_colour(u[3], (first + back_colour) / 2)
  return _Object(
    label=label,
    texture=jnp.where(u[0, 0] < correlation, label, free),
    centre=centre,
    radius=radius,
    angle=u[4, 0] * 2 * jnp.pi,
    seed=seed,
    period=_within(u[6, 0], 0.09, 0.15),
    colours=jnp.stack([first, second]),
  )


def _backdrop(
  drawn: tuple[Array, Array, Array], size: int
) -> tuple[Array, Array]:
  """A textured background of low contrast, and its mean colour."""
  u, texture, seed = drawn
  period = _within(u[1, 0], 0.1, 0.25)
  y, x = _pixels(size)
  p = _turn(x - 0.5, y - 0.5, u[2, 0] * 2 * jnp.pi) / period
  value = grey(texture, p, seed)[..., None]
  colour = _within(u[4, :3], 0.15, 0.85)
  swing = _within(u[5, :3], -0.22, 0.22)
  ahead = (None, None)
  return colour[ahead] + (value - 0.5) * swing[ahead], colour


def _leave(image: Array, thing: _Object, light: Array) -> tuple[Array, Array]:
  """Returns the unchanged image and an empty mask, for an absent object."""
  return image, jnp.zeros_like(image[..., 0])


def _draw(image: Array, thing: _Object, light: Array) -> tuple[Array, Array]:
  """Draws an object and its shadow; returns the image and the mask."""
  size = image.shape[0]
  y, x = _pixels(size)
  dx, dy = x - thing.centre[0], y - thing.centre[1]

  drop = 0.12 * thing.radius * light
  p = [
    _turn(dx, dy, thing.angle),
    _turn(dx + drop[0], dy + drop[1], thing.angle),
  ]
  # Of the object and of its shadow, in one call: each compiles all shapes.
  away = signed_distance(thing.label, jnp.stack(p) / thing.radius)
  inside, behind = away * thing.radius
  mask = jnp.clip(0.5 - inside * size, 0, 1)
  shadow = jnp.clip(0.5 - behind * 25, 0, 1)
  image = image * (1 - 0.45 * shadow)[..., None]
  p = _turn(dx, dy, thing.angle * 1.7) / thing.period
  value = grey(thing.texture, p, thing.seed)[..., None]
  first, second = thing.colours[:, None, None]
  # A rounded edge: bright on the side of the light, dark on the other.
  side = (dx * light[0] + dy * light[1]) / thing.radius
  edge = jnp.exp(jnp.minimum(inside, 0) * 40)
  shade = 1 + 0.25 * side * (0.4 + edge)
  colour = (first + (second - first) * value) * shade[..., None]
  return image + (colour - image) * mask[..., None], mask
