"""Explains pictures, and measures the methods on scenes with known truth."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import nets, render
from vizlab.data.scenes import SHAPE_NAMES, scenes
from vizlab.evaluate import energy_inside
from vizlab.runs.inputs import picture_paths, read_square
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab_experiments.shared.classes import chosen_classes, class_names
from vizlab_experiments.shared.methods import (
  METHODS,
  Explaining,
  Options,
  as_map,
  every_class,
  load_explaining,
)

__all__ = ['prepare', 'run']

_SCENES = 8  # scenes that are measured at once


@dataclasses.dataclass(frozen=True)
class Picture:
  """An image ``[H, W, 3]`` and the name it is shown under."""

  name: str
  image: np.ndarray


@dataclasses.dataclass(frozen=True)
class Explainer:
  """Explainer of pictures, and the recorder of its maps.

  Attributes:
    recorder: Of the run.
    net: The net.
    methods: Names of methods.
    options: Their settings.
  """

  recorder: Recorder
  net: nets.Network
  methods: Sequence[str]
  options: Options

  def maps(
    self, item: str, images: np.ndarray, targets: np.ndarray, size: int
  ) -> Iterator[tuple[str, np.ndarray]]:
    """Each method's name and its maps, ``size`` images at a time.

    Args:
      item: Name of the item of the run that they belong to.
      images: ``[N, H, W, 3]``.
      targets: Classes ``[N, E]``.
      size: Number of images that are explained and saved at once.
    """
    for name in (bar := tqdm(self.methods)):
      bar.set_description(f'{item}: {name}')

      def some(rows: slice, name: str = name) -> dict[str, np.ndarray]:
        part = f'{item}/{name}/{rows.start}'
        return {'maps': self._maps(part, name, images[rows], targets[rows])}

      parts = self.recorder.in_parts(f'{item}/{name}', len(images), size, some)
      yield name, parts['maps']

  def _maps(
    self, item: str, name: str, images: np.ndarray, targets: np.ndarray
  ) -> np.ndarray:
    """The maps of some images, some pieces at a time where there are any."""
    method = METHODS[name]
    explain = every_class(method, self.options)
    if method.pieces is None:
      return np.asarray(explain(self.net, images, targets))
    count = method.pieces(self.options, images.shape[1:3])
    size = min(count, self.options.chunk)

    def some(part: slice) -> dict[str, np.ndarray]:
      # The last ones may be beyond the count: every part runs one program.
      numbers = part.start + np.arange(size)
      return {
        'maps': np.asarray(explain(self.net, images, targets, numbers))[None]
      }

    return self.recorder.in_parts(item, count, size, some)['maps'].sum(0)


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  explaining: Explaining
  names: Sequence[str]
  pictures: list[Picture]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  explaining = load_explaining(config)
  names = class_names(config, explaining.net)
  for name in ('scenes', 'score_scenes'):
    if config[name] < 0:
      raise ValueError(f'config.{name}: got {config[name]}, expected 0 or more')
  if config.score_scenes and len(names) != len(SHAPE_NAMES):
    raise ValueError(
      f'config.score_scenes: got {config.score_scenes}, expected 0 for a net '
      f'of {len(names)} classes: scenes have {len(SHAPE_NAMES)}; the config '
      f'for photos is attribution/explain:{explaining.net.arch}'
    )
  chosen_classes('config.targets', config.targets, names)
  pictures = _pictures(config, explaining.net)
  return Inputs(config, explaining, names, pictures)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Explains the pictures of the config and writes a report."""
  config, explaining, names, pictures = inputs
  net, methods, options, left_out = explaining
  explainer = Explainer(recorder, net, methods, options)
  figure, rows = _explain(config, explainer, pictures, names)
  parts: list[Figure | Table] = [figure, rows]
  results: dict[str, Any] = {'pictures': len(pictures)}
  if config.score_scenes:
    table, shares = _measure(config, explainer)
    parts.append(table)
    results |= shares
  recorder.report(
    f'Attribution with {net.arch}',
    'Each row explains one class of one picture: which pixels does its logit '
    'come from? Where a map has a sign, its zero is grey or white, else black; '
    'maps that lie over the picture show only what speaks for the class.'
    + left_out,
    parts,
  )
  return results


def _pictures(config: ConfigDict, net: nets.Network) -> list[Picture]:
  """All pictures, read and cut to the size that the net expects."""
  size = net.spec.size
  pictures = [
    Picture(
      pathlib.Path(source).stem.removeprefix('sample:'),
      read_square('images', source, size),
    )
    for source in (picture_paths(config, 'images') if config.images else ())
  ]
  if config.scenes:
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    drawn = scenes(key, config.scenes, objects=2, size=size)
    for i, image in enumerate(np.asarray(drawn.image)):
      pictures.append(Picture(f'scene {i}', image))
  if not pictures:
    raise ValueError(
      'config.images: got no picture and config.scenes is 0, expected at least '
      'one; give --config.images=PHOTO,...'
    )
  return pictures


def _explain(
  config: ConfigDict,
  explainer: Explainer,
  pictures: Sequence[Picture],
  names: list[str],
) -> tuple[Figure, Table]:
  """One row for each picture and class, one column for each method."""
  net, methods = explainer.net, explainer.methods
  x = np.stack([picture.image for picture in pictures])
  chances = jax.nn.softmax(jax.jit(lambda net, x: net(x)[0])(net, x))
  chosen = chosen_classes('config.targets', config.targets, names)
  if chosen:
    targets = jnp.broadcast_to(jnp.array([chosen]), (len(x), len(chosen)))
  else:
    targets = jnp.argsort(-chances, -1)[:, : config.classes]
  targets = np.asarray(targets)
  maps = explainer.recorder.once(
    'maps',
    lambda: {'targets': targets, **dict(explainer.maps('maps', x, targets, 1))},
  )
  shown, lines, labels = [], [], []
  for i, j in np.ndindex(targets.shape):
    image, k = pictures[i].image, int(targets[i, j])
    shown.append(
      [METHODS[name].show(maps[name][i, j], image) for name in methods]
    )
    shown[-1].insert(0, render.to_uint8(image))
    lines.append([pictures[i].name, names[k], float(chances[i, k])])
    labels.append(f'{pictures[i].name}\n{names[k]}\n{lines[-1][-1]:.1%}')
  figure = Figure(
    'attribution',
    f'Classes explained by {net.arch}; Grad-CAM at {explainer.options.layer}',
    render.table(
      shown, ['picture', *methods], labels, max(128, net.spec.size - 24), PAGE
    ),
  )
  caption = 'The classes that are explained'
  table = Table('classes', caption, ['picture', 'class', 'probability'], lines)
  return figure, table


def _measure(
  config: ConfigDict, explainer: Explainer
) -> tuple[Table, dict[str, float]]:
  """The share of each attribution inside the object that it is asked about."""
  key = jax.random.fold_in(jax.random.key(config.seed), 1)
  n = config.score_scenes
  data = scenes(key, n, objects=2, size=explainer.net.spec.size)
  own, other = data.masks, data.masks[:, ::-1]
  rows = [['chance', float(own.mean()), float(other.mean())]]
  shares = {}
  images, labels = np.asarray(data.image), np.asarray(data.labels)
  for name, values in explainer.maps('scenes', images, labels, _SCENES):
    values = as_map(METHODS[name], values, own.ndim)
    inside = float(energy_inside(values, own).mean())
    rows.append([name, inside, float(energy_inside(values, other).mean())])
    shares[f'inside/{name}'] = inside
  table = Table(
    'inside',
    f'Share of the attribution inside the object of the class, on {n} scenes '
    'of two objects, and inside the other object',
    ['method', 'its own object', 'the other object'],
    rows,
  )
  return table, shares
