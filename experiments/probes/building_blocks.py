"""Building blocks of one decision: positions, units and groups of layers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import attribution, nets, render, synthesis
from vizlab.nets.graph import wiring
from vizlab.objectives import logit, score
from vizlab.runs import plots
from vizlab.runs.inputs import load_classifier, read_square
from vizlab.runs.optimization import check
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import named, need_positive
from vizlab_experiments.shared.classes import chosen_class, class_names
from vizlab_experiments.shared.groups import (
  Groups,
  Seen,
  between,
  by_group,
  found_groups,
)
from vizlab_experiments.shared.icons import (
  aligned_icons,
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
  lower: nets.LayerInfo
  names: list[str]
  image: np.ndarray
  target: int | None


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need('sklearn', 'finds the groups')
  need_positive(config, 'units', 'positions', 'groups', 'grid')
  plots.need_matplotlib()
  check_icons(config)
  net = load_classifier(config)
  info = chosen_layer(config, net)
  lower = _layer_below(config, net, info)
  height, width, channels = info.shape
  for name, most in (
    ('grid', min(height, width)),
    ('positions', height * width),
    ('units', channels // 2),
    ('groups', min(channels, height * width, lower.shape[-1])),
  ):
    if config[name] > most:
      raise ValueError(
        f'config.{name}: got {config[name]}, expected at most {most} in '
        f'{info.name}'
      )
  names = class_names(config, net)
  target = chosen_class(config, names)
  image = read_square('image', config.image, net.spec.size)
  with named(x='size', shape='size', reach='reach'):
    score_fn, icon = icon_problem(
      config, net, info.name, np.ones((1, 1, channels))
    )
    check(score_fn, icon)
    if config.reach is not None:
      check(score_fn, synthesis.shared(icon, reach=config.reach))
  return Inputs(config, net, info, lower, names, image, target)


def _layer_below(
  config: ConfigDict, net: nets.Network, info: nets.LayerInfo
) -> nets.LayerInfo:
  """The map ``config.lower``, which the layer depends on."""
  lower = chosen_layer(config, net, 'lower')
  reads = dict((op.name, inputs) for op, inputs in wiring(net.ops))
  below, found = [info.name], set()
  while below:
    for name in reads[below.pop()]:
      if name is not None and name not in found:
        found.add(name)
        below.append(name)
  if lower.name not in found:
    raise ValueError(
      f'config.lower: got {lower.name!r}, expected a layer that {info.name!r} '
      'depends on'
    )
  return lower


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Shows the layer by positions, by units and by groups."""
  config, net, info, lower, names, image, _ = inputs
  target, seen = _seen(inputs)
  contributions = seen[info.name].contributions
  recorder.arrays('contributions', target=target, **seen[info.name]._asdict())
  groups = {
    name: Groups(
      **recorder.once(
        'groups' if name == info.name else 'lower_groups',
        lambda acts=each.acts: found_groups(
          acts, config.groups, config.seed
        )._asdict(),
      )
    )
    for name, each in seen.items()
  }
  layers = lower.name, info.name
  flow = between(
    net, image, layers, *(tuple(v[n] for n in layers) for v in (seen, groups))
  )
  recorder.arrays('between', contributions=flow)
  said = by_group(seen[info.name], groups[info.name])
  together = float(contributions.sum())
  recorder.report(
    f'{info.name} of {net.arch} and {names[target]!r}',
    f'The logit of {names[target]!r} by the activations of {info.name}: '
    'positions, units and groups, by activation times gradient. Together they '
    f'are {together:.3f}; where the network above is linear that is the logit '
    'without its bias. An icon is an image that excites a unit, or the mix of '
    'units at a position or in a group.',
    [
      Figure(
        'image',
        'The image, and where it speaks for the class',
        _attributed(image, contributions),
      ),
      *_position_figures(inputs, recorder, seen[info.name]),
      *_group_figures(inputs, recorder, groups, flow, said),
      Table(
        'contributions',
        'Contributions to the logit',
        ['', 'contribution'],
        [
          *([f'group {i + 1}', float(v)] for i, v in enumerate(said)),
          ['in no group', together - float(said.sum())],
          ['together', together],
        ],
      ),
    ],
  )
  return {
    'target': target,
    'together': together,
    'groups': float(said.sum()),
    'together_lower': float(seen[lower.name].contributions.sum()),
  }


def _seen(inputs: Inputs) -> tuple[int, dict[str, Seen]]:
  """The class, and its logit's gradients by the lower and the upper layer."""
  _, net, info, lower, _, image, target = inputs
  x = image[None]
  if target is None:
    target = int(jax.jit(lambda net, x: net(x)[0])(net, x)[0].argmax())
  layers = lower.name, info.name
  found = jax.jit(attribution.layer_gradients, static_argnums=2)(
    score(net, logit(target)), x, layers
  )
  return target, {
    name: Seen(
      np.asarray(found.acts[name][0]), np.asarray(found.gradients[name][0])
    )
    for name in layers
  }


def _position_figures(
  inputs: Inputs, recorder: Recorder, seen: Seen
) -> list[Figure]:
  """Figures of the cells, of strong positions, and of units by class."""
  config, net, info, _, _, image, _ = inputs
  positions = _strong_positions(seen.acts, config.positions)
  dictionary = [
    np.argsort(-seen.acts[tuple(each)], kind='stable')[: config.units]
    for each in positions
  ]
  by_unit = seen.contributions.sum((0, 1))
  order = np.argsort(-by_unit, kind='stable')
  speaking = [*order[: config.units], *order[: -config.units - 1 : -1]]
  shown = np.unique([*np.ravel(dictionary), *speaking])
  made = icons(
    recorder, 'unit_icons', config, net, info.name,
    one_hot(shown, info.shape[-1]),
  )  # fmt: skip
  of_units = dict(zip(shown.tolist(), made, strict=True))
  cells = _cells(seen.acts, config.grid)
  grid = (icons if config.reach is None else aligned_icons)(
    recorder, 'grid_icons', config, net, info.name, cells
  )
  return [
    Figure(
      'grid',
      'What the layer sees at each position; the larger, the stronger',
      _activation_grid(grid, cells),
    ),
    Figure(
      'dictionary',
      'The strongest units at the strongest positions, with their activations',
      _dictionary(image, info, positions, dictionary, seen.acts, of_units),
    ),
    Figure(
      'units',
      'Units that speak for the class, and against it',
      _spoken(
        [of_units[k] for k in speaking],
        [f'{k}: {by_unit[k]:+.2f}' for k in speaking],
        config.units,
      ),
    ),
  ]


def _group_figures(
  inputs: Inputs,
  recorder: Recorder,
  groups: dict[str, Groups],
  flow: np.ndarray,
  said: np.ndarray,
) -> list[Figure]:
  """Figures of the groups, and of the contributions between two layers."""
  config, net, info, lower, _, image, _ = inputs
  pictures = {}
  for layer, name in ((info, 'group_icons'), (lower, 'lower_group_icons')):
    parts = groups[layer.name]
    made = icons(recorder, name, config, net, layer.name, parts.units)
    pictures[layer.name] = [
      [render.overlay(_large(parts.positions[..., i], image), image), icon]
      for i, icon in enumerate(made)
    ]
  return [
    Figure(
      'groups',
      'Groups of units: where they are active, and what excites them',
      render.table(
        pictures[info.name],
        ['where', 'what'],
        [f'group {i + 1}\n{v:+.2f}' for i, v in enumerate(said)],
        160,
      ),
    ),
    Figure(
      'between',
      f'Groups of {lower.name}, and the groups of {info.name} through which '
      'they speak for the class (red) or against it (blue)',
      plots.ribbons(
        flow,
        *(
          _ends(pictures[name], flow.sum(axis))
          for name, axis in ((lower.name, 1), (info.name, 0))
        ),
      ),
    ),
  ]


def _ends(
  pictures: Sequence[Sequence[np.ndarray]], values: np.ndarray
) -> dict[str, np.ndarray | None]:
  """Labels and pictures of groups, and of what is in none."""
  wide = [
    np.concatenate([render.resize(p, 96) for p in each], 1) for each in pictures
  ]
  names = [*(f'group {i + 1}' for i in range(len(wide))), 'in no group']
  return {
    f'{name}: {value:+.2f}': picture
    for name, value, picture in zip(names, values, [*wide, None], strict=True)
  }


def _strong_positions(acts: np.ndarray, count: int) -> np.ndarray:
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


def _large(values: np.ndarray, image: np.ndarray) -> np.ndarray:
  """A map of a layer, enlarged to the size of the image."""
  return np.asarray(
    jax.image.resize(values.astype(np.float32), image.shape[:2], 'linear')
  )


def _attributed(image: np.ndarray, contributions: np.ndarray) -> np.ndarray:
  large = _large(contributions.sum(-1), image)
  return render.table(
    [[render.to_uint8(image), render.signed(large),
      render.overlay(large, image)]],
    ['image', 'by position', 'where positive'],
    [''],
    224,
  )  # fmt: skip


def _activation_grid(grid: np.ndarray, cells: np.ndarray) -> np.ndarray:
  """Icons at their positions, scaled by the length of the activation."""
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
  positions: np.ndarray,
  dictionary: Sequence[np.ndarray],
  acts: np.ndarray,
  of_units: dict[int, np.ndarray],
) -> np.ndarray:
  """A row for each place: what its unit sees, and icons of its units."""
  rows = []
  for position, units in zip(positions, dictionary, strict=True):
    box = [info.field.pixels(int(i)) for i in position]
    rows.append(render.crop(render.to_uint8(image), *box))
    rows.extend(of_units[int(k)] for k in units)
  count = len(dictionary[0]) + 1
  labels = [
    '\n'.join(f'{k}: {acts[tuple(position)][k]:.2f}' for k in units)
    for position, units in zip(positions, dictionary, strict=True)
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
