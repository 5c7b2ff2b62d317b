"""Throughput of VGG-16 by precision and batch size, for GPUs.

Every library computes in the same precision: float32, tf32 (float32 arrays,
whose products are rounded to ten bits where the device can) or bfloat16. Torch
lays its tensors out as channels_last, its fastest on tensor cores. Results stay
on the device; each call waits for them.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import baselines, methods, timing
from vizlab import nets, optimize, synthesis
from vizlab.objectives import channel, logit, score
from vizlab.types import Array

__all__ = ['PRECISIONS', 'TASKS', 'contenders', 'precise', 'rate', 'sheet']

# JAX's name of each, torch's of float32 products, and how far libraries differ.
PRECISIONS = {
  'float32': ('highest', 'ieee', 1e-2),
  'tf32': ('tensorfloat32', 'tf32', 0.1),
  'bfloat16': ('highest', 'ieee', 0.5),
}
# Tasks, and their multiplications in forward passes; the gradient of Grad-CAM
# goes back to the last map only.
TASKS = {
  'forward': 1,
  'saliency': 2,
  'gradient_x_input': 2,
  'guided_backprop': 2,
  'grad_cam': 1,
}
_PEERS = 'torch', 'captum'
_STEPS = 16  # of each picture
Contenders = dict[str, timing.Contender]


@contextlib.contextmanager
def precise(precision: str) -> Iterator[None]:
  """Within it JAX and torch compute float32 products in a precision."""
  ours, theirs, _ = PRECISIONS[precision]
  torch = baselines.imported('torch')
  products = []
  if torch is not None:
    products = [torch.backends.cuda.matmul, torch.backends.cudnn.conv]
  earlier = [each.fp32_precision for each in products]
  for each in products:
    each.fp32_precision = theirs
  try:
    with jax.default_matmul_precision(ours):
      yield
  finally:
    for each, value in zip(products, earlier, strict=True):
      each.fp32_precision = value


def rate(precision: str) -> float:
  """Best measured rate of a matrix product, in GFLOP/s."""
  side = 2048 if jax.default_backend() == 'cpu' else 8192
  dtype = jnp.bfloat16 if precision == 'bfloat16' else jnp.float32
  return timing.matmul_rate(side, dtype)


def contenders(
  net: nets.Network,
  images: np.ndarray,
  precision: str,
  tasks: Collection[str],
  compiles: bool,
) -> Iterator[tuple[str, Contenders]]:
  """Yields each task and its contenders, vizlab first.

  Args:
    net: A VGG-16 without preprocessing, in float32.
    images: Preprocessed images ``[N, H, W, 3]``.
    precision: One of `PRECISIONS`; call it within `precise`.
    tasks: Some of `TASKS`.
    compiles: Whether ``torch.compile`` takes part.
  """
  work, half = baselines.Work(), precision == 'bfloat16'
  others = _peers(net, images, half, work, compiles)
  if half:
    net = nets.with_dtype(net, 'bfloat16')
  score_fn, x = score(net, logit(work.target)), jnp.asarray(images)
  ours = methods.of_vizlab(work)
  for task in tasks:
    made = {'vizlab': timing.compiled(ours[task], score_fn, x)}
    for label, call in others.get(task, {}).items():
      made[label] = timing.Contender(call)
    yield task, made


def _peers(
  net: nets.Network,
  images: np.ndarray,
  half: bool,
  work: baselines.Work,
  compiles: bool,
) -> dict[str, baselines.Calls]:
  """Calls by task and label, on torch's device."""
  torch = baselines.imported('torch')
  if torch is None:
    return {}
  on_gpu = torch.cuda.is_available()
  like = {
    'device': 'cuda' if on_gpu else 'cpu',
    'dtype': torch.bfloat16 if half else torch.float32,
    'memory_format': torch.channels_last,
  }
  model = baselines.torch_vgg16(torch, net).to(**like)
  x = torch.tensor(images.transpose(0, 3, 1, 2).copy()).to(**like)
  calls: dict[str, baselines.Calls] = {task: {} for task in TASKS}
  if compiles:
    for task, call in _compiled(torch, model, x, work.target).items():
      calls[task]['torch.compile'] = call
  for task, peer, call in baselines.of_model(torch, model, x, work):
    if task in calls and peer in _PEERS:
      calls[task][peer] = call

  def waiting(call: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
      result = call()
      if on_gpu:
        torch.cuda.synchronize()
      return result

    return run

  return {
    task: {label: waiting(call) for label, call in each.items()}
    for task, each in calls.items()
  }


def _compiled(torch: Any, model: Any, x: Any, target: int) -> baselines.Calls:
  """Calls of the compiled model; none where torch finds no compiler."""
  torch._dynamo.reset()  # a program for each batch and precision
  calls = baselines.usual_calls(torch, torch.compile(model), x, target)
  try:
    calls['forward']()
  except torch._dynamo.exc.TorchDynamoException as error:
    print(f'torch.compile is left out: {str(error).splitlines()[0]}')
    return {}
  return calls


def sheet(net: nets.Network, x: Array, count: int) -> Contenders:
  """Pictures of the first ``count`` channels of a layer.

  Args:
    net: A VGG-16 without preprocessing.
    x: Images ``[N, H, W, 3]`` of the pictures' size.
    count: Number of channels.

  Returns:
    Two contenders, ``at once`` and ``one by one``.
  """

  layer = baselines.Work().excited

  def pictures(channels: Array) -> Array:
    shape = (*channels.shape, *x.shape[1:])
    progress = optimize.run(
      score(net, channel(layer, channels)),
      synthesis.fourier(shape),
      jax.random.key(0),
      steps=_STEPS,
      chunk=_STEPS,
    )
    return optimize.final(progress).image

  each = jnp.arange(count)
  return {
    'at once': timing.called(lambda: pictures(each)),
    'one by one': timing.called(
      lambda: [pictures(one) for one in jnp.split(each, count)]
    ),
  }
