"""Training of a network that enlarges images, by pixels or by features."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import evaluate, io, nets, render
from vizlab.runs.inputs import (
  check_layers,
  load_net,
  picture_paths,
  read_picture,
)
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import (
  listed,
  named,
  need_not_negative,
  need_positive,
)
from vizlab_experiments.shared.enlarging import (
  LPIPS,
  enlarged,
  scores,
  shrunk,
  untrained,
)
from vizlab_experiments.shared.image_makers import check_maker, train_maker
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.records import curve, write_record

__all__ = ['prepare', 'run']

_FACTORS = (4, 8)
_LARGER = 2  # side of the images from which squares are cut, as a multiple
_FILE = 'super_resolution'  # without its suffix
_WAYS = ('image', 'bicubic', 'trained')  # columns that are always there
_LEAST = 6  # pixels of the shorter side of an image before it is enlarged


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    seeing: The network whose activations are compared.
    start: The network before training.
    beside: Trained networks that are shown beside it, by name.
    judge: Network of LPIPS, if it is measured.
    heads: Its heads, by layer.
    images: Images that are trained with.
    shown: Images that are shrunk and enlarged in the end.
  """

  config: ConfigDict
  seeing: nets.Network
  start: nets.Network
  beside: dict[str, nets.Network]
  judge: nets.Network | None
  heads: dict[str, np.ndarray]
  images: Images
  shown: tuple[np.ndarray, ...]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  check_maker(config)
  need_positive(config, 'width', 'crop')
  need_not_negative(config, 'blocks')
  factor = config.factor
  if factor not in _FACTORS:
    raise ValueError(f'config.factor: got {factor}, expected 4 or 8')
  if config.size % factor or config.size < factor * _LEAST:
    raise ValueError(
      f'config.size: got {config.size}, expected a multiple of {factor}, at '
      f'least {factor * _LEAST}'
    )
  seeing = load_net(config)
  check_layers(seeing, 'feature_layer', [config.feature_layer])
  start = untrained(config)
  if config.start:
    start = _enlarger('start', config.start, factor)
  beside = _beside(config)
  judge, heads = _judge(config)
  images = load_images(config, _LARGER * config.size)
  shown = tuple(
    _whole(config, path) for path in picture_paths(config, 'images')
  )
  with named(x='size'):
    side = jax.ShapeDtypeStruct((1, config.size, config.size, 3), jnp.float32)
    jax.eval_shape(seeing, side)
  if judge is not None:
    with named(x='images'):
      for image in shown:
        inside = jnp.zeros_like(image[factor:-factor, factor:-factor])
        jax.eval_shape(evaluate.lpips, judge, heads, inside, inside)
  return Inputs(config, seeing, start, beside, judge, heads, images, shown)


def _beside(config: ConfigDict) -> dict[str, nets.Network]:
  """Trained networks by name, that of the file or of its folder."""
  found: dict[str, nets.Network] = {}
  for path in listed(config.beside):
    name = pathlib.Path(path).stem
    if name == _FILE:  # each run writes one
      name = pathlib.Path(path).resolve().parent.name
    if name in (*_WAYS, *found):
      raise ValueError(
        f'config.beside: got {name!r}, expected names that differ, and none of '
        f'{[*_WAYS]}'
      )
    found[name] = _enlarger('beside', path, config.factor)
  return found


def _enlarger(setting: str, path: str, factor: int) -> nets.Network:
  """Loads a network that enlarges by the factor."""
  with named(source=setting, path=setting):
    net = nets.load(path)
  wanted = f'super_resolution_x{factor}'
  if net.arch != wanted:
    raise ValueError(
      f'config.{setting}: {path} is of {net.arch}, expected {wanted}'
    )
  return net


def _judge(
  config: ConfigDict,
) -> tuple[nets.Network | None, dict[str, np.ndarray]]:
  """Network and heads of LPIPS, if they are given."""
  if not config.judge and not config.heads:
    return None, {}
  if not config.judge or not config.heads:
    raise ValueError(
      f'config.judge, config.heads: got {config.judge} and {config.heads}, '
      'expected both or none'
    )
  with named(source='judge', path='judge'):
    judge = nets.load(config.judge)
  if judge.arch not in LPIPS:
    raise ValueError(
      f'config.judge: {config.judge} is of {judge.arch}, expected '
      f'{" or ".join(LPIPS)}'
    )
  with named(path='heads'):
    found, _ = io.read_tensors(config.heads)
  layers = LPIPS[judge.arch]
  names = [f'{judge.arch}/{i}' for i in range(len(layers))]
  missing = [name for name in names if name not in found]
  if missing:
    raise ValueError(
      f'config.heads: {config.heads} has no array {missing[0]!r}'
    )
  return judge, {
    layer: np.asarray(found[name], np.float32)
    for layer, name in zip(layers, names, strict=True)
  }


def _whole(config: ConfigDict, path: str) -> np.ndarray:
  """An image, cropped so that the factor divides its sides."""
  image = read_picture('images', path)
  height, width = (n - n % config.factor for n in image.shape[:2])
  if min(height, width) < config.factor * _LEAST:
    raise ValueError(
      f'config.images: {path} has {image.shape[1]} x {image.shape[0]} pixels, '
      f'expected at least {config.factor * _LEAST} each way'
    )
  return image[:height, :width]


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains the network, and enlarges images with it."""
  config, _, start, beside, judge, heads, _, shown = inputs
  done = train_maker(
    config,
    recorder,
    start,
    inputs.seeing,
    inputs.images,
    lambda x, seer: shrunk(x, config.factor),
  )
  net = nets.with_params(start, done.result)
  nets.save(net, recorder.workdir / f'{_FILE}.safetensors', half=True)
  ways = {'bicubic': None, **beside, 'trained': net}
  made = {
    way: [
      np.asarray(enlarged(each, shrunk(x, config.factor), config.factor))
      for x in shown
    ]
    for way, each in ways.items()
  }
  found = {
    way: [
      scores(y, x, config.factor, judge, heads)
      for y, x in zip(ys, shown, strict=True)
    ]
    for way, ys in made.items()
  }
  means = {
    way: {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    for way, rows in found.items()
  }
  results = {
    **{
      f'{name}/{way}': value
      for way, row in means.items()
      for name, value in row.items()
      if np.isfinite(value)  # PSNR of equal images is not
    },
    'parameters': nets.param_count(net),
    'train_seconds': done.seconds,
  }
  loss_by_step = [[row['step'], row['loss']] for row in curve(recorder)]
  write_record(recorder, results, loss_by_step)
  _report(inputs, recorder, made, found, means, loss_by_step)
  return results


def _report(
  inputs: Inputs,
  recorder: Recorder,
  made: Mapping[str, list[np.ndarray]],
  found: Mapping[str, list[dict[str, float]]],
  means: Mapping[str, dict[str, float]],
  loss_by_step: list[list[float]],
) -> None:
  config, shown = inputs.config, inputs.shown
  names = picture_paths(config, 'images')
  measures = list(means['bicubic'])
  rows = []
  for i, x in enumerate(shown):
    each = [x, *(ys[i] for ys in made.values())]
    rows.append([render.to_uint8(_middle(y, config.crop)) for y in each])
  loss = ' and '.join(
    f'{weight} times the mean squared difference of {what}'
    for weight, what in (
      (config.pixel, 'pixels'),
      (config.feature, config.feature_layer),
    )
    if weight
  )
  begun = f'Trained from {config.start}' if config.start else 'Trained'
  recorder.report(
    f'Images enlarged {config.factor} times',
    f'{begun} by {config.steps} steps of {config.batch_size} squares of '
    f'{config.size} pixels with {loss}. PSNR (in decibels) and SSIM are those '
    'of luma, without a border of as many pixels as the factor; LPIPS is a '
    'perceptual distance, the lower the better.',
    [
      Figure(
        'enlarged',
        'The middle of each image, and as it is enlarged again',
        render.table(
          rows, ['image', *made], [''] * len(rows), 3 * config.crop, PAGE
        ),
      ),
      Table(
        'means',
        'Means over the images',
        ['', *measures],
        [[way, *row.values()] for way, row in means.items()],
      ),
      Table(
        'images',
        'Each image',
        ['image', 'by', *measures],
        [
          [pathlib.Path(name).stem, way, *found[way][i].values()]
          for i, name in enumerate(names)
          for way in found
        ],
      ),
      Table('training', 'Loss while training', ['step', 'loss'], loss_by_step),
    ],
  )


def _middle(image: np.ndarray, size: int) -> np.ndarray:
  """The central square of an image, or as much as there is of it."""
  height, width = image.shape[:2]
  side = min(size, height, width)
  top, left = (height - side) // 2, (width - side) // 2
  return image[top : top + side, left : left + side]
