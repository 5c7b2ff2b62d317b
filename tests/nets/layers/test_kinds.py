import inspect

import jax
import jax.numpy as jnp

from vizlab import nets, rules
from vizlab.nets import layers
from vizlab.nets.architectures.transformation import (
  generator,
  transformation,
)
from vizlab.nets.graph import infer_shapes, wiring
from vizlab.nets.layers import Layer, Pointwise


def test_every_kind_of_layer_is_used():
  kinds = {
    cls
    for cls in vars(layers).values()
    if inspect.isclass(cls) and issubclass(cls, Layer)
  }
  built = [nets.architecture(name).layers() for name in nets.names()]
  # Not in the catalog.
  built.append(generator({'style': 2}, (4,), side=2))
  built.append(transformation(4, 1, styles=2))
  built.append(nets.with_template_masks(nets.load('minivgg'), ['relu5_2']).ops)
  used = {type(op) for ops in built for op in ops}
  assert kinds == {*used, Layer, Pointwise}  # the last two are bases


def test_every_layer_names_the_rule_that_it_calls():
  """Found by showing it rules that note their calls."""
  built = [
    (arch.layers(), arch.spec().shape)
    for arch in map(nets.architecture, nets.names())
  ]
  masked = nets.with_template_masks(nets.load('minivgg'), ['relu5_2'])
  built.append((masked.ops, masked.spec.shape))
  seen = {}
  for ops, shape in built:
    shapes = {None: shape, **infer_shapes(ops, shape)}
    for op, inputs in wiring(ops):
      if type(op) not in seen:
        seen[type(op)] = rules_called(op, [shapes[name] for name in inputs])
  assert {each.rule for each in seen} == {None, 'relu', 'pool', 'lrn', 'linear'}
  for kind, called in seen.items():
    assert called == ({kind.rule} if kind.rule else set()), kind


def rules_called(op, shapes):
  called = set()

  def noting(name, rule):
    return lambda *given: called.add(name) or rule(*given)

  noted = rules.Rules(
    **{
      n: noting(n, getattr(rules.Rules(), n)) for n in ('relu', 'pool', 'lrn')
    },
    linear=noting('linear', rules.Rules().linear),
  )
  params = {
    name: jax.ShapeDtypeStruct(shape, jnp.float32)
    for name, shape in op.param_shapes(shapes[0]).items()
  }
  xs = [jax.ShapeDtypeStruct((2, *shape), jnp.float32) for shape in shapes]
  jax.eval_shape(lambda params, *xs: op(params, noted, *xs), params, *xs)
  return called
