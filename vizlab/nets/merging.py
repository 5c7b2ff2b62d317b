"""Batch normalisation that is merged into the convolution before it."""

import dataclasses

import jax
from jax import lax

from vizlab.nets.graph import reading, wiring
from vizlab.nets.layers import BatchNorm, Conv
from vizlab.nets.network import Network, get_params
from vizlab.nets.precision import with_dtype
from vizlab.types import widened

__all__ = ['merge_batch_norm']


def merge_batch_norm(net: Network) -> Network:
  """Returns the network with batch normalisation merged into convolutions.

  The outputs are the same, and layers that read a normalised map read that of
  the convolution instead. Rules of relevance then see one linear layer. Batch
  normalisation after anything but a convolution that nothing else reads stays,
  as does the last layer.

  Args:
    net: A network with recorded statistics, such as a ResNet.

  >>> from vizlab import nets
  >>> net = nets.merge_batch_norm(nets.create('resnet18'))
  >>> [layer.name for layer in net.ops[:3]]
  ['conv1', 'relu', 'maxpool']
  """
  convs = {op.name: op for op in net.ops if isinstance(op, Conv)}
  reads = [name for _, inputs in wiring(net.ops) for name in inputs]
  merged = {
    op.name: inputs[0]
    for op, inputs in wiring(net.ops)
    if isinstance(op, BatchNorm)
    and inputs[0] in convs
    and reads.count(inputs[0]) == 1
    and op is not net.ops[-1]  # or another layer might be the last one
  }
  params = jax.tree.map(widened, get_params(net))
  ops, before = [], None
  for op, inputs in wiring(net.ops):
    if op.name in merged:
      _merge(params, merged[op.name], op)
      continue
    now = tuple(merged.get(name, name) for name in inputs)
    op = reading(op, now, before)
    if op.name in merged.values():
      op = dataclasses.replace(op, bias=True)
    ops.append(op)
    before = op.name
  merged = Network(net.arch, tuple(ops), net.spec, params, net.rules)
  return with_dtype(merged, net.dtype) if net.dtype else merged


def _merge(params: dict, conv: str, norm: BatchNorm) -> None:
  """Merges a normalisation into the parameters of a convolution."""
  old = params.pop(norm.name)
  scale = old['scale'] * lax.rsqrt(old['var'] + norm.epsilon)
  bias = params[conv].get('bias', 0.0)
  params[conv] = {
    'kernel': params[conv]['kernel'] * scale[None, None, None],
    'bias': (bias - old['mean']) * scale + old['bias'],
  }
