"""Axes of a function's values: which is the batch, which are space and channel.

A function may compute in any layout, and may flatten, split or transpose on its
way; labels that follow its steps say where images, rows, columns and channels
are, so that an activation is shown as ``[N, H, W, C]`` or ``[N, C]``. Receptive
fields follow in the same way.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from vizlab.nets.functions.flow import through
from vizlab.nets.functions.reshaping import Labels, reshaped
from vizlab.nets.functions.scalars import is_scalar
from vizlab.nets.functions.steps import TAKES, Step, Steps, steps_of
from vizlab.nets.receptive_field import Field, Slide
from vizlab.types import Array

__all__ = [
  'IN_PLACE',
  'MAP',
  'Place',
  'hidden',
  'layout',
  'places',
  'shown',
  'windows',
]

MAP, VECTOR = ('n', 'h', 'w', 'c'), ('n', 'c')

_REDUCTIONS = frozenset(
  f'reduce_{name}' for name in ('sum', 'max', 'min', 'prod', 'and', 'or')
) | {'argmax', 'argmin'}
_WINDOWS = frozenset(
  f'reduce_window{name}' for name in ('', '_sum', '_max', '_min')
)
_CUMULATIVE = frozenset(
  ('cumsum', 'cumprod', 'cummax', 'cummin', 'cumlogsumexp')
)
# Operations along some axes, which they keep.
_ALONG = _CUMULATIVE | {'rev', 'sort', 'fft'}
# Operations that leave each unit where it is.
IN_PLACE = frozenset(
  'broadcast_in_dim convert_element_type name'
  ' reduce_precision reshape squeeze transpose pvary pcast'.split()
)


class Place(NamedTuple):
  """Axes of a value and the pixels that its units see.

  Attributes:
    labels: Label of each axis.
    field: Receptive field; ``None`` for the whole image, or if it is unknown.
  """

  labels: Labels
  field: Field | None


_IMAGE = Place(MAP, Field())


def places(steps: Steps, image: int) -> dict[int, Place]:
  """Axes of all values that depend on the image.

  Args:
    steps: The function.
    image: Number of the image's value.

  Raises:
    ValueError: A step mixes the images of a batch.
  """
  return _followed(steps, {image: _IMAGE})


def _followed(
  steps: Steps, known: dict[int, Place], inside: bool = False
) -> dict[int, Place]:
  """Axes of what depends on values whose axes are known, and of these.

  Args:
    steps: The function.
    known: Axes of its arguments.
    inside: Whether it is the body of control flow, which may take single
      images, one after the other.
  """
  known = dict(known)
  for step in steps.steps:
    read = [(i, known[n]) for i, n in enumerate(step.reads) if n in known]
    if not read:
      continue
    shapes = [tuple(steps.avals[n].shape) for n in step.reads]
    if not (inside and step.operation in TAKES):
      _check_separate(step, read, shapes)
    flow = _inside(step, dict(read))
    for i, number in enumerate(step.writes):
      shape = tuple(getattr(steps.avals[number], 'shape', ()))
      labels = flow[i] if flow else _labels(step, read, shapes, shape)
      labels = labels or ('',) * len(shape)
      if labels.count('n') > 1:
        raise _mixing(step)
      field = _field(step, read, labels)
      if not _keeps_lengths(step, read, shapes, labels, shape):
        field = None
      known[number] = Place(labels, field)
  return known


def _inside(step: Step, read: dict[int, Place]) -> list[Labels | None] | None:
  """Labels of the results of control flow; ``None`` for any other step."""
  given = [
    read[i].labels if i in read else None for i in range(len(step.reads))
  ]
  labels, between = through(step, given, _results) or (None, False)
  if between:
    raise _mixing(step)
  return labels


def _results(
  closed: ClosedJaxpr, read: Sequence[Labels | None]
) -> list[Labels | None]:
  """Labels of the results of a function, of those of its arguments."""
  steps = steps_of(closed)
  known = {
    number: Place(labels, None)
    for number, labels in zip(steps.inputs, read, strict=True)
    if labels is not None
  }
  found = _followed(steps, known, inside=True)
  return [found[n].labels if n in found else None for n in steps.outputs]


def _labels(
  step: Step,
  read: list[tuple[int, Place]],
  shapes: list[tuple[int, ...]],
  shape: tuple[int, ...],
) -> Labels:
  """Labels of the axes of a result."""
  name, params = step.operation, step.eqn.params
  first, labels = read[0][0], read[0][1].labels
  if name == 'transpose':
    return tuple(labels[i] for i in params['permutation'])
  if name == 'broadcast_in_dim':
    out = [''] * len(shape)
    for axis, to in enumerate(params['broadcast_dimensions']):
      out[to] = labels[axis]
    return tuple(out)
  if name == 'squeeze':
    gone = {axis % len(labels) for axis in params['dimensions']}
    return tuple(v for i, v in enumerate(labels) if i not in gone)
  if name in _REDUCTIONS:
    return tuple(v for i, v in enumerate(labels) if i not in params['axes'])
  if name == 'reshape':
    return reshaped(labels, shapes[first], shape)
  if name == 'conv_general_dilated':
    spec = params['dimension_numbers'].out_spec
    read_spec = params['dimension_numbers'].lhs_spec
    out = [''] * len(shape)
    out[spec[0]], out[spec[1]] = labels[read_spec[0]], 'c'
    for to, axis in zip(spec[2:], read_spec[2:], strict=True):
      out[to] = labels[axis]
    return tuple(out)
  if name == 'dot_general':
    return _product(step, read, shapes)
  same = len(shape) == len(labels)
  if same and (name in _WINDOWS or name in _ALONG):
    return labels
  if same and name in ('concatenate', 'pad', 'slice', 'dynamic_slice'):
    return labels
  if same and name == 'gather':  # such as a change of the size
    sizes = zip(shapes[first], shape, labels, strict=True)
    return tuple(v if n == m or v in ('h', 'w') else '' for n, m, v in sizes)
  # What treats every element separately; an axis of length 1 may be broadcast.
  if not any(shapes[index] == shape for index, _ in read):
    return ('',) * len(shape)
  alike = [
    place.labels for index, place in read if len(shapes[index]) == len(shape)
  ]
  return tuple(
    next(filter(None, axis), '') for axis in zip(*alike, strict=True)
  )


def _product(
  step: Step, read: list[tuple[int, Place]], shapes: list[tuple[int, ...]]
) -> Labels:
  """Labels of a matrix product: shared axes, then those of both sides."""
  (left, right), (left_batch, right_batch) = step.eqn.params[
    'dimension_numbers'
  ]
  known = dict(read)
  # What is made of rows or columns by constants are such again, as in a change
  # of the size; otherwise it is channels.
  summed = _summed(step, read)
  new = summed[0] if summed in (['h'], ['w']) else 'c'
  both = [
    known[i].labels if i in known else (new,) * len(shapes[i]) for i in (0, 1)
  ]
  if len(known) == 2:  # such as attention: of positions, not of channels
    both = [tuple(v if v == 'n' else '' for v in each) for each in both]
  gone = (*left, *left_batch), (*right, *right_batch)
  free = [
    label
    for labels, axes in zip(both, gone, strict=True)
    for i, label in enumerate(labels)
    if i not in axes
  ]
  return (*(both[0][i] for i in left_batch), *free)


def _summed(step: Step, read: list[tuple[int, Place]]) -> list[str]:
  """Labels of the axes over which a matrix product sums, of one value."""
  side, place = read[0]
  axes = step.eqn.params['dimension_numbers'][0][side]
  return [place.labels[axis] for axis in axes]


def _check_separate(
  step: Step, read: list[tuple[int, Place]], shapes: list[tuple[int, ...]]
) -> None:
  """Raises a `ValueError` if a step mixes the images of a batch."""
  name, params = step.operation, step.eqn.params
  for index, place in read:
    axes: Sequence[int] = ()
    if name in _REDUCTIONS:
      axes = params['axes']
    elif name == 'dot_general':
      axes = params['dimension_numbers'][0][index]
    elif name in _CUMULATIVE:
      axes = [params['axis']]
    elif name in ('rev', 'sort', 'concatenate'):
      axes = params.get('dimensions', [params.get('dimension')])
    elif name in ('slice', 'dynamic_slice'):
      after = step.eqn.outvars[0].aval.shape
      axes = [i for i, n in enumerate(after) if shapes[index][i] != n]
    elif name == 'gather' and not index:
      axes = params['dimension_numbers'].start_index_map
    for axis in axes:
      if place.labels[axis].startswith('n') and shapes[index][axis] > 1:
        raise _mixing(step)


def _mixing(step: Step) -> ValueError:
  where = f' in {step.scope!r}' if step.scope else ''
  return ValueError(
    f'fn: {step.operation}{where} mixes the images of a batch, expected a '
    'model in evaluation mode, such as model.eval() or train=False'
  )


def _keeps_lengths(
  step: Step,
  read: list[tuple[int, Place]],
  shapes: list[tuple[int, ...]],
  labels: Labels,
  shape: tuple[int, ...],
) -> bool:
  """Tells if rows and columns are as many as before, or move by a window."""
  windowed = step.operation in _WINDOWS or step.operation in (
    'conv_general_dilated', 'pad'
  )  # fmt: skip
  if windowed:
    return True
  after = dict(zip(labels, shape, strict=True))
  return all(
    after.get(label, n) == n
    for index, place in read
    for label, n in zip(place.labels, shapes[index], strict=True)
    if label in ('h', 'w')
  )


def layout(shape: Sequence[int], labels: Labels) -> Labels | None:
  """Labels of a map or vector without axes of length 1; ``None`` for others."""
  kept = tuple(
    label for n, label in zip(shape, labels, strict=True) if label or n != 1
  )
  return kept if sorted(kept) in (sorted(MAP), sorted(VECTOR)) else None


def shown(value: Array, labels: Labels) -> Array:
  """A value as ``[N, H, W, C]`` or ``[N, C]``."""
  kept = layout(value.shape, labels)
  order = MAP if len(kept) == len(MAP) else VECTOR
  plain = value.reshape(
    [n for n, label in zip(value.shape, labels, strict=True) if label]
  )
  return jnp.transpose(plain, [kept.index(label) for label in order])


def hidden(act: Array, labels: Labels) -> Array:
  """A map or vector in the function's own layout, the opposite of `shown`."""
  order = MAP if act.ndim == len(MAP) else VECTOR
  axes = [order.index(label) for label in labels if label]
  plain = jnp.transpose(act, axes)
  sizes = iter(plain.shape)
  return plain.reshape([next(sizes) if label else 1 for label in labels])


def windows(step: Step, labels: Labels) -> tuple[Slide, Slide] | None:
  """Windows along rows and columns of a convolution or pooling.

  ``None`` if the axes are unknown, or other axes have a window, too. The end of
  the padding is not in it.
  """
  params = step.eqn.params
  if step.operation == 'conv_general_dilated':
    numbers = params['dimension_numbers']
    kernel = step.eqn.invars[1].aval.shape
    axes = numbers.lhs_spec[2:]
    rows = zip(
      (kernel[i] for i in numbers.rhs_spec[2:]),
      params['window_strides'],
      params['padding'],
      params['rhs_dilation'],
      params['lhs_dilation'],
      strict=True,
    )
    along = dict(zip(axes, rows, strict=True))
  else:
    rows = zip(
      params['window_dimensions'],
      params['window_strides'],
      params['padding'],
      params['window_dilation'],
      params['base_dilation'],
      strict=True,
    )
    along = dict(enumerate(rows))
  slides: dict[str, Slide] = {}
  for axis, (size, stride, padding, dilation, base) in along.items():
    if labels[axis] in ('h', 'w') and base == 1:
      slides[labels[axis]] = Slide(
        (size - 1) * dilation + 1, stride, padding[0]
      )
    elif size != 1 or stride != 1 or base != 1:
      return None
  return (slides['h'], slides['w']) if len(slides) == 2 else None


def _field(
  step: Step, read: list[tuple[int, Place]], labels: Labels
) -> Field | None:
  """Receptive field of the units of a result."""
  if not {'h', 'w'} <= set(labels):
    return None
  first = read[0][1].labels
  field, *others = [place.field for _, place in read]
  name, params = step.operation, step.eqn.params
  if name == 'conv_general_dilated' or name in _WINDOWS:
    slides = windows(step, first)
    if field is None or slides is None or slides[0] != slides[1]:
      return None
    return field.after(slides[0])
  if name == 'pad':
    ends = {
      params['padding_config'][i][0] * (params['padding_config'][i][2] == 0)
      for i, v in enumerate(first)
      if v in ('h', 'w')
    }
    simple = all(row[2] == 0 for row in params['padding_config'])
    if field is None or len(ends) != 1 or not simple:
      return None
    return field.after(Slide(padding=ends.pop()))
  if name == 'dot_general' and _summed(step, read) != ['c']:
    return None
  if name == 'concatenate':
    if first[params['dimension']] in ('h', 'w'):
      return None
  elif name not in IN_PLACE and not is_scalar(step.eqn):
    if name != 'dot_general':
      return None
  for other in others:
    if field is None or other is None or field.stride != other.stride:
      return None
    field = field.union(other)
  return field
