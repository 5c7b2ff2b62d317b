"""Diverse images of a unit, and interpolation between two units.

Diversity: several different images of one unit. Joint units: two at
once, and one against the other. Interpolation: from one unit to another, with
neighbours aligned.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import nets, optimize, render, rules
from vizlab.objectives import (
  Objective,
  alignment,
  diversity,
  score,
)
from vizlab.runs.inputs import check_layers, load_net
from vizlab.runs.optimization import OptimizedImages, check, optimize_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import (
  as_flag,
  each_of,
  named,
  need_not_negative,
  need_positive,
)
from vizlab_experiments.shared.image_priors import IMAGES
from vizlab_experiments.synthesis.visualize import chosen_channels, unit

__all__ = ['prepare', 'run']


class Inputs(NamedTuple):
  """Checked inputs of the experiment."""

  config: ConfigDict
  net: nets.Network
  compare: str
  channels: Sequence[int]


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'steps', 'size')
  need_not_negative(config, 'diversity', 'against', 'alignment')
  each_of('config.image', [config.image], IMAGES)
  if config.count < 2:
    raise ValueError(f'config.count: got {config.count}, expected 2 or more')
  net = load_net(config)
  compare = config.compare or config.layer
  check_layers(net, 'layer', [config.layer])
  check_layers(net, 'compare', [compare])
  channels = chosen_channels(config, net, config.layer)
  if not config.channels or len(channels) != 2 or len(set(channels)) < 2:
    raise ValueError(
      f'config.channels: got {as_flag(config.channels)!r}, expected two '
      'different ones'
    )
  compared = diversity(compare) + alignment(compare)
  with named(
    x='size', shape='size', layer='compare' if config.compare else 'layer'
  ):
    check(
      score(net, unit(net, config.layer, np.int32(channels[0])) + compared),
      IMAGES[config.image].make((2, config.size, config.size, 3)),
      augment=IMAGES[config.image].augment(config.size),
    )
  return Inputs(config, net, compare, channels)


class _Maker:
  """Makes images by an objective, all in one way."""

  def __init__(
    self, config: ConfigDict, recorder: Recorder, net: nets.Network
  ) -> None:
    self.config, self.recorder, self.net = config, recorder, net

  def __call__(
    self, name: str, objective: Objective, count: int
  ) -> OptimizedImages:
    kind = IMAGES[self.config.image]
    score_fn = score(self.net, objective)
    return optimize_resumable(
      self.recorder,
      name,
      score_fn.with_rules(relu=rules.redirected_relu),
      kind.make((count, self.config.size, self.config.size, 3)),
      jax.random.key(self.config.seed),
      steps=self.config.steps,
      optimizer=optimize.adam(kind.rate),
      augment=kind.augment(self.config.size),
    )


class _Mixtures(NamedTuple):
  """Images of each part of the report.

  Attributes:
    alone: Of the first channel, from several starts.
    unlike: The same, made unlike each other.
    joint: Of both channels, by themselves and together, one each.
    apart: On the way from the first channel to the second.
    aligned: The same, held alike.
  """

  alone: OptimizedImages
  unlike: OptimizedImages
  joint: list[OptimizedImages]
  apart: OptimizedImages
  aligned: OptimizedImages


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Makes the three pictures."""
  config, net, compare, (first, second) = inputs
  mixtures = _mixtures(inputs, _Maker(config, recorder, net))
  cosines = {
    name: float(_mean_cosine(net, compare, mixture.images))
    for name, mixture in (
      ('alone', mixtures.alone),
      ('unlike', mixtures.unlike),
    )
  }
  steps = {
    name: float(np.square(np.diff(mixture.images, axis=0)).mean() ** 0.5)
    for name, mixture in (
      ('apart', mixtures.apart),
      ('held alike', mixtures.aligned),
    )
  }
  recorder.report(
    f'{config.layer} of {net.arch}: channels {first} and {second}',
    f'{config.steps} steps each, by the parameterization {config.image}.',
    [*_figures(inputs, mixtures), _table(cosines, steps)],
  )
  return {**cosines, **steps}


def _mixtures(inputs: Inputs, maker: _Maker) -> _Mixtures:
  config, net, compare, channels = inputs
  a, b = (unit(net, config.layer, np.int32(k)) for k in channels)
  alone = maker('alone', a, config.count)
  # Diversity counts as a share of what the unit gives.
  size = config.diversity * float(np.abs(alone.scores[-1]).mean())
  unlike = maker('unlike', a + size * diversity(compare), config.count)
  joint = {
    'first': a,
    'second': b,
    'both': a + b,
    'first_not_second': a - config.against * b,
    'second_not_first': b - config.against * a,
  }
  t = _shares(config)
  way = (1 - t) * a + t * b
  return _Mixtures(
    alone,
    unlike,
    [maker(name, objective, 1) for name, objective in joint.items()],
    maker('way', way, t.size),
    maker('aligned', way + config.alignment * alignment(compare), t.size),
  )


def _shares(config: ConfigDict) -> np.ndarray:
  """Share of the second channel in each image of the interpolation."""
  return np.linspace(0, 1, config.count, dtype=np.float32)


def _figures(inputs: Inputs, mixtures: _Mixtures) -> list[Figure]:
  config, (first, second) = inputs.config, inputs.channels
  side = min(224, config.size + 32)

  def row(mixture: OptimizedImages) -> list[np.ndarray]:
    return [render.to_uint8(x) for x in mixture.images]

  return [
    Figure(
      'diversity',
      f'Channel {first} from several starts, and the same with diversity',
      render.table(
        [row(mixtures.alone), row(mixtures.unlike)],
        [''] * config.count,
        ['alone', 'unlike\neach other'],
        side,
      ),
    ),
    Figure(
      'joint',
      'One, the other, both, and each against the other',
      render.table(
        [[row(mixture)[0] for mixture in mixtures.joint]],
        [
          f'{first}',
          f'{second}',
          f'{first} + {second}',
          f'{first} - {second}',
          f'{second} - {first}',
        ],
        [''],
        side,
      ),
    ),
    Figure(
      'interpolation',
      f'From channel {first} to {second}, each image by itself, and with '
      'neighbours aligned',
      render.table(
        [row(mixtures.apart), row(mixtures.aligned)],
        [f'{share:.2f}' for share in _shares(config)],
        ['apart', 'held alike'],
        side,
      ),
    ),
  ]


def _table(cosines: dict[str, float], steps: dict[str, float]) -> Table:
  rows = [
    ['diversity', f'mean cosine of the Grams, {name}', value]
    for name, value in cosines.items()
  ]
  rows += [
    ['interpolation', f'change from image to image, {name}', value]
    for name, value in steps.items()
  ]
  return Table(
    'likeness', 'How alike the images are', ['of', 'what', 'value'], rows
  )


def _mean_cosine(net: nets.Network, layer: str, images: np.ndarray) -> float:
  return -jax.jit(lambda s, x: s(x))(
    score(net, diversity(layer)), images
  ).mean()
