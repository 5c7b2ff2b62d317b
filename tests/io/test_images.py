import numpy as np
import pytest
from PIL import Image

from vizlab import io


@pytest.fixture
def photo():
  rows = np.linspace(0, 255, 20, dtype=np.uint8)
  grid = np.stack(np.broadcast_arrays(rows[:, None], rows[None, :14]), -1)
  return np.concatenate([grid, np.full((20, 14, 1), 60, np.uint8)], -1)


def test_rgb(photo, tmp_path):
  path = io.write_png(tmp_path / 'a.png', photo)
  image = io.read_image(path)
  assert image.dtype == np.float32
  np.testing.assert_allclose(image, photo / 255, atol=1e-6)


def save(image, path, **options):
  image.save(path, **options)
  return io.read_image(path)


def test_grey_palette_and_one_bit(photo, tmp_path):
  grey = Image.fromarray(photo[..., 0])
  got = save(grey, tmp_path / 'grey.png')
  np.testing.assert_allclose(got, np.repeat(photo[..., :1], 3, -1) / 255)
  palette = Image.fromarray(photo).quantize(16)
  expected = np.asarray(palette.convert('RGB')) / 255
  np.testing.assert_allclose(save(palette, tmp_path / 'p.png'), expected)
  bits = save(grey.convert('1'), tmp_path / 'bits.png')
  assert set(np.unique(bits)) <= {0.0, 1.0} and bits.shape == (20, 14, 3)


def test_transparency_is_laid_on_white(photo, tmp_path):
  alpha = np.zeros((20, 14, 1), np.uint8)
  alpha[:10] = 255
  got = save(
    Image.fromarray(np.concatenate([photo, alpha], -1)), tmp_path / 'a.png'
  )
  np.testing.assert_allclose(got[:10], photo[:10] / 255)
  assert (got[10:] == 1).all()
  palette = Image.fromarray(photo).quantize(16)
  got = save(palette, tmp_path / 'b.png', transparency=palette.getpixel((0, 0)))
  assert (got[0, 0] == 1).all()


def test_sixteen_bits(tmp_path):
  deep = np.linspace(0, 65535, 12).astype(np.uint16).reshape(3, 4)
  got = save(Image.fromarray(deep), tmp_path / 'deep.png')
  np.testing.assert_allclose(got[..., 0], deep / 65535, atol=1 / 255)


def test_dark_sixteen_bits_stay_dark(tmp_path):
  deep = np.ones((3, 4), np.uint16)
  assert save(Image.fromarray(deep), tmp_path / 'dark.png').max() == 0


def test_exif_rotation(photo, tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6  # turned a quarter clockwise for display
  got = save(Image.fromarray(photo), tmp_path / 'a.png', exif=exif)
  np.testing.assert_allclose(got, np.rot90(photo, -1) / 255)


def test_cmyk(photo, tmp_path):
  image = Image.fromarray(photo).convert('CMYK')
  assert save(image, tmp_path / 'a.jpg').shape == (20, 14, 3)


def test_shorter_side_and_crop(tmp_path, photo):
  path = io.write_png(tmp_path / 'a.png', photo)
  assert io.read_image(path, shorter=28).shape == (40, 28, 3)
  assert io.read_image(path, shorter=7).shape == (10, 7, 3)
  assert io.read_image(path, shorter=28, crop=24).shape == (24, 24, 3)
  cut = io.read_image(path, crop=10)
  np.testing.assert_allclose(cut, photo[5:15, 2:12] / 255)
  with pytest.raises(ValueError, match='14x20 pixels, expected at least 16x16'):
    io.read_image(path, crop=16)


@pytest.mark.parametrize('name', ['shorter', 'crop'])
def test_sides_are_positive(name):
  with pytest.raises(ValueError, match=f'{name}: got 0, expected at least 1'):
    io.read_image('sample:star_and_square', **{name: 0})


def test_one_pixel(tmp_path):
  path = io.write_png(tmp_path / 'a.png', np.full((1, 1, 3), 128, np.uint8))
  np.testing.assert_allclose(io.read_image(path, shorter=8, crop=8), 128 / 255)


def test_damaged_and_missing_files(photo, tmp_path):
  for suffix in ('png', 'jpg'):
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(photo).resize((200, 200)).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(
      ValueError, match=f'image: cannot read .*a.{suffix}: .*'
    ):
      io.read_image(path)
  text = tmp_path / 'text.png'
  text.write_text('no picture')
  with pytest.raises(ValueError, match='image: cannot read'):
    io.read_image(text)
  with pytest.raises(ValueError, match='image: no such file: .*nothing.png'):
    io.read_image(tmp_path / 'nothing.png')
  with pytest.raises(ValueError, match='image: is a folder'):
    io.read_image(tmp_path)
  thin = io.write_png(tmp_path / 'thin.png', np.zeros((4000, 1, 3), np.uint8))
  with pytest.raises(ValueError, match=r'thin.png has 1x4000 pixels, too thin'):
    io.read_image(thin, shorter=8)


def test_samples():
  assert io.samples()
  for name in io.samples():
    assert io.read_image(f'sample:{name}').shape == (224, 224, 3)
  with pytest.raises(ValueError, match="'sample:nobody', expected one of"):
    io.read_image('sample:nobody')


def test_only_uint8_is_written(tmp_path):
  with pytest.raises(ValueError, match='picture: got float32, expected uint8'):
    io.write_png(tmp_path / 'a.png', np.zeros((4, 4, 3), np.float32))
  assert not list(tmp_path.iterdir())


def test_a_gif_has_every_frame(tmp_path):
  frames = [np.full((6, 8, 3), 40 * i, np.uint8) for i in range(4)]
  path = io.write_gif(tmp_path / 'a.gif', frames, seconds=0.2)
  with Image.open(path) as file:
    assert (file.n_frames, file.size) == (4, (8, 6))
    for i, frame in enumerate(frames):
      file.seek(i)
      np.testing.assert_allclose(file.convert('RGB'), frame, atol=4)
      assert file.info['duration'] == 200


def test_frames_of_several_sizes_are_refused(tmp_path):
  for frames in ([], [np.zeros((4, n, 3), np.uint8) for n in (4, 5)]):
    with pytest.raises(ValueError, match=f'frames: got {len(frames)}'):
      io.write_gif(tmp_path / 'a.gif', frames)
  assert not list(tmp_path.iterdir())
