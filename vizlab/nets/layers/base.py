"""Layers as data: the base classes.

A network is a tuple of layers in the order they run. A layer lists the names of
its inputs; an empty list stands for the previous layer. The forward pass,
shapes, receptive fields and parameters of a network are computed by walking the
tuple, so a new kind of layer is a single class.

Inside a network a map is ``[N, H, W, C]`` and a vector ``[N, C]``; a *shape* is
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
  """Named layer of a network.

  Attributes:
    name: Published name of the layer and of its activation.
    inputs: Names of the input layers, ``None`` for the image; empty for the
      previous layer.
  """

  name: str
  inputs: tuple[str | None, ...] = dataclasses.field(default=(), kw_only=True)

  frozen_params: ClassVar[frozenset[str]] = frozenset()
  # Whether its biases account for all of its output that is not linear in its
  # input, as FullGrad needs.
  complete_biases: ClassVar[bool] = True
  # Name of the rule that it calls, an attribute of `Rules`.
  rule: ClassVar[str | None] = None
  # Whether its positions are tokens, and not those of an image.
  gives_tokens: ClassVar[bool] = False

  @property
  def kind(self) -> str:
    """Kind of the layer: the name of its class."""
    return type(self).__name__

  def param_shapes(self, shape: Shape) -> dict[str, Shape]:
    """Shapes of the parameters for an input of a given shape."""
    return {}

  def init(self, key: Array, shape: Shape) -> Params:
    """Random parameters for an input of a given shape."""
    return {}

  def out_shape(self, *shapes: Shape) -> Shape:
    """Shape of the output from the shapes of the inputs."""
    return shapes[0]

  @property
  def slide(self) -> Slide | None:
    """Sliding window of the layer; ``None`` if it reads the whole input.

    Incremental occlusion uses it to compute only what a change can reach. The
    default, ``None``, is slow but always correct; a layer that treats every
    position separately is a `Pointwise`.
    """
    return None

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """Layer without padding, for an input ``shape`` that is already padded.

    ``None`` if there is none, or if the padding is not zeros.
    """
    return None

  def field(self, *fields: Field | None) -> Field | None:
    """Receptive field of the output from those of the inputs.

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
    """Applies the layer to its inputs."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Pointwise(Layer):
  """Base class of layers that treat every position separately."""

  @property
  def slide(self) -> Slide | None:
    """Window of one position."""
    return Slide()

  def without_padding(self, shape: Shape) -> 'Layer | None':
    """The layer itself: it has no padding."""
    return self
