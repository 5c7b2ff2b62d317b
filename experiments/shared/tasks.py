"""Tasks of classification: images of some classes to learn from, and to test.

Three are drawn: the shapes of scenes, textures, and the directions that chairs
are seen from. Others are a file of arrays, or photos in groups.
"""

import bisect
import functools
import pathlib
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab.data.chairs import STYLES, ChairChange, chair, chair_style
from vizlab.data.scenes import SHAPE_NAMES, TEXTURE_NAMES, scenes
from vizlab.data.textures import grey
from vizlab.runs.inputs import read_square
from vizlab.runs.settings import each_of, need_not_negative, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.labelled_arrays import read_arrays
from vizlab_experiments.shared.labelled_images import other_key, photo_paths

__all__ = ['Task', 'balanced', 'load_task', 'read_data', 'task_key']

_DIRECTIONS = 8
_HELD = 256  # most images of a validation part


class Task(NamedTuple):
  """Images of some classes.

  Attributes:
    name: Name of the task.
    classes: Number of classes.
    images: ``[N, H, W, 3]`` in [0, 1], to learn from.
    labels: int32 ``[N]``.
    test_images: ``[M, H, W, 3]``.
    test_labels: int32 ``[M]``.
  """

  name: str
  classes: int
  images: np.ndarray
  labels: np.ndarray
  test_images: np.ndarray
  test_labels: np.ndarray

  def accuracy(self, logits: np.ndarray) -> float:
    """Share of right answers, the mean over the classes that are tested.

    Classes need not have as many test images as others.

    Args:
      logits: Those of the test images ``[M, K]``.
    """
    right = np.asarray(logits).argmax(-1) == self.test_labels
    classes = np.unique(self.test_labels)
    return float(
      np.mean([right[self.test_labels == k].mean() for k in classes])
    )


def load_task(config: ConfigDict, setting: str, name: str, size: int) -> Task:
  """Draws or reads a task.

  Args:
    config: Settings of ``blocks.tasks``.
    setting: Name of the setting that holds ``name``, for errors.
    name: ``'shapes'``, ``'textures'``, ``'directions'``, ``'data'`` (of
      ``config.data``) or ``'photos'`` (of ``config.photos``).
    size: Side in pixels of photos; drawn images have ``config.size``.

  Raises:
    ValueError: A setting is out of range, or a file is missing or wrong.
  """
  each_of(f'config.{setting}', [name], (*_DRAWN, 'data', 'photos'))
  need_positive(config, 'examples', 'tests', 'size')
  need_not_negative(config, 'seed')
  if name in ('data', 'photos') and not config[name]:
    raise ValueError(
      f'config.{setting}: got {name!r} without config.{name}, expected both'
    )
  if name == 'data':
    return read_data(config, config.tests)
  if name == 'photos':
    return _read_photos(config, size)
  make, classes = _DRAWN[name]
  parts = [
    make(task_key(config, use), count, config.size)
    for use, count in enumerate((config.examples, config.tests))
  ]
  arrays = [np.asarray(each) for part in parts for each in part]
  return Task(name, classes, *arrays)


def task_key(config: ConfigDict, use: int) -> Array:
  """Key of a use of random numbers; 0 and 1 draw images."""
  return other_key(config, 1_000_000 + use)


def _shapes(key: Array, count: int, size: int) -> tuple[Array, Array]:
  """Scenes of one object, by its shape."""
  drawn = scenes(key, count, size=size)
  return drawn.image, drawn.labels[:, 0]


@functools.partial(jax.jit, static_argnames=('count', 'size'))
def _textures(key: Array, count: int, size: int) -> tuple[Array, Array]:
  """Images full of one texture, in two colours, turned and of any period."""
  at = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size - 0.5
  y, x = jnp.meshgrid(at, at, indexing='ij')

  def draw(key: Array) -> tuple[Array, Array]:
    keys = jax.random.split(key, 3)
    label = jax.random.randint(keys[0], (), 0, len(TEXTURE_NAMES), jnp.int32)
    seed = jax.random.bits(keys[1], (), jnp.uint32)
    u = jax.random.uniform(keys[2], (8,), jnp.float32)
    cos, sin = jnp.cos(2 * np.pi * u[0]), jnp.sin(2 * np.pi * u[0])
    turned = jnp.stack([cos * x + sin * y, cos * y - sin * x], -1)
    value = grey(label, turned / (0.1 + 0.15 * u[1]), seed)[..., None]
    first, second = u[2:5][None, None], u[5:][None, None]
    return jnp.clip(first + (second - first) * value, 0, 1), label

  return jax.lax.map(draw, _keys(key, count))


@functools.partial(jax.jit, static_argnames=('count', 'size'))
def _directions(key: Array, count: int, size: int) -> tuple[Array, Array]:
  """Chairs of random styles, and which of eight directions they are seen from.

  The azimuth is up to a quarter of a step off, and they are moved and zoomed.
  """

  def draw(key: Array) -> tuple[Array, Array]:
    style, direction, rest = jax.random.split(key, 3)
    label = jax.random.randint(direction, (), 0, _DIRECTIONS, jnp.int32)
    u = jax.random.uniform(rest, (5,), jnp.float32, -1, 1)
    steps = label.astype(jnp.float32) + u[0] / 4
    azimuth = steps * (2 * np.pi / _DIRECTIONS)
    change = ChairChange(zoom=1 + u[1] / 5, shift=(u[2] / 10, u[3] / 10))
    number = jax.random.randint(style, (), 0, STYLES, jnp.int32)
    view = chair(
      chair_style(number), azimuth, 0.35 + u[4] / 5, change, size=size
    )
    return view.image, label

  return jax.lax.map(draw, _keys(key, count))


def _keys(key: Array, count: int) -> Array:
  numbers = jnp.arange(count, dtype=jnp.uint32)
  return jax.vmap(functools.partial(jax.random.fold_in, key))(numbers)


_DRAWN = {
  'shapes': (_shapes, len(SHAPE_NAMES)),
  'textures': (_textures, len(TEXTURE_NAMES)),
  'directions': (_directions, _DIRECTIONS),
}


def read_data(config: ConfigDict, tests: int | None = None) -> Task:
  """Reads the task of the file ``config.data``.

  Args:
    config: The config.
    tests: Number of test images that are taken, at random; all by default.
  """
  need_not_negative(config, 'seed')
  x, y, test_x, test_y = read_arrays(config, 'train', 'test')
  if test_y.max() > y.max() or x.shape[1:] != test_x.shape[1:] or not y.max():
    raise ValueError(
      f'config.data: got x_train {x.shape} with classes to {y.max()} and '
      f'x_test {test_x.shape} with classes to {test_y.max()}, expected images '
      'of one size and at least two classes, all of them to learn from'
    )
  generator = np.random.default_rng(config.seed)
  rows = np.sort(generator.permutation(len(test_x))[:tests])
  return Task('data', int(y.max()) + 1, x, y, test_x[rows], test_y[rows])


def _read_photos(config: ConfigDict, size: int) -> Task:
  """Photos in groups by the WordNet ids in their names, half of them to test.

  A photo belongs to the last group that begins at its id or before.
  """
  groups = config.groups
  pairs = all(isinstance(g, tuple) and len(g) == 2 for g in groups)
  firsts = [str(g[0]) for g in groups] if pairs else []
  if not groups or not pairs or firsts != sorted(firsts):
    raise ValueError(
      f'config.groups: got {groups}, expected ((first id, name), ...) with ids '
      'such as n02085374 in rising order'
    )
  paths: dict[str, list[str]] = {}
  listed = {  # a photo that is named twice counts once
    pathlib.Path(path).expanduser().resolve(): path
    for path in photo_paths(config)
  }
  for path in listed.values():
    match = re.search(r'(?:^|_)(n\d{8})(?:_|\.)', pathlib.Path(path).name)
    at = bisect.bisect_right(firsts, match[1]) if match else 0
    if at:
      paths.setdefault(str(groups[at - 1][1]), []).append(path)
  counts = {name: len(each) for name, each in paths.items()}
  if len(counts) < 2 or min(counts.values()) < 3:
    raise ValueError(
      f'config.photos: got {counts or "no"} photos of groups, expected two '
      'groups of at least 3, by names with a WordNet id such as '
      '282_n02123159_tiger_cat.jpg'
    )
  generator = np.random.default_rng(config.seed)
  learned, test = [], []
  for label, each in enumerate(paths.values()):
    order = [(each[i], label) for i in generator.permutation(len(each))]
    test += order[: len(order) // 2]
    learned += order[len(order) // 2 :]
  test = [test[i] for i in generator.permutation(len(test))]
  arrays = []
  for part in (learned, test[: config.tests]):
    arrays.append(np.stack([read_square('photos', p, size) for p, _ in part]))
    arrays.append(np.array([label for _, label in part], np.int32))
  return Task('photos', len(paths), *arrays)


def balanced(
  config: ConfigDict, task: Task, per_class: int, repeat: int = 0
) -> tuple[np.ndarray, np.ndarray]:
  """Indices of images to learn from and of a validation part.

  ``per_class`` images of each class, at random; a fifth of them, at least one
  of each class, and at most 256 in all of up to 256 classes, is the validation
  part.

  Args:
    config: The config; its seed and ``repeat`` decide the choice.
    task: The task.
    per_class: Images of each class, at least 2.
    repeat: Number of the choice.
  """
  counts = np.bincount(task.labels, minlength=task.classes)
  if not isinstance(per_class, int) or not 2 <= per_class <= counts.min():
    most = counts.min()
    wanted = f'2 to {most}' if most > 1 else 'more images to learn from'
    raise ValueError(
      f'config.per_class: got {per_class}, expected {wanted}, as the rarest '
      f'class of {task.name!r} has {most}'
    )
  generator = np.random.default_rng((config.seed, repeat))
  held = min(max(1, per_class // 5), max(1, _HELD // task.classes))
  fitted, validation = [], []
  for label in range(task.classes):
    rows = generator.permutation(np.flatnonzero(task.labels == label))
    validation.append(rows[:held])
    fitted.append(rows[held:per_class])
  return np.concatenate(fitted), np.concatenate(validation)
