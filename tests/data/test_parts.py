import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.data import (
  PARTS,
  SHAPE_NAMES,
  Scene,
  part_masks,
  part_positions,
  scenes,
)
from vizlab.data.shapes import SHAPES

HOLLOW = ('ring', 'frame')  # with parts in their hole


@pytest.fixture(scope='module')
def drawn():
  return scenes(jax.random.key(3), 16, objects=2, size=64)


def placed(label, pose, size=32):
  """A scene of one object, of which only its pose and its label are known."""
  empty = jnp.full(4, jnp.nan)
  return Scene(
    image=jnp.zeros((size, size, 3)),
    labels=jnp.array([label, -1]),
    textures=jnp.array([0, -1]),
    masks=jnp.stack([jnp.ones((size, size)), jnp.zeros((size, size))]),
    poses=jnp.stack([jnp.array(pose), empty]),
  )


@pytest.mark.parametrize('shape', SHAPE_NAMES)
def test_parts_lie_on_their_shape(shape):
  for name, places in PARTS[shape].items():
    away = SHAPES[shape](jnp.asarray(places))
    inside = -1 if (shape, name) in [('ring', 'centre')] else 1
    assert (inside * away < 0).all(), (name, away)
    # Equal places: the shape looks the same from each of them.
    np.testing.assert_allclose(away, away[0], atol=0.02)


def test_places_in_the_image_are_those_of_the_shape():
  drop = SHAPE_NAMES.index('drop')
  tip, belly = PARTS['drop']['tip'][0], PARTS['drop']['belly'][0]
  upright = part_positions(placed(drop, [0.5, 0.25, 0.2, 0.0]))
  np.testing.assert_allclose(upright[0, 0, 0], [0.25 + 0.2 * tip[1], 0.5])
  np.testing.assert_allclose(
    upright[0, 1, 0], [0.25 + 0.2 * belly[1], 0.5], atol=1e-6
  )
  assert jnp.isnan(upright[0, 0, 1:]).all()  # one place
  assert jnp.isnan(upright[0, 2]).all()  # two parts
  assert jnp.isnan(upright[1]).all()  # one object
  # A quarter of a turn clockwise: the tip, which was above, is on the right.
  turned = part_positions(placed(drop, [0.5, 0.25, 0.2, np.pi / 2]))
  np.testing.assert_allclose(
    turned[0, 0, 0], [0.25, 0.5 - 0.2 * tip[1]], atol=1e-6
  )


def test_places_are_covered_by_the_mask(drawn):
  places, size = np.asarray(part_positions(drawn)), 64
  count = 0
  for n, i in np.ndindex(16, 2):
    shape = SHAPE_NAMES[drawn.labels[n, i]]
    if shape in HOLLOW:
      continue
    for part in places[n, i]:
      for row, column in part[~np.isnan(part).any(-1)]:
        pixel = np.floor([row * size, column * size]).astype(int)
        near = drawn.masks[n, i][
          pixel[0] - 1 : pixel[0] + 2, pixel[1] - 1 : pixel[1] + 2
        ]
        assert near.max() > 0.5, (shape, row, column)
        count += 1
  assert count > 100


def test_poses_are_those_of_the_objects(drawn):
  one = scenes(jax.random.key(4), 16, size=64)
  assert jnp.isnan(one.poses[:, 1]).all()
  assert jnp.isfinite(one.poses[:, 0]).all()
  assert jnp.isfinite(drawn.poses).all()
  y, x = np.mgrid[:64, :64] / 64 + 0.5 / 64
  for n, i in np.ndindex(16, 2):
    mask = np.asarray(drawn.masks[n, i])
    column, row, radius, _ = drawn.poses[n, i]
    reach = np.hypot(x - column, y - row)[mask > 0.5]
    assert reach.max() < radius + 1 / 64 and reach.max() > 0.75 * radius


def test_masks_of_parts_share_the_mask_by_distance(drawn):
  masks = jax.jit(part_masks)(drawn)
  assert masks.shape == (16, 2, 3, 64, 64)
  np.testing.assert_array_equal(masks.sum(2), drawn.masks)
  assert ((masks > 0).sum(2) <= 1).all()
  places = np.asarray(part_positions(drawn))
  y, x = np.mgrid[:64, :64] / 64 + 0.5 / 64
  for n in range(3):
    away = np.sqrt(
      np.square(places[n, 0, ..., 0, None, None] - y)
      + np.square(places[n, 0, ..., 1, None, None] - x)
    )
    nearest = np.nanargmin(np.where(np.isnan(away), 9, away).min(1), 0)
    for k in range(3):
      wanted = np.where(nearest == k, drawn.masks[n, 0], 0)
      np.testing.assert_array_equal(masks[n, 0, k], wanted)


def test_any_batch(drawn):
  one = jax.tree.map(lambda v: v[2], drawn)
  np.testing.assert_array_equal(part_positions(one), part_positions(drawn)[2])
  np.testing.assert_array_equal(part_masks(one), part_masks(drawn)[2])
  nested = jax.tree.map(lambda v: v.reshape(2, 8, *v.shape[1:]), drawn)
  np.testing.assert_array_equal(part_masks(nested)[0, 2], part_masks(drawn)[2])
