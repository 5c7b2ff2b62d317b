"""Feature visualization: a contact sheet of images that excite channels.

The dataset's strongest and weakest pictures can be shown beside each image.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, render, rules, synthesis
from vizlab.nets.graph import wiring
from vizlab.nets.layers import ReLU, Shape
from vizlab.objectives import (
  Score,
  channel,
  layer_energy,
  logit,
  neuron,
  probability,
  score,
)
from vizlab.objectives.base import Objective
from vizlab.runs.inputs import check_layers, layer_info, load_net
from vizlab.runs.optimization import check, fitting
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  as_flag,
  each_of,
  listed,
  named,
  need_not_negative,
  need_positive,
  numbers,
)
from vizlab.types import Array, ImageParam
from vizlab_experiments.shared.classes import chosen_classes, class_names
from vizlab_experiments.shared.image_priors import (
  check_priors,
  image_of,
  make_pictures,
  settings_of,
)
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)

__all__ = ['OBJECTIVES', 'chosen_channels', 'prepare', 'run', 'unit']


def _channel(layer: str, channels: Array, shape: Shape) -> Objective:
  make = channel if len(shape) == 3 else neuron  # a unit of a vector: a logit
  return make(layer, channels)


def _neuron(layer: str, channels: Array, shape: Shape) -> Objective:
  """The unit in the middle of the map."""
  if len(shape) == 1:
    return neuron(layer, channels)
  return neuron(layer, channels, (shape[0] // 2, shape[1] // 2))


# What of a layer is raised: ``(layer, channels, shape) -> objective``.
OBJECTIVES = {
  'channel': _channel,
  'neuron': _neuron,
  'layer': lambda layer, channels, shape: layer_energy(layer),
  'logit': lambda layer, channels, shape: logit(channels),
  'probability': lambda layer, channels, shape: probability(channels),
}


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  whole: bool
  chosen: dict[str, Sequence[int]]
  labelled: LabelledImages | None


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'steps', 'size', 'count')
  need_not_negative(config, 'batch', 'learning_rate', 'patience')
  each_of('config.objective', [config.objective], OBJECTIVES)
  check_priors(config)
  net = load_net(config)
  layers = listed(config.layers)
  check_layers(net, 'layers', layers)
  if not layers:
    raise ValueError('config.layers: got none, expected some')
  last = nets.layer_info(net)[-1].name
  if config.objective in ('logit', 'probability') and set(layers) != {last}:
    raise ValueError(
      f'config.layers: got {as_flag(config.layers)!r}, expected {last!r}: a '
      f'{config.objective} is that of a class'
    )
  whole = config.objective == 'layer'
  if whole and config.channels:
    raise ValueError(
      f'config.channels: got {as_flag(config.channels)!r}, expected none: the '
      "objective 'layer' raises all of them"
    )
  chosen = {
    layer: [0] if whole else chosen_channels(config, net, layer)
    for layer in layers
  }
  labelled = load_labelled_images(config, net) if config.examples else None
  with named(x='size', shape='size', image='start'):
    check(
      *_problem(config, net, layers[0], np.array(chosen[layers[0]]), 1.0),
      **settings_of(config),
    )
  return Inputs(config, net, whole, chosen, labelled)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Makes the images and writes the sheet."""
  config, net, whole, chosen, labelled = inputs
  rows, lines, titles = [], [], []
  for layer, channels in chosen.items():
    images, scores = _excite(config, recorder, net, layer, channels, 1.0)
    rows.append(images)
    titles.append(layer)
    lines += [
      [layer, k, *map(float, s)] for k, s in zip(channels, scores, strict=True)
    ]
    if config.negative:
      before = _before_relu(net, layer)
      rows.append(_excite(config, recorder, net, before, channels, -1.0)[0])
      titles.append(f'{before}\nnegative')
    if labelled is not None:
      rows += _examples(config, net, layer, channels, labelled.images)
      titles += [f'{layer}\nstrongest', f'{layer}\nweakest']
  wide = max(map(len, chosen.values()))
  first, *rest = chosen.values()
  same = first if all(each == first for each in rest) else None
  recorder.report(
    f'What channels of {net.arch} look for',
    f'Images of {config.size} pixels that raise a {config.objective}, '
    f'{config.steps} steps each, by the parameterisation {config.image}.',
    [
      Figure(
        'sheet',
        'One row a layer' + ('' if same else ', of the channels in the table'),
        render.table(
          rows,
          list(map(str, same)) if same and not whole else [''] * wide,
          titles,
          max(112, min(224, config.size)),
        ),
      ),
      Table(
        'activations',
        f'The {config.objective}',
        ['layer', 'channel', 'of the first image', 'of the last'],
        lines,
      ),
    ],
  )
  return {
    'images': len(lines),
    'risen': sum(line[3] > line[2] for line in lines),
    **{f'{n}/{k}': y for n, k, _, y in lines if np.isfinite(y)},
  }


def unit(
  net: nets.Network,
  layer: str,
  channels: Array,
  kind: str = 'channel',
  size: int | None = None,
) -> Objective:
  """One of `OBJECTIVES`, over images of ``size`` pixels."""
  return OBJECTIVES[kind](layer, channels, layer_info(net, layer, size).shape)


def _before_relu(net: nets.Network, layer: str) -> str:
  """The layer that a ReLU reads: below zero it still tells units apart."""
  for op, inputs in wiring(net.ops):
    if op.name == layer and isinstance(op, ReLU):
      return inputs[0]
  return layer


def chosen_channels(
  config: ConfigDict, net: nets.Network, layer: str
) -> list[int]:
  """The channels that the config names, or ``count`` spread over all."""
  total = layer_info(net, layer).shape[-1]
  if not config.channels:
    return np.linspace(
      0, total - 1, min(config.count, total), dtype=int
    ).tolist()
  if net.has_classifier and layer == net.ops[-1].name:  # classes, with names
    names = class_names(config, net)
    given = listed(config.channels)
    return list(chosen_classes('config.channels', given, names))
  return numbers(config, 'channels', total)


def _excite(
  config: ConfigDict,
  recorder: Recorder,
  net: nets.Network,
  layer: str,
  channels: list[int],
  sign: float,
) -> tuple[list[np.ndarray], np.ndarray]:
  """Pictures for channels of a layer, and their first and last scores."""
  made, scores = [], []
  kind = f'{layer}{"" if sign > 0 else "_negative"}'
  batch = config.batch or _batch(config, recorder, net, layer, channels, kind)
  for i in range(0, len(channels), batch):
    some = np.array(channels[i : i + batch])
    images, ends = make_pictures(
      recorder,
      f'{kind}_{i}',
      *_problem(config, net, layer, some, sign),
      config,
    )
    made += images
    scores.append(sign * np.stack(ends))
  return made, np.concatenate(scores, 1).T


def _batch(
  config: ConfigDict,
  recorder: Recorder,
  net: nets.Network,
  layer: str,
  channels: list[int],
  kind: str,
) -> int:
  """Batch size that memory holds; the same when the run is resumed."""
  score_fn, _ = _problem(config, net, layer, np.array(channels[:1]), 1.0)
  # Of three channels: it is measured without the augment that reads opacity.
  one = score_fn, synthesis.fourier((1, config.size, config.size, 3))
  return int(
    recorder.once(
      f'{kind}_batch', lambda: {'batch': fitting(*one, len(channels))}
    )['batch']
  )


def _problem(
  config: ConfigDict,
  net: nets.Network,
  layer: str,
  channels: np.ndarray,
  sign: float,
) -> tuple[Score, ImageParam]:
  """Score to maximise, and the images."""
  wanted = unit(net, layer, channels, config.objective, config.size)
  score_fn = score(net, sign * wanted)
  return (
    score_fn.with_rules(relu=rules.redirected_relu),
    image_of(config, (len(channels), config.size, config.size, 3)),
  )


def _examples(
  config: ConfigDict,
  net: nets.Network,
  layer: str,
  channels: list[int],
  images: np.ndarray,
) -> list[list[np.ndarray]]:
  """The pictures in which each unit is strongest, and weakest."""
  size = images.shape[-2]

  @jax.jit
  def values(net: nets.Network, x: Array) -> Array:
    logits, acts = net(x)
    # A unit that is silent in many pictures is weakest where it is furthest
    # from waking, which only tells what its ReLU reads.
    return jnp.array(
      [
        jax.vmap(
          lambda k, layer=layer: unit(net, layer, k, config.objective, size)(
            logits, acts
          )
        )(jnp.array(channels))
        for layer in (layer, _before_relu(net, layer))
      ]
    )

  found = np.concatenate(
    [
      np.asarray(values(net, jnp.asarray(images[i : i + 16])))
      for i in range(0, len(images), 16)
    ],
    2,
  )
  return [
    [render.to_uint8(images[n]) for n in order]
    for order in (found[0].argmax(1), found[1].argmin(1))
  ]
