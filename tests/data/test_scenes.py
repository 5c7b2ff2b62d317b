import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import defaults

from vizlab import data
from vizlab.data import SHAPE_NAMES, TEXTURE_NAMES, scene, scenes
from vizlab.data.shapes import signed_distance
from vizlab.data.textures import grey

KEY = jax.random.key(7)


# See `signature`: of the first three of KEY's scenes, and the mean of all.
FIRST_TWO = [
  [0.5312, 0.1909, 2.1354, 1.2743, 1.6248, 0.0513, 0.1858, 0.2273],
  [0.4111, 0.1879, 1.6148, 1.9328, 1.0482, 0.0669, 0.471, 0.0819],
  [0.4951, 0.2466, 1.9896, 2.4027, 0.6032, 0.0431, 0.1301, 0.0918],
]
MEAN_TWO = 0.47792, 0.1708, 1.87544, 1.89313, 1.16778, 0.05512, 0.18941, 0.24134
FIRST_ONE = [
  [0.522, 0.1882, 1.0266, 0.6782, 0.8404, 0.0981, 0.4462, 0.0],
  [0.4184, 0.1949, 0.7944, 0.9745, 0.6765, 0.1117, 0.3377, 0.0],
  [0.5015, 0.2461, 0.9991, 1.2038, 0.2284, 0.0406, 0.0707, 0.0],
]
MEAN_ONE = 0.49011, 0.16749, 0.94183, 0.90114, 0.62141, 0.06193, 0.23291, 0.0


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
  mixed = scenes(KEY, 32, objects=jnp.array([1, 2] * 16), size=32)
  np.testing.assert_array_equal(mixed.labels[:, 1] >= 0, [0, 1] * 16)


def test_a_scene_is_a_function_of_its_key(two):
  again = scenes(KEY, 64, objects=2, size=64)
  np.testing.assert_array_equal(two.image, again.image)
  other = scenes(jax.random.key(8), 64, objects=2, size=64)
  assert not jnp.array_equal(two.image, other.image)
  single = scene(jax.random.fold_in(KEY, 5), objects=2, size=64)
  np.testing.assert_allclose(single.image, two.image[5], atol=1e-5)


def test_numbers_near_to_each_other_share_a_program():
  drawing = importlib.import_module('vizlab.data.scenes')._draw_all
  scenes(KEY, 16, size=24)
  compiled = drawing._cache_size()
  few = scenes(KEY, 3, size=24)
  assert drawing._cache_size() == compiled
  more = scenes(KEY, 17, size=24)
  assert drawing._cache_size() == compiled + 1
  scenes(KEY, 64, size=24)
  assert drawing._cache_size() == compiled + 1
  for a, b in zip(few, more, strict=True):
    assert len(a) == 3
    np.testing.assert_array_equal(a, b[:3])


def test_scenes_are_the_same_with_x64(two):
  with jax.enable_x64(True):
    again = scenes(jax.random.key(7), 64, objects=2, size=64)
  assert [a.dtype for a in again] == [a.dtype for a in two]
  np.testing.assert_array_equal(again.labels, two.labels)
  np.testing.assert_allclose(again.image, two.image, atol=1e-5)


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
  many = scenes(KEY, 2048, size=8, correlation=correlation)
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


def test_masks_are_the_shares_that_finer_scenes_have(two):
  """Another size is the same scene: against 8 x 8 samples a pixel."""
  large = scenes(KEY, 4, objects=2, size=512)
  np.testing.assert_array_equal(large.labels, two.labels[:4])
  inside = np.asarray(large.masks) > 0.5
  fine = inside.reshape(4, 2, 64, 8, 64, 8).mean((3, 5))
  masks = np.asarray(two.masks[:4])
  np.testing.assert_allclose(masks.sum((2, 3)), fine.sum((2, 3)), rtol=0.02)
  edge = (0 < fine) & (fine < 1)
  apart = np.abs(masks - fine).sum((2, 3)) / edge.sum((2, 3))
  assert apart.max() < 0.08, 'twice as soft an edge is off by 0.12'
  shrunk = np.asarray(large.image).reshape(4, 64, 8, 64, 8, 3).mean((2, 4))
  assert np.abs(shrunk - np.asarray(two.image[:4])).mean() < 0.02


def signature(found):
  """Some moments of each scene's image and masks."""
  image, masks = (np.asarray(v, np.float64) for v in (found.image, found.masks))
  rows, columns = np.mgrid[: image.shape[1], : image.shape[2]] / 8
  return np.stack(
    [
      image.mean((1, 2, 3)),
      image.std((1, 2, 3)),
      (image.mean(3) * rows).mean((1, 2)),
      (image[..., 0] * columns).mean((1, 2)),
      (image[..., 2] * columns).std((1, 2)),
      masks.mean((1, 2, 3)),
      (masks[:, 0] * rows).mean((1, 2)),
      (masks[:, 1] * columns).mean((1, 2)),
    ],
    1,
  )


def test_a_key_gives_the_scene_that_it_has_always_given(two):
  """Data sets are seeds: nets that are kept were trained on these."""
  one = scenes(KEY, 32, size=32)
  for found, first, mean in (
    (signature(two), FIRST_TWO, MEAN_TWO),
    (signature(one), FIRST_ONE, MEAN_ONE),
  ):
    np.testing.assert_allclose(found[:3], first, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.mean(0), mean, rtol=2e-4, atol=1e-4)


def drop_area():
  """A triangle on either side, and what of the disc is behind them."""
  r, far = 0.58, 1.42
  return r * (far**2 - r**2) ** 0.5 + r**2 * (np.pi - np.arccos(r / far))


def crescent_area():
  """The unit disc without its lens with a disc of 0.8 at 0.5."""
  d, r = 0.5, 0.8
  one = np.arccos((d**2 + 1 - r**2) / (2 * d))
  other = np.arccos((d**2 + r**2 - 1) / (2 * d * r))
  kite = d * np.sin(one)
  return np.pi - (one + r**2 * other - kite)


# Area, centre, and the mean depth below the edge.
SHAPES = {
  'disc': (np.pi, 0, 0, 0.3333),
  'ring': (np.pi * (0.98**2 - 0.5**2), 0, 0, 0.12),
  'crescent': (crescent_area(), -0.386, 0, 0.1348),
  'semicircle': (np.pi * 0.81 / 2, 0, 0.4 - 1.2 / np.pi, 0.1727),
  'drop': (drop_area(), 0, 0.2115, 0.1817),
  'heart': (1 + np.pi / 4, 0, -0.0516, 0.1978),
  'triangle': (3 * 3**0.5 / 4, 0, 0, 0.1667),
  'square': (2.0, 0, 0, 0.2357),
  'frame': (1.38**2 - (4 - np.pi) * 0.17**2 - 0.49, 0, 0, 0.0855),
  'bar': (1.9 * 0.56, 0, 0, 0.1262),
  'cross': (2 * 1.88 * 0.6 - 0.36, 0, 0, 0.1405),
  'ell': (0.54 * 1.56 + 0.7 * 0.54, -0.158, 0.158, 0.1242),
  'tee': (1.44 * 0.48 + 0.52 * 1.24, 0, -0.0818, 0.1179),
  'star': (5 * 0.42 * np.sin(np.pi / 5), 0, 0, 0.1167),
  'flower': (np.pi * (0.72**2 + 0.27**2 / 2), 0, 0, 0.1308),
  'hourglass': (2 * 0.77 * (0.72 * 0.77 + 0.14), 0, 0, 0.1077),
}


@pytest.mark.parametrize('name', SHAPES)
def test_shapes_have_their_areas_and_centres(name):
  step = 2.4 / 512
  line = (np.arange(512) + 0.5) * step - 1.2
  p = np.stack(np.meshgrid(line, line), -1).astype(np.float32)
  d = np.asarray(signed_distance(jnp.array(SHAPE_NAMES.index(name)), p))
  cover = np.clip(0.5 - d / step, 0, 1)
  area, *centre, depth = SHAPES[name]
  total = cover.sum()
  np.testing.assert_allclose(total * step**2, area, rtol=2e-3)
  got = (cover[..., None] * p).sum((0, 1)) / total
  np.testing.assert_allclose(got, centre, atol=1e-3)
  np.testing.assert_allclose(-(cover * d).sum() / total, depth, atol=1e-3)


# Mean, standard deviation, and mean product with a random sign.
TEXTURES = {
  'stripes': (0.494, 0.4688, 0.00982),
  'checks': (0.5104, 0.3698, 0.00731),
  'dots': (0.3004, 0.4229, -0.00707),
  'waves': (0.4823, 0.4651, 0.00182),
  'zigzag': (0.5087, 0.463, 0.00805),
  'grid': (0.5763, 0.4383, 0.01313),
  'bricks': (0.5403, 0.3534, -0.00297),
  'weave': (0.4828, 0.3607, 0.00974),
  'scales': (0.6804, 0.3894, 0.00585),
  'rings': (0.5012, 0.4665, 0.0068),
  'cells': (0.6944, 0.4218, 0.0144),
  'clouds': (0.4394, 0.2159, 0.00362),
  'grain': (0.4899, 0.2143, 0.00356),
  'marble': (0.5021, 0.3524, 0.00563),
  'wood': (0.3619, 0.2476, -0.00152),
  'plaid': (0.573, 0.3079, -0.00394),
}


@pytest.mark.parametrize('name', TEXTURES)
def test_textures_are_those_that_they_have_always_been(name):
  rng = np.random.default_rng(0)
  p = rng.uniform(-6, 6, (2000, 2)).astype(np.float32)
  sign = rng.uniform(-1, 1, 2000)
  found = grey(jnp.array(TEXTURE_NAMES.index(name)), p, jnp.uint32(3))
  found = np.asarray(found, np.float64)
  got = found.mean(), found.std(), (found * sign).mean()
  np.testing.assert_allclose(got, TEXTURES[name], atol=2e-4)


def test_textures_by_hand():
  """On their lines, between them, and halfway up an edge."""

  def at(name, *places):
    label = jnp.array(TEXTURE_NAMES.index(name))
    return grey(label, jnp.array(places, jnp.float32), jnp.uint32(3)).tolist()

  places = (0.0, 0.3), (0.5, 0.3), (0.25, 0.9)
  np.testing.assert_allclose(at('stripes', *places), [0, 1, 0.5], atol=1e-5)
  places = (0.0, 0.0), (0.75, 0.0), (0.75, 0.75), (0.375, 0.1)
  np.testing.assert_allclose(at('checks', *places), [1, 0, 1, 0.5], atol=1e-5)
  places = (1.0, 2.0), (0.5, 0.5), (0.0, 0.3)
  np.testing.assert_allclose(at('dots', *places), [1, 0, 0.5], atol=1e-5)
  places = (0.5, 0.5), (0.5, 0.0), (0.12, 0.5)
  np.testing.assert_allclose(at('grid', *places), [1, 0, 0.5], atol=1e-5)
  places = (0.0, 0.0), (0.0, 0.5), (0.15, 0.2)
  np.testing.assert_allclose(at('rings', *places), [0, 1, 0.5], atol=1e-5)


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


def test_defaults_are_those_of_one_object_of_any_texture():
  found = defaults(data)
  scene_defaults = {'objects': 1, 'size': 96, 'correlation': 0.0}
  assert found['scene'] == scene_defaults
  assert found['scenes'] == {**scene_defaults, 'first': 0}
  assert found['folder'] == {'start': 0, 'step': 1, 'workers': 0}


def test_categories_are_ranges_of_imagenets_classes():
  assert len(data.SIXTEEN) == 16
  assert data.SIXTEEN['bear'] == (294, 295, 296, 297)
  assert data.SIXTEEN['bicycle'] == (444, 671)
  assert len(data.SIXTEEN['dog']) == 109
  every = [k for row in data.SIXTEEN.values() for k in row]
  assert len(set(every)) == len(every) and 0 <= min(every) <= max(every) < 1000


def test_a_data_set_is_drawn_in_parts():
  key = jax.random.key(4)
  whole = scenes(key, 5, size=24)
  part = scenes(key, 2, size=24, first=3)
  for a, b in zip(whole, part, strict=True):
    np.testing.assert_allclose(a[3:], b, atol=1e-5)
