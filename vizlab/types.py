"""The nouns of vizlab as types, and the glossary of shapes.

Every array at the API is one of these:

* image: ``[..., H, W, 3]``, RGB, float32 in [0, 1]. ``...`` is any leading
  batch, most often one axis ``[B]``. A net owns its preprocessing, so the same
  image goes to any net.
* logits: ``[..., K]``, one number a class, before the softmax. ``None`` for a
  net without a classifier.
* acts: ``{name: [..., H', W', C]}`` for maps, ``{name: [..., C]}`` for vectors:
  every named activation of a net.
* score: ``[...]``, one number an image: what a method explains or optimises.

The six nouns:

* `Net`: ``net(x, edits=None) -> (logits, acts)``.
* Objective: ``objective(logits, acts) -> [...]``, closed under ``+ - *``.
* Penalty: ``penalty(image) -> [...]``.
* ImageParam: ``init(key) -> z`` and ``decode(z) -> image``.
* Augment: ``augment(key, image) -> image``, one draw for a whole batch.
* optimizer: an ``optax.GradientTransformation``.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Acts = dict[str, Array]
Edits = Mapping[str, Callable[[Array], Array]]
ScoreFn = Callable[[Array], Array]

__all__ = [
  'Acts',
  'Array',
  'Augment',
  'Edits',
  'ImageParam',
  'Net',
  'ScoreFn',
  'check_image',
  'check_picture',
  'number',
  'pytree_dataclass',
  'whole',
]


def pytree_dataclass(
  cls: type | None = None, /, *, static: Sequence[str] = ()
) -> Any:
  """Makes a class a frozen dataclass and a pytree.

  So are all nouns but the net: numbers in them are leaves, and another number
  never compiles again.

  Args:
    cls: The class; ``None`` for a decorator with arguments.
    static: Fields that are structure (names of layers, shapes), not numbers.
  """
  if cls is None:
    return functools.partial(pytree_dataclass, static=static)
  # Arrays have no equality that is a bool; by identity it can be hashed.
  made = dataclasses.dataclass(frozen=True, eq=False)(cls)
  names = [field.name for field in dataclasses.fields(made)]
  _register(made, [name for name in names if name not in static], static)
  return made


def _register(cls: type, data: Sequence[str], meta: Sequence[str]) -> None:
  """Makes a class a pytree.

  Not by `jax.tree_util.register_dataclass`: in jax 0.10 the structures of two
  such classes with equally many leaves and equal meta fields are equal (only
  their hashes differ), so that about once in a hundred times a jitted function
  ran the program of one objective for another.
  """

  def structure(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name in meta)

  def flatten(self: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return tuple(getattr(self, name) for name in data), structure(self)

  def flatten_with_keys(self: Any) -> tuple[Any, tuple[Any, ...]]:
    keys = map(jax.tree_util.GetAttrKey, data)
    return tuple(zip(keys, flatten(self)[0], strict=True)), structure(self)

  def unflatten(fixed: tuple[Any, ...], leaves: Iterable[Any]) -> Any:
    made = object.__new__(cls)  # leaves may be anything: nothing is checked
    values = (*zip(data, leaves, strict=True), *zip(meta, fixed, strict=True))
    for name, leaf in values:
      object.__setattr__(made, name, leaf)
    return made

  jax.tree_util.register_pytree_with_keys(
    cls, flatten_with_keys, unflatten, flatten
  )


def number(value: Any, name: str, least: float = -np.inf) -> np.ndarray | Array:
  """A float32 leaf of a noun; arrays and tracers of JAX pass as they are.

  Args:
    value: A number, or some.
    name: Name of the argument in error messages.
    least: What none may be below.

  Raises:
    ValueError: A number is not finite, or too small.
  """
  if isinstance(value, jax.Array):
    return value
  array = np.asarray(value, np.float32)
  if not np.isfinite(array).all():
    raise ValueError(f'{name}: got {value}, expected finite numbers')
  if (array < least).any():
    raise ValueError(f'{name}: got {value}, expected at least {least:g}')
  return array


def whole(value: Any, name: str, least: int = 1) -> int:
  """A whole number as a Python int.

  Args:
    value: An int, of Python or numpy.
    name: Name of the argument in error messages.
    least: What it may not be below.

  Raises:
    ValueError: Not an int (40.0 and True are none), or too small.
  """
  kind = int | np.integer
  if not isinstance(value, kind) or isinstance(value, bool) or value < least:
    raise ValueError(
      f'{name}: got {value!r}, expected a whole number of {least} or more'
    )
  return int(value)


# Noise and steps may overshoot [0, 1]; beyond this an image has another unit.
_LOWEST, _HIGHEST = -2.0, 3.0


def check_image(image: Any, name: str) -> None:
  """Raises a `ValueError` for images that are not float in about [0, 1].

  A picture of uint8, or one of 0 to 255, would be taken for white. What is
  traced, or not finite, passes: its numbers are not known, or are told as such
  elsewhere.

  Args:
    image: ``[..., H, W, C]``.
    name: Name of the argument in error messages.
  """
  shape = np.shape(image)
  if len(shape) < 3:
    raise ValueError(f'{name}: got shape {shape}, expected [..., H, W, C]')
  dtype = jnp.result_type(image)
  if not jnp.issubdtype(dtype, jnp.floating):
    raise ValueError(
      f'{name}: got {dtype}, expected float32 in [0, 1]: divide by 255'
    )
  try:
    values = np.asarray(image)
  except jax.errors.TracerArrayConversionError:
    return
  values = values[np.isfinite(values)]
  low, high = values.min(initial=0), values.max(initial=0)
  if low < _LOWEST or high > _HIGHEST:
    raise ValueError(
      f'{name}: got values from {low:g} to {high:g}, expected [0, 1]'
    )


def check_picture(picture: Any, name: str) -> None:
  """Raises a `ValueError` unless a picture is uint8, as `render` makes them."""
  dtype = np.asarray(picture).dtype
  if dtype != np.uint8:
    raise ValueError(
      f'{name}: got {dtype}, expected uint8; vizlab.render.to_uint8 makes a '
      'picture of an image'
    )


class Net(Protocol):
  """A network: ``(x, edits=None) -> (logits, acts)``.

  ``edits`` maps a layer's name to a function that is applied to its activation
  before the next layer reads it; the edited value is the one in ``acts``.

  Two methods are optional, and may be ``None``, as of `vizlab.nets.Network`.
  ``occlude`` reads the net with each of many boxes of the image replaced, or
  with those of some ``places``, faster than by running it as often; occlusion
  uses it if present. ``biases`` returns what each layer adds; FullGrad needs
  it.
  """

  def __call__(
    self, x: Array, edits: Edits | None = None
  ) -> tuple[Array | None, Acts]:
    """Runs the net on images ``[..., H, W, 3]``."""


class ImageParam(Protocol):
  """Parameterization of images; a pytree.

  Every array of ``z`` has the leading batch of the images, so that each image
  of a batch is optimised on its own.
  """

  def init(self, key: Array) -> Any:
    """Draws the parameters ``z`` that the optimisation starts from."""

  def decode(self, z: Any) -> Array:
    """Makes images ``[..., H, W, C]`` of them, within [0, 1] if it can."""


Augment = Callable[[Array, Array], Array]
