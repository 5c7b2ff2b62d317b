"""Similarity of layers, within a network and to those of another one."""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, probes
from vizlab.runs import plots
from vizlab.runs.inputs import check_layers, load_net, load_other
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import each_of, listed, need_positive
from vizlab_experiments.shared.features import feature_count, read_features
from vizlab_experiments.shared.labelled_images import load_labelled_images

__all__ = ['prepare', 'run']

_NAMES = {
  'cka': 'Linear centred kernel alignment',
  'svcca': 'Mean canonical correlation (SVCCA)',
}


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    networks: The network, and the other one if there is one, by title.
    layers: Names of the layers.
    images: ``[N, H, W, 3]``.
  """

  config: ConfigDict
  networks: dict[str, nets.Network]
  layers: tuple[str, ...]
  images: np.ndarray


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  plots.need_matplotlib()
  need_positive(config, 'positions', 'batch')
  each_of('config.measure', [config.measure], _NAMES)
  if not 0 < config.kept <= 1:
    raise ValueError(
      f'config.kept: got {config.kept}, expected above 0 and at most 1'
    )
  layers = tuple(listed(config.layers))
  if not layers:
    raise ValueError('config.layers: got none, expected names of layers')
  networks = {'itself': load_net(config)}
  if config.other:
    networks['the other'] = load_other(config, 'other', config.other)
  for net in networks.values():
    check_layers(net, 'layers', layers)
  sizes = [net.spec.size for net in networks.values()]
  if len(set(sizes)) > 1:
    raise ValueError(
      f'config.other: got a network for images of {sizes[1]} pixels, expected '
      f'{sizes[0]} as of config.net.weights'
    )
  images = load_labelled_images(config, networks['itself']).images
  if len(images) < 2:
    name = 'photos' if config.photos else 'scenes'
    raise ValueError(f'config.{name}: got 1 picture, expected at least 2')
  _check_count(config, networks, layers, images)
  return Inputs(config, networks, layers, images)


def _check_count(
  config: ConfigDict,
  networks: dict[str, nets.Network],
  layers: tuple[str, ...],
  images: np.ndarray,
) -> None:
  """Raises a `ValueError` if SVCCA has no more images than features."""
  if config.measure != 'svcca':
    return
  for net in networks.values():
    for layer in layers:
      features = feature_count(net, images, layer, config.positions)
      if features >= len(images):
        raise ValueError(
          f'config.positions: got {config.positions}, with which {layer!r} has '
          f'{features} features, expected fewer than the '
          f'{len(images)} pictures'
        )


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Compares all layers, and draws the matrices."""
  config, networks, layers, images = inputs
  features = {
    title: _features(inputs, recorder, net, i)
    for i, (title, net) in enumerate(networks.items())
  }
  found = recorder.once(
    'similarity',
    lambda: {
      _key(title): _matrix(config, layers, features['itself'], other)
      for title, other in features.items()
    },
  )
  matrices = {title: found[_key(title)] for title in networks}
  name, net = _NAMES[config.measure], networks['itself']
  panels = {f'{net.arch} and {title}': m for title, m in matrices.items()}
  same = {title: np.diagonal(matrix) for title, matrix in matrices.items()}
  recorder.report(
    f'Similarity of layers of {net.arch}',
    f'{name} of the activations for {len(images)} pictures: 1 for features '
    'that differ by a rotation and a scale, 0 for those without correlation. A '
    f'map is averaged to {config.positions} x {config.positions} positions. '
    + (f'The other network is {config.other}; columns are its layers.')
    * bool(config.other),
    [
      Figure('matrices', name, plots.matrices(panels, layers, layers)),
      Table(
        'layers',
        'The same layer in both, and the layer before in the network itself',
        ['layer', *(['in both'] if config.other else []), 'the one before'],
        [
          [
            layer,
            *([float(same['the other'][i])] if config.other else []),
            float(matrices['itself'][i, i - 1]) if i else '',
          ]
          for i, layer in enumerate(layers)
        ],
      ),
    ],
  )
  return {
    f'{_key(title)}/{layer}': float(value)
    for title, values in same.items()
    if title != 'itself'
    for layer, value in zip(layers, values, strict=True)
  } | {'mean': float(matrices['itself'].mean())}


def _features(
  inputs: Inputs, recorder: Recorder, net: nets.Network, number: int
) -> dict[str, np.ndarray]:
  """Features ``[N, F]`` of each layer."""
  config, _, layers, images = inputs
  return read_features(
    recorder,
    f'features_{number}',
    net,
    images,
    layers,
    positions=config.positions,
    batch=config.batch,
  )


def _key(title: str) -> str:
  return title.replace(' ', '_')


_cka = jax.jit(probes.linear_cka)
_svcca = jax.jit(probes.svcca, static_argnames='kept')


def _matrix(
  config: ConfigDict,
  layers: tuple[str, ...],
  features: dict[str, np.ndarray],
  others: dict[str, np.ndarray],
) -> np.ndarray:
  """Similarity of each layer to each of the others, ``[L, L]``."""
  measure = _cka
  if config.measure == 'svcca':
    measure = functools.partial(_svcca, kept=config.kept)
  return np.array(
    [[measure(features[a], others[b]) for b in layers] for a in layers],
    np.float32,
  )
