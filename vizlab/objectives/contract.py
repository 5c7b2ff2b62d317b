"""The contract of a net, ``net(x, edits=None) -> (logits, acts)``, checked."""

import inspect
from collections.abc import Mapping
from typing import Any

from vizlab import rules
from vizlab.types import Acts, Array, Edits, Net

__all__ = ['run_net']

_EXPECTED = (
  'expected net(x, edits=None) -> (logits, acts), where acts has activations '
  'by name; vizlab.nets.from_function makes one of any model'
)


def run_net(
  net: Net, x: Array, edits: Edits | None = None
) -> tuple[Array | None, Acts]:
  """Runs a net on images, and checks that it is one.

  Only types are looked at, so under ``jit`` it costs nothing.

  Raises:
    ValueError: It takes no edits, does not return ``(logits, acts)``, or never
      calls a rule that `vizlab.rules.with_rules` put into it.
  """
  try:
    out = rules.run(net, x, edits)
  except TypeError as error:
    if _takes(net, x, edits):
      raise
    raise ValueError(
      f'net: {_name(net)} does not take images and edits ({error}), {_EXPECTED}'
    ) from error
  if not isinstance(out, tuple | list) or len(out) != 2:
    raise ValueError(f'net: {_name(net)} returned {_what(out)}, {_EXPECTED}')
  logits, acts = out
  if not isinstance(acts, Mapping):
    raise ValueError(
      f'net: {_name(net)} returned {_what(logits)} and {_what(acts)}, '
      f'{_EXPECTED}'
    )
  return logits, acts


def _takes(net: Any, *args: Any) -> bool:
  """Tells if a call with these arguments binds to the signature."""
  try:
    inspect.signature(net).bind(*args)
  except TypeError:
    return False
  except ValueError:  # it has no signature
    return True
  return True


def _name(net: Any) -> str:
  """Name of a net for errors: its class, or the name of a function."""
  inner = getattr(net, 'func', net)  # of a Partial
  return getattr(inner, '__qualname__', type(inner).__name__)


def _what(value: Any) -> str:
  """A value by its kind: ``an array of shape (2, 4)``."""
  if hasattr(value, 'shape'):
    return f'an array of shape {tuple(value.shape)}'
  if isinstance(value, tuple | list):
    return f'a {type(value).__name__} of {len(value)}'
  return f'a {type(value).__name__}'
