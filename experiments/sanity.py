"""Sanity checks: does a map change when the net forgets what it learned?"""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments import plots, training_data
from experiments.cases import Cases, load_cases
from experiments.common import Recorder
from experiments.inputs import load_classifier, load_other
from experiments.methods import (
  METHODS,
  Options,
  as_map,
  chosen_methods,
  chosen_options,
  every_class,
  possible_methods,
)
from experiments.report import Figure, Table
from experiments.settings import need_positive
from vizlab import evaluate, nets, render
from vizlab.types import Array

__all__ = ['run']

MEASURES = {
  'SSIM': evaluate.ssim,
  'rank correlation': evaluate.spearman,
  'HOG correlation': evaluate.hog_correlation,
}
# A map that is as alike as this, on average by SSIM, has hardly moved.
MOVED = 0.5


def run(
  config: ConfigDict, workdir: str | os.PathLike, *, overwrite: bool = False
) -> dict[str, Any]:
  """Checks every method of the config and writes who passed."""
  recorder = Recorder(workdir, config, overwrite=overwrite)
  if recorder.results is not None:
    return recorder.results
  plots.need_matplotlib()
  need_positive(config, 'batch')
  methods = chosen_methods(config)
  net = load_classifier(config)
  methods, left_out = possible_methods(methods, net)
  options = chosen_options(config, net)
  cases = load_cases(config, net)
  other = None
  if config.random_labels:
    other = load_other(config, 'random_labels', config.random_labels)
  if other is not None and other.arch != net.arch:
    raise ValueError(
      f'config.random_labels: {config.random_labels} is a {other.arch}, '
      f"expected a {net.arch}, or '' for none"
    )
  recorder.open()
  checked = {}
  for name in (bar := tqdm(methods)):
    bar.set_description(f'checking {name}')
    checker = Checker(name, options, net, config.batch, recorder)
    check = functools.partial(_check, config, checker, other, cases)
    checked[name] = recorder.once(f'checked_{name}', check)
  order = _order(net)
  verdicts = {name: _verdict(found) for name, found in checked.items()}
  recorder.report(
    f'Sanity checks of attribution methods with {net.arch}',
    _summary(order, other is not None) + left_out,
    [
      _passed(verdicts, checked),
      _edges(checked),
      _curves(checked, 'cascading', order),
      _curves(checked, 'independent', order),
      _pictures(checked, order, cases),
    ],
  )
  return recorder.finish(
    {
      f'{check}/{name}': value
      for name, verdict in verdicts.items()
      for check, value in verdict.items()
    }
  )


def _order(net: nets.Network) -> list[str]:
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
    """What ``make`` gives for each batch of ``count`` pictures."""
    item = f'checked_{self.name}/{part}'
    return self.recorder.in_parts(item, count, self.batch, make)


def _check(
  config: ConfigDict,
  checker: Checker,
  other: nets.Network | None,
  cases: Cases,
) -> dict[str, np.ndarray]:
  """Similarities of a method's maps ``[layers, measures]``, and some maps."""
  params = nets.get_params(checker.net)
  images, targets = cases.images, cases.targets[:, :1]

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
    walked = walk(params, _fresh(config, checker.net), _order(checker.net))
    found |= _walked(checker, kind, walked, cases, trained)
  edges = np.asarray(_edge_map(images))
  found['edges'] = checker.alike(edges, trained).mean(0)
  if other is not None:
    found['labels'] = _labels(config, checker, other, params)
  return found


def _fresh(config: ConfigDict, net: nets.Network) -> dict[str, Any]:
  """Parameters that have learned nothing."""
  classes = nets.layers(net)[-1].shape[-1]
  key = jax.random.key(config.seed + 1)
  return nets.get_params(nets.create(net.arch, key=key, classes=classes))


def _walked(
  checker: Checker,
  kind: str,
  walked: Iterable[tuple[str, Mapping]],
  cases: Cases,
  trained: np.ndarray,
) -> dict[str, np.ndarray]:
  """The similarity to the trained maps, and the first map, at each layer."""
  images, targets, layers = cases.images, cases.targets[:, :1], []
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


def _edge_map(images: np.ndarray) -> Array:
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


def _verdict(found: Mapping[str, np.ndarray]) -> dict[str, float]:
  """SSIM with the top half of the net forgotten, and between the two nets."""
  half = len(found['cascading']) // 2
  verdict = {'parameters': float(found['cascading'][half, 0])}
  if 'labels' in found:
    verdict['labels'] = float(found['labels'][0])
  return verdict


def _summary(order: Sequence[str], labels: bool) -> str:
  half = order[len(order) // 2]
  text = (
    'A map that explains what a net has learned must change when that is taken '
    'away. Layers are randomised from the classifier downwards (cascading) '
    'and one at a time (independent). A method passes the test of the '
    f'parameters if its maps are less than {MOVED} alike by SSIM, on average, '
    f'once everything from {order[0]} to {half} is random'
  )
  if labels:
    text += (
      '; and that of the labels if so alike are the maps of this net and of '
      'one that learned random labels by heart, each for the class that it '
      'names'
    )
  return text + '.'


def _passed(
  verdicts: Mapping[str, Mapping[str, float]],
  checked: Mapping[str, Mapping[str, np.ndarray]],
) -> Table:
  rows = []
  for name, verdict in verdicts.items():
    words = [
      f'{"passed" if value < MOVED else "FAILED"} (SSIM {value:.2f})'
      for value in verdict.values()
    ]
    rows.append([name, *words, float(checked[name]['control'][0])])
  checks = next(iter(verdicts.values()))
  return Table(
    'Which methods passed. The last column is how alike the maps of two '
    'pictures are: where it is as high, a method fails because its maps are '
    'mostly empty, and the other two measures tell more',
    ['method', *checks, 'of another picture'],
    rows,
  )


def _edges(checked: Mapping[str, Mapping[str, np.ndarray]]) -> Table:
  rows = [
    [name, *map(float, found['edges'])] for name, found in checked.items()
  ]
  return Table(
    'How alike each method, on the trained net, is to an edge detector, which '
    'knows nothing of any net',
    ['method', *MEASURES],
    rows,
  )


def _curves(
  checked: Mapping[str, Mapping[str, np.ndarray]],
  kind: str,
  order: Sequence[str],
) -> Figure:
  panels = {
    measure: {
      name: [1.0, *found[kind][:, i]] for name, found in checked.items()
    }
    for i, measure in enumerate(MEASURES)
  }
  return Figure(
    kind,
    f'How alike the maps stay to those of the trained net, {kind}',
    plots.curves(panels, ['trained', *order], 'randomised layer'),
  )


def _pictures(
  checked: Mapping[str, Mapping[str, np.ndarray]],
  order: Sequence[str],
  cases: Cases,
) -> Figure:
  image = cases.images[0]
  rows = [
    [
      METHODS[name].show(map_, image)
      for map_ in (found['trained'], *found['cascading_maps'])
    ]
    for name, found in checked.items()
  ]
  rows.append(
    [render.to_uint8(image), render.heat(np.asarray(_edge_map(image[None])[0]))]
  )
  return Figure(
    'maps',
    'The first picture while more and more layers are randomised; below, the '
    'picture and its edges',
    render.table(
      rows,
      ['trained', *(f'.. {name}' for name in order)],
      [*checked, 'edges'],
      112,
    ),
  )
