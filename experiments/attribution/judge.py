"""Judges the attribution methods: by known masks, and by what scores do."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import evaluate, nets, render
from vizlab.objectives import logit, probability, score
from vizlab.runs import plots
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import need_positive
from vizlab.types import Array
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)
from vizlab_experiments.shared.methods import (
  METHODS,
  Explaining,
  Method,
  Options,
  as_map,
  every_class,
  load_explaining,
)

__all__ = ['prepare', 'run']

# Each metric and whether much of it is good.
BY_MASK = {
  'pointing': '+',
  'energy': '+',
  'on the other': '-',
  'own share': '+',
  'iou': '+',
}
BY_SCORE = {
  'deletion': '-',
  'insertion': '+',
  'road': '+',
  'drop': '-',
  'increase': '+',
  'infidelity': '-',
  'sensitivity': '-',
  'sparseness': '',
}
_SHOWN = 2  # best and worst pictures of each method


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  explaining: Explaining
  labelled: LabelledImages


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  explaining = load_explaining(config)
  need_positive(config, 'faithful', 'steps', 'changes', 'batch')
  labelled = load_labelled_images(config, explaining.net)
  return Inputs(config, explaining, labelled)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Judges every method of the config and writes the tables."""
  config, explaining, labelled = inputs
  net, methods, options, left_out = explaining
  judged = {}
  for name in (bar := tqdm(methods)):
    bar.set_description(f'judging {name}')
    judge = functools.partial(
      _judge, config, METHODS[name], options, net, labelled, recorder, name
    )
    judged[name] = recorder.once(f'judged_{name}', judge)
  metrics = [m for m in (*BY_MASK, *BY_SCORE) if m in judged[methods[0]]]
  means = {
    name: {m: float(judged[name][m].mean()) for m in metrics}
    for name in methods
  }
  recorder.report(
    f'Attribution methods judged with {net.arch}',
    _summary(labelled, config) + left_out,
    [
      _table(means, labelled),
      _curves(judged),
      _extremes(judged, labelled),
    ],
  )
  return {f'{m}/{n}': v for n, row in means.items() for m, v in row.items()}


def _judge(
  config: ConfigDict,
  method: Method,
  options: Options,
  net: nets.Network,
  labelled: LabelledImages,
  recorder: Recorder,
  name: str,
) -> dict[str, np.ndarray]:
  """All metrics of a method, one number per case, and its extreme maps."""
  explain = every_class(method, options)
  judge = _by_score(config, method, options)

  def by_mask(rows: slice) -> dict[str, np.ndarray]:
    maps = explain(net, labelled.images[rows], labelled.targets[rows])
    values = as_map(method, maps, 4)
    found = (
      {} if labelled.masks is None else _by_mask(values, labelled.masks[rows])
    )
    found |= {'sparseness': _sparseness(values), 'maps': maps[:, 0]}
    return {k: np.asarray(v) for k, v in found.items()}

  def by_score(rows: slice) -> dict[str, np.ndarray]:
    # The same noise for all pictures, however many are judged at once.
    key = jax.random.key(config.seed)
    found = judge(net, labelled.images[rows], labelled.targets[rows, 0], key)
    return {k: np.asarray(v) for k, v in found.items()}

  n, item = len(labelled.images), f'judged_{name}'
  scores = recorder.in_parts(f'{item}/masks', n, config.batch, by_mask)
  maps = scores.pop('maps')
  scores |= recorder.in_parts(
    f'{item}/scores', min(config.faithful, n), min(config.batch, 16), by_score
  )
  quality = (
    scores['energy'][:, 0]
    if labelled.masks is not None
    else (-scores['deletion'])
  )
  order = np.argsort(-quality, kind='stable')
  extremes = np.concatenate([order[:_SHOWN], order[-_SHOWN:]])
  return scores | {
    'extremes': extremes,
    'maps': maps[extremes],
    'quality': quality[extremes],
  }


_sparseness = jax.jit(evaluate.sparseness)


@jax.jit
def _by_mask(maps: Array, masks: Array) -> dict[str, Array]:
  """Metrics of maps ``[B, E, H, W]``, one number per image and class."""
  energy = evaluate.energy_inside(maps, masks)
  other = evaluate.energy_inside(maps, masks[:, ::-1])
  return {
    'pointing': evaluate.pointing_game(maps, masks),
    'energy': energy,
    'on the other': other,
    'own share': energy / jnp.maximum(energy + other, 1e-12),
    'iou': evaluate.iou(maps, masks),
  }


def _by_score(
  config: ConfigDict, method: Method, options: Options
) -> Callable[..., dict[str, Array]]:
  """A jitted function ``(net, images, targets, key) -> {metric: [B]}``."""

  def judge(net: nets.Network, x: Array, target: Array, key: Array) -> dict:
    class_score, probability_score = (
      score(net, f(target)) for f in (logit, probability)
    )

    def explain(x: Array) -> Array:
      return method.explain(class_score, x, options)

    raw = explain(x)
    road_key, noise_key, change_key = jax.random.split(key, 3)
    map_ = as_map(method, raw, 3)
    chunk = {'chunk': config.chunk}
    curves = {
      'deletion': evaluate.deletion(
        probability_score, x, map_, steps=config.steps, **chunk
      ),
      'insertion': evaluate.insertion(
        probability_score, x, map_, steps=config.steps, **chunk
      ),
    }
    drops = evaluate.drop_increase(probability_score, x, map_)
    return {
      **{name: curve.area for name, curve in curves.items()},
      **{f'{name}_curve': curve.scores for name, curve in curves.items()},
      'road': evaluate.road(probability_score, x, map_, road_key, **chunk),
      'drop': drops.drop,
      'increase': drops.increase,
      'infidelity': evaluate.infidelity(
        class_score,
        x,
        raw,
        noise_key,
        sigma=0.05,
        samples=config.samples,
        **chunk,
      ),
      'sensitivity': evaluate.max_sensitivity(
        explain, x, change_key, samples=config.changes
      ),
    }

  return jax.jit(judge)


def _summary(labelled: LabelledImages, config: ConfigDict) -> str:
  n, e = labelled.targets.shape
  text = f'{n} pictures, {e} class{"es" * (e > 1)} of each explained. '
  if labelled.masks is not None:
    text += (
      'By the masks, which are known: does the peak lie inside the object '
      'that is asked about (pointing), how much of the map (energy), how much '
      'on the other object, the own share of the two, and the overlap at half '
      'the maximum (iou). '
    )
  return text + (
    f'By the scores of {min(n, config.faithful)} pictures: the probability '
    'while the strongest pixels are deleted or inserted, ROAD, average drop '
    'and increase, infidelity of the scaled map, sensitivity to small changes, '
    'and sparseness (Gini), which is neither good nor bad. A + marks metrics '
    'of which much is good, a - those of which little is.'
  )


def _table(
  means: Mapping[str, Mapping[str, float]], labelled: LabelledImages
) -> Table:
  metrics = list(next(iter(means.values())))
  signs = BY_MASK | BY_SCORE
  rows = [[name, *row.values()] for name, row in means.items()]
  if labelled.masks is not None:
    share = float(labelled.masks.mean())
    flat = {'pointing': share, 'energy': share, 'on the other': share}
    flat |= {'own share': 0.5, 'iou': share}
    rows.insert(0, ['a flat map', *(flat.get(m, '') for m in metrics)])
  columns = ['method', *(f'{m} {signs[m]}'.strip() for m in metrics)]
  return Table('metrics', 'Means over all pictures', columns, rows)


def _curves(judged: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
  panels = {
    title: {n: found[f'{kind}_curve'].mean(0) for n, found in judged.items()}
    for kind, title in (
      ('deletion', 'Deletion: probability, low is good'),
      ('insertion', 'Insertion: probability, high is good'),
    )
  }
  points = len(next(iter(panels.values()))[next(iter(judged))])
  return Figure(
    'curves',
    'The probability of the class while pixels go grey, or come into view from '
    'a blur, the strongest first',
    plots.curves(panels, list(np.linspace(0, 1, points)), 'share of pixels'),
  )


def _extremes(
  judged: Mapping[str, Mapping[str, np.ndarray]], labelled: LabelledImages
) -> Figure:
  rows = []
  for name, found in judged.items():
    row = []
    for i, map_ in zip(found['extremes'], found['maps'], strict=True):
      image = labelled.images[i]
      row += [render.to_uint8(image), METHODS[name].show(map_, image)]
    rows.append(row)
  titles = [f'{k} {i + 1}' for k in ('best', 'worst') for i in range(_SHOWN)]
  what = (
    'energy inside the object' if labelled.masks is not None else 'deletion'
  )
  return Figure(
    'extremes',
    f'The best and the worst pictures of each method by {what}',
    render.table(
      rows, [t for title in titles for t in (title, '')], list(judged), side=112
    ),
  )
