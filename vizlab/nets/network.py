"""The network class: runs a tuple of layers and returns all activations."""

import copy
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vizlab.lookup import check_name
from vizlab.nets.graph import check_wiring, infer_shapes, wiring
from vizlab.nets.incremental.occlusion import occlude
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.layers import Layer, Shape
from vizlab.nets.receptive_field import Field
from vizlab.rules import Rules
from vizlab.types import Acts, Array, Edits

__all__ = [
  'LayerInfo',
  'Network',
  'check_layers',
  'edited',
  'get_params',
  'is_chain',
  'param_count',
  'with_params',
]


class LayerInfo(NamedTuple):
  """Row of `layer_info`: name, kind, activation shape, receptive field."""

  name: str
  kind: str
  shape: Shape
  field: Field | None


class Network(nnx.Module):
  """A convolutional network: ``net(x, edits=None) -> (logits, acts)``.

  It is a pytree (``jax.jit(f)(net, x)`` works) and returns every named
  activation; under ``jit`` unused activations are not computed. Outside of
  ``jit`` it runs as one program; around edits, and with rules or layers of your
  own, it runs operation by operation.

  Attributes:
    arch: Name of the architecture.
    ops: Its layers, frozen dataclasses in the order they run.
    spec: Input size and preprocessing.
    rules: Backward rules; replace them with `vizlab.rules.with_rules`.
    params: ``{layer: {parameter: nnx.Variable}}``.
    dtype: Dtype in which the layers compute; ``None`` for that of the images.
      Replace it with `vizlab.nets.with_dtype`.
  """

  def __init__(
    self,
    arch: str,
    ops: tuple[Layer, ...],
    spec: InputSpec,
    params: Mapping[str, Mapping[str, Array]],
    rules: Rules = Rules(),
  ) -> None:
    """Builds a network from layers and parameters.

    Raises:
      ValueError: Two layers have the same name, or a layer reads one that does
        not precede it.
    """
    check_wiring(ops)
    self.arch = arch
    self.ops = ops
    self.spec = spec
    self.rules = rules
    self.dtype: str | None = None
    self.params = nnx.data(_variables(ops, params))

  @property
  def _runs_ops(self) -> bool:
    """False for a subclass that overrides ``__call__``."""
    return type(self).__call__ is Network.__call__

  @property
  def has_classifier(self) -> bool:
    """True if the last layer returns logits, a vector."""
    shapes = infer_shapes(self.ops, self.spec.shape)
    return len(shapes[self.ops[-1].name]) == 1

  def __call__(
    self, x: Array, edits: Edits | None = None
  ) -> tuple[Array | None, Acts]:
    """Runs the network.

    Args:
      x: Images ``[..., H, W, 3]`` in [0, 1], of any size that the layers allow,
        in float32 or (with x64) float64. Logits, activations and gradients have
        their dtype, whatever that of the layers.
      edits: ``{layer: function}``: the function is applied to the activation of
        the layer, and later layers read the result.

    Returns:
      Logits ``[..., K]`` (``None`` without a classifier), and every activation
      by name, ``[..., H', W', C]`` or ``[..., C]``.

    Raises:
      ValueError: A layer in ``edits`` is unknown, an edit changes the shape, or
        the images are not ``[..., H, W, 3]`` or too small.
    """
    edits = edits or {}
    check_layers(self, edits)
    _check_image(self, x)
    acts = self._edited(x, edits) if edits else self._run(x)
    acts = {op.name: acts[op.name] for op in self.ops}  # jit sorts them
    out = acts[self.ops[-1].name]
    return (out if out.ndim == x.ndim - 2 else None), acts

  def _run(self, x: Array) -> Acts:
    """Activations of all layers."""
    return (_compiled if self._is_fixed else _whole)(self, x)

  def _edited(self, x: Array, edits: Edits) -> Acts:
    """Activations of all layers, with edits.

    Stretches of layers without an edit are programs, whose ends do not depend
    on the edits, so that edits of another layer compile nothing new.
    """
    image, acts, start = _image(self, x), {}, 0
    wires, fixed, count = [*wiring(self.ops)], self._is_fixed, len(self.ops)
    ends = {i for i, op in enumerate(self.ops, 1) if op.name in edits}
    for stop in sorted({*ends, *range(_STRETCH, count, _STRETCH), count}):
      read = {name for _, inputs in wires[start:stop] for name in inputs}
      earlier = {name: acts[name] for name in read & acts.keys()}
      whole = start % _STRETCH == 0 and stop == min(start + _STRETCH, count)
      run = _compiled_part if fixed and whole else _part
      acts |= run(self, x, image, earlier, start, stop)
      last = self.ops[stop - 1].name
      if last in edits:
        acts[last] = edited(last, edits[last], acts[last])
      start = stop
    return acts

  @property
  def _is_fixed(self) -> bool:
    """True if nothing in it is a user's, which may do something else later."""
    ours = all(type(op).__module__.startswith(_LAYERS) for op in self.ops)
    return type(self) is Network and ours and self.rules.are_fixed

  @property
  def called_rules(self) -> frozenset[str] | None:
    """Names of the rules that it calls.

    ``None`` for a subclass, and with rules or layers of your own.
    """
    if not self._is_fixed:
      return None
    return frozenset({'image', *(op.rule for op in self.ops if op.rule)})

  def dtype_for(self, x: Array) -> jnp.dtype:
    """Dtype in which the layers compute for images ``x``."""
    return x.dtype if self.dtype is None else jnp.dtype(self.dtype)

  def params_of(self, op: Layer, dtype: jnp.dtype) -> dict[str, Array]:
    """Returns the parameters of a layer as arrays of a dtype."""
    return {
      name: value[...].astype(dtype)
      for name, value in self.params.get(op.name, {}).items()
    }

  @property
  def token_layers(self) -> frozenset[str]:
    """Names of the layers whose maps have tokens for positions."""
    shapes = infer_shapes(self.ops, self.spec.shape)
    names: set[str] = set()
    for op, inputs in wiring(self.ops):
      tokens = op.gives_tokens or not names.isdisjoint(inputs)
      if tokens and len(shapes[op.name]) == 3:
        names.add(op.name)
    return frozenset(names)

  @property
  def layer_names(self) -> tuple[str, ...]:
    """Names of the layers."""
    return tuple(op.name for op in self.ops)

  def layer_info(self, size: int | None = None) -> tuple[LayerInfo, ...]:
    """Lists the layers; see `vizlab.nets.layer_info`."""
    size = self.spec.size if size is None else size
    shapes = infer_shapes(self.ops, (size, size, self.spec.shape[-1]))
    fields: dict[str | None, Field | None] = {None: Field()}
    for op, inputs in wiring(self.ops):
      fields[op.name] = op.field(*(fields[name] for name in inputs))
    return tuple(
      LayerInfo(op.name, op.kind, shapes[op.name], fields[op.name])
      for op in self.ops
    )

  @property
  def biases(self) -> Callable[[], dict[str, Array]] | None:
    """Function that returns the additive part of each layer: ``{layer: [C]}``.

    The entry ``'input'`` ``[3]`` is the additive part of the preprocessing.
    ``None`` for a subclass that overrides ``__call__``, and with layers whose
    biases do not account for the output, such as GELU.
    """
    complete = all(op.complete_biases for op in self.ops)
    known = self._runs_ops and complete
    return functools.partial(_biases, self) if known else None

  @property
  def occlude(self) -> Callable[..., Any] | None:
    """Function that evaluates the network with boxes of an image replaced.

    It is `vizlab.nets.incremental.occlusion.occlude` with this network as its
    first argument. ``None`` for a subclass that overrides ``__call__``.
    """
    return functools.partial(occlude, self) if self._runs_ops else None


_LAYERS = 'vizlab.nets.layers.'


def _image(net: Network, x: Array) -> Array:
  """The preprocessed images as one batch, in the dtype of the layers."""
  image = net.rules.image(net.spec, x).reshape(-1, *x.shape[-3:])
  return image.astype(net.dtype_for(x))


def _part(
  net: Network, x: Array, image: Array, earlier: Acts, start: int, stop: int
) -> Acts:
  """Runs some of the layers of a network, one after the other.

  Args:
    net: The network.
    x: The images ``[..., H, W, 3]``, for their batch and dtype.
    image: The same preprocessed, ``[N, H, W, 3]``.
    earlier: Activations that the layers read.
    start: Index of the first layer.
    stop: Index after the last layer.

  Returns:
    Their activations.
  """
  batch, dtype = x.shape[:-3], net.dtype_for(x)
  values: dict[str | None, Array] = {None: image}
  for name, act in earlier.items():
    values[name] = act.reshape(-1, *act.shape[len(batch) :]).astype(dtype)
  first = dataclasses.replace(net.rules, first=net.spec)
  acts: Acts = {}
  for op, inputs in [*wiring(net.ops)][start:stop]:
    rules = first if None in inputs else net.rules
    y = op(net.params_of(op, dtype), rules, *(values[name] for name in inputs))
    values[op.name] = y
    acts[op.name] = y.reshape(*batch, *y.shape[1:]).astype(x.dtype)
  return acts


def _whole(net: Network, x: Array) -> Acts:
  """Runs all layers."""
  return _part(net, x, _image(net, x), {}, 0, len(net.ops))


# One program instead of one for each operation, traced once wherever it is a
# part.
_compiled = jax.jit(_whole)
_compiled_part = jax.jit(_part, static_argnames=('start', 'stop'))
_STRETCH = 16  # layers of a program, where others are edited


def get_params(net: Network) -> dict[str, dict[str, Array]]:
  """Returns parameters as plain arrays: ``{layer: {parameter: array}}``."""
  return {
    layer: {name: value[...] for name, value in params.items()}
    for layer, params in net.params.items()
  }


def with_params(
  net: Network, params: Mapping[str, Mapping[str, Array]]
) -> Network:
  """Returns a copy of a network with other parameters.

  Args:
    net: The network.
    params: ``{layer: {parameter: array}}``, the format of `get_params`.

  Raises:
    ValueError: The names of layers or parameters, or the shapes, differ from
      those of the network.
  """
  for layer in {**params, **net.params}:
    got, want = (set(each.get(layer, {})) for each in (params, net.params))
    if got != want:
      raise ValueError(
        f'params: {layer!r} has {sorted(got)}, expected {sorted(want)}'
      )
    for name, old in net.params[layer].items():
      shape, want = jnp.shape(params[layer][name]), jnp.shape(old[...])
      if shape != want:
        raise ValueError(
          f'params: got shape {shape} for {layer}/{name}, expected {want}'
        )
  new = copy.copy(net)
  # Bypasses __setattr__, which rejects changes within a trace.
  object.__setattr__(new, 'params', _variables(net.ops, params))
  return new


def is_chain(net: Network) -> bool:
  """Returns True if every layer reads only the previous one."""
  return not any(op.inputs for op in net.ops)


def param_count(net: Network) -> int:
  """Counts the trained parameters, without recorded statistics."""
  return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(net, nnx.Param)))


def check_layers(net: Network, names: Iterable[str]) -> None:
  """Raises a `ValueError` that lists known layers for an unknown one."""
  for name in names:
    check_name('layer', name, net.layer_names, f' of {net.arch}')


def _variables(
  ops: Sequence[Layer], params: Mapping[str, Mapping[str, Array]]
) -> dict[str, dict[str, nnx.Variable]]:
  """Wraps arrays as `nnx.Param`, or `nnx.BatchStat` for recorded statistics."""
  return {
    op.name: {
      name: (nnx.BatchStat if name in op.frozen_params else nnx.Param)(value)
      for name, value in params[op.name].items()
    }
    for op in ops
    if op.name in params
  }


def _biases(net: Network) -> dict[str, Array]:
  mean = jnp.asarray(net.spec.mean) / net.spec.scale
  added = {'input': -(mean if net.spec.order == 'rgb' else mean[::-1])}
  for op in net.ops:
    offset = op.offset(net.params_of(op, mean.dtype))
    if offset is not None:
      added[op.name] = offset
  return added


def edited(name: str, edit: Callable[[Array], Array], act: Array) -> Array:
  """Applies an edit; raises a `ValueError` if it changes the shape."""
  new = edit(act)
  if jnp.shape(new) != act.shape:
    raise ValueError(
      f'edits: got shape {jnp.shape(new)} for {name!r}, expected {act.shape}'
    )
  return new


def _check_image(net: Network, x: Array) -> None:
  channels = net.spec.shape[-1]
  if x.ndim < 3 or x.shape[-1] != channels:
    raise ValueError(
      f'x: got shape {x.shape}, expected [..., H, W, {channels}]'
    )
  if x.dtype not in (jnp.float32, jnp.float64):
    raise ValueError(f'x: got {x.dtype}, expected float32 in [0, 1]')
  if x.dtype == jnp.float64 and net.dtype is not None:
    raise ValueError(
      f'x: got float64 for a network that computes in {net.dtype}, expected '
      'float32'
    )
  if math.prod(x.shape[:-3]) == 0:
    raise ValueError(f'x: got an empty batch {x.shape}, expected an image')
  infer_shapes(net.ops, x.shape[-3:])
