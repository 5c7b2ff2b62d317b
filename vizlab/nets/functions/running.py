"""Running a program by backward rules, with edits."""

from collections.abc import Sequence
from typing import Any

from jax import lax

from vizlab.nets.functions.axes import (
  MAP,
  hidden,
  layout,
  shown,
  windows,
)
from vizlab.nets.functions.linear import LAYOUT, PartLayer
from vizlab.nets.functions.naming import Named
from vizlab.nets.functions.program import Program
from vizlab.nets.functions.reshaping import Labels
from vizlab.nets.functions.steps import Step, apply
from vizlab.rules import PoolWindow, Rules
from vizlab.types import Acts, Array, Edits

__all__ = ['run']

_PLAIN = Rules()


def run(
  program: Program,
  arguments: Sequence[Array],
  rules: Rules = _PLAIN,
  edits: Edits | None = None,
) -> tuple[list[Array], Acts]:
  """Runs a program.

  Args:
    program: The program.
    arguments: Its arguments: parameters, then the image.
    rules: Backward rules. What has the usual rule is computed as written.
    edits: Functions by name of an activation, which keep its shape.

  Returns:
    The results, and the activations by name.

  Raises:
    ValueError: A rule cannot be used where it is needed.
  """
  return _Run(program, arguments, rules, edits or {}).results()


class _Run:
  """One run: the values so far."""

  def __init__(
    self,
    program: Program,
    arguments: Sequence[Array],
    rules: Rules,
    edits: Edits,
  ) -> None:
    self.program = program
    self.steps = program.steps
    self.rules = rules
    self.edits = edits
    self.known: dict[int, Any] = dict(self.steps.constants)
    self.known.update(zip(self.steps.inputs, arguments, strict=True))
    self.acts: Acts = {}
    self.other_relu = rules.relu is not _PLAIN.relu
    self.other = self.other_relu or rules.pool is not _PLAIN.pool
    self.relevance = rules.linear is not _PLAIN.linear

  def results(self) -> tuple[list[Array], Acts]:
    """Runs all steps."""
    names: dict[int, list[Named]] = {}
    for named in self.program.named:
      names.setdefault(named.number, []).append(named)
    for index, step in enumerate(self.steps.steps):
      out = self._step(index, step)
      for number, value in zip(step.writes, out, strict=True):
        for named in names.get(number, ()):
          value = self._named(named, value)
        self.known[number] = value
    return [self.known[number] for number in self.steps.outputs], self.acts

  def _values(self, step: Step) -> list[Array]:
    return [self.known[number] for number in step.reads]

  def _step(self, index: int, step: Step) -> list[Array]:
    """The results of a step, by the rules."""
    relu = self.program.relus.get(index)
    if relu is not None and self.other_relu:
      return [self.rules.relu(self.known[relu.input])]
    if step.operation == 'reduce_window_max':
      return self._pooled(step)
    if self.relevance and any(n in self.program.places for n in step.reads):
      return self._relevant(index, step)
    if index in self.program.bodies and self.other:
      return self._body(index, step)
    return apply(step.eqn, self._values(step))

  def _relevant(self, index: int, step: Step) -> list[Array]:
    """The results of a step that passes relevance on, or shares it."""
    program = self.program
    unit = program.unit_ends.get(index)
    if unit is not None:
      # The rule of what treats every number alone, or nearly so.
      return [
        self.rules.lrn(
          self.known[unit.input],
          lambda x: self.steps.replay(unit.steps, self.known, {unit.input: x}),
        )
      ]
    part = program.parts.get(index)
    if part is not None:
      xs = [self.known[number] for number in part.inputs]
      layer = PartLayer(self.steps, part, self.known)
      before = program.preprocessing.issuperset(part.indices)
      if part.kind == 'Affine' or before:
        return [self.rules.lrn(xs[0], lambda x: layer.linear({}, x))]
      params = {name: self.known[n] for name, n in part.params.items()}
      first = layer.preprocessing(self.steps.inputs[-1])
      return [self.rules.linear(layer, params, tuple(xs), first)]
    if step.operation in LAYOUT or index in program.inner:
      return apply(step.eqn, self._values(step))
    raise ValueError(
      f'net: {step.operation} in {step.module} has no rule of '
      'relevance, expected layers that are linear, functions of single numbers '
      'and pooling'
    )

  def _pooled(self, step: Step) -> list[Array]:
    """Max pooling, by the rule for it where its windows allow."""
    (x,) = self._values(step)
    place = self.program.places.get(step.reads[0])
    window = place and _square(step, place.labels)
    if window:
      pooled = self.rules.pool(shown(x, place.labels), window)
      return [hidden(pooled, place.labels)]
    if self.rules.pool is not _PLAIN.pool:
      raise ValueError(
        f'pool: got max pooling in {step.module} with '
        f'{step.eqn.params["window_dimensions"]}, expected square windows over '
        'rows and columns'
      )
    return apply(step.eqn, [x])

  def _body(self, index: int, step: Step) -> list[Array]:
    """Control flow whose bodies run with other rules."""
    bodies, values = self.program.bodies[index], self._values(step)
    params = step.eqn.params
    if not any(body.has_rules() for body in bodies):
      return apply(step.eqn, values)
    if step.operation == 'scan':
      consts, carry = params['num_consts'], params['num_carry']

      def loop(state: Any, xs: Any) -> tuple[Any, Any]:
        out, _ = run(bodies[0], [*values[:consts], *state, *xs], self.rules)
        return out[:carry], out[carry:]

      state, ys = lax.scan(
        loop,
        values[consts : consts + carry],
        values[consts + carry :],
        params['length'],
        params['reverse'],
        params['unroll'],
      )
      return [*state, *ys]
    if step.operation == 'cond':
      branches = [
        lambda *xs, body=body: run(body, xs, self.rules)[0] for body in bodies
      ]
      return lax.switch(values[0], branches, *values[1:])
    raise ValueError(
      f'relu, pool: {step.operation} in {step.module} has a '
      'ReLU or max pooling inside, which cannot have another rule there; '
      'expected it outside'
    )

  def _named(self, named: Named, value: Array) -> Array:
    """Stores an activation, and changes it by its edit."""
    labels = self.program.places[named.number].labels
    act = shown(value, labels)
    if named.name in self.edits:
      act = self.edits[named.name](act)
      value = hidden(act, labels)
    self.acts[named.name] = act
    return value


def _square(step: Step, labels: Labels) -> PoolWindow | None:
  """Window of max pooling; ``None`` for one that the rules do not know."""
  slides = windows(step, labels)
  dilated = any(d != 1 for d in step.eqn.params['window_dilation'])
  shapes = [var.aval.shape for var in (*step.eqn.invars, *step.eqn.outvars)]
  kept = layout(shapes[0], labels)
  if kept is None or len(kept) != len(MAP) or slides is None or dilated:
    return None
  slide, other = slides
  if slide != other or slide.size > 16 or 2 * slide.padding > slide.size:
    return None
  for ceil in (False, True):
    window = PoolWindow(slide.size, slide.stride, slide.padding, ceil)
    if all(
      window.length(shapes[0][axis]) == shapes[1][axis]
      for axis in (labels.index('h'), labels.index('w'))
    ):
      return window
  return None
