"""Similarity of the maps of a method while its net forgets."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import evaluate, nets
from vizlab.runs.recorder import Recorder
from vizlab.types import Array
from vizlab_experiments.shared import training_data
from vizlab_experiments.shared.labelled_images import LabelledImages
from vizlab_experiments.shared.methods import (
  METHODS,
  Options,
  as_map,
  every_class,
)

__all__ = ['MEASURES', 'Checker', 'check', 'edge_map', 'layer_order']

MEASURES = {
  'SSIM': evaluate.ssim,
  'rank correlation': evaluate.spearman,
  'HOG correlation': evaluate.hog_correlation,
}


def layer_order(net: nets.Network) -> list[str]:
  """Layers with parameters, the last one first."""
  return [op.name for op in net.ops if op.name in net.params][::-1]


@dataclasses.dataclass(frozen=True)
class Checker:
  """A method, whose maps are compared and saved batch by batch.

  Attributes:
    name: Name of the method.
    options: Its settings.
    net: The trained net.
    batch: Number of pictures that are explained at once.
    recorder: Of the run.
  """

  name: str
  options: Options
  net: nets.Network
  batch: int
  recorder: Recorder

  def maps(
    self, params: Mapping, x: np.ndarray, targets: np.ndarray
  ) -> np.ndarray:
    """Maps of the net with other parameters."""
    explain = every_class(METHODS[self.name], self.options)
    changed = nets.with_params(self.net, params)
    return np.asarray(explain(changed, x, targets)[:, 0])

  def alike(self, maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Each measure of each pair of maps ``[B, measures]``."""
    method = METHODS[self.name]
    return np.asarray(_alike(*(as_map(method, v, 3) for v in (maps, others))))

  def in_parts(
    self, part: str, count: int, make: Callable[[slice], dict[str, np.ndarray]]
  ) -> dict[str, np.ndarray]:
    """Returns what ``make`` computes for each batch of ``count`` pictures."""
    item = f'checked_{self.name}/{part}'
    return self.recorder.in_parts(item, count, self.batch, make)


def check(
  config: ConfigDict,
  checker: Checker,
  other: nets.Network | None,
  labelled: LabelledImages,
) -> dict[str, np.ndarray]:
  """Similarities of a method's maps ``[layers, measures]``, and some maps."""
  params = nets.get_params(checker.net)
  images, targets = labelled.images, labelled.targets[:, :1]

  def explain(rows: slice) -> dict[str, np.ndarray]:
    return {'maps': checker.maps(params, images[rows], targets[rows])}

  trained = checker.in_parts('trained', len(images), explain)['maps']
  found: dict[str, Any] = {
    'trained': trained[0],
    # What has nothing to do with the picture: the map of another one.
    'control': checker.alike(np.roll(trained, 1, 0), trained).mean(0),
  }
  for kind, walk in (
    ('cascading', evaluate.cascading),
    ('independent', evaluate.independent),
  ):
    walked = walk(params, _fresh(config, checker.net), layer_order(checker.net))
    found |= _walked(checker, kind, walked, labelled, trained)
  edges = np.asarray(edge_map(images))
  found['edges'] = checker.alike(edges, trained).mean(0)
  if other is not None:
    found['labels'] = _labels(config, checker, other, params)
  return found


def _fresh(config: ConfigDict, net: nets.Network) -> dict[str, Any]:
  """Parameters that have learned nothing."""
  classes = nets.layer_info(net)[-1].shape[-1]
  key = jax.random.key(config.seed + 1)
  return nets.get_params(nets.create(net.arch, key=key, classes=classes))


def _walked(
  checker: Checker,
  kind: str,
  walked: Iterable[tuple[str, Mapping]],
  labelled: LabelledImages,
  trained: np.ndarray,
) -> dict[str, np.ndarray]:
  """The similarity to the trained maps, and the first map, at each layer."""
  images, targets, layers = labelled.images, labelled.targets[:, :1], []
  for layer, params in walked:

    def some(rows: slice, params: Any = params) -> dict[str, np.ndarray]:
      maps = checker.maps(params, images[rows], targets[rows])
      return {'alike': checker.alike(maps, trained[rows]), 'first': maps[:1]}

    layers.append(checker.in_parts(f'{kind}/{layer}', len(images), some))
  return {
    kind: np.stack([found['alike'].mean(0) for found in layers]),
    f'{kind}_maps': np.stack([found['first'][0] for found in layers]),
  }


def _labels(
  config: ConfigDict, checker: Checker, other: nets.Network, params: Mapping
) -> np.ndarray:
  """The similarity to maps of a net that learned random labels by heart."""
  x, said = _learned_by_heart(config, checker.net, other)

  def some(rows: slice) -> dict[str, np.ndarray]:
    theirs = checker.maps(nets.get_params(other), x[rows], said[1][rows])
    ours = checker.maps(params, x[rows], said[0][rows])
    return {'alike': checker.alike(theirs, ours)}

  return checker.in_parts('labels', len(x), some)['alike'].mean(0)


@jax.jit
def _alike(a: Array, b: Array) -> Array:
  """Each measure of each pair of maps: ``[B, measures]``."""
  return jnp.stack([measure(a, b) for measure in MEASURES.values()], -1)


def edge_map(images: np.ndarray) -> Array:
  """An edge detector: the size of the gradient of the grey image."""
  grey = jnp.asarray(images).mean(-1)
  return jnp.hypot(*jnp.gradient(grey, axis=(1, 2)))


def _learned_by_heart(
  config: ConfigDict, net: nets.Network, other: nets.Network
) -> tuple[np.ndarray, list[np.ndarray]]:
  """Scenes that ``other`` learned, and what each of the nets calls them."""
  known = training_data.fixed_set(
    config.learned.seed, config.learned.scenes, config.learned.size, True
  )
  x = np.asarray(known.image[: config.scenes])
  say = jax.jit(lambda net, x: net(x)[0].argmax(-1)[:, None])
  return x, [np.asarray(say(each, x)) for each in (net, other)]
