"""Concepts of one decision: the relevance of channels, and what they mean."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vizlab import attribution, nets, probes, render
from vizlab.objectives import logit, score
from vizlab.rules import Composite
from vizlab.runs import reduce_resumable
from vizlab.runs.inputs import load_classifier, read_square
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import PAGE, Figure, Table
from vizlab.runs.settings import each_of, need_positive
from vizlab.types import Array
from vizlab_experiments.shared.classes import chosen_class, class_names
from vizlab_experiments.shared.images import Images, load_images
from vizlab_experiments.shared.methods import chosen_layer
from vizlab_experiments.shared.projections import patch
from vizlab_experiments.shared.surveys import check_top

__all__ = ['prepare', 'run']

COMPOSITES = {
  name.lower(): getattr(attribution, name)
  for name in attribution.__all__
  if name.startswith('EPSILON_')
}
_RANKINGS = ('relevance', 'activation')


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    net: The network.
    info: The layer of the concepts.
    composite: Rules of relevance.
    names: Names of the classes.
    image: ``[H, W, 3]``.
    target: The class that is explained.
    images: The images that are searched for those of each channel.
  """

  config: ConfigDict
  net: nets.Network
  info: nets.LayerInfo
  composite: Composite
  names: list[str]
  image: np.ndarray
  target: int
  images: Images


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'concepts', 'batch')
  each_of('config.composite', [config.composite], COMPOSITES)
  net = load_classifier(config)
  info = chosen_layer(config, net)
  if config.concepts > info.shape[-1]:
    raise ValueError(
      f'config.concepts: got {config.concepts}, expected at most the '
      f'{info.shape[-1]} channels of {info.name}'
    )
  names = class_names(config, net)
  target = chosen_class(config, names)
  image = read_square('image', config.image, net.spec.size)
  if target is None:
    target = int(net(image)[0].argmax())
  images = load_images(config, net.spec.size)
  check_top(config, images)
  composite = COMPOSITES[config.composite]
  return Inputs(config, net, info, composite, names, image, target, images)


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Finds the concepts, the images that they mean, and writes a report."""
  config, net, info, _, names, _, target, _ = inputs
  found = recorder.once('concepts', lambda: _concepts(inputs))
  known = _references(inputs, recorder)
  recorder.arrays(
    'references',
    **{
      f'{ranking}/{field}': np.asarray(value)
      for ranking, each in known.items()
      for field, value in each._asdict().items()
    },
  )
  relevance = found['relevance']
  # Of all that speaks for the class or against it; none is 0.
  whole = max(float(np.abs(relevance).sum()), np.finfo(np.float32).tiny)
  shares = relevance[found['channels']] / whole
  recorder.report(
    f'Concepts of {info.name} of {net.arch} for {names[target]!r}',
    f'The relevance of {names[target]!r} by {config.composite}, through the '
    f'channels of {info.name} with most of it. Red speaks for the class, blue '
    'against it; shares are of all relevance of the layer, whatever its sign. '
    'On the way to the pixels biases take a part of it. Beside it, '
    'what the channel means: images in which one of its units has most '
    'relevance for the class that the network sees there, and those in which '
    'one is most active.',
    [
      *_figures(inputs, found, known, shares),
      _table(inputs, found, known, shares),
    ],
  )
  return {
    'target': target,
    'logit': float(found['logit']),
    'relevance': float(relevance.sum()),
    'share': float(shares.sum()),
  }


def _concepts(inputs: Inputs) -> dict[str, np.ndarray]:
  """Relevance of all channels of the image, and maps of the strongest."""
  config, net, info, composite, _, image, target, _ = inputs

  @jax.jit
  def by_channel(net: nets.Network, x: Array) -> tuple[Array, Array, Array]:
    score_fn = score(net, logit(target))
    units = attribution.layer_relevance(score_fn, x, info.name, composite)
    return (
      score_fn(x),
      attribution.lrp(score_fn, x, composite),
      units.sum((0, 1)),
    )

  @jax.jit
  def through(net: nets.Network, x: Array, masks: Array) -> Array:
    score_fn = score(net, logit(target))
    return jax.lax.map(
      lambda mask: attribution.lrp(score_fn, x, composite, {info.name: mask}),
      masks,
    )

  value, whole, relevance = map(np.asarray, by_channel(net, image))
  channels = np.argsort(-relevance, kind='stable')[: config.concepts]
  masks = np.eye(len(relevance), dtype=np.float32)[channels]
  return {
    'logit': value,
    'whole': whole,
    'relevance': relevance,
    'channels': channels,
    'maps': np.asarray(through(net, image, masks)),
  }


def _references(
  inputs: Inputs, recorder: Recorder
) -> dict[str, probes.Strongest]:
  """The images of each channel, by its relevance and by its activation."""
  config, net, info, composite, _, _, _, images = inputs
  nothing = probes.no_images(info.shape[-1], config.top)
  update = _updating(info.name, composite)

  def add(
    state: dict[str, probes.Strongest], rows: slice
  ) -> dict[str, probes.Strongest]:
    return update(state, net, images[rows], rows.start)

  @jax.jit
  def merge(one: dict, other: dict) -> dict:
    return {name: probes.merged(one[name], other[name]) for name in one}

  return reduce_resumable(
    recorder,
    'references',
    dict.fromkeys(_RANKINGS, nothing),
    add,
    merge,
    count=len(images),
    batch=config.batch,
  )


def _updating(layer: str, composite: Composite) -> Callable[..., dict]:
  """A jitted function that adds images to the strongest of each channel."""

  @jax.jit
  def update(
    state: dict[str, probes.Strongest],
    net: nets.Network,
    x: Array,
    first: Array,
  ) -> dict[str, probes.Strongest]:
    logits, acts = net(x)
    score_fn = score(net, logit(logits.argmax(-1)))
    units = attribution.layer_relevance(score_fn, x, layer, composite)
    values = dict(zip(_RANKINGS, (units, acts[layer]), strict=True))
    return {
      name: probes.strongest(state[name], values[name], first)
      for name in _RANKINGS
    }

  return update


def _figures(
  inputs: Inputs,
  found: dict[str, np.ndarray],
  known: dict[str, probes.Strongest],
  shares: np.ndarray,
) -> list[Figure]:
  """The whole relevance; and of each channel, with images that show it."""
  config, net, info, _, names, image, target, images = inputs
  whole = [render.to_uint8(image), render.signed(found['whole'].sum(-1))]
  label = f'{names[target]}\nlogit {float(found["logit"]):.2f}'
  rows, labels, titles = [], [], ['where']
  for ranking in _RANKINGS:
    titles += [f'{ranking} {n}' for n in range(1, config.top + 1)]
  for channel, share, relevance in zip(
    found['channels'].tolist(), shares, found['maps'], strict=True
  ):
    rows.append([render.signed(relevance.sum(-1))])
    for ranking in _RANKINGS:
      rows[-1] += _pieces(net, info.name, images, known[ranking], channel)
    labels.append(f'channel {channel}\n{share:.1%}')
  return [
    Figure(
      'picture',
      'The picture and its relevance',
      render.table([whole], ['picture', 'relevance'], [label], 192),
    ),
    Figure(
      'concepts',
      f'{config.concepts} channels of {info.name} with their share of the '
      'relevance: where it is, each on a scale of its own, and what their '
      'units see in the images with most relevance and activation; grey is '
      'outside of the image',
      render.table(rows, titles, labels, 112, PAGE),
    ),
  ]


def _pieces(
  net: nets.Network,
  layer: str,
  images: Images,
  known: probes.Strongest,
  channel: int,
) -> list[np.ndarray]:
  """Parts of its images that a channel sees where it is strongest."""
  field = nets.unit_field(net, layer, channel)
  return [
    patch(render.to_uint8(images[int(i)]), field, np.asarray(place))
    for i, place in zip(
      np.asarray(known.images[channel]), known.places[channel], strict=True
    )
  ]


def _table(
  inputs: Inputs,
  found: dict[str, np.ndarray],
  known: dict[str, probes.Strongest],
  shares: np.ndarray,
) -> Table:
  """Shares of the concepts, and what is in the images of each."""
  classes = _classes(inputs, found, known)
  rows = []
  for channel, share in zip(found['channels'].tolist(), shares, strict=True):
    by = [np.asarray(known[name].images[channel]) for name in _RANKINGS]
    common = len(np.intersect1d(*by))
    relevance = float(found['relevance'][channel])
    seen = [
      ', '.join(dict.fromkeys(classes[i] for i in each.tolist())) for each in by
    ]
    rows.append([channel, relevance, float(share), *seen, common])
  return Table(
    'concepts',
    'Relevance of the channels, their share of that of all, the classes that '
    'the network sees in their images, and how many both rankings have',
    [
      'channel',
      'relevance',
      'share',
      *(f'classes by {ranking}' for ranking in _RANKINGS),
      'images in common',
    ],
    rows,
  )


def _classes(
  inputs: Inputs,
  found: dict[str, np.ndarray],
  known: dict[str, probes.Strongest],
) -> dict[int, str]:
  """The most probable class of each image that is shown, by its index."""
  shown = np.unique(
    [known[name].images[found['channels']] for name in _RANKINGS]
  )
  predict = jax.jit(lambda net, x: net(x)[0].argmax(-1))
  size = inputs.config.batch
  best: list[int] = []
  for first in range(0, len(shown), size):
    some = np.resize(shown[first : first + size], size)  # always one program
    best += np.asarray(predict(inputs.net, inputs.images[some])).tolist()
  return {int(i): inputs.names[k] for i, k in zip(shown, best, strict=False)}
