"""Procedural chairs: a small renderer of boxes, with exact masks.

A chair is at most 16 boxes, whose nearest face each sample of a pixel shows.
`jax.vmap` draws many: over styles, views or changes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.types import Array, whole

__all__ = [
  'STYLES',
  'Chair',
  'ChairChange',
  'ChairStyle',
  'chair',
  'chair_style',
]

# Kinds of legs, backs, arms and seats, and proportions of each combination.
_LEGS, _BACKS, _ARMS, _PROPORTIONS = 3, 4, 2, 10
STYLES = _LEGS * _BACKS * _ARMS * _PROPORTIONS
_SAMPLES = 2  # along each axis of a pixel
_DISTANCE = 3.4  # of the camera from the middle of the chair
_MIDDLE = np.array([0.0, 0.55, 0.0], np.float32)
_FOCAL = 4.0  # distance of the image plane whose sides are 2
_LIGHT = np.array([-0.45, 0.75, 0.5], np.float32)


class ChairStyle(NamedTuple):
  """Shape and colour of a chair, in units of about its height.

  Attributes:
    low: Lower corners of its boxes, ``[16, 3]``; x to the right, y up, z to the
      front.
    high: Upper corners, ``[16, 3]``; those of a missing box are not above the
      lower ones.
    colour: RGB in [0, 1], ``[3]``.
  """

  low: Array
  high: Array
  colour: Array


class ChairChange(NamedTuple):
  """Change of a picture of a chair; none by default.

  The changes of Dosovitskiy et al. 2015, section 3.1.

  Attributes:
    shift: Right and down, as shares of the picture, ``[2]``.
    angle: Rotation in the plane in radians, clockwise.
    zoom: Factor of its size.
    stretch: Further factor of its width.
    saturation: Factor of the distance of the colour from grey.
    brightness: Factor of the colour.
    hue: Rotation of the colour about grey in radians.
  """

  shift: Array | tuple[float, float] = (0.0, 0.0)
  angle: float | Array = 0.0
  zoom: float | Array = 1.0
  stretch: float | Array = 1.0
  saturation: float | Array = 1.0
  brightness: float | Array = 1.0
  hue: float | Array = 0.0


_NONE = ChairChange()


class Chair(NamedTuple):
  """Picture of a chair.

  Attributes:
    image: ``[size, size, 3]`` in [0, 1], on white.
    mask: ``[size, size]``, share of each pixel that the chair covers.
  """

  image: Array
  mask: Array


def chair_style(index: int | Array) -> ChairStyle:
  """One of `STYLES` styles: kinds of legs, back and arms, and proportions.

  Args:
    index: Number from 0 to ``STYLES - 1``; others repeat.

  >>> chair_style(7).low.shape
  (16, 3)
  """
  index = jnp.asarray(index, jnp.int32) % STYLES
  legs, rest = index % _LEGS, index // _LEGS
  back, rest = rest % _BACKS, rest // _BACKS
  arms = rest % _ARMS
  key = jax.random.fold_in(jax.random.key(0), index)
  draw = jax.random.uniform(key, (9,))

  def between(i: int, low: float, high: float) -> Array:
    return low + (high - low) * draw[i]

  w, d = between(0, 0.3, 0.42), between(1, 0.28, 0.4)  # half of its sides
  h, top = between(2, 0.38, 0.52), between(3, 0.85, 1.15)
  t, b = between(4, 0.02, 0.06), between(5, 0.015, 0.035)  # half as thick
  seat = [_box((-w, h - t, -d), (w, h + t, d))]
  boxes = [
    *seat,
    *_chosen(legs, [_posts(w, d, h - t, b), _column(w, d, h - t, b),
                    _sled(w, d, h - t, b)], 6),
    *_chosen(back, [_panel(w, d, h + t, top, b), _bars(w, d, h + t, top, b),
                    _slats(w, d, h + t, top, b), _frame(w, d, h + t, top, b)],
             5),
    *_chosen(arms, [[], _armrests(w, d, h + t, b)], 4),
  ]  # fmt: skip
  low, high = (jnp.stack([box[i] for box in boxes]) for i in (0, 1))
  return ChairStyle(low, high, 0.25 + 0.6 * draw[6:])


def chair(
  style: ChairStyle,
  azimuth: float | Array,
  elevation: float | Array,
  change: ChairChange = _NONE,
  *,
  size: int = 64,
) -> Chair:
  """Draws a chair: boxes in perspective, lit from above, with smooth edges.

  Args:
    style: The style.
    azimuth: Angle in radians from which it is seen; 0 from the front.
    elevation: Angle in radians above the floor.
    change: Change of the picture.
    size: Side of the picture in pixels.

  References:
    Dosovitskiy, Springenberg & Brox 2015, on rendered chairs of Aubry et al.
    2014.
  """
  count = whole(size, 'size') * _SAMPLES
  at = (np.arange(count, dtype=np.float32) + 0.5) * 2 / count - 1
  across, down = jnp.meshgrid(at, at)
  across, down = across - 2 * change.shift[0], down - 2 * change.shift[1]
  c, s = jnp.cos(change.angle), jnp.sin(change.angle)
  across, down = c * across + s * down, c * down - s * across
  across = across / (change.zoom * change.stretch)
  down = down / change.zoom
  shade, covered = _seen(style, azimuth, elevation, across, down)
  colour = _coloured(style.colour, change)
  lit = jnp.clip(colour[None, None] * shade[..., None], 0, 1)
  image = jnp.where(covered[..., None], lit, 1)

  def mean(v: Array) -> Array:
    blocks = v.reshape(size, _SAMPLES, size, _SAMPLES, *v.shape[2:])
    return blocks.mean((1, 3))

  return Chair(mean(image), mean(covered.astype(image.dtype)))


def _seen(
  style: ChairStyle,
  azimuth: float | Array,
  elevation: float | Array,
  across: Array,
  down: Array,
) -> tuple[Array, Array]:
  """Brightness of what each ray meets first, and if it meets anything."""
  sin, cos = jnp.sin(jnp.asarray(azimuth)), jnp.cos(jnp.asarray(azimuth))
  up, flat = jnp.sin(jnp.asarray(elevation)), jnp.cos(jnp.asarray(elevation))
  towards = jnp.stack([sin * flat, up, cos * flat])  # from the chair
  right = jnp.stack([cos, jnp.zeros_like(cos), -sin])
  above = jnp.cross(towards, right)
  origin = jnp.asarray(_MIDDLE) + _DISTANCE * towards
  rays = [
    across * right[i] - down * above[i] - _FOCAL * towards[i] for i in range(3)
  ]
  slopes = [1 / jnp.where(jnp.abs(ray) < 1e-6, 1e-6, ray) for ray in rays]
  # Box by box, so that all is one loop over the pixels without large arrays.
  depth = jnp.full_like(across, jnp.inf)
  axis = jnp.zeros(across.shape, jnp.int32)
  low, high = (side - origin[None] for side in (style.low, style.high))
  for k in range(len(low)):
    enters, leaves = [], []  # each pair of faces
    for i in range(3):
      one, other = low[k, i] * slopes[i], high[k, i] * slopes[i]
      enters.append(jnp.minimum(one, other))
      leaves.append(jnp.maximum(one, other))
    near = jnp.maximum(jnp.maximum(enters[0], enters[1]), enters[2])
    far = jnp.minimum(jnp.minimum(leaves[0], leaves[1]), leaves[2])
    there = (high[k] > low[k]).all()
    first = there & (near < far) & (near > 0) & (near < depth)
    face = jnp.where(near == enters[0], 0, jnp.where(near == enters[1], 1, 2))
    axis = jnp.where(first, face, axis)
    depth = jnp.where(first, near, depth)
  # The light moves with the camera about the chair.
  light = _LIGHT / np.linalg.norm(_LIGHT)
  front = jnp.stack([sin, jnp.zeros_like(sin), cos])
  turned = light[0] * right + light[2] * front
  turned = turned.at[1].add(light[1])
  # The face that a ray enters looks against it.
  facing = [-jnp.sign(ray) * turned[i] for i, ray in enumerate(rays)]
  lit = jnp.where(
    axis == 0, facing[0], jnp.where(axis == 1, facing[1], facing[2])
  )
  return 0.45 + 0.75 * jax.nn.relu(lit), jnp.isfinite(depth)


def _coloured(colour: Array, change: ChairChange) -> Array:
  """The colour with another hue, saturation and brightness."""
  grey = jnp.full(3, colour.mean())
  axis = np.full(3, 3**-0.5, np.float32)
  away = colour - grey
  c, s = jnp.cos(change.hue), jnp.sin(change.hue)
  turned = c * away + s * jnp.cross(jnp.asarray(axis), away)
  return change.brightness * (grey + change.saturation * turned)


_Box = tuple[Array, Array]


def _box(low: tuple, high: tuple) -> _Box:
  return tuple(
    jnp.stack([jnp.float32(v) for v in side]) for side in (low, high)
  )


def _chosen(kind: Array, kinds: list[list[_Box]], count: int) -> list[_Box]:
  """The boxes of one kind of part, as many as the largest kind has."""
  missing = _box((0, 0, 0), (0, 0, 0))
  padded = [[*boxes, *[missing] * (count - len(boxes))] for boxes in kinds]
  stacked = [
    jnp.stack([jnp.stack([box[i] for box in boxes]) for boxes in padded])
    for i in (0, 1)
  ]
  low, high = (v[kind] for v in stacked)
  return [(low[i], high[i]) for i in range(count)]


def _posts(w: Array, d: Array, h: Array, b: Array) -> list[_Box]:
  return [
    _box((x - b, 0, z - b), (x + b, h, z + b))
    for x in (b - w, w - b)
    for z in (b - d, d - b)
  ]


def _column(w: Array, d: Array, h: Array, b: Array) -> list[_Box]:
  return [
    _box((-1.5 * b, 0, -1.5 * b), (1.5 * b, h, 1.5 * b)),
    _box((-0.8 * w, 0, -b), (0.8 * w, 2 * b, b)),
    _box((-b, 0, -0.8 * d), (b, 2 * b, 0.8 * d)),
  ]


def _sled(w: Array, d: Array, h: Array, b: Array) -> list[_Box]:
  return [
    *_posts(w, d, h, b),
    *(_box((x - b, 0, -d), (x + b, 2 * b, d)) for x in (b - w, w - b)),
  ]


def _panel(w: Array, d: Array, h: Array, top: Array, b: Array) -> list[_Box]:
  return [_box((-w, h, -d), (w, top, 2 * b - d))]


def _bars(w: Array, d: Array, h: Array, top: Array, b: Array) -> list[_Box]:
  rail = _box((-w, top - 3 * b, -d), (w, top, 2 * b - d))
  return [
    rail,
    *(
      _box((x * (w - b) - b, h, -d), (x * (w - b) + b, top, 2 * b - d))
      for x in (-1, -0.33, 0.33, 1)
    ),
  ]


def _slats(w: Array, d: Array, h: Array, top: Array, b: Array) -> list[_Box]:
  tall = top - h
  return [
    *_sides(w, d, h, top, b),
    *(
      _box(
        (-w, h + y * tall - 0.12 * tall, -d),
        (w, h + y * tall, 2 * b - d),
      )
      for y in (0.4, 0.7, 1.0)
    ),
  ]


def _frame(w: Array, d: Array, h: Array, top: Array, b: Array) -> list[_Box]:
  return [
    *_sides(w, d, h, top, b),
    _box((-w, top - 2 * b, -d), (w, top, 2 * b - d)),
    _box((-w, h + 2 * b, -d), (w, h + 4 * b, 2 * b - d)),
  ]


def _sides(w: Array, d: Array, h: Array, top: Array, b: Array) -> list[_Box]:
  return [_box((x - b, h, -d), (x + b, top, 2 * b - d)) for x in (b - w, w - b)]


def _armrests(w: Array, d: Array, h: Array, b: Array) -> list[_Box]:
  rest = h + 0.22
  return [
    box
    for x in (b - w, w - b)
    for box in (
      _box((x - 1.5 * b, rest - b, -d), (x + 1.5 * b, rest + b, 0.8 * d)),
      _box((x - b, h, 0.6 * d - b), (x + b, rest, 0.6 * d + b)),
    )
  ]
