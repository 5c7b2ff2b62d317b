"""Features of the layers of a network, for linear probes and similarity."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from vizlab import nets, probes
from vizlab.nets.layers import AdaptivePool
from vizlab.runs.recorder import Recorder
from vizlab.types import Array
from vizlab_experiments.shared.tasks import Task

__all__ = ['feature_count', 'probe_arrays', 'read_features']


def read_features(
  recorder: Recorder,
  name: str,
  net: nets.Network,
  images: Sequence[np.ndarray],
  layers: tuple[str, ...],
  *,
  positions: int,
  batch: int,
) -> dict[str, np.ndarray]:
  """Features ``[N, F]`` of layers; of a map, means over the bins of a grid.

  Args:
    recorder: Recorder of the run, which saves each batch.
    name: Name of the parts, ``item/name``.
    net: The network.
    images: ``[N, H, W, 3]``.
    layers: Names of layers.
    positions: Rows and columns of the grid.
    batch: Images at once.
  """

  def read(rows: slice) -> dict[str, np.ndarray]:
    found = _features(net, images[rows], layers, positions)
    return {layer: np.asarray(each) for layer, each in found.items()}

  return recorder.in_parts(name, len(images), batch, read)


def probe_arrays(
  task: Task,
  rows: tuple[np.ndarray, np.ndarray],
  features: Sequence[np.ndarray],
  **options: Any,
) -> dict[str, np.ndarray]:
  """Logits of the test images by the best linear probe, and its decay.

  Args:
    task: The task.
    rows: Indices of images to learn from, and of the validation part.
    features: ``[N, ...]`` of the images of both, and of the test images.
    **options: Of `vizlab.probes.best_linear_probe`.
  """
  fitted, held, test = features
  probe, decay = probes.best_linear_probe(
    fitted,
    task.labels[rows[0]],
    held,
    task.labels[rows[1]],
    task.classes,
    **options,
  )
  logits = np.asarray(probes.probe_logits(probe, test))
  return {'logits': logits, 'decay': np.asarray(decay)}


def feature_count(
  net: nets.Network, x: np.ndarray, layer: str, positions: int
) -> int:
  """Number of features of a layer for images like ``x``."""
  read = functools.partial(_features, layers=(layer,), positions=positions)
  return jax.eval_shape(read, net, x[:1])[layer].shape[1]


@functools.partial(jax.jit, static_argnames=('layers', 'positions'))
def _features(
  net: nets.Network, x: Array, layers: tuple[str, ...], positions: int
) -> dict[str, Array]:
  acts = net(x)[1]
  return {layer: _flat(acts[layer], positions) for layer in layers}


def _flat(a: Array, positions: int) -> Array:
  if a.ndim == 4 and min(a.shape[1:3]) > positions:
    a = AdaptivePool('bins', positions).linear({}, a)
  return a.reshape(len(a), -1)
