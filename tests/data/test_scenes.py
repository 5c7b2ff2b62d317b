import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab.data import SHAPE_NAMES, TEXTURE_NAMES, scene, scenes
from vizlab.data.shapes import signed_distance
from vizlab.data.textures import grey

KEY = jax.random.key(7)


@pytest.fixture(scope='module')
def two():
  return scenes(KEY, 64, objects=2, size=64)


def test_shapes_types_and_ranges(two):
  assert two.image.shape == (64, 64, 64, 3) and two.image.dtype == jnp.float32
  assert two.masks.shape == (64, 2, 64, 64)
  assert two.labels.dtype == two.textures.dtype == jnp.int32
  for values in (two.image, two.masks):
    assert 0 <= values.min() and values.max() <= 1
    assert jnp.isfinite(values).all()


def test_objects_do_not_overlap_and_differ(two):
  assert (two.masks[:, 0] + two.masks[:, 1]).max() <= 1
  assert (two.labels[:, 0] != two.labels[:, 1]).all()
  assert (two.masks.sum((2, 3)) > 20).all()


def test_one_object_has_one_label_and_an_empty_second_mask():
  one = scenes(KEY, 32, size=32)
  assert (one.labels[:, 0] >= 0).all() and (one.labels[:, 1] == -1).all()
  assert (one.textures[:, 1] == -1).all() and not one.masks[:, 1].any()
  mixed = scenes(KEY, 4, objects=jnp.array([1, 2, 1, 2]), size=32)
  np.testing.assert_array_equal(mixed.labels[:, 1] >= 0, [0, 1, 0, 1])


def test_a_scene_is_a_function_of_its_key(two):
  again = scenes(KEY, 64, objects=2, size=64)
  np.testing.assert_array_equal(two.image, again.image)
  other = scenes(jax.random.key(8), 64, objects=2, size=64)
  assert not jnp.array_equal(two.image, other.image)
  single = scene(jax.random.fold_in(KEY, 5), objects=2, size=64)
  np.testing.assert_allclose(single.image, two.image[5], atol=1e-5)


def test_vmap_draws_what_the_loop_draws(two):
  side_by_side = scenes(KEY, 4, objects=2, size=64, batch_size=4)
  np.testing.assert_allclose(side_by_side.image, two.image[:4], atol=1e-4)
  np.testing.assert_array_equal(side_by_side.labels, two.labels[:4])


def test_every_shape_and_texture_comes_equally_often():
  many = scenes(KEY, 2048, size=8)
  for values in (many.labels[:, 0], many.textures[:, 0]):
    counts = np.bincount(values, minlength=16)
    assert len(counts) == 16
    assert (np.abs(counts - 128) < 5 * np.sqrt(128)).all()
  assert len(SHAPE_NAMES) == len(TEXTURE_NAMES) == 16


@pytest.mark.parametrize('correlation', [0.0, 0.5, 1.0])
def test_correlation_is_the_share_of_textures_that_tell_the_shape(correlation):
  many = scenes(KEY, 1024, size=8, correlation=correlation)
  same = float((many.labels[:, 0] == many.textures[:, 0]).mean())
  expected = correlation + (1 - correlation) / 16
  assert abs(same - expected) < 0.05


@pytest.mark.parametrize('label', range(16), ids=SHAPE_NAMES)
def test_shapes_fit_the_unit_circle_and_have_unit_slope_at_the_edge(label):
  line = jnp.linspace(-1.3, 1.3, 400)
  p = jnp.stack(jnp.meshgrid(line, line), -1)
  d = signed_distance(jnp.array(label), p)
  inside = d < 0
  radius = jnp.hypot(p[..., 0], p[..., 1])
  assert radius[inside].max() <= 1
  assert 0.1 < float(inside.mean()) * 2.6**2 / np.pi <= 1.0
  dy, dx = np.gradient(np.asarray(d), float(line[1] - line[0]))
  slope = np.hypot(dx, dy)[np.abs(d) < 0.01]
  assert 0.85 < np.median(slope) < 1.15


@pytest.mark.parametrize('texture', range(16), ids=TEXTURE_NAMES)
def test_textures_have_contrast(texture):
  line = jnp.linspace(0, 6, 128)
  p = jnp.stack(jnp.meshgrid(line, line), -1)
  values = grey(jnp.array(texture), p, jnp.uint32(3))
  assert 0 <= values.min() and values.max() <= 1
  assert values.std() > 0.1


def test_another_size_is_the_same_scene():
  small = scene(KEY, objects=2, size=32)
  large = scene(KEY, objects=2, size=128)
  shrunk = large.masks.reshape(2, 32, 4, 32, 4).mean((2, 4))
  assert float(jnp.abs(shrunk - small.masks).mean()) < 0.01


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'objects': 3}, 'objects: got 3, expected 1 or 2'),
    ({'correlation': 7.0}, 'correlation: got 7.0, expected 0 to 1'),
    ({'size': 0}, 'size: got 0'),
  ],
)
def test_wrong_settings_are_named(settings, message):
  with pytest.raises(ValueError, match=message):
    scene(KEY, **settings)
  with pytest.raises(ValueError, match=message):
    scenes(KEY, 2, **settings)
  with pytest.raises(ValueError, match='n: got 0'):
    scenes(KEY, 0)
