"""Layers that mask a map."""

import dataclasses
from typing import ClassVar

from vizlab.nets.layers.base import Layer, Params
from vizlab.rules import Rules
from vizlab.templates import peak_mask
from vizlab.types import Array

__all__ = ['TemplateMask']


@dataclasses.dataclass(frozen=True)
class TemplateMask(Layer):
  """Mask around the peak of each channel (Zhang et al. 2018, section 3).

  ``y_c = x_c max(1 - beta |p - peak_c|_1 / n, 0)``, with ``n`` the larger side
  of the map; for the maps of an interpretable layer, after its ReLU. The mask
  is constant in gradients. As it depends on the whole map, later layers see the
  whole image.

  Attributes:
    beta: Slope of the mask, above 0.
  """

  beta: float = 4.0

  rule: ClassVar[str | None] = 'linear'

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Masks every channel, by the rule of linear layers."""
    mask = peak_mask(xs[0], beta=self.beta)
    return rules.apply(self, params | {'mask': mask}, *xs)

  def linear(self, params: Params, *xs: Array) -> Array:
    """``x * mask``."""
    return xs[0] * params['mask']
