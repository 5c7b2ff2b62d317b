"""Surveys: statistics and extreme images of layers over a data set."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes
from vizlab.nets.graph import wiring
from vizlab.nets.layers import Concat, ReLU
from vizlab.runs import reduce_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.settings import need_positive
from vizlab.types import Array
from vizlab_experiments.shared.images import Images

__all__ = ['Survey', 'check_top', 'rectified', 'survey']


class Survey(NamedTuple):
  """Channels of a layer over images.

  Attributes:
    activity: Their statistics.
    strongest: The images that excite each channel most.
    weakest: Those that do so least, with values of the opposite sign. Behind a
      ReLU, by what it reads: a channel that is silent in many images is weakest
      where it is furthest from waking.
  """

  activity: probes.Activity
  strongest: probes.Strongest
  weakest: probes.Strongest

  def arrays(self) -> dict[str, np.ndarray]:
    """Its arrays by name: ``strongest/values`` and so on."""
    parts = {
      'activity': vars(self.activity),
      'strongest': self.strongest._asdict(),
      'weakest': self.weakest._asdict(),
    }
    return {
      f'{part}/{field}': np.asarray(value)
      for part, fields in parts.items()
      for field, value in fields.items()
    }


def survey(
  recorder: Recorder,
  net: nets.Network,
  layers: Sequence[str],
  images: Images,
  *,
  top: int,
  batch: int,
  name: str = 'survey',
) -> dict[str, Survey]:
  """Surveys layers in one resumable pass over the images.

  Args:
    recorder: Recorder of the run.
    net: The network.
    layers: Names of the layers.
    images: The images.
    top: Number of the strongest and of the weakest images.
    batch: Images at once.
    name: Name of the pass, unique within the run.
  """
  widths = {row.name: row.shape[-1] for row in nets.layer_info(net)}
  start = {
    name: Survey(
      probes.no_activity(widths[name]),
      probes.no_images(widths[name], top),
      probes.no_images(widths[name], top),
    )
    for name in layers
  }
  below = tuple(_unrectified(net, name) for name in layers)

  def add(state: dict[str, Survey], rows: slice) -> dict[str, Survey]:
    return _add(state, net, images[rows], rows.start, tuple(layers), below)

  found = reduce_resumable(
    recorder,
    name,
    start,
    add,
    jax.jit(_merge),
    count=len(images),
    batch=batch,
  )
  for layer in layers:
    missing = (np.asarray(found[layer].strongest.images) < 0).any(1)
    if missing.any():
      raise ValueError(
        f'{layer}: channel {missing.argmax()} is not finite in some of the '
        f'{len(images)} pictures'
      )
  return found


def check_top(config: ConfigDict, images: Images) -> None:
  """Raises a `ValueError` unless ``config.top`` images can be found."""
  need_positive(config, 'top')
  if config.top > len(images):
    source = 'photos' if config.get('photos') else 'scenes'
    raise ValueError(
      f'config.top: got {config.top}, expected at most the number of pictures, '
      f'{len(images)} of config.{source}'
    )


def rectified(net: nets.Network) -> set[str]:
  """Layers of ReLUs, and the concatenations of such."""
  names: set[str | None] = set()
  for op, reads in wiring(net.ops):
    joined = isinstance(op, Concat) and names.issuperset(reads)
    if isinstance(op, ReLU) or joined:
      names.add(op.name)
  return names


def _unrectified(net: nets.Network, layer: str) -> tuple[str, ...]:
  """Layers that the ReLUs of a layer read, joined if it joins them."""
  for op, inputs in wiring(net.ops):
    if op.name == layer and isinstance(op, ReLU):
      return inputs
    if op.name == layer and isinstance(op, Concat):
      return tuple(n for name in inputs for n in _unrectified(net, name))
  return (layer,)


@functools.partial(jax.jit, static_argnames=('layers', 'below'))
def _add(
  state: dict[str, Survey],
  net: nets.Network,
  x: Array,
  first: Array,
  layers: tuple[str, ...],
  below: tuple[tuple[str, ...], ...],
) -> dict[str, Survey]:
  _, acts = net(x)
  return {
    name: Survey(
      probes.combined(state[name].activity, probes.activity(acts[name])),
      probes.strongest(state[name].strongest, acts[name], first),
      probes.strongest(
        state[name].weakest,
        -jnp.concatenate([acts[each] for each in under], -1),
        first,
      ),
    )
    for name, under in zip(layers, below, strict=True)
  }


def _merge(
  one: dict[str, Survey], other: dict[str, Survey]
) -> dict[str, Survey]:
  return {
    name: Survey(
      probes.combined(one[name].activity, other[name].activity),
      probes.merged(one[name].strongest, other[name].strongest),
      probes.merged(one[name].weakest, other[name].weakest),
    )
    for name in one
  }
