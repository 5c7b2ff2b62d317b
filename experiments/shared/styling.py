"""Shared parts of the style experiments: coarse to fine, snapshots."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from ml_collections import ConfigDict

from vizlab import io, nets, optimize, penalties, render, style, synthesis
from vizlab.objectives import Objective, Score
from vizlab.runs.inputs import (
  check_layers,
  load_net,
  picture_paths,
  read_picture,
)
from vizlab.runs.optimization import OptimizedImages, check, optimize_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  each_of,
  named,
  need_not_negative,
  need_positive,
)
from vizlab.types import Array, Net

__all__ = [
  'Job',
  'losses',
  'read_styles',
  'sizes',
]


# The least side of what is made, in pixels: below it deep layers see nothing.
LEAST = style.LEAST
# Steps between two looks at the clock, and pictures in a strip, at most.
_CHUNK, _SHOWN = 16, 10

At = Callable[[tuple[int, int]], Array]


class Job:
  """Images by one way of optimizing, each from coarse to fine.

  Attributes:
    config: The settings.
    net: The net.
    reader: The net, or the net on tiles if ``config.tile`` is set.
    settings: Names of the settings of the style's layers, for errors.
  """

  def __init__(
    self,
    config: ConfigDict,
    layers: Mapping[str, Sequence[str]],
  ) -> None:
    """Checks what all these experiments have, and loads the net.

    Args:
      config: The settings.
      layers: Names of the layers that are read, by the setting that names
        them; the last one is that of the style.

    Raises:
      ValueError: A setting is wrong, or the net lacks a layer.
    """
    need_positive(config, 'steps', 'size', 'octaves')
    need_not_negative(
      config,
      *('learning_rate', 'patience', 'tv', 'later_steps', 'snapshots', 'tile'),
    )
    if config.normalise and config.patience:
      raise ValueError(
        f'config.patience: got {config.patience} with config.normalise, '
        'expected 0: with normalised gradients the loss may rise'
      )
    each_of('config.optimizer', [config.optimizer], style.OPTIMIZERS)
    each_of('config.statistic', [config.statistic], style.STATISTICS)
    self.config = config
    self._penalty = config.tv * penalties.tv(2.0)
    self.net: nets.Network = load_net(config)
    for setting, names in layers.items():
      check_layers(self.net, setting, names)
    self.settings = {name: setting for name in ('layer', 'layers', 'names')}
    self.reader: Net = self.net
    if config.tile:
      every = list(dict.fromkeys(itertools.chain(*layers.values())))
      with named(side='tile', **self.settings):
        self.reader = nets.tiled(self.net, every, config.tile)

  def minimise(self, loss: Objective, net: Net | None = None) -> Score:
    """The score that is maximised to lower a loss, its gradients normalised."""
    return style.score_of(
      self.reader if net is None else net, loss, normalise=self.config.normalise
    )

  def coarse_to_fine(
    self,
    recorder: Recorder,
    name: str,
    score_at: Callable[[tuple[int, int]], Score],
    start_at: At,
    where: Sequence[tuple[int, int]],
    shown: Callable[[np.ndarray], np.ndarray] = np.asarray,
  ) -> list[OptimizedImages]:
    """An image at each size, which starts from the one before.

    Args:
      recorder: The recorder of the run.
      name: Name of the results.
      score_at: What is maximised at a size.
      start_at: Where the first one starts.
      where: Heights and widths, the smallest first.
      shown: What snapshots show of an image.
    """
    config = self.config
    make_optimizer, rate = style.OPTIMIZERS[config.optimizer]

    def optimize_at(
      octave: int, size: tuple[int, int], start: np.ndarray
    ) -> Iterator[OptimizedImages]:
      later = config.later_steps or config.steps
      made = optimize_resumable(
        recorder,
        _named(name, size),
        score_at(size),
        synthesis.pixels(jnp.asarray(start)),
        jax.random.key(config.seed),
        steps=later if octave else config.steps,
        chunk=_chunk(config.snapshots),
        patience=config.patience,
        span=_CHUNK,
        penalty=self._penalty,
        optimizer=Partial(make_optimizer, config.learning_rate or rate),
        watch=functools.partial(
          self._snapshot, recorder, _named(name, size), shown
        ),
      )
      # A projection keeps its bounds to the rounding of a sum.
      yield made._replace(images=np.clip(made.images, 0, 1))

    start = start_at(where[0])
    return list(synthesis.coarse_to_fine(optimize_at, start, where))

  def penalty_of(self, image: np.ndarray) -> float:
    """The penalty of an image ``[H, W, 3]``, with its weight."""
    return float(self._penalty(jnp.asarray(image)))

  def check(
    self,
    score_at: Callable[[tuple[int, int]], Score],
    start_at: At,
    where: Sequence[tuple[int, int]],
  ) -> None:
    """Raises a `ValueError` unless they fit; nothing is optimized."""
    with named(x='size', **self.settings):
      check(score_at(where[0]), synthesis.pixels(start_at(where[0])))

  def _snapshot(
    self,
    recorder: Recorder,
    name: str,
    shown: Callable[[np.ndarray], np.ndarray],
    now: optimize.Progress,
  ) -> None:
    every = self.config.snapshots
    if every and now.step % every == 0:
      picture = render.to_uint8(shown(np.asarray(now.image)))
      recorder.picture(f'{name}_{now.step:04d}', picture)

  def strip(
    self, recorder: Recorder, name: str, where: Sequence[tuple[int, int]]
  ) -> list[Figure]:
    """A figure of the snapshots of a result, if any were taken."""
    paths = [
      path
      for size in where
      for path in sorted(
        recorder.workdir.glob(f'{_named(name, size)}_[0-9]*.png')
      )
    ]
    if not paths:
      return []
    few = np.unique(np.linspace(0, len(paths) - 1, _SHOWN).round().astype(int))
    labels = [paths[i].stem.removeprefix(f'{name}_') for i in few]
    row = [render.to_uint8(io.read_image(str(paths[i]))) for i in few]
    caption = 'On the way: the size, and the step'
    table = render.table(
      [row], [x.replace('_', ', ') for x in labels], [''], 160
    )
    return [Figure(f'{name}_strip', caption, table)]


def losses(
  where: Sequence[tuple[int, int]], found: Sequence[OptimizedImages]
) -> Table:
  """The loss at every size."""
  return Table(
    'loss',
    'The loss',
    ['pixels', 'at the start', 'in the end'],
    [
      [f'{h}x{w}', *(-float(v) for v in made.ends)]
      for (h, w), made in zip(where, found, strict=True)
    ],
  )


def sizes(config: ConfigDict, height: int, width: int) -> list[tuple[int, int]]:
  """Sizes from coarse to fine, each half of the next."""
  found = synthesis.octave_sizes(height, width, config.octaves, least=0)
  if min(found[0]) < LEAST:
    raise ValueError(
      f'config.size, config.octaves: got {config.size}, {config.octaves}: the '
      f'coarsest image would have {found[0]} pixels, expected at least {LEAST}'
    )
  return found


def read_styles(config: ConfigDict, shorter: int) -> list[np.ndarray]:
  """The pictures of ``config.styles``."""
  return [
    read_picture('styles', name, shorter=shorter)
    for name in picture_paths(config, 'styles')
  ]


def _named(name: str, size: tuple[int, int]) -> str:
  return f'{name}_{size[0]}x{size[1]}'


def _chunk(snapshots: int | None) -> int:
  """The longest chunk that ends with every snapshot."""
  return max(n for n in range(1, _CHUNK + 1) if not (snapshots or 0) % n)
