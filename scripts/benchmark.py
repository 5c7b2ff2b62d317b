"""Times vizlab against torch and Captum: VGG-16 at 224 px, one process run.

  python scripts/benchmark.py [--batch=8] [--repeats=7] [--out=benchmark.json]

The contenders take turns, so that a slow moment of a shared machine meets all
of them; medians and ratios are reported, and for each the peak of the
process's memory above its level before the call. torch and Captum come with the
extra: pip install -e '.[parity]'. Without them, vizlab is timed alone.
"""

import dataclasses
import gc
import math
import os
import pathlib
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from vizlab import attribution, io, nets
from vizlab.data import scenes
from vizlab.nets.graph import infer_shapes, param_shapes
from vizlab.objectives import logit, score

BATCH = flags.DEFINE_integer('batch', 8, 'Images at once.', lower_bound=1)
REPEATS = flags.DEFINE_integer('repeats', 7, 'Turns of each.', lower_bound=1)
SIZE = flags.DEFINE_integer('size', 224, 'Side of the images in pixels.')
PATCH = flags.DEFINE_integer('patch', 32, 'Side of the occluder in pixels.')
STRIDE = flags.DEFINE_integer('stride', 16, 'Step of the occluder in pixels.')
ONLY = flags.DEFINE_list('only', [], 'Tasks to run; all where empty.')
OUT = flags.DEFINE_string('out', '', 'A JSON file for the figures.')

LAYER, TORCH_LAYER = 'relu5_3', 29
CHUNK = 16  # images that occlusion evaluates at once, on both sides
OURS = 'vizlab'


@dataclasses.dataclass
class Contender:
  """One way to do a task: a call, and what was measured of it."""

  call: Callable[[], Any]
  seconds: list[float] = dataclasses.field(default_factory=list)
  peak_mib: float = 0.0


def resident_mib() -> float:
  """Memory of this process in MiB."""
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def measure(contender: Contender) -> None:
  """Takes one turn; the highest memory is that of any turn."""
  gc.collect()
  before, peak, done = resident_mib(), [0.0], threading.Event()

  def watch() -> None:
    while not done.wait(0.005):
      peak[0] = max(peak[0], resident_mib() - before)

  watcher = threading.Thread(target=watch)
  watcher.start()
  start = time.perf_counter()
  contender.call()
  contender.seconds.append(time.perf_counter() - start)
  done.set()
  watcher.join()
  contender.peak_mib = max(contender.peak_mib, peak[0])


def ours(x: np.ndarray) -> dict[str, Callable[[], Any]]:
  """The tasks in vizlab; ``scenes`` draws 256 and has no peer."""
  net = nets.create('vgg16')
  asked = score(net, logit(243))
  images = jnp.asarray(x)

  def task(fn: Callable, x: jax.Array) -> Callable[[], Any]:
    compiled = jax.jit(fn)
    return lambda: jax.block_until_ready(compiled(asked, x))

  return {
    'forward': task(lambda asked, x: asked.net(x)[0], images),
    'saliency': task(attribution.saliency, images),
    'guided_backprop': task(attribution.guided_backprop, images),
    'grad_cam': task(
      lambda asked, x: attribution.grad_cam(asked, x, layer=LAYER), images
    ),
    'occlusion': task(
      lambda asked, x: attribution.occlusion(
        asked, x, patch=PATCH.value, stride=STRIDE.value, chunk=CHUNK
      ),
      images[:1],
    ),
    'scenes': lambda: jax.block_until_ready(scenes(jax.random.key(0), 256)),
  }


def torch_vgg16(torch: Any) -> Any:
  """VGG-16 with random weights, as torchvision builds it."""
  nn = torch.nn
  features, before = [], 3
  for depth, width in zip(
    (2, 2, 3, 3, 3), (64, 128, 256, 512, 512), strict=True
  ):
    for _ in range(depth):
      features += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
      before = width
    features.append(nn.MaxPool2d(2))
  head = [nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(25088, 4096)]
  head += [nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
  return nn.Sequential(*features, *head).eval()


def theirs(x: np.ndarray) -> dict[str, dict[str, Callable[[], Any]]]:
  """The tasks in torch, default and channels_last, and in Captum."""
  try:
    import captum.attr as captum
    import torch
  except ModuleNotFoundError as error:
    print(f'{error.name} is not installed: vizlab is timed alone')
    return {}
  tasks: dict[str, dict[str, Callable[[], Any]]] = {}
  for name, layout in (
    ('torch', torch.contiguous_format),
    ('torch channels_last', torch.channels_last),
  ):
    model = torch_vgg16(torch).to(memory_format=layout)
    images = torch.tensor(x.transpose(0, 3, 1, 2).copy())
    images = images.contiguous(memory_format=layout)

    def forward(model: Any = model, images: Any = images) -> Any:
      with torch.no_grad():
        return model(images)

    def saliency(model: Any = model, images: Any = images) -> Any:
      leaf = images.detach().requires_grad_()
      (grad,) = torch.autograd.grad(model(leaf)[:, 243].sum(), leaf)
      return grad.abs().amax(1)

    tasks.setdefault('forward', {})[name] = forward
    tasks.setdefault('saliency', {})[name] = saliency
    for method, call in captum_calls(captum, torch, model, images).items():
      label = name.replace('torch', 'captum')
      tasks.setdefault(method, {})[label] = call
  return tasks


def captum_calls(
  captum: Any, torch: Any, model: Any, images: Any
) -> dict[str, Callable[[], Any]]:
  """The tasks that Captum does, on one model."""

  def leaf() -> Any:
    return images.detach().requires_grad_()

  def occlusion() -> Any:
    with torch.no_grad():
      return captum.Occlusion(model).attribute(
        images[:1],
        sliding_window_shapes=(3, PATCH.value, PATCH.value),
        strides=(3, STRIDE.value, STRIDE.value),
        target=243,
        perturbations_per_eval=CHUNK,
      )

  guided = captum.GuidedBackprop(model)
  cam = captum.LayerGradCam(model, model[TORCH_LAYER])
  return {
    'guided_backprop': lambda: guided.attribute(leaf(), target=243),
    'grad_cam': lambda: cam.attribute(leaf(), target=243),
    'occlusion': occlusion,
  }


def matmul_rate() -> float:
  """The best rate of a float32 matrix product seen here, in GFLOP/s."""
  n = 2048
  a = jnp.ones((n, n))
  product = jax.jit(jnp.matmul)
  times = []
  for _ in range(6):
    start = time.perf_counter()
    jax.block_until_ready(product(a, a))
    times.append(time.perf_counter() - start)
  return 2 * n**3 / min(times) / 1e9


def forward_gflop(size: int) -> float:
  """Operations of one VGG-16 forward: two for each multiplication."""
  ops = nets.architecture('vgg16').layers()
  shapes = infer_shapes(ops, (size, size, 3))
  return sum(
    2 * math.prod(params['kernel']) * math.prod(shapes[name][:-1]) / 1e9
    for name, params in param_shapes(ops, (224, 224, 3)).items()
  )


def run_task(name: str, contenders: dict[str, Contender]) -> list[dict]:
  """All turns of a task, and its rows of figures."""
  for contender in contenders.values():
    contender.call()  # compiles, and warms the caches
  for _ in range(3 if name == 'occlusion' else REPEATS.value):
    for contender in contenders.values():
      measure(contender)
  best = statistics.median(contenders[OURS].seconds)
  return [
    {
      'task': name,
      'contender': label,
      'seconds': statistics.median(contender.seconds),
      'spread': max(contender.seconds) - min(contender.seconds),
      'ratio': statistics.median(contender.seconds) / best,
      'peak_mib': contender.peak_mib,
    }
    for label, contender in contenders.items()
  ]


def main(argv: list[str]) -> None:
  """Runs all tasks and prints the table."""
  del argv
  logging.set_verbosity(logging.WARNING)
  x = np.random.default_rng(0).random(
    (BATCH.value, SIZE.value, SIZE.value, 3), np.float32
  )
  mine, peers = ours(x), theirs(x)
  unknown = set(ONLY.value) - set(mine)
  if unknown:
    sys.exit(f'error: only: got {sorted(unknown)}, expected some of {[*mine]}')
  rate = matmul_rate()
  print(f'{os.cpu_count()} cores, matrix product {rate:.0f} GFLOP/s')
  print(f'{"task":16} {"contender":20} {"seconds":>8} {"ratio":>6} {"MiB":>6}')
  rows = []
  for name in ONLY.value or mine:
    calls = {OURS: mine[name], **peers.get(name, {})}
    for row in run_task(name, {k: Contender(v) for k, v in calls.items()}):
      rows.append(row)
      print(
        f'{name:16} {row["contender"]:20} {row["seconds"]:8.3f} '
        f'{row["ratio"]:6.2f} {row["peak_mib"]:6.0f}',
        flush=True,
      )
  report = {'matmul_gflops': rate, 'batch': BATCH.value, 'rows': rows}
  forward = [r for r in rows if r['task'] == 'forward']
  if forward:
    gflops = BATCH.value * forward_gflop(SIZE.value) / forward[0]['seconds']
    report |= {'forward_gflops': gflops, 'fraction': gflops / rate}
    share = gflops / rate
    print(f'forward: {gflops:.0f} GFLOP/s, {share:.0%} of the matrix product')
  if OUT.value:
    io.write_json(OUT.value, report)


if __name__ == '__main__':
  app.run(main)
