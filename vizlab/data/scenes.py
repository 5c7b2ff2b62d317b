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
  """

  image: Array
  labels: Array
  textures: Array
  masks: Array


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
  keys = jax.random.split(key, 6)
  label_key, layout_key, back_key, light_key, *keys = keys
  two = jnp.asarray(objects) == 2
  backdrop, back_colour = _backdrop(back_key, size)
  centres, radii = _place(layout_key, two)
  labels = _two_labels(label_key)
  light = _uniform(light_key, (2,), minval=-1.0, maxval=1.0)
  light = light / jnp.maximum(jnp.linalg.norm(light), 1e-3)
  image, masks, textures = backdrop, [], []
  for i, present in enumerate((True, two)):
    thing = _sample(
      keys[i], labels[i], centres[i], radii[i], back_colour, correlation
    )
    image, mask = jax.lax.cond(present, _draw, _leave, image, thing, light)
    masks.append(mask)
    textures.append(jnp.where(present, thing.texture, -1))
  labels = jnp.where(jnp.array([True, False]) | two[None], labels, -1)
  y, x = _pixels(size)
  shade = 0.92 + 0.16 * ((x - 0.5) * light[0] + (y - 0.5) * light[1])
  image = jnp.clip(image * shade[..., None], 0, 1)
  return Scene(image, labels, jnp.stack(textures), jnp.stack(masks))


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


# Explicit dtypes, so that the draws are the same with x64.
_uniform = functools.partial(jax.random.uniform, dtype=jnp.float32)
_randint = functools.partial(jax.random.randint, dtype=jnp.int32)
_bits = functools.partial(jax.random.bits, dtype=jnp.uint32)
_SIDES = np.array([[1], [-1]], np.float32)  # sides of the centre


def _pixels(size: int) -> tuple[Array, Array]:
  """Row and column of every pixel's centre ``[H, W]``, in [0, 1]."""
  place = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
  return jnp.meshgrid(place, place, indexing='ij')


def _turn(x: Array, y: Array, angle: Array) -> Array:
  c, s = jnp.cos(angle), jnp.sin(angle)
  return jnp.stack([c * x + s * y, c * y - s * x], -1)


def _two_labels(key: Array) -> Array:
  """Two different shapes, each uniform."""
  first_key, step_key = jax.random.split(key)
  first = _randint(first_key, (), 0, len(SHAPES))
  step = _randint(step_key, (), 1, len(SHAPES))
  return jnp.stack([first, (first + step) % len(SHAPES)]).astype(jnp.int32)


def _place(key: Array, two: Array) -> tuple[Array, Array]:
  """Centres ``[2, 2]`` and radii ``[2]``: inside the image, not overlapping."""
  r_key, c_key, a_key = jax.random.split(key, 3)
  u = _uniform(r_key, (2,))
  radii = jnp.where(two, 0.15 + 0.08 * u, 0.17 + 0.25 * u)
  anywhere = _uniform(c_key, (2, 2))
  alone = radii[:, None] + anywhere * (1 - 2 * radii[:, None])
  # Two objects: on opposite sides of the centre, along a random direction.
  angle = _uniform(a_key) * 2 * jnp.pi
  way = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
  reach = (0.5 - radii[:, None]) / jnp.maximum(jnp.abs(way).max(), 1e-3)
  least = (radii.sum() + 0.01) / 2
  reach = least + anywhere[:, :1] * (reach - least)
  apart = 0.5 + _SIDES * reach * way[None]
  return jnp.where(two, apart, alone), radii


def _far_colour(key: Array, colour: Array, tries: int = 4) -> Array:
  """Returns the farthest of a few random colours from ``colour``."""
  some = _uniform(key, (tries, 3), minval=0.05)
  return some[jnp.square(some - colour[None]).sum(-1).argmax()]


def _sample(
  key: Array,
  label: Array,
  centre: Array,
  radius: Array,
  back_colour: Array,
  correlation: float | Array,
) -> _Object:
  keys = jax.random.split(key, 7)
  own = _uniform(keys[0]) < correlation
  free = _randint(keys[1], (), 0, len(TEXTURES))
  first = _far_colour(keys[2], back_colour)
  second = _far_colour(keys[3], (first + back_colour) / 2)
  return _Object(
    label=label,
    texture=jnp.where(own, label, free).astype(jnp.int32),
    centre=centre,
    radius=radius,
    angle=_uniform(keys[4]) * 2 * jnp.pi,
    seed=_bits(keys[5]),
    period=_uniform(keys[6], minval=0.09, maxval=0.15),
    colours=jnp.stack([first, second]),
  )


def _backdrop(key: Array, size: int) -> tuple[Array, Array]:
  """A textured background of low contrast, and its mean colour."""
  keys = jax.random.split(key, 6)
  texture = _randint(keys[0], (), 0, len(TEXTURES))
  period = _uniform(keys[1], minval=0.1, maxval=0.25)
  y, x = _pixels(size)
  angle = _uniform(keys[2]) * 2 * jnp.pi
  p = _turn(x - 0.5, y - 0.5, angle) / period
  value = grey(texture, p, _bits(keys[3]))[..., None]
  colour = _uniform(keys[4], (3,), minval=0.15, maxval=0.85)
  swing = _uniform(keys[5], (3,), minval=-0.22, maxval=0.22)
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

  def distance(dx: Array, dy: Array) -> Array:
    p = _turn(dx, dy, thing.angle) / thing.radius
    return signed_distance(thing.label, p) * thing.radius

  inside = distance(dx, dy)
  mask = jnp.clip(0.5 - inside * size, 0, 1)
  drop = 0.12 * thing.radius * light
  shadow = jnp.clip(0.5 - distance(dx + drop[0], dy + drop[1]) * 25, 0, 1)
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
