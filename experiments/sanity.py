"""Sanity checks: does a map change when the net forgets what it learned?"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
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
  Method,
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
    check = functools.partial(
      _check, config, METHODS[name], options, net, other, cases, recorder, name
    )
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


def _check(
  config: ConfigDict,
  method: Method,
  options: Options,
  net: nets.Network,
  other: nets.Network | None,
  cases: Cases,
  recorder: Recorder,
  name: str,
) -> dict[str, np.ndarray]:
  """Similarities of a method's maps ``[layers, measures]``, and some maps."""
  explain = every_class(method, options)

  def maps(params: Mapping, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    changed = nets.with_params(net, params)
    return np.asarray(explain(changed, x, targets)[:, 0])

  def in_parts(
    part: str, count: int, make: Callable[[slice], dict[str, np.ndarray]]
  ) -> dict[str, np.ndarray]:
    item = f'checked_{name}/{part}'
    return recorder.in_parts(item, count, config.batch, make)

  def alike(raw: np.ndarray, to: np.ndarray) -> np.ndarray:
    return np.asarray(_alike(as_map(method, raw, 3), as_map(method, to, 3)))

  params = nets.get_params(net)
  fresh = nets.get_params(
    nets.create(
      net.arch,
      key=jax.random.key(config.seed + 1),
      classes=nets.layers(net)[-1].shape[-1],
    )
  )
  images, targets, n = cases.images, cases.targets[:, :1], len(cases.images)
  trained = in_parts(
    'trained',
    n,
    lambda rows: {'maps': maps(params, images[rows], targets[rows])},
  )['maps']
  found: dict[str, Any] = {
    'trained': trained[0],
    # What has nothing to do with the picture: the map of another one.
    'control': alike(np.roll(trained, 1, 0), trained).mean(0),
  }
  for kind, walk in (
    ('cascading', evaluate.cascading),
    ('independent', evaluate.independent),
  ):
    layers = []
    for layer, some in walk(params, fresh, _order(net)):

      def one(rows: slice, some: Mapping = some) -> dict[str, np.ndarray]:
        raw = maps(some, images[rows], targets[rows])
        return {'alike': alike(raw, trained[rows]), 'first': raw[:1]}

      layers.append(in_parts(f'{kind}/{layer}', n, one))
    found[kind] = np.stack([each['alike'].mean(0) for each in layers])
    found[f'{kind}_maps'] = np.stack([each['first'][0] for each in layers])
  found['edges'] = alike(np.asarray(_edge_map(images)), trained).mean(0)
  if other is not None:
    x, said = _learned_by_heart(config, net, other)

    def both(rows: slice) -> dict[str, np.ndarray]:
      theirs = maps(nets.get_params(other), x[rows], said[1][rows])
      return {'alike': alike(theirs, maps(params, x[rows], said[0][rows]))}

    found['labels'] = in_parts('labels', len(x), both)['alike'].mean(0)
  return found


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
