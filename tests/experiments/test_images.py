import jax
import numpy as np
import pytest
from tools import write_pictures

from vizlab.data.scenes import scenes
from vizlab_experiments.shared import images
from vizlab_experiments.shared.images import of_photos, of_scenes


@pytest.fixture(params=[True, False], ids=['kept', 'read again'])
def kept(request, monkeypatch):
  monkeypatch.setattr(images, '_KEPT', 2**30 if request.param else 0)
  return request.param


def test_scenes_are_those_of_the_library(kept):
  found = of_scenes(3, 70, 24)
  drawn = scenes(jax.random.key(3), 70, objects=2, size=24).image
  assert len(found) == 70 and found[:].shape == (70, 24, 24, 3)
  np.testing.assert_allclose(found[:], drawn, atol=1e-4)
  np.testing.assert_allclose(
    found[[69, 2, 2]], drawn[np.array([69, 2, 2])], atol=1e-4
  )
  np.testing.assert_allclose(found[5], drawn[5], atol=1e-4)
  np.testing.assert_allclose(found[66:99], drawn[66:], atol=1e-4)
  assert found[3:3].shape == (0, 24, 24, 3)
  assert found[[[1, 2]]].shape == (1, 2, 24, 24, 3)


def test_photos_are_kept_only_if_they_fit(kept, tmp_path, monkeypatch):
  write_pictures(tmp_path, ['a', 'b', 'c'])
  reads = []
  read = images.read_square

  def counted(name, path, size):
    reads.append(path[-5])
    return read(name, path, size)

  monkeypatch.setattr(images, 'read_square', counted)
  found = of_photos([str(tmp_path / f'{n}.png') for n in 'abc'], 48)
  assert found.names == ('a.png', 'b.png', 'c.png')
  assert ''.join(reads) == 'abc'
  whole = found[:]
  np.testing.assert_array_equal(found[[2, 0]], whole[[2, 0]])
  assert ''.join(reads) == 'abc' + ('' if kept else 'abcca')


def test_a_damaged_photo_is_named_at_once(tmp_path):
  write_pictures(tmp_path, ['a', 'b'])
  whole = (tmp_path / 'b.png').read_bytes()
  (tmp_path / 'b.png').write_bytes(whole[: len(whole) // 2])
  with pytest.raises(ValueError, match='config.photos: .*b.png'):
    of_photos([str(tmp_path / f'{n}.png') for n in 'ab'], 48)


@pytest.mark.parametrize('index', [-1, 3])
def test_an_index_outside_is_an_error(index):
  with pytest.raises(IndexError):
    of_scenes(0, 3, 24)[index]
