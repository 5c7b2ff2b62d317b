"""The decorator of augmentations."""

from collections.abc import Callable
from typing import Any

from vizlab.terms import decorator
from vizlab.types import Array

__all__ = ['Augmentation', 'augment']


class Augmentation:
  """Function ``(key, image [..., H, W, C]) -> image``, made by `augment`."""

  def __call__(self, key: Array, image: Array) -> Array:
    """Transforms images; one draw for all images of a batch."""
    raise NotImplementedError


def augment(fn: Callable[..., Array] | None = None, /, **convert: Any) -> Any:
  """Makes an augmentation of a function ``(key, image, *settings) -> image``.

  Args:
    fn: The function; ``None`` for a decorator with arguments.
    **convert: For some settings a function ``(value, name) -> value`` that
      checks and converts when the augmentation is made; ``check`` is called
      with all settings by name. Numbers become float32 without one.

  Returns:
    A function of the settings alone that returns an `Augmentation`, a pytree
    whose numbers are leaves.
  """
  return _decorate(fn, **convert)


_decorate = decorator(Augmentation, 2)
