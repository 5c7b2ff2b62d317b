"""Effects of a channel on the logits of a network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab.lookup import check_name
from vizlab.types import Array, Net

__all__ = ['Effects', 'effects']


class Effects(NamedTuple):
  """Effects of a channel on every logit, for each image.

  They are equal where the network above the layer is linear.

  Attributes:
    attribution: ``[..., K]``, the sum over places of the activation times its
      gradient, ``sum_ij A_ijk dy/dA_ijk``.
    ablation: ``[..., K]``, the fall of the logit if the channel is zero.
  """

  attribution: Array
  ablation: Array


def effects(net: Net, layer: str, channel: int | Array, x: Array) -> Effects:
  """Effects of a channel on every logit.

  Both cost about two evaluations of the network, for any number of classes.

  Args:
    net: A network with a classifier.
    layer: Name of the layer.
    channel: The channel, ``[]``, 0 to C - 1.
    x: Images ``[..., H, W, 3]``.

  Raises:
    ValueError: The layer is unknown, a channel that is not traced is out of
      range, or the network has no classifier.

  References:
    Olah et al. 2018, "The Building Blocks of Interpretability": channel
    attribution. Morcos et al. 2018: ablation.
  """
  shape = x.shape[:-3]

  def logits(scale: Array) -> Array:
    def scaled(a: Array) -> Array:
      by = scale.reshape(*shape, *[1] * (a.ndim - len(shape) - 1))
      return a.at[..., channel].multiply(by)

    return net(x, {layer: scaled})[0]

  known = jax.eval_shape(net, x)
  check_name('layer', layer, known[1])
  if known[0] is None:
    raise ValueError('net: got one without a classifier, it has no logits')
  channels = known[1][layer].shape[-1]
  if not isinstance(channel, jax.core.Tracer) and not 0 <= channel < channels:
    raise ValueError(
      f'channel: got {channel}, expected 0 to {channels - 1} of {layer!r}'
    )
  one = jnp.ones(shape, x.dtype)
  value, pull = jax.vjp(logits, one)
  # The transpose of the gradient of all logits is their forward derivative,
  # which custom gradients do not define.
  push = jax.linear_transpose(lambda ct: pull(ct)[0], value)
  return Effects(push(one)[0], value - logits(jnp.zeros_like(one)))
