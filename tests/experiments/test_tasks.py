"""Tasks of classification: drawn, read from a file, or photos in groups."""

import numpy as np
import pytest
from tools import write_pictures, write_tasks

from vizlab.runs import experiments
from vizlab.runs.settings import assign
from vizlab_experiments.shared.tasks import Task, balanced, load_task


def config_of(**changes):
  name = 'training/transfer_learning'
  config = experiments.config_module(name).get_test_config()
  assign(config, changes)
  return config


@pytest.mark.parametrize('name', ['shapes', 'textures', 'directions'])
def test_drawn_tasks_are_balanced_and_apart(name):
  config = config_of(examples=200, tests=40)
  task = load_task(config, 'tasks', name, 96)
  assert task.images.shape == (200, 16, 16, 3)
  assert task.test_images.shape == (40, 16, 16, 3)
  assert task.images.min() >= 0 and task.images.max() <= 1
  counts = np.bincount(task.labels, minlength=task.classes)
  assert len(counts) == task.classes == (8 if name == 'directions' else 16)
  assert counts.min() >= 3
  both = np.concatenate([task.images, task.test_images]).reshape(240, -1)
  assert len(np.unique(both, axis=0)) == 240
  again = load_task(config, 'tasks', name, 96)
  np.testing.assert_array_equal(again.images, task.images)


def test_directions_turn_the_chair():
  config = config_of(size=24, examples=768)
  task = load_task(config, 'tasks', 'directions', 96)
  chairs = (task.images.min(-1) < 1).astype(np.float32)
  means = np.stack([chairs[task.labels == k].mean(0) for k in range(8)])
  # A view from the right mirrors that from the left, and no other does.
  for k in range(1, 4):
    apart = np.square(means[k, :, ::-1][None] - means).mean((1, 2))
    assert apart.argmin() == 8 - k


def test_a_textures_image_has_two_colours_mixed():
  config = config_of(size=24, examples=32)
  task = load_task(config, 'tasks', 'textures', 96)
  flat = task.images.reshape(32, -1, 3)
  spread = np.linalg.svd(flat - flat.mean(1, keepdims=True))[1]
  np.testing.assert_allclose(spread[:, 1:], 0, atol=1e-4)
  assert (spread[:, 0] > 0.1).mean() > 0.9


def test_photos_are_grouped_by_their_ids(tmp_path):
  write_tasks(tmp_path)
  config = config_of(photos=str(tmp_path / 'wordnet'))
  task = load_task(config, 'tasks', 'photos', 32)
  assert task.images.shape == (9, 32, 32, 3) and task.classes == 2
  assert np.bincount(task.labels).tolist() == [6, 3]
  assert np.bincount(task.test_labels).tolist() == [6, 3]
  # Each name is another picture; named twice, none is in both parts.
  twice = f'{tmp_path / "wordnet"},{tmp_path / "wordnet"}/*.png'
  again = load_task(config_of(photos=twice), 'tasks', 'photos', 32)
  np.testing.assert_array_equal(again.images, task.images)
  np.testing.assert_array_equal(again.test_images, task.test_images)


def test_photos_without_ids_are_named(tmp_path):
  write_pictures(tmp_path, ['0_a', '1_b'])
  config = config_of(photos=str(tmp_path))
  with pytest.raises(
    ValueError, match='config.photos: got no photos of groups'
  ):
    load_task(config, 'tasks', 'photos', 32)


def test_accuracy_is_a_mean_over_classes():
  labels = np.array([0, 0, 0, 1], np.int32)
  task = Task('t', 3, None, None, None, labels)
  logits = np.eye(3)[[0, 0, 2, 0]]
  assert task.accuracy(logits) == (2 / 3 + 0) / 2


def test_a_file_of_arrays(tmp_path):
  write_tasks(tmp_path)
  config = config_of(data=str(tmp_path / 'task.npz'))
  task = load_task(config, 'tasks', 'data', 96)
  assert task.images.shape == (12, 16, 16, 3) and task.images.max() <= 1
  assert task.labels.tolist() == [0, 1] * 6


def test_parts_are_balanced():
  labels = np.repeat(np.arange(3, dtype=np.int32), 40)
  images = np.zeros((120, 2, 2, 3), np.float32)
  task = Task('t', 3, images, labels, images, labels)
  fitted, held = balanced(config_of(), task, 20)
  assert np.bincount(labels[fitted]).tolist() == [16] * 3
  assert np.bincount(labels[held]).tolist() == [4] * 3
  assert not {*fitted} & {*held} and len({*fitted, *held}) == 60
  other, _ = balanced(config_of(), task, 20, 1)
  assert {*other} != {*fitted}


def test_a_file_that_is_wrong_is_named(tmp_path):
  def images(*shape):
    return np.zeros(shape, np.uint8)

  good = {
    'x_train': images(2, 8, 8, 3),
    'y_train': np.array([0, 1]),
    'x_test': images(1, 8, 8, 3),
    'y_test': np.array([1]),
  }
  path = tmp_path / 'task.npz'
  config = config_of(data=str(path))
  for change, message in (
    ({'y_test': np.array([2])}, 'classes to 1 and x_test .* with classes to 2'),
    ({'x_test': images(1, 8, 9, 3)}, 'expected images of one size'),
    ({'y_train': np.array([0, 0]), 'y_test': np.array([0])}, 'at least two cl'),
    ({'x_train': images(2, 8, 8, 1)}, r'got x_train uint8 \(2, 8, 8, 1\)'),
    ({'y_train': np.array([0, 2**32])}, 'whole numbers from 0, below 1000000'),
  ):
    np.savez(path, **good | change)
    with pytest.raises(ValueError, match=message):
      load_task(config, 'tasks', 'data', 96)
  np.savez(path, x_train=good['x_train'])
  with pytest.raises(ValueError, match=r"holds \['x_train'\], expected x_tr"):
    load_task(config, 'tasks', 'data', 96)
  path.write_bytes(path.read_bytes()[:200])
  with pytest.raises(ValueError, match='is no .npz of arrays'):
    load_task(config, 'tasks', 'data', 96)
  with path.open('wb') as file:
    np.save(file, np.zeros(3))
  with pytest.raises(ValueError, match='is no .npz of arrays'):
    load_task(config, 'tasks', 'data', 96)
