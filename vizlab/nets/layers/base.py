"""Layers as data: what a net is made of, and all that is known about each kind.

A net is a tuple of layers in the order they run. A layer names the layers it
reads (none: the one before it), so a chain is a net in which nobody names any.
Everything that is asked of a net (its forward, the shapes, the receptive
fields, the parameters it needs) walks that tuple and asks each layer, so a new
kind of layer is one class here and nothing anywhere else.

Inside a net a map is ``[N, H, W, C]`` and a vector ``[N, C]``; a *shape* is
``(H, W, C)`` or ``(C,)``, without the batch.
"""

import dataclasses
from typing import ClassVar

from vizlab.nets.receptive_field import Field, Slide
from vizlab.rules import Rules
from vizlab.types import Array

__all__ = ['Layer', 'Params', 'Pointwise', 'Shape']


Shape = tuple[int, ...]
Params = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Layer:
  """One named step of a net.

  Attributes:
    name: The published name of the layer; its activation has the same.
    inputs: Names of the layers it reads; empty for the layer before it.
  """

  name: str
  inputs: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)

  frozen_params: ClassVar[frozenset[str]] = frozenset()

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Shapes of the parameters, for an input of that shape."""
    return {}

  def init(self, key: Array, shape: Shape) -> Params:
    """Random parameters, for an input of that shape."""
    return {}

  def out_shape(self, *shapes: Shape) -> Shape:
    """The output's shape from those of the inputs."""
    return shapes[0]

  @property
  def slide(self) -> Slide | None:
    """Slide of its window; ``None`` if it reads the whole input.

    Incremental occlusion computes only what a change can reach by it. A layer
    that does not say otherwise reads everything, which is slow and never wrong;
    one that treats every position alone is a `Pointwise`.
    """
    return None

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The layer for an input ``shape`` around which its zeros lie already.

    ``None`` where that is not known, or its padding is not zeros.
    """
    return None

  def field(self, *fields: Field | None) -> Field | None:
    """The output's receptive field from those of the inputs.

    ``None`` stands for the whole image.
    """
    first, *rest = fields
    for field in rest:
      first = first and field and first.union(field)
    return first and self.slide and first.after(self.slide)

  def offset(self, params: Params) -> Array | None:
    """Additive part of the layer, its bias: ``[C]``, or ``None``."""
    return params.get('bias')

  def __call__(self, params: Params, rules: Rules, *xs: Array) -> Array:
    """Runs the layer."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Pointwise(Layer):
  """Base of layers whose output at a position reads that position alone."""

  @property
  def slide(self) -> Slide | None:
    """A window of one position."""
    return Slide()

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The same: it has no padding."""
    return self
