"""Shapes and receptive fields of the layers and units of a network."""

from vizlab.nets.layers import Concat
from vizlab.nets.network import LayerInfo, Network, check_layers
from vizlab.nets.receptive_field import Field

__all__ = ['layer_info', 'unit_field']


def layer_info(net: Network, size: int | None = None) -> tuple[LayerInfo, ...]:
  """Lists the layers of a network with shapes and receptive fields.

  Args:
    net: The network.
    size: Side of the image in pixels; by default the network's input size.

  Returns:
    One `LayerInfo` per layer: its name, kind, shape (without the batch) and
    receptive field (``None`` for the whole image, and after a kernel that is
    not square).

  >>> from vizlab import nets
  >>> nets.layer_info(nets.create('vgg11', classifier=False))[3]
  LayerInfo(name='conv2_1', kind='Conv', shape=(112, 112, 128),
            field=Field(size=8, stride=2, offset=-3))
  """
  return net.layer_info(size)


def unit_field(
  net: Network, layer: str, channel: int, size: int | None = None
) -> Field | None:
  """Receptive field of the units of one channel.

  In a concatenation it is that of the branch which the channel comes from, and
  may be smaller than the field of the layer.

  Args:
    net: The network.
    layer: Name of the layer.
    channel: The channel, 0 to C - 1.
    size: Side of the image in pixels; by default the network's input size.

  Returns:
    The field; ``None`` for the whole image.

  Raises:
    ValueError: The layer is unknown or has no such channel.

  >>> from vizlab import nets
  >>> net = nets.create('googlenet', classifier=False)
  >>> [nets.unit_field(net, 'inception_3a/output', k).size for k in (0, 100)]
  [27, 43]
  """
  check_layers(net, [layer])
  rows = {row.name: row for row in layer_info(net, size)}
  count = rows[layer].shape[-1]
  if not 0 <= channel < count:
    raise ValueError(
      f'channel: got {channel}, expected 0 to {count - 1} of {layer!r}'
    )
  joined = {op.name: op.inputs for op in net.ops if isinstance(op, Concat)}
  while layer in joined:
    for name in joined[layer]:
      if channel < rows[name].shape[-1]:
        layer = name
        break
      channel -= rows[name].shape[-1]
  return rows[layer].field
