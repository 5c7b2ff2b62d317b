"""Batch normalisation as edits, to be folded away when training is done."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab import nets
from vizlab.nets.layers import Conv
from vizlab.types import Array, Edits

__all__ = [
  'Moments',
  'Norm',
  'Trained',
  'calibrated',
  'fold',
  'new_norms',
  'normalising_edits',
]

_EPSILON = 1e-5
Moments = dict[str, tuple[Array, Array]]


class Norm(NamedTuple):
  """Scale and bias of a normalised channel ``[C]``."""

  scale: Array
  bias: Array


class Trained(NamedTuple):
  """Trained arrays: parameters as of ``nets.get_params``, and norms."""

  params: dict[str, dict[str, Array]]
  norms: dict[str, Norm]


def new_norms(net: nets.Network, *without: str) -> dict[str, Norm]:
  """Norms of all convolutions of a net but some, before their training."""
  return {
    op.name: Norm(jnp.ones(op.features), jnp.zeros(op.features))
    for op in net.ops
    if isinstance(op, Conv) and op.name not in without
  }


def normalising_edits(norms: dict[str, Norm], moments: Moments) -> Edits:
  """Batch normalisation of every convolution, as edits.

  The mean and variance of the batch are left in ``moments``.
  """

  def edit(name: str, norm: Norm) -> Callable[[Array], Array]:
    def normalise(a: Array) -> Array:
      mean = a.mean((0, 1, 2))
      var = jnp.square(a - mean[None, None, None]).mean((0, 1, 2))
      moments[name] = mean, var
      scale = norm.scale * jax.lax.rsqrt(var + _EPSILON)
      shift = norm.bias - mean * scale
      return a * scale[None, None, None] + shift[None, None, None]

    return normalise

  return {name: edit(name, norm) for name, norm in norms.items()}


def fold(
  net: nets.Network,
  norms: dict[str, Norm],
  moments: Moments,
) -> nets.Network:
  """Returns the net with the normalisation folded into its convolutions."""
  params = nets.get_params(net)
  for name, norm in norms.items():
    mean, var = moments[name]
    scale = norm.scale * jax.lax.rsqrt(var + _EPSILON)
    kernel, bias = params[name]['kernel'], params[name]['bias']
    params[name] = {
      'kernel': kernel * scale[None, None, None],
      'bias': (bias - mean) * scale + norm.bias,
    }
  return nets.with_params(net, params)


def calibrated(
  net: nets.Network, trained: Trained, batches: Iterable[Array]
) -> nets.Network:
  """The trained net, with the mean statistics of batches of images folded in.

  Without norms no batch is looked at.
  """
  net, norms = nets.with_params(net, trained.params), trained.norms
  if not norms:
    return net
  several = [_moments(net, norms, image) for image in batches]
  mean = jax.tree.map(lambda *values: sum(values) / len(values), *several)
  return fold(net, norms, mean)


@jax.jit
def _moments(
  net: nets.Network, norms: dict[str, Norm], image: Array
) -> Moments:
  """Mean and variance of every convolution over a batch."""
  moments: Moments = {}
  net(image, normalising_edits(norms, moments))
  return moments
