"""Pictures that a plain net and a robust one make, side by side."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vizlab import (
  adversarial,
  attribution,
  evaluate,
  nets,
  optimize,
  render,
  synthesis,
)
from vizlab.objectives import logit, score
from vizlab.runs.inputs import check_layers, load_classifier, load_other
from vizlab.runs.optimization import optimize_resumable
from vizlab.runs.recorder import Recorder
from vizlab.runs.report import Figure, Table
from vizlab.runs.settings import listed, need_positive
from vizlab.types import Array, ScoreFn
from vizlab_experiments.shared.classes import chosen_classes, class_names
from vizlab_experiments.shared.labelled_images import (
  LabelledImages,
  load_labelled_images,
)

__all__ = ['prepare', 'run']

_FINE = 0.5  # of the highest frequency: what is finer is fine detail
_WAY = 5  # images on the way of the last figure


class Inputs(NamedTuple):
  """Checked inputs of the experiment.

  Attributes:
    config: The config.
    judged: The plain net and the robust one, by name.
    names: Names of the classes.
    targets: Classes that images become.
    known: Images, their classes and masks.
  """

  config: ConfigDict
  judged: dict[str, nets.Network]
  names: list[str]
  targets: tuple[int, ...]
  known: LabelledImages


def prepare(config: ConfigDict) -> Inputs:
  """Reads and checks the inputs."""
  need_positive(config, 'shown', 'batch', 'radius', 'steps', 'rate')
  plain = load_classifier(config)
  robust = load_other(config, 'robust', config.robust)
  names = class_names(config, plain)
  for net in (plain, robust):
    check_layers(net, 'layer', [config.layer])
  if nets.layer_info(robust)[-1].shape != nets.layer_info(plain)[-1].shape:
    raise ValueError(
      f'config.robust: {config.robust} has other classes than {plain.arch}'
    )
  targets = chosen_classes('config.targets', listed(config.targets), names)
  if not targets:
    raise ValueError('config.targets: got none, expected some classes')
  known = load_labelled_images(config, plain, objects=1)
  if len(known.images) < 2:
    raise ValueError('config.scenes, config.photos: got 1 image, expected 2')
  return Inputs(
    config, {'plain': plain, 'robust': robust}, names, targets, known
  )


def run(inputs: Inputs, recorder: Recorder) -> dict[str, Any]:
  """Measures the gradients of both nets and makes the pictures."""
  pictures = {}
  for name, net in inputs.judged.items():
    pictures[name] = {
      'measured': _measured(inputs, recorder, name, net),
      'towards': recorder.once(
        f'{name}_towards', functools.partial(_towards, inputs, net)
      )['images'],
      'inverted': _inverted(inputs, recorder, name, net),
      'between': recorder.once(
        f'{name}_between', functools.partial(_between, inputs, net)
      )['images'],
    }
  results = {
    f'{name}_{key}': float(value.mean())
    for name, each in pictures.items()
    for key, value in each['measured'].items()
    if key != 'gradient'
  }
  for name, each in pictures.items():
    shown = inputs.known.images[: len(each['inverted'])]
    results[f'{name}_inverted'] = float(
      np.square(each['inverted'] - shown).mean() / shown.var()
    )
  _report(inputs, recorder, pictures, results)
  return results


def _measured(
  inputs: Inputs, recorder: Recorder, name: str, net: nets.Network
) -> dict[str, np.ndarray]:
  """Gradients of the classes of all images, and numbers of each."""
  known = inputs.known
  explain = jax.jit(
    lambda net, x, label: attribution.gradient(score(net, logit(label)), x)
  )

  def some(rows: slice) -> dict[str, np.ndarray]:
    x = jnp.asarray(known.images[rows])
    label = jnp.asarray(known.targets[rows, 0], jnp.int32)
    g = explain(net, x, label)
    each = {'gradient': g, 'fine': _fine(g), 'aligned': _aligned(g, x)}
    if known.masks is not None:
      strength = jnp.abs(g).max(-1)
      mask = jnp.asarray(known.masks[rows, 0], g.dtype)
      each['inside'] = evaluate.energy_inside(strength, mask)
    return {key: np.asarray(value) for key, value in each.items()}

  count, size = len(known.images), inputs.config.batch
  item = f'{name}_measured'
  return recorder.once(
    item, lambda: recorder.in_parts(f'{item}/images', count, size, some)
  )


def _fine(g: Array) -> Array:
  """Share of the power above half of the highest frequency: ``[B]``."""
  power = evaluate.radial_spectrum(jnp.moveaxis(g, -1, 1)).mean(1)
  # Means over rings, whose areas grow with their radii.
  rings = jnp.arange(power.shape[-1], dtype=power.dtype)
  power = power * (2 * rings + 1)[None]
  fine = power[:, round(_FINE * len(rings)) :].sum(-1)
  return fine / jnp.maximum(power.sum(-1), 1e-30)


def _aligned(g: Array, x: Array) -> Array:
  """Absolute cosine of gradient and image, both without their mean: ``[B]``."""
  axes = (1, 2, 3)
  g, x = (v - v.mean(axes, keepdims=True) for v in (g, x))
  length = jnp.sqrt(jnp.square(g).sum(axes) * jnp.square(x).sum(axes))
  return jnp.abs((g * x).sum(axes)) / jnp.maximum(length, 1e-12)


def _towards(inputs: Inputs, net: nets.Network) -> dict[str, np.ndarray]:
  """One image as each of the targets, within a large ball: ``[T, H, W, 3]``."""
  score_fn = adversarial.lead(net, np.array(inputs.targets))
  radius = inputs.config.radius
  return _led(inputs, score_fn, len(inputs.targets), radius)


def _led(
  inputs: Inputs, score_fn: ScoreFn, count: int, radius: float
) -> dict[str, np.ndarray]:
  """The first image, several times, led by a score within an L2 ball."""
  x = jnp.asarray(inputs.known.images[:1])
  attacked = adversarial.pgd(
    score_fn,
    jnp.broadcast_to(x, (count, *x.shape[1:])),
    jax.random.key(inputs.config.seed),
    epsilon=radius,
    norm='l2',
    steps=inputs.config.steps,
    random_start=False,
  )
  return {'images': np.asarray(attacked.projected)}


def _inverted(
  inputs: Inputs, recorder: Recorder, name: str, net: nets.Network
) -> np.ndarray:
  """Images with the activations of the shown ones, from noise, no prior."""
  config = inputs.config
  x = jnp.asarray(inputs.known.images[: config.shown])
  target = synthesis.inversion(net, config.layer, x, tv=0.0, range_weight=0.0)
  inverted = optimize_resumable(
    recorder,
    f'{name}_inverted',
    target.score,
    synthesis.pixels(jnp.full(x.shape, 0.5), noise=0.1),
    jax.random.key(config.seed),
    steps=config.steps,
    optimizer=optimize.adam(config.rate),
  )
  return np.clip(inverted.images, 0, 1)


def _between(inputs: Inputs, net: nets.Network) -> dict[str, np.ndarray]:
  """Way from the first image to the code of the second: ``[W, H, W, 3]``."""
  config, known = inputs.config, inputs.known
  x = jnp.asarray(known.images[:2])
  code = net(x)[1][config.layer]
  share = jnp.linspace(0, 1, _WAY).reshape(_WAY, *(1,) * (code.ndim - 1))
  wanted = (1 - share) * code[:1] + share * code[1:]

  def near(image: Array) -> Array:
    axes = tuple(range(1, code.ndim))
    apart = jnp.square(net(image)[1][config.layer] - wanted).mean(axes)
    return -apart / jnp.square(code).mean()

  return _led(inputs, near, _WAY, 2 * config.radius)


def _report(
  inputs: Inputs,
  recorder: Recorder,
  by_net: dict[str, dict[str, Any]],
  results: dict[str, Any],
) -> None:
  config, known = inputs.config, inputs.known
  images = [*map(render.to_uint8, known.images[: config.shown])]

  def rows(name: str) -> list[list[np.ndarray]]:
    return [[*map(render.to_uint8, each[name])] for each in by_net.values()]

  def figure(
    name: str,
    caption: str,
    pictures: list[list[np.ndarray]],
    columns: list[str],
    labels: list[str],
  ) -> Figure:
    side = min(160, known.images.shape[1] + 32)
    return Figure(name, caption, render.table(pictures, columns, labels, side))

  gradients = [
    [*map(render.rgb, each['measured']['gradient'][: len(images)])]
    for each in by_net.values()
  ]
  untitled, names = [''] * len(images), [*by_net]
  way = [f'{i / (_WAY - 1):.0%}' for i in range(_WAY)]
  measures = {
    'fine': 'fine detail: share of power above half of the highest frequency',
    'aligned': 'cosine of gradient and image',
    'inside': 'share of the gradient inside the object',
    'inverted': 'error of inversions, by the variance of images',
  }
  recorder.report(
    'What robustness does to pictures',
    f'{config.net.weights} and {config.robust}: gradients of robust nets show '
    'what an image holds, and images that are led by them become what a class '
    'is to people.',
    [
      figure(
        'gradients',
        'Gradients of the logit of the class; grey is zero',
        [images, *gradients],
        untitled,
        ['image', *names],
      ),
      figure(
        'towards',
        f'An image led to other classes, in an L2 ball of {config.radius:g}',
        [[images[0], *row] for row in rows('towards')],
        ['image', *(inputs.names[k] for k in inputs.targets)],
        names,
      ),
      figure(
        'inverted',
        f'Images with the same {config.layer}, from noise and without a prior',
        [images, *rows('inverted')],
        untitled,
        ['image', *names],
      ),
      figure(
        'between',
        f'From one image to the {config.layer} of another',
        [[*row, render.to_uint8(known.images[1])] for row in rows('between')],
        [*way, 'other'],
        names,
      ),
      Table(
        'means',
        f'Means over {len(known.images)} images',
        ['', *by_net],
        [
          [text, *(results[f'{name}_{key}'] for name in by_net)]
          for key, text in measures.items()
          if f'plain_{key}' in results
        ],
      ),
    ],
  )
