r"""Benchmarks vizlab against torch and its libraries on VGG-16.

  python scripts/benchmark.py [--batch=8] [--repeats=7] [--out=benchmark.json]

All contenders run in one process and take turns, so that a slow moment of a
shared machine affects all of them. The table shows the median time, its ratio
to vizlab's, the compilation time, and the peak memory of the process above its
level before the call. All contenders get the same images and weights: random
weights, or those of --weights. Style transfer is a separate benchmark, with
VGG-19:

  python scripts/benchmark.py --only=style_transfer --size=256 \
    --weights=vgg19.safetensors --content=PHOTO --style=PAINTING

Other networks, forward and saliency, are another one, at their own sizes:

  python scripts/benchmark.py --only=networks --batch=4

So are all methods in half precision, on one image, with the correlation of
their maps with those in float32:

  python scripts/benchmark.py --only=precision --weights=vgg19.safetensors \
    --content=PHOTO

or of some (--only=precision,saliency).

torch, Captum and foolbox are in the extra, pip install -e '.[parity]';
pytorch-grad-cam and zennit are installed by pip install --no-deps grad-cam
zennit. Missing packages are left out.
"""

import functools
import statistics
import sys
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import app, flags, logging
from benchmarks import baselines, networks, precision, style_race, timing

from vizlab import adversarial, attribution, io, nets, optimize, synthesis
from vizlab.data import scenes
from vizlab.nets.incremental import regions
from vizlab.objectives import Score, channel, logit, score
from vizlab.types import Array

BATCH = flags.DEFINE_integer('batch', 8, 'Batch size.', lower_bound=1)
REPEATS = flags.DEFINE_integer(
  'repeats', 7, 'Runs of each contender.', lower_bound=1
)
SIZE = flags.DEFINE_integer('size', 224, 'Side of the images in pixels.')
PATCH = flags.DEFINE_integer('patch', 32, 'Side of the occluder in pixels.')
STRIDE = flags.DEFINE_integer('stride', 16, 'Stride of the occluder in pixels.')
WEIGHTS = flags.DEFINE_string(
  'weights', '', 'Weight file of VGG-16; random by default.'
)
ONLY = flags.DEFINE_list(
  'only',
  [],
  'Tasks to run, or one of style_transfer, networks and precision; all other '
  'tasks by default.',
)
FLAGS = flags.FLAGS
OUT = flags.DEFINE_string('out', '', 'JSON file for the results.')

# Tasks in which all contenders must agree, and the tolerance of the mean. Adam
# takes full steps even where a gradient is rounding error.
AGREE = {'forward': 1e-3, 'ascent': 1e-2}
OURS, WHOLE = 'vizlab', 'vizlab, whole images'
STEPS = 'vizlab, step by step'
# Tasks that run the network tens to hundreds of times: one image, at most three
# runs, and no warm-up.
LONG = ('smoothgrad', 'integrated_gradients', 'score_cam', 'occlusion', 'pgd')


def methods(work: baselines.Work) -> dict[str, Callable[[Score, Array], Any]]:
  """Tasks in vizlab, as functions of a score and images."""
  bind = functools.partial
  many = {'chunk': work.chunk}
  noisy = {'key': jax.random.key(0), 'sigma': work.sigma}
  window = {'patch': work.patch, 'stride': work.stride, 'fill': 0.0}
  layer = {'layer': work.layer}
  return {
    'forward': lambda score_fn, x: score_fn.net(x)[0],
    'saliency': attribution.saliency,
    'gradient_x_input': attribution.gradient_x_input,
    'guided_backprop': attribution.guided_backprop,
    'deconvnet': bind(attribution.deconvnet, seed=1.0),
    'grad_cam': bind(attribution.grad_cam, **layer),
    'guided_grad_cam': bind(attribution.guided_grad_cam, **layer),
    'grad_cam_pp': bind(attribution.grad_cam_pp, **layer),
    'hires_cam': bind(attribution.hires_cam, **layer),
    'layer_cam': bind(attribution.layer_cam, **layer),
    'fullgrad': attribution.fullgrad,
    'lrp': attribution.lrp,
    'smoothgrad': bind(
      attribution.smoothgrad, samples=work.samples, **noisy, **many
    ),
    'integrated_gradients': bind(
      attribution.integrated_gradients, steps=work.samples, **many
    ),
    'score_cam': bind(attribution.score_cam, **layer, **many),
    'occlusion': bind(attribution.occlusion, **window, **many),
    'ascent': bind(ascent, work),
    'pgd': bind(attack, work),
    # The seed is an argument: the compiler could evaluate a constant.
    'scenes': lambda score_fn, x: scenes(
      jax.random.key(score_fn.objective.target), 256
    ),
  }


def ascent(work: baselines.Work, score_fn: Score, x: Array) -> Array:
  """Runs a few steps of feature visualization on pixels."""
  channel_score = score(score_fn.net, channel(work.excited, 7))
  image, optimizer = synthesis.pixels(x), optimize.adam(work.rate)
  progress = optimize.run(
    channel_score,
    image,
    jax.random.key(0),
    steps=work.steps,
    chunk=work.steps,
    optimizer=optimizer,
  )
  return optimize.final(progress).image


def attack(work: baselines.Work, score_fn: Score, x: Array) -> Array:
  """Attacks images by projected gradient descent."""
  return adversarial.pgd(
    adversarial.mislead(score_fn.net, score_fn.objective.target),
    jnp.clip(x, 0, 1),
    jax.random.key(0),
    epsilon=work.epsilon,
    steps=work.attack_steps,
    random_start=False,
  ).raw


def step_by_step(
  work: baselines.Work, score_fn: Score, x: Array
) -> timing.Contender:
  """Runs the steps of `ascent` without the loop, to measure its overhead."""
  channel_score, tx = (
    score(score_fn.net, channel(work.excited, 7)),
    optax.adam(work.rate),
  )

  def step(channel_score: Score, x: Array, state: Any) -> tuple[Array, Any]:
    grad = jax.grad(lambda x: -channel_score(x).sum())(x)
    updates, state = tx.update(grad, state)
    return optax.apply_updates(x, updates), state

  first = tx.init(x)
  run = jax.jit(step).lower(channel_score, x, first).compile()

  def call() -> Array:
    image, state = x, first
    for _ in range(work.steps):
      image, state = run(channel_score, image, state)
    return image

  return timing.called(call)


def ours(
  name: str, fn: Callable, score_fn: Score, x: Array
) -> dict[str, timing.Contender]:
  """Contenders of vizlab for a task."""
  if name == 'ascent':
    return {
      OURS: timing.called(lambda: fn(score_fn, x)),
      STEPS: step_by_step(fn.args[0], score_fn, x),
    }
  contenders = {OURS: timing.compiled(fn, score_fn, x)}
  if name == 'occlusion':
    # In a plain function, occlusion does not see the network.
    contenders[WHOLE] = timing.compiled(
      lambda score_fn, x: fn(lambda seen: score_fn(seen), x), score_fn, x
    )
  return contenders


def check_agreement(
  contenders: dict[str, timing.Contender], within: float
) -> None:
  """Exits with an error unless all contenders agree."""
  first, *rest = (np.asarray(c.call()) for c in contenders.values())
  for label, other in zip([*contenders][1:], rest, strict=True):
    error = np.abs(other - first).mean() / np.abs(first).mean()
    if not error < within:
      sys.exit(f'error: {label}: differs from vizlab by {error:.1%}')


def note(name: str, score_fn: Score, x: Array, work: baselines.Work) -> str:
  """Remark on the ratios of a task, or ''."""
  if name == 'occlusion':
    occluder = attribution.Occluder(work.patch, work.stride)
    spans = occluder.spans(x.shape[-3])
    boxes = [(row, column) for row in spans for column in spans]
    ops, shape = score_fn.net.ops, x.shape[-3:]
    plan = regions.plan(ops, shape, *zip(*boxes, strict=True))
    count = functools.partial(regions.multiplications, ops, shape)
    return (
      f'{len(boxes)} positions; whole images take '
      f'{count() / count(plan):.2f} times as many multiplications'
    )
  if name == 'score_cam':
    read = jax.jit(lambda score_fn, x: score_fn.net(x)[1][work.layer])
    a = read(score_fn, x)
    marks = (a.max((-3, -2)) > a.min((-3, -2))).any(0)
    return f'{marks.sum()} of {marks.size} maps are not constant, and are run'
  if name == 'fullgrad':
    return (
      'vizlab scales the maps of a layer jointly, pytorch-grad-cam separately'
    )
  return ''


def forward_gflop(size: int) -> float:
  """Floating-point operations of a VGG-16 forward pass, in GFLOP."""
  ops = nets.architecture('vgg16').layers()
  return 2 * regions.multiplications(ops, (size, size, 3)) / 1e9


def run_task(name: str, contenders: dict[str, timing.Contender]) -> list[dict]:
  """Runs all turns of a task and returns its rows of results."""
  if name not in LONG:
    for contender in contenders.values():
      contender.call()  # warm-up
  for _ in range(min(3, REPEATS.value) if name in LONG else REPEATS.value):
    for contender in contenders.values():
      timing.measure(contender)
  best = statistics.median(next(iter(contenders.values())).seconds)
  return [
    {
      'task': name,
      'contender': label,
      'seconds': statistics.median(contender.seconds),
      'spread': max(contender.seconds) - min(contender.seconds),
      'ratio': statistics.median(contender.seconds) / best,
      'compile_seconds': contender.compile_seconds,
      'peak_mib': contender.peak_mib,
    }
    for label, contender in contenders.items()
  ]


def race_of_networks() -> dict[str, Any]:
  """Runs and prints the forward pass and saliency of several networks."""
  chosen((), 1)
  rate, load = timing.heading()
  rows = []
  size = SIZE.value if FLAGS['size'].present else None
  for name in networks.NAMES:
    for task, contenders in networks.tasks(name, size, BATCH.value):
      within = AGREE['forward' if task.endswith('forward') else 'ascent']
      check_agreement(contenders, within)
      for row in run_task(task, contenders):
        rows.append(row)
        timing.show(row)
  report = {'batch': BATCH.value, 'rows': rows}
  return report | {'matmul_gflops': rate, 'load': load}


def race_of_precisions() -> dict[str, Any]:
  """Runs and prints every method in float32 and in half precision."""
  rate, load = timing.heading()
  rows = []
  net = nets.load(WEIGHTS.value) if WEIGHTS.value else nets.create('vgg16')
  side = SIZE.value
  x = io.read_image(style_race.CONTENT.value, shorter=side, crop=side)[None]
  explaining = methods(baselines.Work(PATCH.value, STRIDE.value))
  for name in ('ascent', 'pgd', 'scenes'):
    explaining.pop(name)
  explaining = {name: explaining[name] for name in chosen(explaining, 1)}
  for name, contenders in precision.contenders(net, x, explaining):
    found = precision.correlation(contenders)
    for row in run_task(name, contenders):
      rows.append(row | {'correlation': found.get(row['contender'], 1.0)})
      timing.show(row)
    text = ', '.join(f'{dtype} {r:.4f}' for dtype, r in found.items())
    print(f'{name}: correlation with float32: {text}')
  return {'rows': rows, 'matmul_gflops': rate, 'load': load}


def chosen(known: Collection[str], start: int = 0) -> list[str]:
  """Names in --only from ``start`` on, or all; exits if one is unknown."""
  names = ONLY.value[start:]
  if unknown := sorted(set(names) - set(known)):
    expected = f'some of {[*known]}' if known else 'nothing beside it'
    sys.exit(f'error: only: got {unknown}, expected {expected}')
  return names or [*known]


def setting() -> tuple[nets.Network, Array]:
  """Returns the network and preprocessed images.

  The network itself does no preprocessing, so that all contenders explain the
  same function.
  """
  if WEIGHTS.value:
    net = nets.load(WEIGHTS.value, arch='vgg16')
  else:
    net = nets.create('vgg16')
  side = SIZE.value
  pictures = [
    io.read_image(f'sample:{name}', shorter=side, crop=side)
    for name in io.samples()
  ]
  x = net.spec(jnp.stack((pictures * BATCH.value)[: BATCH.value]))
  net.spec = nets.InputSpec(side, (0.0,) * 3, (1.0,) * 3)
  return net, x


def race_of_styles() -> dict[str, Any]:
  """Runs and prints style transfer."""
  chosen((), 1)
  return {'rows': style_race.race(WEIGHTS.value, SIZE.value, REPEATS.value)}


def race_of_methods() -> dict[str, Any]:
  """Runs and prints the chosen tasks against all peers."""
  work = baselines.Work(PATCH.value, STRIDE.value)
  mine = methods(work)
  tasks = chosen(mine)
  net, x = setting()
  score_fn = score(net, logit(work.target))
  others = baselines.calls(net, np.asarray(x), work)
  rate, load = timing.heading()
  rows, notes = [], {}
  for name in tasks:
    images = x[:1] if name in LONG else x
    contenders = ours(name, mine[name], score_fn, images)
    for label, call in others.get(name, {}).items():
      contenders[label] = timing.Contender(call)
    if name in AGREE:
      check_agreement(contenders, AGREE[name])
    for row in run_task(name, contenders):
      rows.append(row)
      timing.show(row)
    if remark := note(name, score_fn, images, work):
      notes[name] = remark
      print(f'{name}: {remark}')
  report = {'batch': BATCH.value, 'rows': rows, 'notes': notes}
  report |= {'matmul_gflops': rate, 'load': load}
  forward = [r for r in rows if r['task'] == 'forward']
  if forward:
    gflops = BATCH.value * forward_gflop(SIZE.value) / forward[0]['seconds']
    report |= {'forward_gflops': gflops, 'fraction': gflops / rate}
    share = gflops / rate
    print(f'forward: {gflops:.0f} GFLOP/s, {share:.0%} of the matrix product')
  return report


def main(argv: list[str]) -> None:
  """Runs the chosen tasks and prints their table."""
  del argv
  logging.set_verbosity(logging.WARNING)
  alone = {
    'style_transfer': race_of_styles,
    'networks': race_of_networks,
    'precision': race_of_precisions,
  }
  first = ONLY.value[0] if ONLY.value else ''
  report = alone.get(first, race_of_methods)()
  if OUT.value:
    io.write_json(OUT.value, report)


if __name__ == '__main__':
  app.run(main)
