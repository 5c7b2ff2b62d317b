"""Benchmark of style transfer against torch: time to the same loss.

The reference is the common setup: PyTorch's L-BFGS with a history of 100,
VGG-19 with average pooling, initialised with the content image, and the loss of
Gatys et al. 2016 in units of 0 to 255 with alpha 1 and beta 1000. The time to a
loss is the number of evaluations, which does not depend on other processes,
times the median time of one evaluation, for which all contenders take turns.
"""

import functools
import itertools
import statistics
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags
from jax.tree_util import Partial

from benchmarks.torch_style import ALPHA, BETA, DEEP, STYLES, references
from vizlab import io, nets, optimize, style, synthesis
from vizlab.image.filters import resize
from vizlab.objectives import Score, score
from vizlab.types import Array

__all__ = ['compare', 'race', 'loss_score']

CONTENT = flags.DEFINE_string(
  'content', 'sample:star_and_square', 'Content image of style_transfer.'
)
STYLE = flags.DEFINE_string(
  'style', 'sample:crescent_and_cross', 'Style image of style_transfer.'
)
EVALUATIONS = flags.DEFINE_list(
  'evaluations',
  ['100', '300'],
  'Numbers of evaluations of the reference whose loss is to be reached.',
)
TURN = 10  # evaluations
_total = jax.jit(
  style.total_loss, static_argnames=('content_layer', 'style_layers')
)
_NEAR = 1.0001  # relative tolerance of the loss to reach


class Racer(NamedTuple):
  """A method of minimising the loss.

  Attributes:
    run: Function from a number of evaluations to the loss of each.
    compile_seconds: Additional time of the first run.
    before: Seconds before the first evaluation.
  """

  run: Callable[[int], list[float]]
  compile_seconds: float = 0.0
  before: float = 0.0


def race(weights: str, side: int, turns: int) -> dict[str, Any]:
  """Runs all methods on the images of the flags and prints a table.

  Args:
    weights: Weight file of VGG-19; '' for random weights.
    side: Side of the square crops of the images, in pixels.
    turns: Number of timed runs per method.
  """
  x, y = (
    jnp.asarray(io.read_image(name, shorter=side, crop=side))
    for name in (CONTENT.value, STYLE.value)
  )
  if weights:
    net = nets.load(weights, arch='vgg19', pool='avg')
  else:
    net = nets.create('vgg19', pool='avg', preprocess='caffe')
  goals = [int(n) for n in EVALUATIONS.value]
  return compare(net, x, y, turns=turns, goals=goals)


def compare(
  net: nets.Network,
  x: Array,
  y: Array,
  *,
  turns: int,
  goals: list[int],
  names: Collection[str] = (),
) -> dict[str, Any]:
  """Compares all methods for one network and pair of images.

  Args:
    net: A network with inputs of 0 to 255.
    x: Content image ``[H, W, 3]`` in [0, 1].
    y: Style image ``[H, W, 3]`` in [0, 1].
    turns: Number of timed runs per method.
    goals: Numbers of evaluations of the reference whose loss is to be reached.
    names: Names of vizlab's methods to run; all if empty.
  """
  racers = {
    name: Racer(run)
    for name, run in references(net, np.asarray(x), np.asarray(y)).items()
  }
  for name, make in _WAYS.items():
    if not names or name in names:
      racers[name] = make(net, x, y)
  seconds: dict[str, list[float]] = {name: [] for name in racers}
  for _, (name, racer) in itertools.product(range(turns), racers.items()):
    seconds[name].append(_each(racer.run))
  figures: dict[str, dict[str, Any]] = {}
  known: list[float] = []
  _show_head(goals)
  for name, racer in racers.items():
    losses = racer.run(max(goals))
    known = known or losses
    figures[name] = _figures(racer, seconds[name], losses, known, goals)
    _show(name, figures[name], next(iter(figures.values())), goals)
  return figures


def _each(run: Callable[[int], Any]) -> float:
  """Seconds per evaluation, without the time before the first one."""
  times = [time.perf_counter()]
  for count in (TURN, 2 * TURN):
    run(count)
    times.append(time.perf_counter())
  first, both = np.diff(times)
  return float(both - first) / TURN


def _figures(
  racer: Racer,
  seconds: list[float],
  losses: list[float],
  known: list[float],
  goals: list[int],
) -> dict[str, Any]:
  each = statistics.median(seconds)
  figures = {
    'seconds': each,
    'spread': max(seconds) - min(seconds),
    'compile_seconds': racer.compile_seconds,
    'losses': {n: losses[n - 1] for n in goals},
  }
  for n in goals:
    goal = _NEAR * known[n - 1]
    count = next((i for i, v in enumerate(losses, 1) if v <= goal), None)
    took = None if count is None else racer.before + count * each
    figures[f'like {n}'] = {'evaluations': count, 'seconds': took}
  return figures


def _show_head(goals: list[int]) -> None:
  columns = ''.join(f' {f"loss of {n}":>12} {"s":>6} {"x":>5}' for n in goals)
  print(f'{"":32} {"s each":>7} {"x":>5} {"compile":>7}{columns}')


def _show(
  name: str, row: dict[str, Any], first: dict[str, Any], goals: list[int]
) -> None:
  """Prints a row; ``x`` is the speed relative to the first row."""
  line = f'{name:32} {row["seconds"]:7.3f} '
  line += f'{first["seconds"] / row["seconds"]:5.2f} '
  line += f'{row["compile_seconds"]:7.1f}'
  for n in goals:
    count, took = row[f'like {n}'].values()
    if count is None:
      line += f' {"never":>12} {"":6} {"":5}'
    else:
      ratio = first[f'like {n}']['seconds'] / took
      line += f' {count:12} {took:6.1f} {ratio:5.2f}'
  print(line, flush=True)


def loss_score(net: nets.Network, x: Array, y: Array, share: float) -> Score:
  """Negative loss of the benchmark, at a fraction of the images' size."""
  x, y = (resize(v, [round(n * share) for n in v.shape[:2]]) for v in (x, y))
  settings = {'content_layer': DEEP, 'style_layers': STYLES}
  # The paper sums the content loss over positions; vizlab takes the mean.
  shape = jax.eval_shape(lambda net, x: net(x)[1][DEEP], net, x).shape
  alpha = ALPHA * shape[0] * shape[1]
  loss = _total(net, x, [y], alpha=alpha, beta=BETA, **settings)
  return score(net, -1.0 * loss)


def _whole(optimizer: Partial, net: nets.Network, x: Array, y: Array) -> Racer:
  """Optimizes at full size from the first step to the last."""
  return _racer(loss_score(net, x, y, 1), x, optimizer)


def _coarse(optimizer: Partial, net: nets.Network, x: Array, y: Array) -> Racer:
  """Optimizes at half size for a few steps, then at full size."""
  small = resize(x, [n // 2 for n in x.shape[:2]])
  half = loss_score(net, x, y, 0.5)
  racer = _racer(half, small, optimizer)
  begun = time.perf_counter()
  image = _steps(half, small, optimizer, 5 * TURN)[0]
  before = time.perf_counter() - begun
  start = jnp.clip(jax.image.resize(image, x.shape, 'cubic'), 0, 1)
  fine = _racer(loss_score(net, x, y, 1), start, optimizer)
  compiling = racer.compile_seconds + fine.compile_seconds
  return Racer(fine.run, compiling, before)


def _racer(score_fn: Score, start: Array, optimizer: Partial) -> Racer:
  def run(count: int) -> list[float]:
    return _steps(score_fn, start, optimizer, count)[1]

  begun = time.perf_counter()
  run(TURN)
  between = time.perf_counter()
  run(TURN)
  return Racer(run, 2 * between - begun - time.perf_counter())


def _steps(
  score_fn: Score, start: Array, optimizer: Partial, count: int
) -> tuple[Array, list[float]]:
  """Returns the image after ``count`` steps, and the loss before each."""
  losses: list[float] = []
  for now in optimize.run(
    score_fn,
    synthesis.pixels(start),
    jax.random.key(0),
    steps=count,
    chunk=TURN,
    optimizer=optimizer,
  ):
    losses += [-float(v) for v in now.scores]
  return now.image, losses


def _cosine(rate: float | Array) -> optax.GradientTransformation:
  return optax.adam(optax.cosine_decay_schedule(rate, 300))


_SMOOTH = Partial(functools.partial(synthesis.lbfgs, smooth=0.5))
_WAYS: dict[str, Callable[[nets.Network, Array, Array], Racer]] = {
  name: functools.partial(way, optimizer)
  for name, (way, optimizer) in {
    'L-BFGS, smooth 0.5 (default)': (_whole, _SMOOTH),
    'L-BFGS': (_whole, Partial(synthesis.lbfgs)),
    'Adam 0.02': (_whole, optimize.adam(0.02)),
    'Adam 0.04 to 0, 300 steps': (_whole, Partial(_cosine, 0.04)),
    '50 steps at half the size first': (_coarse, _SMOOTH),
  }.items()
}
