"""Building blocks of one decision: places, units and groups of a layer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import attribution, nets, render
from vizlab.objectives import logit, score
from vizlab.runs import plots
from vizlab.runs.inputs import load_classifier, read_square
from vizlab.runs.optimization import check
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import named, need_positive
from vizlab_experiments.shared.classes import chosen_classes, class_names
from vizlab_experiments.shared.icons import (
  check_icons,
  icon_problem,
  icons,
  one_hot,
)
from vizlab_experiments.shared.methods import chosen_layer

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  info: nets.LayerInfo
  names: list[str]
  image: np.ndarray
  target: int | None


class Seen(NamedTuple):
  """Activations of the layer, and gradients of the logit of the class.

  Attributes:
    target: The class.
    acts: Activations ``[h, w, C]``.
    gradients: Those of the logit by them, ``[h, w, C]``.
  """

  target: int
  acts: np.ndarray
  gradients: np.ndarray

  @property
  def contributions(self) -> np.ndarray:
    """Activation times gradient, ``[h, w, C]``."""
    return self.acts * self.gradients


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need('sklearn', 'finds the groups')
  need_positive(config, 'units', 'places', 'groups', 'grid')
  check_icons(config)
  net = load_classifier(config)
  info = chosen_layer(config, net)
  height, width, channels = info.shape
  for name, most in (
    ('grid', min(height, width)),
    ('places', height * width),
    ('units', channels // 2),
    ('groups', min(channels, height * width)),
  ):
    if config[name] > most:
      raise ValueError(
        f'config.{name}: got {config[name]}, expected at most {most} in '
        f'{info.name}'
      )
  names = class_names(config, net)
  target = None
  if config.target is not None:
    given = chosen_classes('config.target', [config.target], names)
    if len(given) != 1:
      raise ValueError(
        f'config.target: got {config.target!r}, expected one class'
      )
    target = given[0]
  image = read_square('image', config.image, net.spec.size)
  with named(x='size', shape='size'):
    check(*icon_problem(config, net, info.name, np.ones((1, channels))))
  return Inputs(config, net, info, names, image, target)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Shows the layer by places, by units and by groups."""
  config, net, info, names, image, _ = inputs
  seen = _seen(inputs)
  recorder.arrays('contributions', **seen._asdict())
  places = _strong_places(seen.acts, config.places)
  dictionary = [
    np.argsort(-seen.acts[tuple(place)], kind='stable')[: config.units]
    for place in places
  ]
  by_unit = seen.contributions.sum((0, 1))
  order = np.argsort(-by_unit, kind='stable')
  speaking = [*order[: config.units], *order[: -config.units - 1 : -1]]
  cells = _cells(seen.acts, config.grid)
  parts = recorder.once('groups', lambda: _groups(config, seen.acts))
  shown = np.unique([*np.ravel(dictionary), *speaking])

  def pictures(name: str, vectors: np.ndarray) -> np.ndarray:
    return icons(recorder, name, config, net, info.name, vectors)

  of_units = dict(
    zip(
      shown.tolist(),
      pictures('unit_icons', one_hot(shown, info.shape[-1])),
      strict=True,
    )
  )
  grid = pictures('grid_icons', cells.reshape(-1, cells.shape[-1]))
  of_groups = pictures('group_icons', parts['units'])
  by_group = _by_group(seen, parts)
  recorder.report(
    f'{info.name} of {net.arch} and {names[seen.target]!r}',
    f'The logit of {names[seen.target]!r} by the activations of {info.name}: '
    'places, units and groups, by activation times gradient. Together they are '
    f'{by_unit.sum():.3f}; where the network above is linear that is the logit '
    'without its bias. An icon is an image that excites a unit, or the mix of '
    'units at a place or in a group.',
    [
      Figure(
        'image',
        'The image, and where it speaks for the class',
        _attributed(image, seen),
      ),  # fmt: skip
      Figure(
        'grid',
        'What the layer sees at each place; the larger, the stronger',
        _activation_grid(grid, cells),
      ),
      Figure(
        'dictionary',
        'The strongest units at the strongest places, with their activations',
        _dictionary(image, info, places, dictionary, seen.acts, of_units),
      ),
      Figure(
        'units',
        'Units that speak for the class, and against it',
        _spoken(
          [of_units[k] for k in speaking],
          [f'{k}: {by_unit[k]:+.2f}' for k in speaking],
          config.units,
        ),  # fmt: skip
      ),
      Figure(
        'groups',
        'Groups of units: where they are active, and what excites them',
        _group_table(image, parts, of_groups, by_group),
      ),
      Table(
        'Contributions to the logit',
        ['', 'contribution'],
        [
          *([f'group {i + 1}', float(v)] for i, v in enumerate(by_group)),
          ['in no group', float(by_unit.sum() - by_group.sum())],
          ['together', float(by_unit.sum())],
        ],
      ),
    ],
  )
  return {
    'target': seen.target,
    'together': float(by_unit.sum()),
    'groups': float(by_group.sum()),
  }


def _seen(inputs: Inputs) -> Seen:
  _, net, info, _, image, target = inputs
  x = image[None]
  if target is None:
    target = int(jax.jit(lambda net, x: net(x)[0])(net, x)[0].argmax())
  found = jax.jit(attribution.layer_gradients, static_argnums=2)(
    score(net, logit(target)), x, (info.name,)
  )
  return Seen(
    target,
    np.asarray(found.acts[info.name][0]),
    np.asarray(found.gradients[info.name][0]),
  )


def _strong_places(acts: np.ndarray, count: int) -> np.ndarray:
  """Rows and columns ``[count, 2]`` of the longest activations."""
  size = np.linalg.norm(acts, axis=-1)
  order = np.argsort(-size.ravel(), kind='stable')[:count]
  return np.stack(np.unravel_index(order, size.shape), 1)


def _cells(acts: np.ndarray, count: int) -> np.ndarray:
  """Mean activations of ``count x count`` parts of the map."""
  height, width = acts.shape[:2]
  rows, columns = (
    np.linspace(0, n, count + 1).round().astype(int) for n in (height, width)
  )
  return np.stack(
    [
      np.stack(
        [
          acts[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].mean((0, 1))
          for j in range(count)
        ]
      )
      for i in range(count)
    ]
  )


def _groups(config: ConfigDict, acts: np.ndarray) -> dict[str, np.ndarray]:
  """Non-negative factors: places ``[h, w, G]`` and units ``[G, C]``."""
  from sklearn.decomposition import NMF

  positive = np.maximum(acts, 0).reshape(-1, acts.shape[-1])
  model = NMF(
    config.groups, init='nndsvda', random_state=config.seed, max_iter=1000
  )
  places = model.fit_transform(positive.astype(np.float64))
  return {
    'places': places.reshape(*acts.shape[:2], -1).astype(np.float32),
    'units': model.components_.astype(np.float32),
  }


def _by_group(seen: Seen, parts: dict[str, np.ndarray]) -> np.ndarray:
  """Contribution of each group ``[G]``: its activations times the gradient."""
  return np.einsum(
    'hwg,gc,hwc->g', parts['places'], parts['units'], seen.gradients
  )


def _attributed(image: np.ndarray, seen: Seen) -> np.ndarray:
  by_place = seen.contributions.sum(-1)
  large = np.asarray(
    jax.image.resize(by_place.astype(np.float32), image.shape[:2], 'linear')
  )
  return render.table(
    [[render.to_uint8(image), render.signed(large),
      render.overlay(large, image)]],
    ['image', 'by place', 'where positive'],
    [''],
    224,
  )  # fmt: skip


def _activation_grid(grid: np.ndarray, cells: np.ndarray) -> np.ndarray:
  """Icons at their places, scaled by the length of the activation."""
  size = np.linalg.norm(cells, axis=-1)
  scale = np.sqrt(size / max(size.max(), 1e-12))
  count, side = len(cells), grid.shape[1]
  sheet = np.full((count * side, count * side, 3), 255, np.uint8)
  for i, icon in enumerate(grid):
    y, x = divmod(i, count)
    small = render.resize(icon, max(4, int(side * scale[y, x])))
    h, w = small.shape[:2]
    top, left = y * side + (side - h) // 2, x * side + (side - w) // 2
    sheet[top : top + h, left : left + w] = small
  return sheet


def _dictionary(
  image: np.ndarray,
  info: nets.LayerInfo,
  places: np.ndarray,
  dictionary: Sequence[np.ndarray],
  acts: np.ndarray,
  of_units: dict[int, np.ndarray],
) -> np.ndarray:
  """A row for each place: what its unit sees, and icons of its units."""
  rows = []
  for place, units in zip(places, dictionary, strict=True):
    box = [info.field.pixels(int(i)) for i in place]
    rows.append(render.crop(render.to_uint8(image), *box))
    rows.extend(of_units[int(k)] for k in units)
  count = len(dictionary[0]) + 1
  labels = [
    '\n'.join(f'{k}: {acts[tuple(place)][k]:.2f}' for k in units)
    for place, units in zip(places, dictionary, strict=True)
  ]
  return render.table(
    [rows[i : i + count] for i in range(0, len(rows), count)],
    ['it sees', *(f'unit {i + 1}' for i in range(count - 1))],
    labels,
    112,
  )


def _spoken(
  pictures: Sequence[np.ndarray], labels: Sequence[str], count: int
) -> np.ndarray:
  """A row of units for the class, and one of units against it."""
  rows = []
  for i, title in ((0, 'for'), (count, 'against')):
    part = slice(i, i + count)
    rows.append(
      render.table([pictures[part]], labels[part], [title], 112, PAGE)
    )
  wide = max(row.shape[1] for row in rows)
  padded = [
    np.pad(row, ((0, 0), (0, wide - row.shape[1]), (0, 0)), constant_values=255)
    for row in rows
  ]
  return np.concatenate(padded)


def _group_table(
  image: np.ndarray,
  parts: dict[str, np.ndarray],
  pictures: np.ndarray,
  by_group: np.ndarray,
) -> np.ndarray:
  rows = []
  for i, icon in enumerate(pictures):
    large = jax.image.resize(parts['places'][..., i], image.shape[:2], 'linear')
    rows.append([render.overlay(np.asarray(large), image), icon])
  labels = [f'group {i + 1}\n{v:+.2f}' for i, v in enumerate(by_group)]
  return render.table(rows, ['where', 'what'], labels, 160)
