"""Filters judged by the parts of the objects in scenes."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vizlab import data, nets, probes, templates
from vizlab.data import SHAPE_NAMES
from vizlab.types import Array

__all__ = ['PartScenes', 'detectors', 'draw', 'judge', 'run_layer']

_BATCH = 64
_SHOWN = 5  # scenes of each filter


class PartScenes(NamedTuple):
  """Scenes of one object with its parts.

  Attributes:
    images: ``[N, H, W, 3]``.
    labels: Shape of the object, ``[N]``.
    poses: Its pose ``[N, 4]``, see `vizlab.data.Scene`.
    positions: Positions of its parts ``[N, P, M, 2]``.
    masks: Masks of its parts ``[N, P, H, W]``.
  """

  images: Array
  labels: Array
  poses: Array
  positions: Array
  masks: Array


def draw(seed: int, count: int, size: int) -> PartScenes:
  """Draws scenes.

  Args:
    seed: Seed of the scenes.
    count: Number of scenes.
    size: Side of the images in pixels.
  """
  drawn = data.scenes(jax.random.key(seed), count, size=size)
  first = drawn._replace(
    **{
      name: getattr(drawn, name)[:, :1] for name in ('labels', 'masks', 'poses')
    }
  )
  parts = [
    _parts(jax.tree.map(lambda v, i=i: v[i : i + _BATCH], first))
    for i in range(0, count, _BATCH)
  ]
  positions, masks = map(jnp.concatenate, zip(*parts, strict=True))
  return PartScenes(
    drawn.image, drawn.labels[:, 0], drawn.poses[:, 0], positions, masks
  )


@jax.jit
def _parts(scenes: data.Scene) -> tuple[Array, Array]:
  positions, masks = data.part_positions(scenes), data.part_masks(scenes)
  return positions[:, 0], masks[:, 0]


def run_layer(net: nets.Network, images: Array, layer: str) -> list[Array]:
  """Logits, maps of a layer, and those that later layers see, by its mask."""
  parts = [
    _run(net, images[i : i + _BATCH], layer)
    for i in range(0, len(images), _BATCH)
  ]
  return [jnp.concatenate(arrays) for arrays in zip(*parts, strict=True)]


@functools.partial(jax.jit, static_argnames='layer')
def _run(
  net: nets.Network, images: Array, layer: str
) -> tuple[Array, Array, Array]:
  logits, acts = net(images)
  return logits, acts[layer], acts.get(f'{layer}_mask', acts[layer])


def judge(
  net: nets.Network,
  layer: str,
  known: PartScenes,
  scenes: PartScenes,
  *,
  quantile: float,
  least: float,
) -> dict[str, np.ndarray]:
  """Measures the filters of a layer.

  Args:
    net: The network.
    layer: Name of the layer.
    known: Scenes by which each filter gets its class.
    scenes: Other scenes, by which it is judged.
    quantile: Quantile of a filter's activations above which it is active.
    least: Intersection over union above which it shows a part.

  Returns:
    ``right`` ``[N]``, whether the network names the object; by filter ``[C]``
    its ``category``, ``threshold``, ``instability``, best ``part``, its
    ``interpretability``, the share of activations in its ``own`` class, their
    mean there ``active``; and ``scenes`` ``[C, 5]`` of its class that excite it
    most, -1 for none.
  """
  _, maps, _ = run_layer(net, known.images, layer)
  category = templates.favourite_category(maps, known.labels, len(SHAPE_NAMES))
  logits, _, maps = run_layer(net, scenes.images, layer)
  members = scenes.labels[:, None] == category[None]
  thresholds = jnp.quantile(maps.reshape(-1, maps.shape[-1]), quantile, axis=0)
  shown = probes.part_interpretability(
    maps, scenes.masks, thresholds, members, least=least
  )
  shown = np.nan_to_num(shown)
  total = np.asarray(maps.sum((1, 2)))  # [N, C]
  own = np.where(members, total, 0)
  best = np.argsort(-own, 0, kind='stable')[:_SHOWN]
  return {
    'right': np.asarray(logits.argmax(-1) == scenes.labels),
    'category': np.asarray(category),
    'threshold': np.asarray(thresholds),
    'instability': _instability(probes.peaks(maps), scenes, members),
    'part': shown.argmax(1),
    'interpretability': shown.max(1),
    'own': own.sum(0) / np.maximum(total.sum(0), np.finfo(np.float32).tiny),
    'active': own.sum(0) / np.maximum(np.asarray(members).sum(0), 1),
    'scenes': np.where(np.take_along_axis(own, best, 0) > 0, best, -1).T,
  }


def detectors(scenes: PartScenes, grid: tuple[int, int]) -> dict[str, float]:
  """Instability of ideal detectors, whose peaks are positions of a grid.

  Args:
    scenes: The scenes.
    grid: Rows and columns of the layer.

  Returns:
    Means over the classes, of detectors of the ``centre`` of the object, of its
    first ``part``, and of ``chance``, a random position of the image.
  """
  centre = scenes.poses[:, None, 1::-1]  # row and column
  random = jax.random.uniform(jax.random.key(0), centre.shape)
  sides = np.array([[grid]], np.float32)
  members = scenes.labels[:, None] == jnp.arange(len(SHAPE_NAMES))[None]
  means = {}
  for name, position in {
    'centre': centre,
    'part': scenes.positions[:, 0, :1],
    'chance': random,
  }.items():
    # The position of the grid whose centre is nearest.
    peak = (jnp.floor(position * sides) + 0.5) / sides
    peak = jnp.broadcast_to(peak, (len(peak), len(SHAPE_NAMES), 2))
    means[name] = float(np.nanmean(_instability(peak, scenes, members)))
  return means


def _instability(
  peaks: Array, scenes: PartScenes, members: Array
) -> np.ndarray:
  """Location instability where each object fills its image.

  As in the paper, whose objects are cropped; else a filter at one part would be
  nearer to the others on smaller objects.
  """
  corner = scenes.poses[:, 1::-1] - scenes.poses[:, 2:3]
  side = 2 * scenes.poses[:, 2]
  peaks = (peaks - corner[:, None]) / side[:, None, None]
  positions = scenes.positions - corner[:, None, None]
  positions = positions / side[:, None, None, None]
  return np.asarray(probes.location_instability(peaks, positions, members))
