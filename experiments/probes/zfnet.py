"""AlexNet's first layers against those of ZFNet, in two small networks."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes, render
from vizlab.data.scenes import SHAPE_NAMES
from vizlab.nets.graph import init_params
from vizlab.nets.layers import Conv, Dense, GlobalPool, Layer, Pool, ReLU
from vizlab.rules import PoolWindow
from vizlab.runs import plots
from vizlab.runs.inputs import layer_info
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import need_positive
from vizlab_experiments.shared import scene_training
from vizlab_experiments.shared.images import Images, of_scenes
from vizlab_experiments.shared.projections import patch, projector
from vizlab_experiments.shared.surveys import Survey, check_top, survey
from vizlab_experiments.shared.weights import weights_between

__all__ = ['prepare', 'run']

# Kernel and stride of the first layer, stride of the second one; the maps of
# both have the same size from the second layer on.
_FIRST = {'alexnet': (11, 4, 1), 'zfnet': (7, 2, 2)}
_LAYERS = ('relu1', 'relu2')
_OVERLAPPING = PoolWindow(3, 2, 1)
_TILE = 96


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  images: Images


def prepare(config: ConfigDict) -> Inputs:
  """Checks the settings."""
  plots.need_matplotlib()
  need_positive(config, 'width', 'units', 'scenes', 'batch', 'eval_scenes')
  scene_training.check(config)
  small = [_small(config, name) for name in _FIRST]
  scene_training.check_sizes(config, *small)
  if config.units > 2 * config.width:
    raise ValueError(
      f'config.units: got {config.units}, expected at most twice the width, '
      f'{2 * config.width}'
    )
  images = of_scenes(config.seed, config.scenes, config.stages[-1][0])
  check_top(config, images)
  return Inputs(config, images)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Trains both networks, and compares their first two layers."""
  config, images = inputs
  nets_by_name, surveys, found = {}, {}, {}
  for name in _FIRST:
    start = _small(config, name)
    trained = scene_training.train(
      config, recorder, start, name=f'training_{name}'
    )
    net = nets_by_name[name] = trained.net
    surveys[name] = survey(
      recorder,
      net,
      _LAYERS,
      images,
      top=config.top,
      batch=config.batch,
      name=f'survey_{name}',
    )
    found[name] = recorder.once(
      name, functools.partial(_features, inputs, net, surveys[name])
    )
    nets.save(net, recorder.workdir / f'{name}.safetensors', half=True)
  results = {
    key: value
    for name, net in nets_by_name.items()
    for key, value in _numbers(config, name, net, surveys[name], found).items()
  }
  recorder.report(
    "AlexNet's first layers against those of ZFNet",
    _summary(results),
    [
      *(_filters(name, arrays) for name, arrays in found.items()),
      Figure(
        'spectra',
        'Energy of the filters of the first layer by frequency; a stride of 4 '
        'aliases what is above 1/8, one of 2 what is above 1/4',
        plots.lines(
          {
            name: (arrays['frequency'], arrays['energy'].mean(0))
            for name, arrays in found.items()
          },
          'cycles per pixel',
          'share of the energy',
        ),
      ),
      *(
        _patches(inputs, name, net, found[name])
        for name, net in nets_by_name.items()
      ),
      Table(
        'networks',
        'Both networks, trained in the same way',
        ['', *_FIRST],
        [
          [key, *(results[f'{name}/{key}'] for name in _FIRST)]
          for key in _keys(results)
        ],
      ),
    ],
  )
  return results


def _small(config: ConfigDict, name: str) -> nets.Network:
  """The untrained network."""
  kernel, first, second = _FIRST[name]
  width = config.width
  ops: tuple[Layer, ...] = (
    Conv('conv1', width, kernel, first, kernel // 2),
    ReLU('relu1'),
    Pool('pool1', _OVERLAPPING),
    Conv('conv2', 2 * width, 5, second, 2),
    ReLU('relu2'),
    Pool('pool2', _OVERLAPPING),
    Conv('conv3', 3 * width),
    ReLU('relu3'),
    Conv('conv4', 3 * width),
    ReLU('relu4'),
    Conv('conv5', 2 * width),
    ReLU('relu5'),
    GlobalPool('gap'),
    Dense('fc', len(SHAPE_NAMES)),
  )
  size = config.stages[-1][0]
  spec = nets.InputSpec(size, (0.5,) * 3, (0.25,) * 3)
  key = jax.random.key(config.seed)
  params = init_params(ops, (size, size, 3), key)
  return nets.Network(f'small_{name}', ops, spec, params)


def _features(
  inputs: Inputs, net: nets.Network, surveyed: dict[str, Survey]
) -> dict[str, np.ndarray]:
  """Filters, their spectra, and patches of the second layer's units."""
  config, images = inputs
  kernels = np.moveaxis(np.asarray(net.params['conv1']['kernel']), -1, 0)
  spectrum = probes.spectrum(kernels)
  upper = weights_between(net, 'conv2', np.arange(2 * config.width))
  values, at, places = (np.asarray(v) for v in surveyed['relu2'].strongest)
  units = np.argsort(-values[:, 0], kind='stable')[: config.units]
  project = projector('neuron', layer_info(net, 'relu2'))
  maps = [
    np.asarray(project(net, images[at[k]], k, places[k])['deconvnet'])
    for k in units
  ]
  return {
    'kernels': kernels,
    'order': np.asarray(probes.filter_order(kernels)),
    'frequency': spectrum.frequency,
    'energy': np.asarray(spectrum.energy),
    'expanded': upper,
    'units': units,
    'images': at[units],
    'places': places[units],
    'maps': np.stack(maps),
  }


def _numbers(
  config: ConfigDict,
  name: str,
  net: nets.Network,
  surveyed: dict[str, Survey],
  found: dict[str, dict[str, np.ndarray]],
) -> dict[str, float]:
  """Accuracy, dead units and aliasing, by ``name/key``."""
  _, stride, _ = _FIRST[name]
  arrays = found[name]
  numbers: dict[str, float] = {
    'accuracy': scene_training.accuracy(net, config, config.eval_scenes),
    'parameters': nets.param_count(net),
  }
  for layer in _LAYERS:
    activity = surveyed[layer].activity
    numbers[f'dead units of {layer}'] = int((activity.high <= 0).sum())
    numbers[f'active share of {layer}'] = float(activity.active.mean())
  for key, weights in (('conv1', 'kernels'), ('conv2', 'expanded')):
    aliased = probes.aliasing(jnp.asarray(arrays[weights]), stride)
    numbers[f'aliased energy of {key}'] = float(aliased.mean())
  return {f'{name}/{key}': value for key, value in numbers.items()}


def _keys(results: dict[str, float]) -> list[str]:
  return [k.partition('/')[2] for k in results if k.startswith('alexnet/')]


def _summary(results: dict[str, float]) -> str:
  def both(key: str, form: str) -> str:
    return ' and '.join(f'{results[f"{name}/{key}"]:{form}}' for name in _FIRST)

  return (
    'Two small networks, trained in the same way: one begins with 11x11 '
    'filters of stride 4 as AlexNet does, the other with 7x7 filters of stride '
    f'2 as ZFNet. They classify {both("accuracy", ".1%")} of the scenes '
    'correctly. The stride aliases '
    f'{both("aliased energy of conv1", ".0%")} of the energy of the first '
    f'filters, {both("aliased energy of conv2", ".0%")} of what the second '
    'layer makes of the image; '
    f'{both("dead units of relu1", "")} units of the first layer are dead.'
  )


def _filters(name: str, arrays: dict[str, np.ndarray]) -> Figure:
  kernels = arrays['kernels'][arrays['order']]
  return Figure(
    f'filters_{name}',
    f'Filters of the first layer as in {name}, each scaled to itself',
    render.filters(np.moveaxis(kernels, 0, -1), columns=16, side=80),
  )


def _patches(
  inputs: Inputs, name: str, net: nets.Network, arrays: dict[str, np.ndarray]
) -> Figure:
  """A row for each unit: its strongest patches over their projections."""
  _, images = inputs
  rows, labels = [], []
  for i, k in enumerate(map(int, arrays['units'])):
    field = nets.unit_field(net, 'relu2', k, images.size)
    for label, pictures in (
      (f'channel {k}', images[arrays['images'][i]]),
      ('deconvnet', [render.rgb(map_) for map_ in arrays['maps'][i]]),
    ):
      rows.append(
        [
          render.resize(patch(render.to_uint8(picture), field, place), _TILE)
          for picture, place in zip(pictures, arrays['places'][i], strict=True)
        ]
      )
      labels.append(label)
  return Figure(
    f'units_{name}',
    f'Units of relu2 as in {name}: their strongest patches, and what the '
    'deconvnet projects back from each',
    render.table(rows, [''] * len(rows[0]), labels, _TILE, PAGE),
  )
