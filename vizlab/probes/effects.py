"""Effects of parts of a layer on the logits of a network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab.lookup import check_name
from vizlab.types import Acts, Array, Net

__all__ = ['Effects', 'contributions', 'effects']


class Effects(NamedTuple):
  """Effects of a channel on every logit, for each image.

  They are equal where the network above the layer is linear.

  Attributes:
    attribution: ``[..., K]``, the sum over positions of the activation times
      its gradient, ``sum_ij A_ijk dy/dA_ijk``.
    ablation: ``[..., K]``, the fall of the logit if the channel is zero.
  """

  attribution: Array
  ablation: Array


def effects(net: Net, layer: str, channel: int | Array, x: Array) -> Effects:
  """Effects of a channel on every logit.

  The cost does not depend on the number of classes.

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
  channels = _shapes(net, layer, x)[1][layer].shape[-1]
  if not isinstance(channel, jax.core.Tracer) and not 0 <= channel < channels:
    raise ValueError(
      f'channel: got {channel}, expected 0 to {channels - 1} of {layer!r}'
    )
  own = jax.nn.one_hot(channel, channels, dtype=x.dtype)
  attribution = contributions(net, layer, own, x)
  without = net(x, {layer: lambda a: jnp.where(_beside(own, a) > 0, 0, a)})[0]
  return Effects(attribution, net(x)[0] - without)


def contributions(
  net: Net, layer: str, part: Array, x: Array, *, upper: str | None = None
) -> Array:
  """Contribution of a part of a layer to every logit: ``sum part A dy/dA``.

  The part may be some positions, channels or both. The cost does not depend on
  the number of classes: the forward derivative along ``part A`` is the
  transpose of the gradient of all logits. With ``upper``, the contribution to
  every activation of that layer takes the place of that to the logits: times
  the gradient of a logit by that layer, it tells through which units or
  positions a part speaks. The sum is the contribution to the logit if all paths
  to it go through the upper layer.

  Args:
    net: A network with a classifier.
    layer: Name of the layer.
    part: Weights that broadcast to the activation, such as ``[C]`` for channels
      or ``[B, h, w, 1]`` for positions.
    x: Images ``[..., H, W, 3]``.
    upper: Name of a layer above.

  Returns:
    ``[..., K]``, or of the shape of the upper layer, zero where it does not
    depend on the part. That of all parts together, ``part = 1``, is the logit
    without its bias where the network above the layer is linear.

  Raises:
    ValueError: A layer is unknown, or the network has no classifier, and no
      upper layer is given.

  References:
    Olah et al. 2018, "The Building Blocks of Interpretability": spatial and
    channel attribution, and that between two layers. Carter et al. 2019,
    "Activation Atlas".
  """
  a = _shapes(net, layer, x, upper)[1][layer]

  def value(added: Array) -> tuple[Array, Array]:
    logits, acts = net(x, {layer: lambda a: a + added})
    return (logits if upper is None else acts[upper]), acts[layer]

  value, pull, act = jax.vjp(value, jnp.zeros(a.shape, a.dtype), has_aux=True)
  push = jax.linear_transpose(lambda ct: pull(ct)[0], value)
  return push(act * _beside(part, act))[0]


def _shapes(
  net: Net, layer: str, x: Array, upper: str | None = None
) -> tuple[Array | None, Acts]:
  """Shapes of the logits and of the activations."""
  logits, acts = jax.eval_shape(net, x)
  check_name('layer', layer, acts)
  if upper is not None:
    check_name('upper', upper, acts)
  elif logits is None:
    raise ValueError('net: got one without a classifier, which has no logits')
  return logits, acts


def _beside(part: Array, a: Array) -> Array:
  """A part with as many axes as the activation."""
  return part.reshape((1,) * (a.ndim - part.ndim) + part.shape).astype(a.dtype)
