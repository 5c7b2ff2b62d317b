"""Explains pictures, and measures the methods on scenes with known truth."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from experiments.common import Recorder, each_of, listed, load_net
from experiments.report import Figure, Table
from vizlab import attribution, io, nets, render
from vizlab.data.scenes import SHAPE_NAMES, scenes
from vizlab.evaluate import energy_inside
from vizlab.objectives import Score, logit, probability, score
from vizlab.types import Array

__all__ = ['METHODS', 'run']


@dataclasses.dataclass(frozen=True)
class Options:
  """The settings that methods read."""

  layer: str
  patch: int
  chunk: int


@dataclasses.dataclass(frozen=True)
class Method:
  """How a method is called, and how its map becomes a picture.

  Attributes:
    explain: ``(score, x, options) -> [B, H, W]`` or ``[B, H, W, 3]``.
    show: ``(map, image) -> picture``.
    signless: Whether the sign of the map means nothing, so that its size is
      what counts inside a mask.
  """

  explain: Callable[[Score, Array, Options], Array]
  show: Callable[[np.ndarray, np.ndarray], np.ndarray]
  signless: bool = True


def _sweep(score: Score, x: Array, options: Options) -> Array:
  return attribution.occlusion(
    score,
    x,
    patch=options.patch,
    stride=max(1, options.patch // 2),
    chunk=options.chunk,
  )


METHODS = {
  'gradient': Method(
    lambda s, x, o: attribution.gradient(s, x), lambda m, x: render.rgb(m)
  ),
  'saliency': Method(
    lambda s, x, o: attribution.saliency(s, x), lambda m, x: render.heat(m)
  ),
  'gradient_x_input': Method(
    lambda s, x, o: attribution.gradient_x_input(s, x).sum(-1),
    lambda m, x: render.signed(m),
  ),
  'deconvnet': Method(
    lambda s, x, o: attribution.deconvnet(s, x, seed=1.0),
    lambda m, x: render.rgb(m),
  ),
  'guided_backprop': Method(
    lambda s, x, o: attribution.guided_backprop(s, x),
    lambda m, x: render.rgb(m),
  ),
  'grad_cam': Method(
    lambda s, x, o: attribution.grad_cam(s, x, layer=o.layer),
    render.overlay,
    signless=False,
  ),
  'guided_grad_cam': Method(
    lambda s, x, o: attribution.guided_grad_cam(s, x, layer=o.layer),
    lambda m, x: render.rgb(m),
  ),
  'occlusion': Method(_sweep, render.overlay, signless=False),
}


@dataclasses.dataclass(frozen=True)
class Picture:
  """An image ``[H, W, 3]`` and the name it is shown under."""

  name: str
  image: np.ndarray


def run(config: ConfigDict, workdir: str | os.PathLike) -> dict[str, Any]:
  """Explains the pictures of the config and writes a report."""
  methods = listed(config.methods)
  each_of('config.methods', methods, METHODS)
  net = load_net(config.net)
  if not net.has_classifier:
    raise ValueError(
      f'config.net.weights: {config.net.weights} holds no classifier, and '
      'this experiment explains classes'
    )
  options = _options(config, net)
  names = _class_names(config, net)
  _check_targets(config, len(names))
  pictures = _pictures(config, net)
  recorder = Recorder(workdir, config)
  if recorder.results is not None:
    return recorder.results
  figure, rows = _explain(config, net, pictures, methods, options, names)
  parts: list[Figure | Table] = [figure, rows]
  results: dict[str, Any] = {'pictures': len(pictures)}
  if config.score_scenes:
    table, shares = _measure(config, net, methods, options)
    parts.append(table)
    results |= shares
  recorder.report(
    f'Attribution with {net.arch}',
    'Each row explains one class of one picture: which pixels does its logit '
    'come from? Grey, white or black is zero, depending on the method; the '
    'two last overlays show only what speaks for the class.',
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
  if net.arch == 'minivgg' and count == len(SHAPE_NAMES):
    return list(SHAPE_NAMES)
  if not config.labels:
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
    if not isinstance(target, int) or not 0 <= target < count:
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
) -> tuple[Figure, Table]:
  """One row a picture and class, one column a method."""
  x = jnp.stack([picture.image for picture in pictures])
  chances = jax.nn.softmax(jax.jit(lambda net, x: net(x)[0])(net, x))
  targets = config.targets or None
  if targets is None:
    best = jnp.argsort(-chances, -1)[:, : config.classes]
  else:
    best = jnp.broadcast_to(jnp.array(targets), (len(x), len(targets)))
  each = best.shape[1]
  target = best.reshape(-1)
  repeated = jnp.repeat(x, each, axis=0)
  asked = score(net, logit(target))
  shown = [[render.to_uint8(image)] for image in np.asarray(repeated)]
  for name in tqdm(methods, 'explaining'):
    for row, values, image in zip(
      shown,
      np.asarray(_jitted(name, options)(asked, repeated)),
      np.asarray(repeated),
      strict=True,
    ):
      row.append(METHODS[name].show(values, image))
  lines, labels = [], []
  for i, k in enumerate(np.asarray(target)):
    picture, chance = pictures[i // each].name, float(chances[i // each, k])
    lines.append([picture, names[k], chance])
    labels.append(f'{picture}\n{names[k]}\n{chance:.1%}')
  figure = Figure(
    'attribution',
    f'Classes explained by {net.arch}; Grad-CAM at {options.layer}',
    render.table(shown, ['picture', *methods], labels),
  )
  caption = 'The classes that are explained'
  return figure, Table(caption, ['picture', 'class', 'probability'], lines)


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
  x = jnp.repeat(data.image, 2, axis=0)
  own = data.masks.reshape(2 * n, *data.masks.shape[2:])
  other = data.masks[:, ::-1].reshape(own.shape)
  asked = score(net, logit(data.labels.reshape(-1)))
  rows = [['chance', float(own.mean()), float(other.mean())]]
  shares = {}
  for name in tqdm(methods, 'measuring'):
    values = _jitted(name, options)(asked, x)
    if METHODS[name].signless:
      values = jnp.abs(values)
    values = values.sum(-1) if values.ndim == 4 else values
    inside = float(energy_inside(values, own).mean())
    rows.append([name, inside, float(energy_inside(values, other).mean())])
    shares[f'inside/{name}'] = inside
  chance = score(net, probability(data.labels.reshape(-1)))(x)
  shares['probability'] = float(chance.mean())
  table = Table(
    f'Share of the attribution inside the object of the class, on {n} scenes '
    'of two objects, and inside the other object',
    ['method', 'its own object', 'the other object'],
    rows,
  )
  return table, shares


def _jitted(name: str, options: Options) -> Callable[[Score, Array], Array]:
  return jax.jit(lambda s, x: METHODS[name].explain(s, x, options))
