"""The attribution methods as experiments call and show them."""

import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from vizlab import attribution, nets, render
from vizlab.lookup import by_nearness
from vizlab.nets.layers import ReLU
from vizlab.objectives import Score, logit, score
from vizlab.rules import Composite
from vizlab.runs.inputs import check_layers, load_classifier
from vizlab.runs.settings import each_of, listed, need_positive
from vizlab.types import Array

__all__ = [
  'ALL',
  'Explaining',
  'METHODS',
  'Method',
  'Options',
  'as_map',
  'chosen_layer',
  'chosen_methods',
  'chosen_options',
  'every_class',
  'load_explaining',
  'possible_methods',
]


ALL = 'all'  # of ``config.methods``: every one that the net can do


@dataclasses.dataclass(frozen=True)
class Options:
  """The settings that methods read."""

  layer: str
  patch: int
  chunk: int
  samples: int  # of methods that take a mean


@dataclasses.dataclass(frozen=True)
class Method:
  """Attribution method: its call, and the display of its map.

  Attributes:
    explain: ``(score, x, options) -> [B, H, W]`` or ``[B, H, W, 3]``.
    show: ``(map, image) -> picture``.
    signless: Whether the sign of the map means nothing, so that its size is
      what counts inside a mask.
    pieces: ``(options, (height, width)) -> count`` where a method takes long:
      its map is the sum of this many pieces, and ``explain`` takes the numbers
      of some of them, ``[P]``, as its last argument.
  """

  explain: Callable[..., Array]
  show: Callable[[np.ndarray, np.ndarray], np.ndarray]
  signless: bool = True
  pieces: Callable[[Options, tuple[int, int]], int] | None = None


def _sweep(
  score: Score, x: Array, options: Options, places: Array | None = None
) -> Array:
  return attribution.occlusion(
    score,
    x,
    patch=options.patch,
    stride=_stride(options),
    chunk=options.chunk,
    places=places,
  )


def _stride(options: Options) -> int:
  return max(1, options.patch // 2)


def _places(options: Options, size: tuple[int, int]) -> int:
  occluder = attribution.Occluder(options.patch, _stride(options))
  return math.prod(map(occluder.count, size))


def _smooth(squared: bool) -> Callable[[Score, Array, Options], Array]:
  def explain(score: Score, x: Array, options: Options) -> Array:
    return attribution.smoothgrad(
      score,
      x,
      jax.random.key(0),
      samples=options.samples,
      squared=squared,
      chunk=options.chunk,
    )

  return explain


def _integrated(
  start: Callable[[Array], float | Array],
) -> Callable[[Score, Array, Options], Array]:
  def explain(score: Score, x: Array, options: Options) -> Array:
    baseline = start(x)
    several = jax.numpy.ndim(baseline) > x.ndim
    steps = -(-options.samples // (len(baseline) if several else 1))
    return attribution.integrated_gradients(
      score, x, baseline=baseline, steps=steps, chunk=options.chunk
    ).sum(-1)

  return explain


def _pooled(net: nets.Network) -> tuple[str, str] | None:
  """The last map of a net with global pooling, and the pooled vector."""
  rows = nets.layer_info(net)
  for before, row in zip(rows, rows[1:], strict=False):
    if row.kind == 'GlobalPool':
      return before.name, row.name
  return None


def _cam(score: Score, x: Array, options: Options) -> Array:
  layer, pooled = _pooled(score.net)
  return attribution.cam(score, x, layer=layer, pooled=pooled)


def _at_layer(
  method: Callable[..., Array], **settings: Any
) -> Callable[[Score, Array, Options], Array]:
  return lambda s, x, o: method(s, x, layer=o.layer, **settings)


def _relevance(
  composite: Composite,
) -> Callable[[Score, Array, Options], Array]:
  def explain(asked: Score, x: Array, options: Options) -> Array:
    del options
    net = nets.merge_batch_norm(asked.net)
    return attribution.lrp(score(net, asked.objective), x, composite).sum(-1)

  return explain


def _show_signed(values: np.ndarray, image: np.ndarray) -> np.ndarray:
  return render.signed(values)


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
  'smoothgrad': Method(_smooth(False), lambda m, x: render.rgb(m)),
  'smoothgrad_squared': Method(
    _smooth(True), lambda m, x: render.heat(m.mean(-1))
  ),
  'integrated_gradients': Method(
    _integrated(lambda x: 0.0), lambda m, x: render.signed(m)
  ),
  'integrated_grey': Method(
    _integrated(lambda x: 0.5), lambda m, x: render.signed(m)
  ),
  'integrated_blurred': Method(
    _integrated(attribution.blurred), lambda m, x: render.signed(m)
  ),
  'integrated_random': Method(
    _integrated(
      lambda x: attribution.random_baselines(jax.random.key(1), x, 8)
    ),
    lambda m, x: render.signed(m),
  ),
  'fullgrad': Method(
    lambda s, x, o: attribution.fullgrad(s, x), lambda m, x: render.heat(m)
  ),
  'lrp': Method(_relevance(attribution.EPSILON_PLUS), _show_signed),
  'lrp_gamma': Method(_relevance(attribution.EPSILON_GAMMA_BOX), _show_signed),
  'cam': Method(_cam, render.overlay, signless=False),
  **{
    name: Method(
      _at_layer(getattr(attribution, name)), render.overlay, signless=False
    )
    for name in ('grad_cam', 'grad_cam_pp', 'hires_cam', 'layer_cam')
  },
  'score_cam': Method(
    lambda s, x, o: attribution.score_cam(s, x, layer=o.layer, chunk=o.chunk),
    render.overlay,
    signless=False,
  ),
  'guided_grad_cam': Method(
    lambda s, x, o: attribution.guided_grad_cam(s, x, layer=o.layer),
    lambda m, x: render.rgb(m),
  ),
  'occlusion': Method(_sweep, render.overlay, signless=False, pieces=_places),
}


def as_map(method: Method, values: Array, rank: int) -> Array:
  """Map of a method as one number per pixel, large where it matters.

  Args:
    method: The method.
    values: ``[..., H, W]`` or ``[..., H, W, 3]``.
    rank: Number of axes of a batch of maps, ``[..., H, W]``.

  Returns:
    ``[..., H, W]``: absolute where the sign means nothing, summed over colours.
  """
  values = jax.numpy.abs(values) if method.signless else values
  return values.sum(-1) if values.ndim > rank else values


@functools.lru_cache(maxsize=64)  # several runs in a process compile once
def every_class(
  method: Method, options: Options
) -> Callable[[nets.Network, Array, Array], Array]:
  """A method for several classes an image: ``(net, x, targets) -> maps``.

  Args:
    method: A method of `METHODS`.
    options: Its settings.

  Returns:
    A jitted function of a net, images ``[B, H, W, 3]`` and classes ``[B, E]``
    that gives ``[B, E, H, W]`` or ``[B, E, H, W, 3]``. What does not depend on
    the class, such as the forward of occluded images, is computed once.
    Further arguments, such as pieces, go to the method.
  """

  def explain(
    net: nets.Network, x: Array, targets: Array, *pieces: Array
  ) -> Array:
    def one(target: Array) -> Array:
      return method.explain(score(net, logit(target)), x, options, *pieces)

    return jax.vmap(one, in_axes=1, out_axes=1)(targets)

  return jax.jit(explain)


def chosen_methods(config: ConfigDict) -> tuple[str, ...]:
  """The names in ``config.methods``, each one known; ``all`` for every one."""
  methods = listed(config.methods)
  each_of('config.methods', methods, [*METHODS, ALL])
  if not methods:
    raise ValueError(
      f'config.methods: got none, expected {ALL!r} or some of {[*METHODS]}'
    )
  return tuple(METHODS) if ALL in methods else methods


def possible_methods(
  methods: Sequence[str], net: nets.Network
) -> tuple[tuple[str, ...], str]:
  """Methods that a network supports, and a sentence on the others.

  Raises:
    ValueError: It can do none of them.
  """
  reasons = {name: why for name in methods if (why := _unsupported(name, net))}
  if not reasons:
    return tuple(methods), ''
  why = '; '.join(f'{name} {reason}' for name, reason in reasons.items())
  left = tuple(name for name in methods if name not in reasons)
  if not left:
    raise ValueError(f'config.methods: {why}')
  note = f'Left out: {why}.'
  tqdm.write(note, sys.stderr)
  return left, f' {note}'


_OF_RELUS = 'deconvnet', 'guided_backprop', 'guided_grad_cam'


def _unsupported(method: str, net: nets.Network) -> str | None:
  """The reason why a network does not support a method; ``None`` if it does."""
  if method == 'cam' and not _pooled(net):
    return f'needs a net with global pooling, and {net.arch} has none'
  if not isinstance(net, nets.Network):
    return None
  if method in _OF_RELUS and not any(isinstance(op, ReLU) for op in net.ops):
    return f'needs a net with ReLUs, and {net.arch} has none'
  unruled = [op.kind for op in net.ops if not op.complete_biases]
  if unruled and (method == 'fullgrad' or method.startswith('lrp')):
    return f'has no rule for {unruled[0]}, a layer of {net.arch}'
  return None


class Explaining(NamedTuple):
  """A classifier, and the methods that explain it.

  Attributes:
    net: The classifier.
    methods: Names of the methods that it supports.
    options: Settings of the methods.
    left_out: Sentence on the methods that it does not support, or ``''``.
  """

  net: nets.Network
  methods: tuple[str, ...]
  options: Options
  left_out: str


def load_explaining(config: ConfigDict) -> Explaining:
  """The classifier and the methods of a config, checked."""
  methods = chosen_methods(config)
  net = load_classifier(config)
  methods, left_out = possible_methods(methods, net)
  return Explaining(net, methods, chosen_options(config, net), left_out)


def chosen_layer(
  config: ConfigDict, net: nets.Network, setting: str = 'layer'
) -> nets.LayerInfo:
  """The map that a setting names; the last one of the net if it is not set."""
  maps = {
    row.name: row for row in nets.layer_info(net) if row.field is not None
  }
  if not maps:
    raise ValueError(
      f'config.net.weights: each layer of {net.arch} sees the whole image, '
      'expected a network of maps'
    )
  layer = config[setting] or list(maps)[-1]
  check_layers(net, setting, [layer])
  if layer not in maps:
    raise ValueError(
      f'config.{setting}: {layer!r} gives no map, expected one of '
      f'{by_nearness(layer, maps)}'
    )
  return maps[layer]


def chosen_options(config: ConfigDict, net: nets.Network) -> Options:
  """The settings of the methods, checked against a net."""
  need_positive(config, 'chunk', 'samples')
  if not 0 <= (config.patch or 0) <= net.spec.size:
    raise ValueError(
      f'config.patch: got {config.patch}, expected at most the image side of '
      f'{net.spec.size} and at least 0'
    )
  return Options(
    chosen_layer(config, net).name,
    config.patch or net.spec.size // 6,
    config.chunk,
    config.samples,
  )
