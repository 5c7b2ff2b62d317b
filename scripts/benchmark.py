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

On a GPU, in float32, tf32 and bfloat16 and by batch size, against torch,
torch.compile and Captum; images per second, the fraction of the device's matrix
product, and 64 channels visualized at once against one by one:

  python scripts/benchmark.py --only=accelerator --batches=1,32,256

torch, Captum and foolbox are in the extra, pip install -e '.[parity]';
pytorch-grad-cam and zennit are installed by pip install --no-deps grad-cam
zennit. Missing packages are left out.
"""

import os
import statistics
import sys
from collections.abc import Collection
from typing import Any

# Else JAX takes most of a GPU's memory, and torch none.
os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging
from benchmarks import (
  accelerator,
  baselines,
  methods,
  networks,
  precision,
  style_race,
  timing,
)

from vizlab import io, nets
from vizlab.nets.incremental import regions
from vizlab.objectives import logit, score
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
  'Tasks to run, or one of style_transfer, networks, precision and '
  'accelerator; all other tasks by default.',
)
BATCHES = flags.DEFINE_list(
  'batches', ['1', '32', '256'], 'Batch sizes of --only=accelerator.'
)
COMPILE = flags.DEFINE_bool(
  'compile', True, 'Whether torch.compile takes part in --only=accelerator.'
)
CHANNELS = flags.DEFINE_integer(
  'channels', 64, 'Channels that --only=accelerator visualizes.', lower_bound=1
)
FLAGS = flags.FLAGS
OUT = flags.DEFINE_string('out', '', 'JSON file for the results.')

# Tasks in which all contenders must agree, and the tolerance of the mean. Adam
# takes full steps even where a gradient is rounding error.
AGREE = {'forward': 1e-3, 'ascent': 1e-2}
# Tasks that run the network tens to hundreds of times for an image: one image.
SINGLE = ('smoothgrad', 'integrated_gradients', 'score_cam', 'occlusion')
LONG = (*SINGLE, 'pgd')  # at most three runs, and no warm-up


def check_agreement(
  contenders: dict[str, timing.Contender], within: float
) -> None:
  """Exits with an error unless all contenders agree."""
  first, *rest = (timing.numbers(c.call()) for c in contenders.values())
  for label, other in zip([*contenders][1:], rest, strict=True):
    error = np.abs(other - first).mean() / np.abs(first).mean()
    if not error < within:
      sys.exit(f'error: {label}: differs from vizlab by {error:.1%}')


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
  explaining = methods.of_vizlab(baselines.Work(PATCH.value, STRIDE.value))
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


def race_of_accelerators() -> dict[str, Any]:
  """Runs and prints the throughput by precision and batch size."""
  names = chosen(accelerator.TASKS, 1)
  if wrong := [n for n in BATCHES.value if not n.isdigit() or int(n) < 1]:
    sys.exit(f'error: batches: got {wrong}, expected numbers from 1')
  net, x = setting()
  count = CHANNELS.value
  device = jax.devices()[0].device_kind
  print(f'{device}, images of {SIZE.value} pixels')
  timing.heading()
  rows, rates = [], {}
  for name in accelerator.PRECISIONS:
    with accelerator.precise(name):
      rates[name] = accelerator.rate(name)
      for batch in map(int, BATCHES.value):
        print(f'{name}, batch {batch}; product {rates[name]:.0f} GFLOP/s')
        images = np.resize(x, (batch, *x.shape[1:]))
        try:
          rows += throughput(net, images, name, rates[name], names)
        except RuntimeError as error:
          if 'memory' not in str(error).lower():
            raise
          print(f'{name}, batch {batch}: the rest does not fit into memory')
  with accelerator.precise('tf32'):
    for row in run_task('contact sheet', accelerator.sheet(net, x, count)):
      rows.append(row | {'precision': 'tf32'})
      timing.show(row, f'{count / row["seconds"]:9.1f}/s')
  return {'device': device, 'rows': rows, 'matmul_gflops': rates}


def throughput(
  net: nets.Network,
  images: np.ndarray,
  name: str,
  rate: float,
  tasks: Collection[str],
) -> list[dict]:
  """Runs and prints tasks with one batch, in a precision."""
  rows = []
  *_, within = accelerator.PRECISIONS[name]
  for task, contenders in accelerator.contenders(
    net, images, name, tasks, COMPILE.value
  ):
    if task in ('forward', 'saliency'):  # the others differ in layout
      check_agreement(contenders, within)
    gflop = accelerator.TASKS[task] * forward_gflop(SIZE.value)
    for row in run_task(task, contenders):
      speed = len(images) / row['seconds']
      share = speed * gflop / rate
      rows.append(
        row
        | {'precision': name, 'batch': len(images)}
        | {'images_per_second': speed, 'fraction': share}
      )
      timing.show(row, f'{speed:9.1f}/s {share:5.0%}')
  return rows


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
  mine = methods.of_vizlab(work)
  tasks = chosen(mine)
  net, x = setting()
  score_fn = score(net, logit(work.target))
  others = baselines.calls(net, np.asarray(x), work)
  rate, load = timing.heading()
  rows, notes = [], {}
  for name in tasks:
    images = x[:1] if name in SINGLE else x
    contenders = methods.contenders(name, mine[name], score_fn, images)
    for label, call in others.get(name, {}).items():
      contenders[label] = timing.Contender(call)
    if name in AGREE:
      check_agreement(contenders, AGREE[name])
    for row in run_task(name, contenders):
      rows.append(row)
      timing.show(row)
    if remark := methods.note(name, score_fn, images, work):
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
    'accelerator': race_of_accelerators,
  }
  first = ONLY.value[0] if ONLY.value else ''
  report = alone.get(first, race_of_methods)()
  if OUT.value:
    io.write_json(OUT.value, report)


if __name__ == '__main__':
  app.run(main)
