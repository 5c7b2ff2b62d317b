"""Types of vizlab's nouns and a glossary of shapes.

Every array of the API is one of these:

* image: ``[..., H, W, 3]``, RGB, float32 in [0, 1]. ``...`` is any leading
  batch, usually one axis ``[B]``. A network includes its preprocessing, so
  every network takes the same image.
* logits: ``[..., K]``, one number per class, before the softmax. ``None`` for a
  network without a classifier.
* acts: ``{name: [..., H', W', C]}`` for maps, ``{name: [..., C]}`` for vectors:
  every named activation of a network.
* score: ``[...]``, one number per image: the quantity that a method explains or
  optimizes.

The six nouns:

* `Net`: ``net(x, edits=None) -> (logits, acts)``.
* Objective: ``objective(logits, acts) -> [...]``, closed under ``+ - *``.
* Penalty: ``penalty(image) -> [...]``.
* ImageParam: ``init(key) -> z`` and ``decode(z) -> image``.
* Augment: ``augment(key, image) -> image``, one random draw for a whole batch.
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
  'widened',
]


def pytree_dataclass(
  cls: type | None = None, /, *, static: Sequence[str] = ()
) -> Any:
  """Makes a class a frozen dataclass and a pytree.

  Used for all nouns except networks. Numeric fields are leaves, so changing a
  number does not recompile.

  Args:
    cls: The class; ``None`` for a decorator with arguments.
    static: Names of the static fields, such as names of layers and shapes.
  """
  if cls is None:
    return functools.partial(pytree_dataclass, static=static)
  # eq=False: arrays do not compare to a bool, and identity makes it hashable.
  frozen = dataclasses.dataclass(frozen=True, eq=False)(cls)
  names = [field.name for field in dataclasses.fields(frozen)]
  _register(frozen, [name for name in names if name not in static], static)
  return frozen


def _register(cls: type, data: Sequence[str], meta: Sequence[str]) -> None:
  """Registers a class as a pytree.

  This does not use `jax.tree_util.register_dataclass`: in jax 0.10 the
  structures of two such classes with equally many leaves and equal static
  fields compare equal (only their hashes differ), so that in about one of a
  hundred cases a jitted function ran the program of one objective for another.
  """

  def structure(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name in meta)

  def flatten(self: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return tuple(getattr(self, name) for name in data), structure(self)

  def flatten_with_keys(self: Any) -> tuple[Any, tuple[Any, ...]]:
    keys = map(jax.tree_util.GetAttrKey, data)
    return tuple(zip(keys, flatten(self)[0], strict=True)), structure(self)

  def unflatten(fixed: tuple[Any, ...], leaves: Iterable[Any]) -> Any:
    # Skips __post_init__: leaves may be anything.
    instance = object.__new__(cls)
    values = (*zip(data, leaves, strict=True), *zip(meta, fixed, strict=True))
    for name, leaf in values:
      object.__setattr__(instance, name, leaf)
    return instance

  jax.tree_util.register_pytree_with_keys(
    cls, flatten_with_keys, unflatten, flatten
  )


def number(value: Any, name: str, least: float = -np.inf) -> np.ndarray | Array:
  """Converts numbers to a float32 array; passes JAX arrays and tracers through.

  Args:
    value: A number or an array of numbers.
    name: Name of the argument in error messages.
    least: Smallest allowed value.

  Raises:
    ValueError: A number is not finite, or is less than ``least``.
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
  """Converts an integer to a Python int.

  Args:
    value: An int of Python or NumPy.
    name: Name of the argument in error messages.
    least: Smallest allowed value.

  Raises:
    ValueError: ``value`` is not an int (40.0 and True are not), or is less than
      ``least``.
  """
  kind = int | np.integer
  if not isinstance(value, kind) or isinstance(value, bool) or value < least:
    raise ValueError(
      f'{name}: got {value!r}, expected a whole number of {least} or more'
    )
  return int(value)


def widened(x: Array) -> Array:
  """Returns an array in float32 if it is in half precision, else as it is.

  For roots, and for sums of many numbers, in which errors add up.
  """
  half = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize < 4
  return x.astype(jnp.float32) if half else x


# Noise and steps may overshoot [0, 1]; beyond this range the unit is wrong.
_LOWEST, _HIGHEST = -2.0, 3.0


def check_image(image: Any, name: str) -> None:
  """Raises a `ValueError` for images that are not float in about [0, 1].

  A uint8 picture, or values from 0 to 255, would count as white. Traced and
  non-finite values pass: they are unknown or handled elsewhere.

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
  """Raises a `ValueError` unless a picture is uint8, the dtype of `render`."""
  dtype = np.asarray(picture).dtype
  if dtype != np.uint8:
    raise ValueError(
      f'{name}: got {dtype}, expected uint8; vizlab.render.to_uint8 makes a '
      'picture of an image'
    )


class Net(Protocol):
  """A network: ``(x, edits=None) -> (logits, acts)``.

  ``edits`` maps the name of a layer to a function that is applied to its
  activation before the next layer reads it; ``acts`` holds the edited value.

  Two methods are optional and may be ``None``. ``occlude`` evaluates the
  network with each of many boxes of the image replaced, or with those at some
  ``places``, faster than one call per box; occlusion uses it if present.
  ``biases`` returns the additive part of each layer, which FullGrad needs.
  """

  def __call__(
    self, x: Array, edits: Edits | None = None
  ) -> tuple[Array | None, Acts]:
    """Runs the network on images ``[..., H, W, 3]``."""


class ImageParam(Protocol):
  """Parameterization of images; a pytree.

  Every array of ``z`` has the leading batch axes of the images, so that the
  images of a batch are optimized independently.
  """

  def init(self, key: Array) -> Any:
    """Draws the initial parameters ``z`` of the optimization."""

  def decode(self, z: Any) -> Array:
    """Decodes parameters to images ``[..., H, W, C]``, usually in [0, 1]."""


Augment = Callable[[Array, Array], Array]
