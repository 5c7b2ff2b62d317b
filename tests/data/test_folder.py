import sys
import threading

import numpy as np
import pytest
from PIL import Image

from vizlab.data import folder, photos

SIZE = 12


def photo(path, mode='RGB', size=(20, 16)):
  """Writes a picture whose pixels tell its name."""
  path.parent.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(sum(path.name.encode()))
  noise = rng.integers(0, 256, (size[1], size[0], 4), np.uint8)
  Image.fromarray(noise, 'RGBA').convert(mode).save(path)


@pytest.fixture
def seven(tmp_path):
  """Seven photos in three folders, among files that are none."""
  names = (
    'b/2.PNG',
    'a.jpg',
    'b/1.png',
    'c.JPEG',
    'b/c/9.bmp',
    'd.tif',
    'e.webp',
  )
  for name in names:
    photo(tmp_path / name)
  for name in ('notes.txt', '.hidden.png', '.cache/x.png', 'b/._1.png'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('no photo')
  (tmp_path / 'folder.png').mkdir()
  return tmp_path


def stream(path, **changes):
  settings = {'size': SIZE, 'shorter': SIZE, 'batch_size': 3, **changes}
  return list(folder(path, **settings))


def assert_same(some, others):
  assert len(some) == len(others)
  for one, other in zip(some, others, strict=True):
    np.testing.assert_array_equal(one.images, other.images)
    assert one[1:] == other[1:]


def test_batches_are_in_order_and_the_last_one_is_ragged(seven):
  batches = stream(seven)
  names = [name for batch in batches for name in batch.names]
  assert names == sorted(names) == list(photos(seven))
  assert names[:3] == ['a.jpg', 'b/1.png', 'b/2.PNG'] and len(names) == 7
  assert [len(batch.images) for batch in batches] == [3, 3, 1]
  for batch in batches:
    assert batch.images.shape[1:] == (SIZE, SIZE, 3)
    assert batch.images.dtype == np.float32 and batch.skipped == ()
    assert 0 <= batch.images.min() and batch.images.max() <= 1


def test_an_image_is_that_of_its_file(seven):
  batch = stream(seven, size=16, shorter=None, batch_size=2)[0]
  pixels = np.asarray(Image.open(seven / 'b' / '1.png'))[:, 2:18]
  np.testing.assert_allclose(batch.images[1], pixels / np.float32(255))


@pytest.mark.parametrize('workers', [1, 4])
def test_workers_change_nothing_but_the_thread(workers, seven, monkeypatch):
  module = sys.modules['vizlab.data.folder']
  threads, read = set(), module.read_image

  def reading(*args, **kwargs):
    threads.add(threading.current_thread())
    return read(*args, **kwargs)

  alone = stream(seven)
  monkeypatch.setattr(module, 'read_image', reading)
  assert_same(stream(seven, workers=workers), alone)
  assert threads and threading.main_thread() not in threads


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('start', [1, 2, 3, 4])
def test_a_stream_that_starts_later_is_the_tail(start, workers, seven):
  (seven / 'b' / '1.png').write_bytes(b'damaged')
  whole = stream(seven)
  assert_same(stream(seven, start=start, workers=workers), whole[start:])


@pytest.mark.parametrize('start', [0, 1, 2])
def test_streams_share_the_batches_out(start, seven):
  whole = stream(seven)
  assert_same(stream(seven, start=start, step=3), whole[start::3])


@pytest.mark.filterwarnings('ignore:Truncated File Read')
@pytest.mark.parametrize('workers', [0, 2])
def test_damaged_files_are_listed(workers, seven):
  good = (seven / 'b' / '1.png').read_bytes()
  (seven / 'a.jpg').write_bytes(b'')
  (seven / 'b' / '2.PNG').write_bytes(good[:200])
  (seven / 'c.JPEG').write_text('a text that says it is a photo')
  (seven / 'd.tif').write_bytes((seven / 'd.tif').read_bytes()[:60])
  (seven / 'e.webp').unlink()
  (seven / 'e.webp').symlink_to(seven / 'nothing')
  batches = stream(seven, workers=workers)
  names = [batch.names for batch in batches]
  assert names == [('b/1.png',), ('b/c/9.bmp',), ()]
  assert batches[2].images.shape == (0, SIZE, SIZE, 3)
  skipped = [each for batch in batches for each in batch.skipped]
  damaged = ['a.jpg', 'b/2.PNG', 'c.JPEG', 'd.tif', 'e.webp']
  assert [name for name, _ in skipped] == damaged
  for name, reason in skipped:
    assert name in reason and str(seven) not in reason and '\n' not in reason


def test_a_decoder_that_fails_in_its_own_way_is_listed(seven, monkeypatch):
  def fail(*args, **kwargs):
    raise IndexError('list index\nout of range')

  monkeypatch.setattr(sys.modules['vizlab.data.folder'], 'read_image', fail)
  batches = stream(seven, workers=2)
  assert sum(len(batch.skipped) for batch in batches) == 7
  assert batches[0].skipped[0][0] == 'a.jpg'
  assert 'IndexError' in batches[0].skipped[0][1]


def test_photos_of_any_mode_and_size(tmp_path):
  photo(tmp_path / 'grey.png', 'L')
  photo(tmp_path / 'palette.gif', 'P')
  photo(tmp_path / 'see_through.png', 'RGBA')
  photo(tmp_path / 'tiny.png', size=(1, 1))
  (batch,) = stream(tmp_path, batch_size=9)
  assert batch.images.shape == (4, SIZE, SIZE, 3) and not batch.skipped
  (grey,) = batch.images[[name == 'grey.png' for name in batch.names]]
  np.testing.assert_array_equal(grey[..., 0], grey[..., 2])


def test_a_photo_smaller_than_the_crop_is_listed(tmp_path):
  photo(tmp_path / 'small.png', size=(20, 11))
  photo(tmp_path / 'wide.png', size=(20, 12))
  (batch,) = stream(tmp_path, shorter=None)
  assert batch.names == ('wide.png',)
  ((name, reason),) = batch.skipped
  assert name == 'small.png' and '20x11 pixels' in reason


def test_who_stops_early_leaves_no_thread_behind(seven):
  before = threading.active_count()
  batches = folder(seven, size=SIZE, shorter=SIZE, batch_size=1, workers=3)
  next(batches)
  workers = set(threading.enumerate()) - {threading.main_thread()}
  batches.close()
  for thread in workers:
    if thread.name.startswith('grain'):
      thread.join(5)
  assert threading.active_count() <= before


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'batch_size': 0}, 'batch_size: got 0, expected at least 1'),
    ({'size': 0}, 'size: got 0, expected at least 1'),
    ({'start': -1}, 'start: got -1, expected 0 or more'),
    ({'step': 0}, 'step: got 0, expected at least 1'),
    ({'workers': -1}, 'workers: got -1, expected 0 or more'),
    ({'shorter': 11}, 'shorter: got 11, expected at least the size of 12'),
  ],
)
def test_bad_numbers_are_told_before_anything_is_read(change, message, seven):
  settings = {'size': SIZE, 'batch_size': 3, **change}
  with pytest.raises(ValueError, match=message):
    folder(seven, **settings)


def test_bad_folders_are_told(tmp_path):
  (tmp_path / 'file.png').write_text('x')
  (tmp_path / 'empty').mkdir()
  (tmp_path / 'empty' / 'notes.txt').write_text('x')
  for name, what in (
    ('missing', r'missing \(no such folder\), expected a folder of photos'),
    ('file.png', r'file.png \(a file\), expected a folder of photos'),
    ('empty', 'empty with no photo in it, expected a folder of files that end'),
  ):
    with pytest.raises(ValueError, match=f'^path: got .*{what}'):
      folder(tmp_path / name, size=SIZE, batch_size=1)


def test_without_grain_one_line_says_what_to_install(seven, monkeypatch):
  monkeypatch.setitem(sys.modules, 'grain', None)
  with pytest.raises(ValueError, match=r"pip install -e '.\[scale\]'"):
    folder(seven, size=SIZE, batch_size=1)
