"""Axes of values through control flow: loops, branches, own derivatives."""

from collections.abc import Callable, Sequence

from jax.extend.core import ClosedJaxpr

from vizlab.nets.functions.reshaping import Labels
from vizlab.nets.functions.steps import Step, inner_jaxprs

__all__ = ['through']

_Known = Sequence[Labels | None]
_Results = Callable[[ClosedJaxpr, _Known], list[Labels | None]]


def through(
  step: Step, read: _Known, results: _Results
) -> tuple[list[Labels | None], bool] | None:
  """Labels of the results of a step that runs functions, by what these do.

  Args:
    step: The step.
    read: Labels of the values that it reads, ``None`` for those that do not
      depend on the image.
    results: Labels of the results of a function, of those of its arguments.

  Returns:
    Labels of each result, ``None`` for what is unknown, and whether it goes
    from image to image; ``None`` for a step that runs no function.
  """
  name, params = step.operation, step.eqn.params
  if name == 'scan':
    return _scanned(params, read, results)
  if name == 'cond':
    each = [results(branch, read[1:]) for branch in params['branches']]
    return [_common(labels) for labels in zip(*each, strict=True)], False
  if name == 'while':
    first = params['cond_nconsts']
    last = first + params['body_nconsts']
    body, fixed, state = params['body_jaxpr'], read[first:last], read[last:]
    return _repeated(body, fixed, state, [], results), False
  if name in ('custom_jvp_call', 'custom_vjp_call'):
    return results(inner_jaxprs(step.eqn)[0], read), False
  return None


def _scanned(
  params: dict, read: _Known, results: _Results
) -> tuple[list[Labels | None], bool]:
  """Labels of the results of a loop: its state, then what it stacks."""
  consts, carry = params['num_consts'], params['num_carry']
  first = consts + carry
  fixed, state, rows = read[:consts], read[consts:first], read[first:]
  along = _common([row[:1] for row in rows if row]) or ('',)
  inside = [row and row[1:] for row in rows]  # of the axis it runs over
  out = _repeated(params['jaxpr'], fixed, state, inside, results)
  stacked = [row if row is None else (*along, *row) for row in out[carry:]]
  carried = any(labels is not None for labels in out[:carry])
  return [*out[:carry], *stacked], along[0].startswith('n') and carried


def _repeated(
  body: ClosedJaxpr,
  fixed: _Known,
  state: _Known,
  rows: _Known,
  results: _Results,
) -> list[Labels | None]:
  """Labels of the results of a body whose first results it reads again."""
  while True:
    out = results(body, [*fixed, *state, *rows])
    after = [_common(pair) for pair in zip(state, out, strict=False)]
    if after == [*state]:
      return out
    state = after


def _common(each: _Known) -> Labels | None:
  """The labels on which all agree, axis by axis; ``None`` if there are none."""
  known = [labels for labels in each if labels is not None]
  if not known:
    return None
  return tuple(
    axis[0] if len({*axis}) == 1 else '' for axis in zip(*known, strict=True)
  )
