"""Networks of the catalog against the same layers in torch.

A network of vizlab is data, so its layers are run by torch's functions here;
nothing is stated twice.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from benchmarks import baselines, timing
from vizlab import attribution, io, nets
from vizlab.nets.graph import wiring
from vizlab.nets.layers import Layer
from vizlab.objectives import logit, score

__all__ = ['NAMES', 'tasks']

NAMES = (
  'vgg16',
  'vgg16_bn',
  'resnet50',
  'googlenet',
  'inception_v3',
  'densenet121',
  'squeezenet11',
)
Contenders = dict[str, timing.Contender]


def tasks(
  name: str, size: int | None, batch: int
) -> Iterator[tuple[str, Contenders]]:
  """Yields the forward pass and saliency of a network, and their contenders.

  Args:
    name: One of the catalog.
    size: Side of the images in pixels; the published one for None.
    batch: Number of images.
  """
  net = nets.create(name)
  side = size or net.spec.size
  picture = io.read_image('sample:star_and_square', shorter=side, crop=side)
  x = net.spec(np.stack([picture] * batch))
  net.spec = nets.InputSpec(side, (0.0,) * 3, (1.0,) * 3)
  forward = timing.compiled(lambda net, x: net(x)[0], net, x)
  # One that is not zero: random weights end in a ReLU in some networks.
  target = int(forward.call().mean(0).argmax())
  score_fn = score(net, logit(target))
  ours = {
    'forward': forward,
    'saliency': timing.compiled(attribution.saliency, score_fn, x),
  }
  contenders = {task: {'vizlab': call} for task, call in ours.items()}
  for label, calls in _torch_calls(net, np.asarray(x), target):
    for task, call in calls.items():
      contenders[task][label] = timing.Contender(call)
  for task, each in contenders.items():
    yield f'{name} {task}', each


def _torch_calls(
  net: nets.Network, x: np.ndarray, target: int
) -> Iterator[tuple[str, baselines.Calls]]:
  """Yields a label and the calls in torch, by memory layout."""
  if (torch := baselines.imported('torch')) is None:
    return
  for label, layout in (
    ('torch', torch.contiguous_format),
    ('torch channels_last', torch.channels_last),
  ):
    images = torch.tensor(x.transpose(0, 3, 1, 2).copy())
    images = images.contiguous(memory_format=layout)
    run = _torch_net(torch, net, layout)
    yield label, baselines.usual_calls(torch, run, images, target)


def _torch_net(
  torch: Any, net: nets.Network, layout: Any
) -> Callable[[Any], Any]:
  """Function from images ``[N, 3, H, W]`` to logits, by torch's functions."""

  def tensor(value: jax.Array) -> Any:
    value = np.asarray(value)
    if value.ndim == 4:
      value = value.transpose(3, 2, 0, 1)
    made = torch.tensor(np.ascontiguousarray(value))
    return made.contiguous(memory_format=layout) if value.ndim == 4 else made

  params = {
    layer: {name: tensor(value) for name, value in values.items()}
    for layer, values in nets.get_params(net).items()
  }
  steps = [
    (op, inputs, _FUNCTIONS[op.kind], params.get(op.name, {}))
    for op, inputs in wiring(net.ops)
  ]
  readers = Counter(name for _, inputs in wiring(net.ops) for name in inputs)

  def run(x: Any) -> Any:
    values, left = {None: x}, readers.copy()
    for op, inputs, fn, own in steps:
      values[op.name] = fn(torch, op, own, *(values[name] for name in inputs))
      for name in inputs:
        left[name] -= 1
        if not left[name]:
          del values[name]  # as in a module, where nothing else holds it
    return values[net.ops[-1].name]

  return run


def _convolve(torch: Any, op: Layer, own: Mapping[str, Any], x: Any) -> Any:
  return torch.nn.functional.conv2d(
    x,
    own['kernel'],
    own.get('bias'),
    stride=op.stride,
    padding=op.padding,
    groups=op.groups,
  )


def _normalise(torch: Any, op: Layer, own: Mapping[str, Any], x: Any) -> Any:
  return torch.nn.functional.batch_norm(
    x, own['mean'], own['var'], own['scale'], own['bias'], eps=op.epsilon
  )


def _pool(torch: Any, op: Layer, own: Mapping[str, Any], x: Any) -> Any:
  window = op.window
  return torch.nn.functional.max_pool2d(
    x, window.size, window.stride, window.padding, ceil_mode=window.ceil
  )


def _average(torch: Any, op: Layer, own: Mapping[str, Any], x: Any) -> Any:
  window = op.window
  return torch.nn.functional.avg_pool2d(
    x, window.size, window.stride, window.padding
  )


def _bins(torch: Any, op: Layer, own: Mapping[str, Any], x: Any) -> Any:
  return torch.nn.functional.adaptive_avg_pool2d(x, op.size)


def _local(torch: Any, op: Layer, own: Mapping[str, Any], x: Any) -> Any:
  return torch.nn.functional.local_response_norm(
    x, op.size, op.alpha, op.beta, op.k
  )


def _dense(torch: Any, op: Layer, own: Mapping[str, Any], x: Any) -> Any:
  return torch.addmm(own['bias'], x, own['kernel'])


_FUNCTIONS = {
  'Conv': _convolve,
  'BatchNorm': _normalise,
  'ReLU': lambda torch, op, own, x: x.relu(),
  'Pool': _pool,
  'AveragePool': _average,
  'AdaptivePool': _bins,
  'GlobalPool': lambda torch, op, own, x: x.mean((2, 3)),
  # In the order of vizlab, so that kernels need not be turned.
  'Flatten': lambda torch, op, own, x: x.permute(0, 2, 3, 1).flatten(1),
  'Dense': _dense,
  'Add': lambda torch, op, own, x, y: x + y,
  'Concat': lambda torch, op, own, *xs: torch.cat(xs, 1),
  'LRN': _local,
}
