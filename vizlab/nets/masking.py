"""Template masks put into a network, to make its filters interpretable."""

import math
from collections.abc import Iterable

from vizlab.nets.graph import infer_shapes, reading, wiring
from vizlab.nets.layers import Layer, TemplateMask
from vizlab.nets.network import Network, check_layers, get_params
from vizlab.nets.precision import with_dtype

__all__ = ['with_template_masks']


def with_template_masks(
  net: Network, layers: Iterable[str], *, beta: float = 4.0
) -> Network:
  """Returns the network with the maps of some layers masked at their peaks.

  After each of the layers comes a `vizlab.nets.layers.TemplateMask` named
  ``<layer>_mask``, which all later layers read instead. The weights are shared;
  as masks remove much of what later layers read, the network must be trained
  further.

  Args:
    net: The network.
    layers: Names of layers whose activations are maps, such as ReLUs.
    beta: Slope of the masks, above 0.

  Raises:
    ValueError: The network is no `Network`, a layer is unknown, no map or
      already masked, or beta is not a finite number above 0.

  Reference:
    Zhang, Wu & Zhu 2018, "Interpretable Convolutional Neural Networks".

  >>> from vizlab import nets
  >>> net = nets.with_template_masks(nets.load('minivgg'), ['relu4_2'])
  >>> [name for name in net.layer_names if '4_2' in name]
  ['conv4_2', 'relu4_2', 'relu4_2_mask']
  """
  if isinstance(layers, str):
    raise ValueError(f'layers: got the text {layers!r}, expected a list')
  if not isinstance(net, Network):
    raise ValueError(f'net: got {type(net).__name__}, expected a Network')
  layers, beta = tuple(layers), float(beta)
  check_layers(net, layers)
  if not 0 < beta < math.inf:
    raise ValueError(f'beta: got {beta}, expected a finite number above 0')
  shapes = infer_shapes(net.ops, net.spec.shape)
  for name in layers:
    if len(shapes[name]) != 3:
      raise ValueError(f'layers: {name!r} is a vector, expected maps')
    if name in net.token_layers:
      raise ValueError(f'layers: {name!r} gives tokens, expected maps')
    if f'{name}_mask' in net.layer_names:
      raise ValueError(f'layers: {name!r} already has a mask, {name}_mask')
  masks = {name: f'{name}_mask' for name in layers}
  ops: list[Layer] = []
  for op, inputs in wiring(net.ops):
    now = tuple(masks.get(name, name) for name in inputs)
    before = ops[-1].name if ops else None
    ops.append(reading(op, now, before))
    if op.name in masks:
      ops.append(TemplateMask(masks[op.name], beta))
  masked = Network(net.arch, tuple(ops), net.spec, get_params(net), net.rules)
  return with_dtype(masked, net.dtype) if net.dtype else masked
