"""A function of images as a network: `from_function`."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vizlab.lookup import check_name
from vizlab.nets.functions.additive import additive_parts
from vizlab.nets.functions.program import Program
from vizlab.nets.functions.running import run
from vizlab.nets.functions.traced import TracedFunction, is_array
from vizlab.nets.input_spec import InputSpec
from vizlab.nets.layers import Layer
from vizlab.nets.network import LayerInfo, edited
from vizlab.rules import Rules
from vizlab.types import Acts, Array, Edits, pytree_dataclass

__all__ = ['FunctionNet', 'from_function']


@pytree_dataclass(static=('function', 'rules'))
class FunctionNet:
  """Function as a network, made by `from_function`.

  Attributes:
    arrays: Arrays of its variables.
    function: The function.
    rules: Backward rules; replace them with `vizlab.rules.with_rules`.
  """

  arrays: tuple[Array, ...]
  function: TracedFunction
  rules: Rules = Rules()

  def __call__(
    self, x: Array, edits: Edits | None = None
  ) -> tuple[Array | None, Acts]:
    """Runs the function.

    Args:
      x: Images ``[..., H, W, C]``, of any size that the function allows.
      edits: ``{layer: function}``: the function is applied to the activation of
        the layer, and later steps read the result.

    Returns:
      The results ``[..., K]`` (``None`` if they are no vectors), and every
      activation by name, ``[..., H', W', C]`` or ``[..., C]``.

    Raises:
      ValueError: A layer in ``edits`` is unknown, an edit changes the shape,
        the images do not suit, or a replaced rule cannot be used.
    """
    flat = self._flat(x)
    program = self.function.program(self.arrays, flat)
    known = [named.name for named in program.named]
    for name in edits or {}:
      check_name('layer', name, known, f' of {self.function.name}')
    self._check_rules(program)
    batch = x.shape[:-3]

    def split(a: Array) -> Array:
      return a.reshape(*batch, *a.shape[1:])

    def on_flat(name: str, a: Array) -> Array:
      return edited(name, edits[name], split(a)).reshape(a.shape)

    changes = {name: functools.partial(on_flat, name) for name in edits or {}}
    (out,), acts = run(program, (*self.arrays, flat), self.rules, changes)
    logits = split(out) if out.ndim == 2 else None
    return logits, {name: split(act) for name, act in acts.items()}

  @property
  def arch(self) -> str:
    """Name of the function."""
    return self.function.name

  @property
  def spec(self) -> InputSpec:
    """Size of the images; the preprocessing is a part of the function."""
    *_, height, width, channels = self.function.image.shape
    none, one = (0.0,) * channels, (1.0,) * channels
    return InputSpec(min(height, width), none, one)

  @property
  def has_classifier(self) -> bool:
    """True if the results are vectors, such as logits."""
    steps = self._program().steps
    return len(steps.avals[steps.outputs[0]].shape) == 2

  @property
  def ops(self) -> tuple[Layer, ...]:
    """Layers as data, which a function does not have: raises a `ValueError`."""
    raise ValueError(
      f'net: {self.arch} is a function, expected a network of layers, such as '
      'those of nets.load'
    )

  @property
  def layer_names(self) -> tuple[str, ...]:
    """Names of the activations."""
    return tuple(named.name for named in self._program().named)

  def biases(self) -> dict[str, Array]:
    """The additive part of each layer: ``{layer: [C]}``; see `full_gradient`.

    Raises:
      ValueError: A step is not known to be linear, beside ReLUs and max
        pooling, or adds something that differs over positions.
    """
    return additive_parts(self._program(), (*self.arrays, self._example()))

  def layer_info(self, size: int | None = None) -> tuple[LayerInfo, ...]:
    """Lists the activations; see `vizlab.nets.layer_info`."""
    program = self._program(size)
    rows = []
    for named in program.named:
      labels, field = program.places[named.number]
      lengths = program.steps.avals[named.number].shape
      sizes = dict(zip(labels, lengths, strict=True))
      shape = tuple(sizes[label] for label in 'hwc' if label in sizes)
      rows.append(LayerInfo(named.name, named.kind, shape, field))
    return tuple(rows)

  def _program(self, size: int | None = None) -> Program:
    """The program for images of a size."""
    return self.function.program(self.arrays, self._example(size))

  def _example(self, size: int | None = None) -> Array:
    """A black batch of a size."""
    *_, height, width, channels = self.function.image.shape
    sides = (height, width) if size is None else (size, size)
    # Two, so that what mixes the images of a batch can be noticed.
    return jnp.zeros((2, *sides, channels), self.function.image.dtype)

  def _flat(self, x: Array) -> Array:
    """Images as one batch."""
    channels = self.function.image.shape[-1]
    if jnp.ndim(x) < 3 or x.shape[-1] != channels:
      raise ValueError(
        f'x: got shape {jnp.shape(x)}, expected [..., H, W, {channels}]'
      )
    if not jnp.issubdtype(x.dtype, jnp.floating):
      raise ValueError(f'x: got {x.dtype}, expected float32 in [0, 1]')
    if math.prod(x.shape[:-3]) == 0:
      raise ValueError(f'x: got an empty batch {x.shape}, expected an image')
    return x.reshape(-1, *x.shape[-3:])

  def _check_rules(self, program: Program) -> None:
    """Raises a `ValueError` if a rule of ReLUs does not suit the function."""
    if 'relu' not in self.rules.required:
      return
    others = ', '.join(program.others)
    if not program.has_relu():
      raise ValueError(
        f'relu: {self.function.name} has no ReLU, expected one'
        + (f'; it has {others}' if others else '')
      )
    if others and self.function.strict:
      raise ValueError(
        f'relu: {self.function.name} has other activation functions, {others}, '
        'which keep their gradients; expected ReLUs only, or '
        'nets.from_function(..., strict=False)'
      )


def from_function(
  fn: Callable[..., Array],
  example: Array | jax.ShapeDtypeStruct,
  variables: Any = None,
  *,
  strict: bool = True,
) -> FunctionNet:
  """Makes a network of a function of images, such as a model of any library.

  The function is traced, and its activations get names: those of its modules
  where the library writes them (Linen, Haiku) or where parameters have paths
  (NNX, Equinox, nested dicts), and of operations, ``'Block_0/relu'``;
  `jax.ad_checkpoint.checkpoint_name` names any other value.
  `vizlab.nets.layer_info` lists them. ReLUs, known by their values, and max
  pooling run by backward rules, so that all methods work; like those of other
  networks they have a reverse mode only.

  Args:
    fn: Function ``fn(variables, x)`` or, without variables, ``fn(x)``; or a
      model that is a pytree, such as an NNX or Equinox module. It computes in
      evaluation mode and includes the preprocessing of images in [0, 1].
    example: Images ``[N, H, W, C]`` as the function takes them, or their shape
      and dtype, float32. A single image ``[H, W, C]`` for a function of one.
    variables: Parameters, a pytree: new ones do not recompile. Leaves that are
      no arrays are static. Arrays that the function closes over are constants
      of its compiled programs, and are kept with them.
    strict: Whether rules for ReLUs are refused if there are other activation
      functions, which keep their true gradients.

  Returns:
    A `FunctionNet`. Under `jax.jit` pass it as an argument. Functions that are
    equal share compiled programs: a lambda is equal to itself only.

  Raises:
    ValueError: ``example`` is not float images, or the function has side
      effects, draws random numbers, mixes the images of a batch, or returns
      more than one array.

  >>> import jax
  >>> from vizlab import nets
  >>> def model(params, x):
  ...   x = jax.nn.relu(jax.lax.conv_general_dilated(
  ...     x, params['conv'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO',
  ...     'NHWC')))
  ...   return x.mean((1, 2)) @ params['head']
  >>> params = {'conv': jax.numpy.ones((3, 3, 3, 8)),
  ...           'head': jax.numpy.ones((8, 4))}
  >>> net = nets.from_function(model, jax.numpy.ones((1, 16, 16, 3)), params)
  >>> [(row.name, row.shape) for row in nets.layer_info(net)]
  [('conv', (16, 16, 8)), ('relu', (16, 16, 8)), ('mean', (8,)), ('head', (4,))]
  """
  image = _image(example)
  if callable(getattr(fn, 'apply', None)):
    raise ValueError(
      f'fn: got {_name(fn)}, whose variables are apart, expected its method '
      '`apply` and the variables'
    )
  if not callable(fn):
    raise ValueError(
      f'fn: got {type(fn).__name__}, expected a function or a model'
    )
  if variables is None and getattr(fn, '__name__', '') == 'apply':
    raise ValueError(
      f'variables: got none, expected those of {_name(fn)}.apply'
    )
  if variables is None:
    if any(is_array(leaf) for leaf in jax.tree.leaves(fn)):
      variables, call = fn, _call_model
    else:
      call = functools.partial(_call_function, fn)
  else:
    call = fn
  function = TracedFunction(call, variables, image, strict, _name(fn))
  arrays = tuple(
    jnp.asarray(leaf) for leaf in jax.tree.leaves(variables) if is_array(leaf)
  )
  net = FunctionNet(arrays, function)
  net._program()  # raises if it is no network
  return net


def _name(fn: Callable[..., Any]) -> str:
  """Name of a function or model, for errors and reports."""
  model = getattr(fn, '__self__', fn)  # of `model.apply`
  if inspect.isfunction(model):
    return model.__name__
  return type(model).__name__


def _call_model(model: Callable[[Array], Array], x: Array) -> Array:
  return model(x)


def _call_function(
  fn: Callable[[Array], Array], variables: None, x: Array
) -> Array:
  del variables
  return fn(x)


def _image(example: Any) -> jax.ShapeDtypeStruct:
  """Shape and dtype of the images that a function takes."""
  shape, dtype = np.shape(example), getattr(example, 'dtype', None)
  if len(shape) not in (3, 4) or 0 in shape:
    raise ValueError(
      f'example: got shape {shape}, expected images [N, H, W, C], or one '
      '[H, W, C] for a function of one'
    )
  if dtype is None or not jnp.issubdtype(dtype, jnp.floating):
    raise ValueError(
      f'example: got {dtype or type(example).__name__}, expected float32 in '
      '[0, 1]'
    )
  return jax.ShapeDtypeStruct(shape, dtype)
