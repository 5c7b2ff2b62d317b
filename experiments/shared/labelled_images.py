"""Pictures whose classes are known: scenes, and labelled photos."""

import pathlib
import re
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets
from vizlab.data.scenes import SHAPE_NAMES, scenes
from vizlab.runs.inputs import picture_paths, read_square
from vizlab.runs.settings import need_positive

__all__ = [
  'LabelledImages',
  'load_labelled_images',
  'other_key',
  'photo_paths',
]


class LabelledImages(NamedTuple):
  """``N`` images and ``E`` classes of each.

  Attributes:
    images: ``[N, H, W, 3]``.
    targets: int ``[N, E]``.
    masks: ``[N, E, H, W]`` where each class is, or ``None`` where unknown.
  """

  images: np.ndarray
  targets: np.ndarray
  masks: np.ndarray | None


def load_labelled_images(
  config: ConfigDict, net: nets.Network, objects: int = 2
) -> LabelledImages:
  """The pictures that ``config.scenes`` and ``config.photos`` ask for.

  Scenes of one or two ``objects``, drawn from ``config.seed``; or all photos of
  a folder or a pattern, whose names begin with the number of their class, as in
  ``282_cat.png``.
  """
  need_positive(config, 'scenes')
  if config.photos:
    return _photos(config, net)
  count = nets.layer_info(net)[-1].shape[-1]
  if count != len(SHAPE_NAMES):
    raise ValueError(
      f'config.photos: got none for a net of {count} classes; scenes have '
      f'{len(SHAPE_NAMES)}, so it needs a folder of labelled photos'
    )
  key = jax.random.key(config.seed)
  drawn = scenes(key, config.scenes, objects=objects, size=net.spec.size)
  return LabelledImages(
    *(np.asarray(v) for v in (drawn.image, drawn.labels, drawn.masks))
  )


def other_key(config: ConfigDict, use: int) -> jax.Array:
  """Key of a use of random numbers other than the labelled scenes."""
  return jax.random.fold_in(jax.random.key(config.seed), 1_000_000 + use)


def photo_paths(config: ConfigDict) -> tuple[str, ...]:
  """Paths of the photos of ``config.photos``, which exist."""
  paths = picture_paths(config, 'photos')
  gone = [
    path for path in paths if not pathlib.Path(path).expanduser().exists()
  ]
  if gone:
    raise ValueError(f'config.photos: no such file or folder: {gone[0]}')
  return paths


def _photos(config: ConfigDict, net: nets.Network) -> LabelledImages:
  paths = photo_paths(config)
  named = [
    (path, re.match(r'(\d+)_', pathlib.Path(path).name)) for path in paths
  ]
  named = [(path, int(match[1])) for path, match in named if match]
  count = nets.layer_info(net)[-1].shape[-1]
  wrong = [path for path, target in named if target >= count]
  if not named or wrong:
    raise ValueError(
      f'config.photos: got {wrong[:3] or config.photos!r}, expected names such '
      f'as 282_cat.png that begin with a class below {count}'
    )
  images = [read_square('photos', path, net.spec.size) for path, _ in named]
  return LabelledImages(
    np.stack(images), np.array([[t] for _, t in named]), None
  )
