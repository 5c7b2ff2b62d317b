"""Transfer of trained layers: new classes, copied layers, groups for optax."""

import copy
import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping

import jax
from flax import nnx

from vizlab.nets.graph import infer_shapes, init_params, wiring
from vizlab.nets.network import (
  Network,
  check_layers,
  get_params,
  with_params,
)
from vizlab.types import Array, whole

__all__ = [
  'check_cut',
  'param_labels',
  'trained_layers',
  'transplant',
  'untrained',
  'with_classes',
]


def trained_layers(net: Network) -> tuple[str, ...]:
  """Names of the layers that have parameters, in the order they run.

  >>> from vizlab import nets
  >>> nets.trained_layers(nets.load('minivgg'))[-2:]
  ('conv5_2', 'fc')
  """
  return tuple(op.name for op in net.ops if op.name in net.params)


def with_classes(net: Network, classes: int, *, key: Array) -> Network:
  """Returns the network with a new last layer, for other classes.

  The last layer that has parameters gets ``classes`` outputs and random ones
  (He-normal kernel, zero bias); all others keep theirs.

  Args:
    net: A network with a classifier.
    classes: Number of classes, at least 1.
    key: JAX random key of the new layer.

  Raises:
    ValueError: The network has no classifier, its last layer with parameters is
      not a convolution or a fully connected one, or the number is out of range.

  >>> import jax
  >>> from vizlab import nets
  >>> net = nets.with_classes(nets.load('minivgg'), 10, key=jax.random.key(0))
  >>> nets.layer_info(net)[-1].shape
  (10,)
  """
  classes = whole(classes, 'classes')
  if not net.has_classifier:
    raise ValueError(f'net: got {net.arch} without a classifier')
  last = trained_layers(net)[-1]
  at = net.layer_names.index(last)
  if not hasattr(net.ops[at], 'features'):
    raise ValueError(
      f'net: {last!r}, the last layer with parameters, is '
      f'{net.ops[at].kind}, expected Conv or Dense'
    )
  ops = list(net.ops)
  ops[at] = dataclasses.replace(ops[at], features=classes)
  shapes = {None: net.spec.shape, **infer_shapes(ops, net.spec.shape)}
  inputs = dict(wiring(ops))[ops[at]]
  params = ops[at].init(jax.random.fold_in(key, at), shapes[inputs[0]])
  new = copy.copy(net)
  # Bypasses __setattr__, which rejects changes within a trace.
  object.__setattr__(new, 'ops', tuple(ops))
  variables = {name: nnx.Param(value) for name, value in params.items()}
  object.__setattr__(new, 'params', {**net.params, last: variables})
  return new


def untrained(net: Network, *, key: Array) -> Network:
  """Returns the network with random parameters, as `create` draws them.

  Recorded statistics become means of 0 and variances of 1, so that batch
  normalisation does nothing until they are recorded.

  Args:
    net: The network.
    key: JAX random key of the parameters.
  """
  return with_params(net, init_params(net.ops, net.spec.shape, key))


def transplant(net: Network, source: Network, layers: Iterable[str]) -> Network:
  """Returns the network with the parameters of some layers of another one.

  Args:
    net: The network that gets them.
    source: The network whose parameters are copied.
    layers: Names of layers of both; those without parameters are skipped.

  Raises:
    ValueError: A layer is unknown, or its parameters have other shapes.
  """
  if isinstance(layers, str):
    raise ValueError(f'layers: got the text {layers!r}, expected a list')
  layers = tuple(layers)
  check_layers(net, layers)
  check_layers(source, layers)
  params, copied = get_params(net), get_params(source)
  for name in layers:
    shapes = [
      {k: v.shape for k, v in each.get(name, {}).items()}
      for each in (params, copied)
    ]
    if shapes[0] != shapes[1]:
      raise ValueError(
        f'layers: {name!r} has {shapes[1]} in the source, expected {shapes[0]}'
      )
  new = {name: copied[name] for name in layers if name in copied}
  return with_params(net, params | new)


def check_cut(net: Network, layer: str) -> None:
  """Checks that all layers after one see the image through it alone.

  An edit of the layer then decides what they see, and a layer that is trained
  comes after it.

  Raises:
    ValueError: The layer is unknown, a later one reads past it, as in a
      residual block, or no later one has parameters.
  """
  check_layers(net, [layer])
  names = net.layer_names
  last = trained_layers(net)[-1]
  # The first layer that each one and all later ones read.
  earliest, cuts = len(names), []
  for i, (_, inputs) in reversed([*enumerate(wiring(net.ops))]):
    if earliest >= i and i < names.index(last):
      cuts.insert(0, names[i])
    read = [-1 if name is None else names.index(name) for name in inputs]
    earliest = min(earliest, *read)
  if layer not in cuts:
    raise ValueError(
      f'layer: got {layer!r}, expected a layer of {net.arch} through which all '
      f'later ones see the image, before {last!r}: one of {cuts}'
    )


def param_labels(
  net: Network,
  groups: Mapping[str, str],
  *,
  default: str = 'tuned',
  frozen: str = 'frozen',
) -> dict[str, dict[str, str]]:
  """Labels of parameters by layer, for `optax.partition`.

  Args:
    net: The network.
    groups: ``{pattern: label}``: a layer has the label of the first pattern
      that its name matches, as in `fnmatch`, such as ``'conv[12]_*'``.
    default: Label of layers that match none.
    frozen: Label of recorded statistics, which no gradient may change.

  Returns:
    Labels in the structure of `vizlab.nets.get_params`.

  Raises:
    ValueError: A pattern matches no layer with parameters.

  >>> from vizlab import nets
  >>> labels = nets.param_labels(nets.load('minivgg'), {'conv*': 'frozen'})
  >>> labels['conv1_1']['kernel'], labels['fc']['kernel']
  ('frozen', 'tuned')
  """
  for pattern in groups:
    if not fnmatch.filter(trained_layers(net), pattern):
      raise ValueError(
        f'groups: {pattern!r} matches no layer with parameters, expected names '
        f'or patterns of {list(trained_layers(net))}'
      )
  fixed = {op.name: op.frozen_params for op in net.ops}

  def label(layer: str) -> str:
    matches = (g for p, g in groups.items() if fnmatch.fnmatchcase(layer, p))
    return next(matches, default)

  return {
    layer: {
      name: frozen if name in fixed[layer] else label(layer) for name in params
    }
    for layer, params in get_params(net).items()
  }
