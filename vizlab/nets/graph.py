"""Traversals of a tuple of layers: wiring, shapes, parameters."""

import dataclasses
from collections.abc import Iterable

import jax

from vizlab.nets.layers import Layer, Shape
from vizlab.types import Array

__all__ = [
  'check_wiring',
  'infer_shapes',
  'init_params',
  'param_shapes',
  'reading',
  'wiring',
]


def wiring(
  ops: Iterable[Layer],
) -> Iterable[tuple[Layer, tuple[str | None, ...]]]:
  """Yields each layer with the names of its inputs; ``None`` is the image."""
  before = None
  for op in ops:
    yield op, op.inputs or (before,)
    before = op.name


def reading(
  op: Layer, inputs: tuple[str | None, ...], before: str | None
) -> Layer:
  """Returns the layer with other inputs.

  Those of the layer ``before`` it are implied, so that a chain remains one.
  """
  return dataclasses.replace(op, inputs=() if inputs == (before,) else inputs)


def check_wiring(ops: Iterable[Layer]) -> None:
  """Raises a `ValueError` unless names are unique and inputs precede layers."""
  names: list[str] = []
  for op, inputs in wiring(ops):
    for name in inputs:
      if name is not None and name not in names:
        raise ValueError(
          f'ops: {op.name!r} reads {name!r}, expected layers before it: '
          f'{names or "none is"}'
        )
    if op.name in names:
      raise ValueError(
        f'ops: got two layers named {op.name!r}, expected a name for each'
      )
    names.append(op.name)
  if not names:
    raise ValueError('ops: got no layer, expected at least one')


def infer_shapes(ops: Iterable[Layer], shape: Shape) -> dict[str, Shape]:
  """Infers the shape of every activation for an image of ``shape``.

  Raises:
    ValueError: The image is too small for a layer.
  """
  shapes: dict[str | None, Shape] = {None: shape}
  for op, inputs in wiring(ops):
    out = op.out_shape(*(shapes[name] for name in inputs))
    if min(out) < 1:
      raise ValueError(
        f'x: got images of {shape[0]}x{shape[1]} pixels, too small for this '
        f'network: the output of {op.name!r} is empty'
      )
    shapes[op.name] = out
  del shapes[None]
  return shapes


def param_shapes(
  ops: tuple[Layer, ...], shape: Shape
) -> dict[str, dict[str, Shape]]:
  """Infers the parameter shapes of every layer with parameters."""
  shapes: dict[str | None, Shape] = {None: shape, **infer_shapes(ops, shape)}
  needed = {
    op.name: op.param_shapes(shapes[inputs[0]]) for op, inputs in wiring(ops)
  }
  return {name: wanted for name, wanted in needed.items() if wanted}


def init_params(
  ops: tuple[Layer, ...], shape: Shape, key: Array
) -> dict[str, dict[str, Array]]:
  """Initialises the parameters of every layer with parameters."""
  shapes: dict[str | None, Shape] = {None: shape, **infer_shapes(ops, shape)}
  params = {}
  for i, (op, inputs) in enumerate(wiring(ops)):
    initial = op.init(jax.random.fold_in(key, i), shapes[inputs[0]])
    if initial:
      params[op.name] = initial
  return params
