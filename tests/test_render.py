import io

import numpy as np
import pytest
from PIL import Image

from vizlab import render


def test_percentile_scale():
  np.testing.assert_allclose(
    render.percentile_scale(np.array([-4.0, 0, 2]), 100), [-1, 0, 0.5]
  )
  assert not render.percentile_scale(np.zeros((3, 3))).any()
  lone = np.zeros(10_000)
  lone[3] = 7
  assert render.percentile_scale(lone)[3] == 1, 'a lone peak is not lost'


@pytest.mark.parametrize('show', [render.heat, render.signed])
def test_a_constant_zero_map_has_the_colour_of_zero(show):
  picture = show(np.zeros((4, 5)))
  assert picture.dtype == np.uint8 and picture.shape == (4, 5, 3)
  assert (picture == picture[0, 0]).all()
  assert (render.heat(np.zeros((2, 2))) < 5).all()
  assert (render.signed(np.zeros((2, 2))) == 250).all()


def test_colours_follow_the_sign():
  picture = render.signed(np.array([[-1.0, 0, 1]]))[0].astype(int)
  assert picture[0, 2] > picture[0, 0] and picture[2, 0] > picture[2, 2]
  rise = render.heat(np.linspace(0, 1, 64)[None]).sum(-1).astype(int)[0]
  assert (np.diff(rise) >= 0).all(), 'brighter means more'


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_non_finite_maps_are_refused(bad):
  for show in (render.heat, render.signed, render.to_uint8, render.rgb):
    with pytest.raises(ValueError, match='non-finite'):
      show(np.full((2, 2, 3), bad))


def test_overlay_shows_the_image_where_the_map_is_zero():
  image = np.tile(np.linspace(0, 1, 8)[None, :, None], (8, 1, 3))
  values = np.zeros((8, 8))
  values[0, 0] = 1
  picture = render.overlay(values, image)
  assert (picture[4, :, 0] == picture[4, :, 2]).all()
  assert picture[4, 7, 0] > picture[4, 0, 0]
  assert picture[0, 0, 0] > picture[0, 0, 2]


def test_grid_and_table():
  red = np.zeros((10, 20, 3), np.uint8) + np.uint8([200, 0, 0])
  sheet = render.grid([[red, red], [red]], gap=2)
  assert sheet.shape == (2 * 10 + 3 * 2, 2 * 20 + 3 * 2, 3)
  assert (sheet[2, 2] == red[0, 0]).all() and (sheet[0] == 255).all()
  labelled = render.table([[red]], ['a column'], ['two\nlines'], side=64)
  assert labelled.shape[1] == 2 * 64 + 3 * 4
  assert (labelled[:, :64] < 128).any(), 'text is there'


def test_a_wide_table_is_wrapped():
  colours = [np.full((8, 8, 3), 40 * i, np.uint8) for i in range(6)]
  rows, titles = [colours, colours[::-1]], [''] * 6
  flat = render.table(rows, titles, ['', ''], side=8)
  np.testing.assert_array_equal(
    render.table(rows, titles, ['', ''], side=8, width=6 * 12), flat
  )
  sheet = render.table(rows, titles, ['', ''], side=8, width=5 * 12 - 1)
  blocks = [[0, 1, 2, 3], [0, 4, 5]]
  parts = [
    render.table(
      [[r[j] for j in some] for r in rows], [''] * len(some), ['', ''], 8
    )
    for some in blocks
  ]
  assert sheet.shape[0] == 2 * flat.shape[0]
  np.testing.assert_array_equal(sheet[: len(flat)], parts[0])
  below = sheet[len(flat) :, : parts[1].shape[1]]
  np.testing.assert_array_equal(below, parts[1])
  labelled = render.table(rows, titles, ['a', 'b'], side=8, width=1)
  assert labelled.shape[1] == 3 * 12 + 4, 'the texts, the first and another'


def test_filters_are_scaled_each_to_itself():
  kernel = np.random.default_rng(0).normal(size=(5, 5, 3, 10))
  sheet = render.filters(kernel * np.logspace(-3, 0, 10), columns=5, side=10)
  assert sheet.shape == (2 * 10 + 3 * 4, 5 * 10 + 6 * 4, 3)
  assert sheet[4:14, 4:14].std() > 30


def test_resize_keeps_small_pixels_visible():
  dots = np.zeros((2, 2, 3), np.uint8)
  dots[0, 0] = 255
  assert set(np.unique(render.resize(dots, 8))) == {0, 255}


@pytest.mark.parametrize(
  ('rows', 'columns'),
  [((1, 4), (2, 5)), ((-3, 2), (4, 9)), ((-2, 8), (-1, 7)), ((9, 12), (0, 2))],
)
def test_crop_is_grey_outside(rows, columns):
  picture = np.random.default_rng(0).integers(0, 255, (6, 7, 3), np.uint8)
  got = render.crop(picture, rows, columns)
  for i, y in enumerate(range(*rows)):
    for j, x in enumerate(range(*columns)):
      inside = 0 <= y < 6 and 0 <= x < 7
      expected = picture[y, x] if inside else (128, 128, 128)
      np.testing.assert_array_equal(got[i, j], expected)
  assert got.shape == (rows[1] - rows[0], columns[1] - columns[0], 3)


def test_a_notebook_shows_pictures():
  image = np.random.default_rng(0).random((6, 7, 3)).astype(np.float32)
  whole = render.to_uint8(image)
  shown = [
    whole,
    render.heat(image[..., 0]),
    render.overlay(image[..., 0], image),
  ]
  shown += [render.crop(whole, (1, 4), (0, 3)), render.resize(whole, 14)]
  shown += [render.grid([[whole]]), render.table([[whole]], ['a'], ['b'], 40)]
  for picture in shown:
    decoded = Image.open(io.BytesIO(picture._repr_png_()))
    np.testing.assert_array_equal(np.asarray(decoded), picture)
  assert whole[..., 0]._repr_png_()[:4] == b'\x89PNG'
  # Not a picture any more: it is shown as an array.
  assert (whole / 2)._repr_png_() is None and whole[0, 0]._repr_png_() is None


def test_images_are_taken_for_pictures():
  image = np.random.default_rng(0).random((6, 7, 3)).astype(np.float32)
  picture = render.to_uint8(image)
  for show in (
    lambda x: render.grid([[x, x]]),
    lambda x: render.resize(x, 12),
    lambda x: render.crop(x, (-1, 4), (2, 5)),
    lambda x: render.table([[x]], ['a'], [''], 20),
  ):
    np.testing.assert_array_equal(show(image), show(picture))
    with pytest.raises(ValueError, match='expected float32'):
      show((255 * image).astype(np.int32))
    with pytest.raises(ValueError, match='non-finite'):
      show(np.full((6, 7, 3), np.nan))


@pytest.mark.parametrize(
  ('title', 'lines'),
  [
    ('saliency', 1),
    ('smoothgrad squared 0.83', 2),
    ('integrated_gradients_of_noise', 2),
  ],
)
def test_titles_are_not_cut_off(title, lines):
  picture = np.full((8, 8, 3), 255, np.uint8)
  gap = render._GAP
  head = np.asarray(render.table([[picture]], [title], [''], 96))
  head = head[gap : gap + 22, gap : gap + 96]
  dark = head.min(-1) < 128
  assert dark.any() and not dark[:, [0, -1]].any()
  inked = np.flatnonzero(dark.any(1))
  assert (inked[-1] - inked[0] > 14) == (lines == 2)
