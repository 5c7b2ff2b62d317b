"""Networks that are judged on the same labelled images."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import nets
from vizlab.data.scenes import scenes
from vizlab.runs.inputs import load_classifier, load_other, picture_paths
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import listed, need_positive
from vizlab_experiments.shared.images import of_photos
from vizlab_experiments.shared.labelled_arrays import read_arrays
from vizlab_experiments.shared.labelled_images import load_labelled_images

__all__ = [
  'Judged',
  'in_batches',
  'known_images',
  'load_judged',
  'rows_from',
  'with_others',
]


class Judged(NamedTuple):
  """Networks and images.

  Attributes:
    nets: The networks, by name.
    images: ``[N, H, W, 3]``.
    labels: int ``[N]``.
  """

  nets: dict[str, nets.Network]
  images: np.ndarray
  labels: np.ndarray


def load_judged(config: ConfigDict) -> Judged:
  """Loads ``config.net`` and ``config.others``, and the images of the config.

  Those are of ``config.data``, of ``config.photos``, or scenes of one object.
  """
  judged = with_others(config, load_classifier(config))
  first, *others = judged.values()
  classes = nets.layer_info(first)[-1].shape[-1]
  for net in others:
    if nets.layer_info(net)[-1].shape[-1] != classes:
      raise ValueError(
        f'config.others: got a net of other classes than the {classes} of '
        f'{config.net.weights}'
      )
  images, labels = _images(config, first)
  like = jax.ShapeDtypeStruct((1, *images.shape[1:]), np.float32)
  for name, net in judged.items():
    try:
      jax.eval_shape(net, like)
    except (TypeError, ValueError) as error:
      raise ValueError(
        f'config.data, config.photos: {name} does not take images of '
        f'{images.shape[1:]}'
      ) from error
  return Judged(judged, images, labels)


def with_others(
  config: ConfigDict, net: nets.Network, *taken: str
) -> dict[str, nets.Network]:
  """Loads ``config.others``, beside the network of ``config.net``.

  Args:
    config: The config.
    net: The network of ``config.net``.
    taken: Names that the others must not have.

  Returns:
    The networks by the names of their files, that of ``config.net`` first.
  """
  loaded = {_name(config.net.weights): net}
  for weights in listed(config.others):
    name = _name(weights)
    if name in (*loaded, *taken):
      raise ValueError(f'config.others: got {name} again, expected other names')
    loaded[name] = load_other(config, 'others', weights)
  return loaded


def rows_from(
  images: np.ndarray, labels: np.ndarray, first: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
  """``size`` images and labels; the last ones are followed by the first.

  So every batch has one shape, and one program serves all.
  """
  at = np.arange(first, first + min(size, len(images))) % len(images)
  return images[at], labels[at]


def in_batches(
  recorder: Recorder,
  name: str,
  images: np.ndarray,
  labels: np.ndarray,
  size: int,
  make: Callable[[jax.Array, jax.Array, int], Mapping[str, Any]],
) -> dict[str, np.ndarray]:
  """Arrays of all images, ``size`` of which are computed and saved at once.

  Args:
    recorder: Recorder of the run.
    name: Name of the parts, ``item/name``.
    images: ``[N, H, W, 3]``.
    labels: int ``[N]``.
    size: Images at once; every batch has one shape.
    make: ``(images, labels, index of the first) -> arrays``, images first.
  """

  def some(rows: slice) -> dict[str, np.ndarray]:
    x, label = rows_from(images, labels, rows.start, size)
    found = make(jnp.asarray(x), jnp.asarray(label, jnp.int32), rows.start)
    bar.update(rows.stop - bar.n)
    count = rows.stop - rows.start
    return {key: np.asarray(each)[:count] for key, each in found.items()}

  with tqdm(total=len(images), desc=name, unit='image') as bar:
    return recorder.in_parts(name, len(images), size, some)


def known_images(config: ConfigDict, size: int, key: jax.Array) -> np.ndarray:
  """Images without labels and without an attack ``[M, size, size, 3]``.

  The first ``config.known`` of ``config.known_photos``, or of scenes of one
  object.
  """
  need_positive(config, 'known')
  if config.known_photos:
    paths = picture_paths(config, 'known_photos')[: config.known]
    judged = picture_paths(config, 'photos') if config.photos else ()
    both = {*map(_resolved, paths)} & {*map(_resolved, judged)}
    if both:
      raise ValueError(
        f'config.known_photos: got {min(both)} of config.photos, too, expected '
        'photos that are not judged'
      )
    return of_photos(paths, size, 'known_photos')[:]
  if config.photos or config.data:
    raise ValueError(
      'config.known_photos: got none, expected photos without an attack, as '
      'the images that are judged are no scenes'
    )
  return np.asarray(scenes(key, config.known, size=size).image)


def _resolved(path: str) -> str:
  return str(pathlib.Path(path).expanduser().resolve())


def _name(weights: str) -> str:
  return pathlib.PurePath(weights).stem


def _images(
  config: ConfigDict, net: nets.Network
) -> tuple[np.ndarray, np.ndarray]:
  """Images and labels of a file, of photos, or of scenes of one object."""
  if not config.data:
    known = load_labelled_images(config, net, objects=1)
    return known.images, known.targets[:, 0]
  if config.count is not None:
    need_positive(config, 'count')
  x, y = read_arrays(config, 'test', count=config.count)
  classes = nets.layer_info(net)[-1].shape[-1]
  if y.max() >= classes:
    raise ValueError(
      f'config.data: got the class {y.max()} in y_test, expected classes below '
      f'{classes}'
    )
  return x, y
