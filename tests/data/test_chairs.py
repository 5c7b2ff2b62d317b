import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import data
from vizlab.data import chairs


@pytest.fixture(scope='module')
def draw():
  """A jitted function of a style's number, angles and a change."""
  return jax.jit(
    lambda index, azimuth, elevation, change: data.chair(
      data.chair_style(index), azimuth, elevation, change, size=32
    )
  )


def changed(**fields):
  return data.ChairChange(**fields)


def by_hand(style, azimuth, elevation, size):
  """The same picture by one ray at a time, in double precision."""
  low, high, colour = (np.asarray(v, np.float64) for v in style)
  sin, cos = np.sin(azimuth), np.cos(azimuth)
  towards = np.array(
    [sin * np.cos(elevation), np.sin(elevation), cos * np.cos(elevation)]
  )
  right = np.array([cos, 0, -sin])
  up = np.cross(towards, right)
  eye = np.array([0, 0.55, 0]) + 3.4 * towards
  light = np.array([-0.45, 0.75, 0.5])
  light /= np.linalg.norm(light)
  light = (
    light[0] * right + light[2] * np.array([sin, 0, cos]) + [0, light[1], 0]
  )
  image, mask = np.ones((2 * size, 2 * size, 3)), np.zeros((2 * size, 2 * size))
  at = (np.arange(2 * size) + 0.5) / size - 1
  for i, y in enumerate(at):
    for j, x in enumerate(at):
      ray = x * right - y * up - 4 * towards
      best = np.inf
      for a, b in zip(low, high, strict=True):
        if not (b > a).all():
          continue
        ends = np.sort(np.stack([(a - eye) / ray, (b - eye) / ray]), 0)
        near, far = ends[0].max(), ends[1].min()
        if 0 < near < far and near < best:
          best, axis = near, ends[0].argmax()
      if best < np.inf:
        lit = max(-np.sign(ray[axis]) * light[axis], 0)
        image[i, j] = np.clip(colour * (0.45 + 0.75 * lit), 0, 1)
        mask[i, j] = 1
  blocks = image.reshape(size, 2, size, 2, 3).mean((1, 3))
  return blocks, mask.reshape(size, 2, size, 2).mean((1, 3))


@pytest.mark.parametrize('index', [0, 37, 122, 239])
def test_it_equals_a_slow_caster_of_rays(index):
  style = data.chair_style(index)
  found = data.chair(style, 0.7 + index, 0.4, size=20)
  image, mask = by_hand(style, 0.7 + index, 0.4, 20)
  # A ray along an edge may fall on either side.
  assert (np.abs(found.mask - mask) > 1e-3).mean() < 0.01
  assert (np.abs(found.image - image).max(-1) > 1e-3).mean() < 0.02
  assert 0.1 < mask.mean() < 0.6


def test_every_style_is_another_chair_inside_of_the_picture():
  draw = jax.jit(
    jax.vmap(lambda i, a: data.chair(data.chair_style(i), a, 0.5, size=24))
  )
  assert chairs.STYLES >= 200
  index = jnp.arange(chairs.STYLES)
  for azimuth in (0.4, 2.0):
    mask = np.asarray(draw(index, jnp.full(len(index), azimuth)).mask)
    border = np.concatenate(
      [mask[:, 0], mask[:, -1], mask[..., 0], mask[..., -1]], -1
    )
    assert border.max() == 0
    flat = mask.reshape(len(index), -1)
    apart = np.abs(flat[:, None] - flat[None]).sum(-1)
    np.fill_diagonal(apart, 1)
    assert apart.min() > 0.2
  again = data.chair_style(chairs.STYLES + 5)
  jax.tree.map(np.testing.assert_array_equal, again, data.chair_style(5))


def test_a_turn_around_it_comes_back(draw):
  none = data.ChairChange()
  one, other = (draw(7, a, 0.3, none) for a in (0.6, 0.6 + 2 * np.pi))
  assert (np.abs(one.image - other.image) > 1e-3).mean() < 0.01
  # A chair is its own mirror image, but for its light.
  left, right = (draw(7, a, 0.3, none).mask for a in (0.6, -0.6))
  assert (np.abs(left - right[:, ::-1]) > 1e-3).mean() < 0.01


def test_changes_of_the_shape(draw):
  plain = draw(50, 0.6, 0.4, data.ChairChange())
  shifted = draw(50, 0.6, 0.4, changed(shift=(2 / 32, -3 / 32)))
  wanted = np.roll(plain.mask, (-3, 2), (0, 1))
  np.testing.assert_allclose(shifted.mask, wanted, atol=1e-5)
  turned = draw(50, 0.6, 0.4, changed(angle=np.pi / 2))
  wanted = np.rot90(plain.image, -1)
  assert (np.abs(turned.image - wanted) > 1e-3).mean() < 0.02
  small = draw(50, 0.6, 0.4, changed(zoom=0.5)).mask.sum()
  np.testing.assert_allclose(small, plain.mask.sum() / 4, rtol=0.05)
  narrow = draw(50, 0.6, 0.4, changed(stretch=0.5)).mask
  np.testing.assert_allclose(narrow.sum(), plain.mask.sum() / 2, rtol=0.05)
  rows = [np.flatnonzero(np.asarray(v).any(1)) for v in (narrow, plain.mask)]
  for i in (0, -1):  # thin parts may fall between the samples
    assert abs(rows[0][i] - rows[1][i]) <= 1


def test_changes_of_the_colour(draw):
  plain = draw(50, 0.6, 0.4, data.ChairChange())
  inside = np.asarray(plain.mask) == 1
  dark = np.asarray(draw(50, 0.6, 0.4, changed(brightness=0.5)).image)
  np.testing.assert_allclose(
    dark[inside], 0.5 * np.asarray(plain.image)[inside], atol=1e-5
  )
  grey = np.asarray(draw(50, 0.6, 0.4, changed(saturation=0.0)).image)
  assert np.ptp(grey[inside], -1).max() < 1e-5
  third = np.asarray(draw(50, 0.6, 0.4, changed(hue=2 * np.pi / 3)).image)
  wanted = np.roll(np.asarray(plain.image), 1, -1)
  np.testing.assert_allclose(third[inside], wanted[inside], atol=1e-4)
  for picture in (plain.image, dark, grey, third):
    assert (np.asarray(picture)[np.asarray(plain.mask) == 0] == 1).all()


def test_a_batch_equals_one_by_one(draw):
  index, azimuth = jnp.array([3, 90, 201]), jnp.array([0.1, 2.0, 4.0])
  batch = jax.jit(
    jax.vmap(lambda i, a: data.chair(data.chair_style(i), a, 0.3, size=32))
  )(index, azimuth)
  for k in range(3):
    alone = draw(index[k], azimuth[k], 0.3, data.ChairChange())
    assert (np.abs(batch.image[k] - alone.image) > 1e-3).mean() < 0.01
  with pytest.raises(ValueError, match='size: got 0'):
    data.chair(data.chair_style(0), 0.0, 0.0, size=0)


def parts_of(index):
  """Boxes ``[n, 2, 3]`` of the seat, the legs, the back and the arms."""
  low, high, _ = data.chair_style(index)
  boxes = np.stack([np.asarray(low), np.asarray(high)], 1).astype(float)
  parts = [boxes[a:b] for a, b in ((0, 1), (1, 7), (7, 12), (12, 16))]
  there = [part[(part[:, 1] > part[:, 0]).all(1)] for part in parts]
  assert sum(map(len, there)) == (boxes[:, 1] != boxes[:, 0]).all(1).sum()
  return there


def mirrored(boxes, axis):
  turned = boxes.copy()
  turned[:, 0, axis], turned[:, 1, axis] = (
    -boxes[:, 1, axis],
    -boxes[:, 0, axis],
  )
  return turned


def same_boxes(a, b):
  a, b = (sorted(np.round(v, 5).reshape(-1, 6).tolist()) for v in (a, b))
  np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize('index', range(24))
def test_a_chair_stands_and_can_be_sat_on(index):
  (seat,), legs, back, arms = parts_of(index)
  (left, under, rear), (right, top, front) = seat
  assert left == -right and rear == -front
  for boxes in (legs, back, arms):
    same_boxes(boxes, mirrored(boxes, 0))
    assert (boxes[:, 0, 2] >= rear - 1e-6).all()
    assert (boxes[:, 1, 2] <= front + 1e-6).all()
  same_boxes(legs, mirrored(legs, 2))
  # Legs stand on the floor, and some carry the seat.
  assert (legs[:, 0, 1] == 0).all()
  carrying = np.isclose(legs[:, 1, 1], under)
  assert len(legs) == (4, 3, 6)[index % 3]
  assert carrying.sum() == (4, 1, 4)[index % 3]
  low = legs[~carrying]
  thick = (legs[carrying][0, 1] - legs[carrying][0, 0])[0]
  if index % 3 == 1:
    thick /= 1.5  # a column is thicker than its feet
    long = (low[:, 1] - low[:, 0])[:, [0, 2]].max(1)
    np.testing.assert_allclose(sorted(long), sorted([1.6 * right, 1.6 * front]))
  elif len(low):
    np.testing.assert_allclose(low[:, 1, 2] - low[:, 0, 2], 2 * front)
  np.testing.assert_allclose(low[:, 1, 1], thick, rtol=1e-5)
  # The back rises from the rear of the seat, as thick as the legs.
  assert len(back) == (1, 5, 5, 4)[index // 3 % 4]
  np.testing.assert_allclose(back[:, 0, 2], rear)
  np.testing.assert_allclose(back[:, 1, 2], rear + thick, rtol=1e-5)
  assert (np.abs(back[..., 0]) <= right + 1e-6).all()
  assert np.isclose(back[:, 0, 1], top).any()
  assert 0.85 <= back[:, 1, 1].max() <= 1.15
  assert len(arms) == (0, 4)[index // 12]
  if len(arms):
    posts = np.isclose(arms[:, 0, 1], top)
    assert posts.sum() == 2
    np.testing.assert_allclose(arms[posts][:, 1, 1], top + 0.22, rtol=1e-5)
    rests = arms[~posts]
    np.testing.assert_allclose(rests[:, 0, 2], rear)
    np.testing.assert_allclose(rests[:, 1, 2], 0.8 * front, rtol=1e-5)
    middle = rests[:, :, 1].mean(1)
    np.testing.assert_allclose(middle, top + 0.22, rtol=1e-5)
    deep = arms[posts][:, :, 2].mean(1)
    np.testing.assert_allclose(deep, 0.6 * front, rtol=1e-5)


def test_kinds_of_backs():
  for kind in range(4):
    (seat,), legs, back, _ = parts_of(3 * kind)
    (_, _, rear), (right, top, _) = seat
    thick = (legs[0, 1] - legs[0, 0])[0]
    tall = back[:, 1, 1].max() - top
    wide, high = (back[:, 1, i] - back[:, 0, i] for i in (0, 1))
    upright = np.isclose(high, tall)
    if kind == 0:
      np.testing.assert_allclose([wide[0], high[0]], [2 * right, tall], 1e-5)
    else:
      np.testing.assert_allclose(wide[upright], thick, rtol=1e-5)
      np.testing.assert_allclose(wide[~upright], 2 * right, rtol=1e-5)
      assert upright.sum() == (0, 4, 2, 2)[kind]
    tops = np.sort(back[~upright][:, 1, 1] - top)
    if kind == 1:
      np.testing.assert_allclose(high[~upright], 1.5 * thick, rtol=1e-4)
      middles = np.sort(back[upright].mean(1)[:, 0]) / (right - thick / 2)
      np.testing.assert_allclose(middles, [-1, -0.33, 0.33, 1], rtol=1e-4)
    elif kind == 2:
      np.testing.assert_allclose(high[~upright], 0.12 * tall, rtol=1e-4)
      np.testing.assert_allclose(tops / tall, [0.4, 0.7, 1], rtol=1e-4)
    elif kind == 3:
      np.testing.assert_allclose(high[~upright], thick, rtol=1e-4)
      np.testing.assert_allclose(tops, [2 * thick, tall], rtol=1e-4)
