"""2-D convolution with a fast forward pass and a custom gradient."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from vizlab.nets.layers.winograd import pays, winograd
from vizlab.types import Array, widened

__all__ = ['both', 'conv2d']

Shape = tuple[int, ...]
Padding = tuple[int, int]
Edges = tuple[tuple[int, int], tuple[int, int]]
# Channels and positions from which a kernel's gradient is taken by image.
_WIDE, _MANY = 16, 256
# Positions of a batch from which a column more pays, and of a large map.
_FEW, _LARGE = 350, 10_000
_LAYOUT = ('NHWC', 'HWIO', 'NHWC')


def _conv(
  x: Array, kernel: Array, stride: int, edges: Edges, groups: int
) -> Array:
  if x.shape[-1] == 3 and groups == 1:
    # An image: four channels fill a SIMD register; three take twice as long.
    x, kernel = _zero_channel(x, 3), _zero_channel(kernel, 2)
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    edges,
    feature_group_count=groups,
    dimension_numbers=_LAYOUT,
  )


def both(value: int | tuple[int, int]) -> tuple[int, int]:
  """A number for rows and for columns, which may be given as one."""
  return value if isinstance(value, tuple) else (value, value)


def _padded(
  x: Array, kernel: Array, stride: int, padding: Padding, groups: int
) -> Array:
  rows, columns = padding
  rim = kernel.shape[0] // 2 - rows
  if stride == 1 and rows == columns and _crops(x.shape, kernel.shape, rim):
    # Without padding XLA's CPU backend may take twenty times as long.
    y = _conv(x, kernel, 1, _sides(both(rows + rim)), groups)
    return y[:, rim:-rim, rim:-rim]
  return _conv(x, kernel, stride, _sides(padding), groups)


def _crops(x: Shape, kernel: Shape, rim: int) -> bool:
  """Says if it pays to compute a rim of the output, too, and to cut it off."""
  h, w, k = x[1], x[2], kernel[0]
  square = k % 2 == 1 and kernel[1] == k
  # Not where it would be most of the output, as of a dense layer's kernel.
  return rim > 0 and square and min(h, w) >= 4 * k


def _sides(padding: Padding) -> Edges:
  rows, columns = padding
  return (rows, rows), (columns, columns)


def _by_eigen(
  shape: Shape,
  features: int,
  kernel: Array,
  stride: int,
  edges: Edges,
  groups: int,
) -> bool:
  """Returns True for layers that `_longer` speeds up on a CPU.

  YNNPACK reaches its rate from 64 channels on, where the outputs fill blocks of
  128, or of 64 on large maps.
  """
  n, h, w, c = shape
  single = kernel.dtype == jnp.float32  # others were not measured
  if not single or (stride, groups) != (1, 1):
    return False
  if max(c, features) <= 16:
    return False  # nor are these given to YNNPACK
  missing = kernel.shape[1] - sum(edges[1])
  # Columns that are many cost more than they save.
  few = missing == 1 or (missing == 3 and features >= 32 and min(h, w) >= 12)
  if not few or n * h * w < _FEW or min(c, features) <= 8:
    return False
  blocks = features % 128 == 0 or (features % 64 == 0 and h * w >= _LARGE)
  return c < 64 or not blocks


def _longer(x: Array, kernel: Array, edges: Edges) -> Array:
  """Convolution by way of one with a column of outputs more than inputs.

  XLA's CPU backend gives a convolution to YNNPACK unless its output is larger
  than its input; Eigen's takes half as long for some shapes.
  """
  rows, (left, right) = edges
  missing = kernel.shape[1] - left - right
  y = _conv(x, kernel, 1, (rows, (left, right + missing)), 1)
  return y[:, :, :-missing]


def _zero_channel(x: Array, axis: int) -> Array:
  return jnp.pad(x, [(0, int(i == axis)) for i in range(x.ndim)])


def conv2d(
  x: Array,
  kernel: Array,
  stride: int = 1,
  padding: int | Padding = 0,
  groups: int = 1,
) -> Array:
  """2-D convolution (cross-correlation).

  The gradient with respect to ``x`` is an explicit convolution with the
  flipped, transposed kernel. JAX's own gradient expresses the transposition by
  dimension numbers, and inside a loop XLA's CPU backend then leaves its fast
  path (five to seven times slower).

  Args:
    x: ``[N, H, W, C]``.
    kernel: ``[k, l, C / groups, D]``.
    stride: Step between outputs, in positions.
    padding: Zeros added on each side of both axes, or of rows and of columns.
    groups: Number of independent groups of channels.

  Returns:
    ``[N, H', W', D]``.
  """
  return _conv2d(x, kernel, stride, both(padding), groups)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _conv2d(
  x: Array, kernel: Array, stride: int, padding: Padding, groups: int
) -> Array:
  return _forward(x, kernel, stride, padding, groups)


def _transpose_kernel(kernel: Array, groups: int) -> Array:
  """Kernel ``[k, l, D/g, C]`` of the input gradient from ``[k, l, C/g, D]``."""
  h, w, c, d = kernel.shape
  kernel = jnp.flip(kernel, (0, 1)).reshape(h, w, c, groups, d // groups)
  return kernel.transpose(0, 1, 4, 3, 2).reshape(h, w, d // groups, groups * c)


def _gradient_edges(
  g: Shape, kernel: Array, shape: Shape, stride: int, padding: Padding
) -> Edges:
  """Zeros around the gradient of the output, for that of the input."""
  rows, columns = (
    (k - 1 - p, n - 1 - (m - 1) * stride + p)
    for n, m, k, p in zip(
      shape[1:3], g[1:3], kernel.shape[:2], padding, strict=True
    )
  )
  return rows, columns


def _is_pointwise(kernel: Array, padding: Padding, groups: int) -> bool:
  """Returns True for a kernel of one position, a matrix for each position.

  XLA's CPU backend multiplies matrices up to 2.7 times as fast as it convolves.
  """
  return kernel.shape[:2] == (1, 1) and (padding, groups) == ((0, 0), 1)


def _product(x: Array, kernel: Array, stride: int) -> Array:
  """Convolution with a kernel ``[1, 1, C, D]`` as a product of matrices."""
  x = x[:, ::stride, ::stride]
  return lax.dot_general(x, kernel[0, 0], (((3,), (0,)), ((), ())))


def _product_gradient(
  g: Array, kernel: Array, shape: tuple[int, ...], stride: int
) -> Array:
  """Input gradient of `_product`."""
  g = _product(g, kernel.swapaxes(2, 3), 1)
  edges = [
    (0, n - 1 - (m - 1) * stride, stride - 1)
    for n, m in zip(shape[1:3], g.shape[1:3], strict=True)
  ]
  return lax.pad(g, jnp.zeros((), g.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _by_winograd(
  shape: Shape,
  features: int,
  kernel: Array,
  stride: int,
  padding: Padding,
  groups: int,
) -> bool:
  """Returns True for layers that Winograd's algorithm speeds up on a CPU."""
  rows, columns = padding
  # In half precision its sums of many would lose what they save.
  exact = kernel.dtype.itemsize >= 4
  square = rows == columns and rows in (0, 1, 2)
  ours = square and (*kernel.shape[:2], stride, groups) == (3, 3, 1, 1)
  return exact and ours and pays(shape, features, rows)


def _forward(
  x: Array, kernel: Array, stride: int, padding: Padding, groups: int
) -> Array:
  edges = _sides(padding)
  layer = x.shape, kernel.shape[3], kernel, stride
  direct = functools.partial(
    _padded, stride=stride, padding=padding, groups=groups
  )
  if x.dtype != kernel.dtype:
    return direct(x, kernel)  # raises; a product would convert one of them
  if _is_pointwise(kernel, padding, groups):
    fast = functools.partial(_product, stride=stride)
  elif _by_winograd(*layer, padding, groups):
    fast = functools.partial(winograd, padding=padding[0])
  elif _by_eigen(*layer, edges, groups):
    fast = functools.partial(_longer, edges=edges)
  else:
    return direct(x, kernel)
  return lax.platform_dependent(x, kernel, cpu=fast, default=direct)


def _backward(
  g: Array,
  kernel: Array,
  shape: tuple[int, ...],
  stride: int,
  padding: Padding,
  groups: int,
) -> Array:
  edges = _gradient_edges(g.shape, kernel, shape, stride, padding)
  layer = g.shape, shape[3], kernel, stride

  def direct(g: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(
      g,
      _transpose_kernel(kernel, groups),
      (1, 1),
      edges,
      lhs_dilation=(stride, stride),
      feature_group_count=groups,
      dimension_numbers=_LAYOUT,
    )

  def longer(g: Array, kernel: Array) -> Array:
    return _longer(g, _transpose_kernel(kernel, 1), edges)

  if _is_pointwise(kernel, padding, groups):
    fast = functools.partial(_product_gradient, shape=shape, stride=stride)
  elif _by_winograd(*layer, padding, groups):
    fast = functools.partial(winograd, padding=2 - padding[0], transposed=True)
  elif _by_eigen(*layer, edges, groups):
    fast = longer
  else:
    return direct(g, kernel)
  return lax.platform_dependent(g, kernel, cpu=fast, default=direct)


def _kernel_gradient(
  g: Array, x: Array, kernel: Array, stride: int, padding: Padding, groups: int
) -> Array:
  def direct(g: Array, x: Array) -> Array:
    linear = functools.partial(
      _padded, x, stride=stride, padding=padding, groups=groups
    )
    return jax.linear_transpose(linear, kernel)(g)[0]

  k, wide, c, d = kernel.shape
  large = min(c, d) >= _WIDE and g.shape[1] * g.shape[2] >= _MANY
  # Under shard_map JAX sums the direct one over the devices.
  alone = not jax.sharding.get_abstract_mesh().manual_axes
  rows, columns = padding
  square = k == wide and rows == columns
  if not square or k > 5 or (stride, groups) != (1, 1) or not (large and alone):
    return direct(g, x)
  fast = functools.partial(_by_image, k=k, padding=rows)
  return lax.platform_dependent(g, x, cpu=fast, default=direct)


def _by_image(g: Array, x: Array, k: int, padding: int) -> Array:
  """Sums the kernel gradients of single images, which stay in the cache.

  Each is a matrix product of the image, moved, and the gradient for every tap;
  of a whole batch it takes twice as long on a CPU.
  """
  h, w, d = g.shape[1:]
  sides = [(0, 0), (padding, padding), (padding, padding), (0, 0)]

  precise = widened(x).dtype  # of a sum of many

  def one(image: Array, grad: Array) -> Array:
    rows = grad.reshape(-1, d)
    taps = [
      jnp.matmul(
        image[i : i + h, j : j + w].reshape(len(rows), -1).T,
        rows,
        preferred_element_type=precise,
      )
      for i in range(k)
      for j in range(k)
    ]
    return jnp.stack(taps)

  def add(total: Array, each: tuple[Array, Array]) -> tuple[Array, None]:
    return total + one(*each), None

  x = jnp.pad(x, sides)
  # From the first image: zeros would not vary over devices, as the images do.
  total, _ = lax.scan(add, one(x[0], g[0]), (x[1:], g[1:]))
  return total.reshape(k, k, x.shape[-1], d).astype(g.dtype)


def _conv2d_fwd(
  x: Array, kernel: Array, stride: int, padding: Padding, groups: int
) -> tuple[Array, tuple[Array, Array]]:
  return _forward(x, kernel, stride, padding, groups), (x, kernel)


def _conv2d_bwd(
  stride: int,
  padding: Padding,
  groups: int,
  saved: tuple[Array, Array],
  g: Array,
) -> tuple[Array, Array]:
  x, kernel = saved
  dx = _backward(g, kernel, x.shape, stride, padding, groups)
  # Used only in training; otherwise jit removes it, and x with it.
  dkernel = _kernel_gradient(g, x, kernel, stride, padding, groups)
  return dx, dkernel


_conv2d.defvjp(_conv2d_fwd, _conv2d_bwd)
