"""Batch normalisation as edits, to be folded away when training is done."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vizlab import nets
from vizlab.types import Array, Edits

__all__ = ['Moments', 'Norm', 'fold', 'normalising_edits']

_EPSILON = 1e-5
Moments = dict[str, tuple[Array, Array]]


class Norm(NamedTuple):
  """Scale and bias of a normalised channel ``[C]``."""

  scale: Array
  bias: Array


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
