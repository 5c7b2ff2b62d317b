"""Pictures of what a generator of chairs has learned, and their report."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes, render
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.types import Array
from vizlab_experiments.shared.chair_descriptions import (
  CHANGES,
  Described,
  described,
  draw,
  neutral,
  random_chairs,
  views,
)

__all__ = ['make', 'report']

_SHOWN = 6  # chairs beside their renderings
_COLUMNS = 9  # of rows in which something changes
_AZIMUTH, _ELEVATION = 0.6, 0.4  # from where single chairs are seen
_READ = 512  # chairs whose units are compared with their changes
_UNITS = ('zoom', 'angle', 'brightness')  # changes whose units are sought
_RAISED = 12  # standard deviations by which such a unit is raised
# Dense layers whose units are shown alone: of the style, and of all parts.
_LAYERS = ('style1_relu', 'style2_relu', 'joined1_relu', 'joined2_relu')
# Two styles each that differ in a kind of part (and in size and colour), and a
# third one.
_SUMS = {'arms': (12, 0, 4), 'legs': (1, 0, 5), 'back': (3, 0, 13)}


def make(config: ConfigDict, net: nets.Network) -> dict[str, np.ndarray]:
  """Images of the report by name, ``[row, column, S, S, 4]``."""
  key = jax.random.fold_in(jax.random.key(config.seed), config.steps + 1)
  drawn = jax.jit(lambda net, x: net(x)[1]['drawn'])

  def generate(chairs: Described) -> np.ndarray:
    return np.asarray(drawn(net, described(chairs, config.styles)))

  _, unseen = views(config.azimuths)
  chairs = random_chairs(key, _SHOWN, config.styles, unseen, changed=True)
  return {
    'beside': np.stack([draw(chairs, config.size), generate(chairs)]),
    'changes': _rows(generate, _changed(config)),
    'turned': _rows(generate, _turned(config)),
    'morphed': _morphed(config, net, drawn),
    'sums': _sums(config, net, generate),
    'random': _random(config, net, drawn, key),
    **_units(config, net, key),
    **_alone(config, net, key),
  }


def _chair(config: ConfigDict, count: int, style: int = 7) -> Described:
  """One chair, ``count`` times."""
  return Described(
    np.full(count, style % config.styles),
    np.full(count, _AZIMUTH, np.float32),
    np.full(count, _ELEVATION, np.float32),
    np.tile(neutral(), (count, 1)),
  )


def _rows(generate: Any, rows: list[Described]) -> np.ndarray:
  return np.stack([generate(row) for row in rows])


def _changed(config: ConfigDict) -> list[Described]:
  """Each change from its least to its greatest amount, a row each."""
  rows = []
  for i in range(len(CHANGES)):
    chairs = _chair(config, _COLUMNS)
    chairs.change[:, i] = np.linspace(-1, 1, _COLUMNS)
    rows.append(chairs)
  return rows


def _turned(config: ConfigDict) -> list[Described]:
  """Chairs from all views of half a turn, seen and unseen in turn."""
  count = config.azimuths // 2 + 1
  azimuth = np.arange(count, dtype=np.float32) * 2 * np.pi / config.azimuths
  return [
    _chair(config, count, style)._replace(azimuth=azimuth)
    for style in (7, 40, 61)
  ]


def _morphed(config: ConfigDict, net: nets.Network, drawn: Any) -> np.ndarray:
  """Mixtures of two styles, from one to the other."""
  share = np.linspace(0, 1, _COLUMNS, dtype=np.float32)[:, None, None, None]
  rows = []
  for pair in ((7, 40), (61, 5), (14, 90)):
    one, other = (
      described(_chair(config, _COLUMNS, style), config.styles)
      for style in pair
    )
    rows.append(np.asarray(drawn(net, (1 - share) * one + share * other)))
  return np.stack(rows)


def _sums(config: ConfigDict, net: nets.Network, generate: Any) -> np.ndarray:
  """First - second + third style, in the features of the styles."""

  @jax.jit
  def summed(net: nets.Network, x: Array) -> Array:
    def edit(a: Array) -> Array:
      return jax.nn.relu(a[:1] - a[1:2] + a[2:])

    style = net(x)[1]['style2_relu']
    return net(x[2:], {'style2_relu': lambda _: edit(style)})[1]['drawn']

  rows = []
  for styles in _SUMS.values():
    chairs = _chair(config, 3)._replace(style=np.array(styles) % config.styles)
    result = summed(net, described(chairs, config.styles))
    rows.append(np.concatenate([generate(chairs), result]))
  return np.stack(rows)


def _random(
  config: ConfigDict, net: nets.Network, drawn: Any, key: Array
) -> np.ndarray:
  """Random mixtures of a few styles."""
  mixed = jax.random.dirichlet(key, jnp.full(config.styles, 0.01), (_COLUMNS,))
  x = described(_chair(config, _COLUMNS), config.styles)
  x = x.at[:, 0, 0, : config.styles].set(mixed)
  return np.asarray(drawn(net, x))[None]


def _units(
  config: ConfigDict, net: nets.Network, key: Array
) -> dict[str, np.ndarray]:
  """The units of the last dense layer that follow single changes most.

  Returns:
    Their numbers, the correlations with the change over random chairs, and
    images with each unit raised step by step.
  """

  @jax.jit
  def read(net: nets.Network, key: Array) -> tuple[Array, Array]:
    trained, _ = views(config.azimuths)
    chairs = random_chairs(key, _READ, config.styles, trained, changed=True)
    a = net(described(chairs, config.styles))[1]['joined2_relu'][:, 0, 0]

    def correlations(change: Array) -> Array:
      wanted = jnp.broadcast_to(change[:, None], a.shape)
      return probes.correlation(probes.products(a, wanted))

    return a.std(0), jax.vmap(correlations, 1)(chairs.change)

  @jax.jit
  def raised(net: nets.Network, x: Array, unit: Array, by: Array) -> Array:
    def edit(a: Array) -> Array:
      return a.at[..., unit].add(by[:, None, None])

    return net(x, {'joined2_relu': edit})[1]['drawn']

  deviation, by_change = map(np.asarray, read(net, key))
  x = described(_chair(config, _COLUMNS), config.styles)
  units, correlations, rows = [], [], []
  for name in _UNITS:
    r = by_change[list(CHANGES).index(name)]
    unit = int(np.abs(r).argmax())
    by = np.linspace(0, _RAISED * deviation[unit], _COLUMNS, dtype=np.float32)
    units.append(unit)
    correlations.append(r[unit])
    rows.append(np.asarray(raised(net, x, unit, by)))
  return {
    'unit': np.array(units),
    'correlation': np.array(correlations),
    'raised': np.stack(rows),
  }


def _alone(
  config: ConfigDict, net: nets.Network, key: Array
) -> dict[str, np.ndarray]:
  """Images of single units of the dense layers, all others of which are 0.

  Those that vary most over random chairs, each with its largest activation.

  Returns:
    Their numbers and activations ``[layer, column]``, and the images.
  """

  @jax.jit
  def read(net: nets.Network, key: Array) -> dict[str, Array]:
    trained, _ = views(config.azimuths)
    chairs = random_chairs(key, _READ, config.styles, trained, changed=True)
    acts = net(described(chairs, config.styles))[1]
    return {name: acts[name][:, 0, 0] for name in _LAYERS}

  @functools.partial(jax.jit, static_argnames='layer')
  def drawn(
    net: nets.Network, x: Array, layer: str, units: Array, value: Array
  ) -> Array:
    def only(a: Array) -> Array:
      row = jnp.arange(len(units))
      return jnp.zeros_like(a).at[row, 0, 0, units].set(value)

    return net(x, {layer: only})[1]['drawn']

  columns = min(_COLUMNS, config.features)
  x = described(_chair(config, columns), config.styles)
  units, values, rows = [], [], []
  acts = read(net, key)
  for layer in _LAYERS:
    a = acts[layer]
    most = np.argsort(-np.asarray(a.std(0)), kind='stable')[:columns]
    units.append(most)
    values.append(np.asarray(a.max(0)[most]))
    rows.append(np.asarray(drawn(net, x, layer, most, values[-1])))
  return {
    'alone_unit': np.stack(units),
    'alone_value': np.stack(values),
    'alone': np.stack(rows),
  }


def report(
  config: ConfigDict,
  recorder: Recorder,
  shown: Mapping[str, np.ndarray],
  judged: Mapping[str, np.ndarray],
) -> None:
  """Writes the report."""
  side = min(112, config.size + 48)

  def figure(
    name: str, caption: str, columns: list[str], rows: list[str]
  ) -> Figure:
    images = shown[name]
    pictures = [[render.to_uint8(v[..., :3]) for v in row] for row in images]
    return Figure(name, caption, render.table(pictures, columns, rows, side))

  blank = [''] * _COLUMNS
  turns = [
    f'{360 * i / config.azimuths:.0f}{" unseen" if i % 2 else ""}'
    for i in range(config.azimuths // 2 + 1)
  ]
  recorder.report(
    f'A generator of {config.styles} chairs',
    f'Trained by {config.steps} steps of {config.batch_size} chairs, changed '
    f'at random and seen from {config.azimuths // 2} sides. From the sides in '
    f'between its error is {judged["unseen_error"]:.4f}, and that of the '
    f'nearest view it was trained with {judged["nearest_error"]:.4f}.',
    [
      Table(
        'errors',
        'Squared error of images and intersection over union of masks, of '
        f'{config.judged} chairs each',
        ['', 'error', 'IoU of the mask'],
        [
          [text, float(judged[f'{name}_error']), float(judged[f'{name}_iou'])]
          for name, text in {
            'seen': 'views that it was trained with',
            'unseen': 'views in between',
            'nearest': 'the nearest view instead, as the renderer draws it',
          }.items()
        ],
      ),
      figure(
        'beside',
        'Chairs from sides that it was not trained with, changed at random',
        [''] * _SHOWN,
        ['rendered', 'generated'],
      ),
      figure(
        'changes',
        'Each change, from its least amount to its greatest',
        blank,
        list(CHANGES),
      ),
      figure(
        'turned', 'Chairs from all around; degrees', turns, ['', ' ', '  ']
      ),
      figure('morphed', 'From one style to another', blank, ['', ' ', '  ']),
      figure(
        'sums',
        'Features of styles: the first, less the second, plus the third, and 0 '
        'where that is negative',
        ['first', '- second', '+ third', 'sum'],
        list(_SUMS),
      ),
      figure('random', 'Random mixtures of styles', blank, ['']),
      figure(
        'raised',
        'Units of the last dense layer that follow a change most, raised from '
        f'their activation by up to {_RAISED} standard deviations',
        blank,
        [
          f'unit {unit}\n{name}\nr = {r:.2f}'
          for name, unit, r in zip(
            _UNITS, shown['unit'], shown['correlation'], strict=True
          )
        ],
      ),
      figure(
        'alone',
        'Units of the dense layers that vary most, each alone: with its '
        'largest activation, and all others of its layer 0',
        [''] * shown['alone'].shape[1],
        [name.removesuffix('_relu') for name in _LAYERS],
      ),
    ],
  )
