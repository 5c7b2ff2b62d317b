"""Explains pictures, and measures the methods on scenes with known truth."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments.common import Recorder, each_of, listed, load_net
from experiments.methods import METHODS, Options, every_class
from experiments.report import Figure, Table
from vizlab import io, nets, render
from vizlab.data.scenes import SHAPE_NAMES, scenes
from vizlab.evaluate import energy_inside

__all__ = ['run']


@dataclasses.dataclass(frozen=True)
class Picture:
  """An image ``[H, W, 3]`` and the name it is shown under."""

  name: str
  image: np.ndarray


def run(
  config: ConfigDict, workdir: str | os.PathLike, *, overwrite: bool = False
) -> dict[str, Any]:
  """Explains the pictures of the config and writes a report."""
  recorder = Recorder(workdir, config, overwrite=overwrite)
  if recorder.results is not None:
    return recorder.results
  methods = listed(config.methods)
  each_of('config.methods', methods, METHODS)
  if not methods:
    raise ValueError(f'config.methods: got none, expected some of {[*METHODS]}')
  net = load_net(config.net)
  if not net.has_classifier:
    raise ValueError(
      f'config.net.weights: {config.net.weights} holds no classifier, and '
      'this experiment explains classes'
    )
  options = _options(config, net)
  names = _class_names(config, net)
  if config.score_scenes and len(names) != len(SHAPE_NAMES):
    raise ValueError(
      f'config.score_scenes: got {config.score_scenes}, expected 0 for a net '
      f'of {len(names)} classes: scenes have {len(SHAPE_NAMES)}; the config '
      f'for photos is configs/attribution.py:{net.arch}'
    )
  _check_targets(config, len(names))
  if config.classes > len(names):
    raise ValueError(
      f'config.classes: got {config.classes}, expected at most {len(names)}'
    )
  pictures = _pictures(config, net)
  recorder.open()
  figure, rows, maps = _explain(config, net, pictures, methods, options, names)
  recorder.arrays('maps', **maps)
  parts: list[Figure | Table] = [figure, rows]
  results: dict[str, Any] = {'pictures': len(pictures)}
  if config.score_scenes:
    table, shares = _measure(config, net, methods, options)
    parts.append(table)
    results |= shares
  recorder.report(
    f'Attribution with {net.arch}',
    'Each row explains one class of one picture: which pixels does its logit '
    'come from? Where a map has a sign, its zero is grey or white, else black; '
    'maps that lie over the picture show only what speaks for the class.',
    parts,
  )
  return recorder.finish(results)


def _options(config: ConfigDict, net: nets.Network) -> Options:
  maps = [row.name for row in nets.layers(net) if row.field is not None]
  layer = config.layer or maps[-1]
  nets.check_layers(net, [layer])
  if layer not in maps:
    raise ValueError(
      f'config.layer: {layer!r} gives no map, expected one of {maps[-6:]}'
    )
  for name in ('patch', 'scenes', 'score_scenes'):
    if config[name] < 0:
      raise ValueError(f'config.{name}: got {config[name]}, expected 0 or more')
  for name in ('chunk', 'classes'):
    if config[name] < 1:
      raise ValueError(f'config.{name}: got {config[name]}, expected 1 or more')
  if config.patch > net.spec.size:
    raise ValueError(
      f'config.patch: got {config.patch}, expected at most the image side of '
      f'{net.spec.size}'
    )
  return Options(layer, config.patch or net.spec.size // 6, config.chunk)


def _class_names(config: ConfigDict, net: nets.Network) -> list[str]:
  count = nets.layers(net)[-1].shape[-1]
  if not config.labels:
    if net.arch == 'minivgg' and count == len(SHAPE_NAMES):
      return list(SHAPE_NAMES)
    return [f'class {i}' for i in range(count)]
  try:
    names = json.loads(pathlib.Path(config.labels).read_text())
  except (OSError, ValueError) as error:
    raise ValueError(f'config.labels: {config.labels}: {error}') from error
  if not isinstance(names, list) or len(names) != count:
    raise ValueError(
      f'config.labels: {config.labels}: expected a JSON list of {count} names'
    )
  return [str(name) for name in names]


def _check_targets(config: ConfigDict, count: int) -> None:
  for target in config.targets:
    if type(target) is not int or not 0 <= target < count:
      raise ValueError(
        f'config.targets: got {target!r}, expected classes 0 to {count - 1}'
      )


def _pictures(config: ConfigDict, net: nets.Network) -> list[Picture]:
  """All pictures, read and cut to the size that the net expects."""
  size = net.spec.size
  pictures = [
    Picture(
      pathlib.Path(source).stem.removeprefix('sample:'),
      io.read_image(source, shorter=round(size * 8 / 7), crop=size)
      if not source.startswith('sample:')
      else io.read_image(source, shorter=size, crop=size),
    )
    for source in listed(config.images)
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
  net: nets.Network,
  pictures: Sequence[Picture],
  methods: Sequence[str],
  options: Options,
  names: Sequence[str],
) -> tuple[Figure, Table, dict[str, np.ndarray]]:
  """One row a picture and class, one column a method; and the raw maps."""
  x = jnp.stack([picture.image for picture in pictures])
  chances = jax.nn.softmax(jax.jit(lambda net, x: net(x)[0])(net, x))
  if config.targets:
    targets = jnp.broadcast_to(
      jnp.array([config.targets]), (len(x), len(config.targets))
    )
  else:
    targets = jnp.argsort(-chances, -1)[:, : config.classes]
  maps = {'targets': np.asarray(targets)}
  for name in (bar := tqdm(methods)):
    bar.set_description(f'explaining: {name}')
    explain = every_class(METHODS[name], options)
    maps[name] = np.asarray(explain(net, x, targets))
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
    f'Classes explained by {net.arch}; Grad-CAM at {options.layer}',
    render.table(
      shown, ['picture', *methods], labels, side=max(128, net.spec.size - 24)
    ),
  )
  caption = 'The classes that are explained'
  table = Table(caption, ['picture', 'class', 'probability'], lines)
  return figure, table, maps


def _measure(
  config: ConfigDict,
  net: nets.Network,
  methods: Sequence[str],
  options: Options,
) -> tuple[Table, dict[str, float]]:
  """The share of each attribution inside the object that it is asked about."""
  key = jax.random.fold_in(jax.random.key(config.seed), 1)
  n = config.score_scenes
  data = scenes(key, n, objects=2, size=net.spec.size)
  own, other = data.masks, data.masks[:, ::-1]
  rows = [['chance', float(own.mean()), float(other.mean())]]
  shares = {}
  for name in (bar := tqdm(methods)):
    bar.set_description(f'measuring: {name}')
    explain = every_class(METHODS[name], options)
    values = explain(net, data.image, data.labels)
    if METHODS[name].signless:
      values = jnp.abs(values)
    values = values.sum(-1) if values.ndim == 5 else values
    inside = float(energy_inside(values, own).mean())
    rows.append([name, inside, float(energy_inside(values, other).mean())])
    shares[f'inside/{name}'] = inside
  table = Table(
    f'Share of the attribution inside the object of the class, on {n} scenes '
    'of two objects, and inside the other object',
    ['method', 'its own object', 'the other object'],
    rows,
  )
  return table, shares
