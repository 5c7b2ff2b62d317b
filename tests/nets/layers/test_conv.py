import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from vizlab.nets.layers import Conv
from vizlab.nets.layers.conv import both, conv2d
from vizlab.nets.layers.winograd import pays

CASES = [
  # size, channels, features, kernel, stride, padding, groups
  ((9, 8), 4, 6, 3, 1, 1, 1),
  ((9, 8), 3, 6, 5, 1, 2, 1),
  ((12, 13), 3, 4, 11, 4, 2, 1),
  ((11, 12), 6, 8, 3, 2, 1, 2),
  ((7, 7), 6, 9, 1, 2, 0, 3),
  ((7, 7), 3, 6, 3, 1, 1, 3),
  ((6, 8), 128, 256, 3, 1, 1, 1),  # Winograd's way on a CPU
  ((7, 5), 256, 128, 3, 1, 1, 1),
  ((1, 2), 256, 256, 3, 1, 1, 1),
  ((10, 9), 4, 4, 3, 3, 0, 1),
  ((7, 6), 64, 128, 3, 1, 0, 1),
  ((3, 4), 128, 64, 3, 1, 0, 1),
  ((4, 5), 128, 256, 3, 1, 2, 1),
  ((4, 5), 128, 256, 3, 1, 3, 1),
  ((41, 40), 64, 66, 3, 1, 1, 1),  # Winograd's way, as the maps are large
  ((14, 17), 4, 3, 3, 1, 0, 1),  # a rim is computed, and cut off
  ((38, 40), 6, 3, 9, 1, 1, 1),
  ((20, 21), 6, 6, 5, 1, 0, 3),
  ((17, 18), 16, 20, 3, 1, 1, 1),  # kernels' gradients are taken by image
  ((20, 19), 17, 16, 5, 1, 0, 1),
  ((18, 17), 16, 16, 1, 1, 0, 1),
  ((5, 6), 4, 7, 1, 1, 0, 1),  # a product of matrices
  ((7, 9), 6, 5, 1, 2, 0, 1),
  ((8, 7), 3, 5, 1, 3, 0, 1),
  ((6, 5), 4, 7, 1, 1, 1, 1),
  ((9, 8), 4, 6, (1, 7), 1, (0, 3), 1),  # of a line
  ((17, 18), 16, 20, (7, 1), 1, (3, 0), 1),
  ((11, 12), 6, 4, (3, 2), 2, (1, 0), 2),
  ((18, 17), 16, 16, 3, 1, (1, 0), 1),
  ((20, 19), 128, 128, 3, 1, (0, 1), 1),
  ((24, 23), 20, 24, 3, 1, 1, 1),  # one column more is computed, and cut off
  ((26, 24), 12, 40, 5, 1, 2, 1),
  ((25, 24), 20, 18, 4, 1, (1, 2), 1),
  ((24, 25), 20, 18, (1, 7), 1, (0, 3), 1),
  ((25, 24), 18, 20, (7, 1), 1, (3, 0), 1),
  ((24, 25), 20, 34, 3, 1, 0, 1),  # three columns
  ((24, 25), 34, 20, (3, 5), 1, (4, 7), 1),
]


def plain(x, kernel, stride, padding, groups):
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    [(p, p) for p in both(padding)],
    feature_group_count=groups,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    precision='highest',
  )


@pytest.mark.parametrize('case', CASES, ids=str)
def test_values_and_both_gradients_equal_jax(case):
  size, c, d, k, stride, padding, groups = case
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(keys[0], (2, *size, c))
  kernel = jax.random.normal(keys[1], (*both(k), c // groups, d)) / c**0.5

  @functools.partial(jax.jit, static_argnums=0)
  def run(convolve, x, kernel):
    y, backward = jax.vjp(
      lambda x, w: convolve(x, w, stride, padding, groups), x, kernel
    )
    return y, *backward(jax.random.normal(keys[2], y.shape))

  y, *slopes = run(conv2d, x, kernel)
  expected, *reference = run(plain, x, kernel)
  np.testing.assert_allclose(y, expected, atol=2e-5 * c)
  for ours, theirs in zip(slopes, reference, strict=True):
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * max(c, d))


def test_products_of_matrices_are_as_strict_as_convolutions():
  kernel = jnp.zeros((1, 1, 3, 5))
  assert conv2d(jnp.zeros((0, 4, 4, 3)), kernel).shape == (0, 4, 4, 5)
  with pytest.raises(TypeError, match='same dtypes'):
    conv2d(jnp.zeros((1, 4, 4, 3)), kernel.astype(jnp.bfloat16))
  layer = Conv('c', 4, np.int64(3), 1, np.int64(0))
  assert layer.out_shape((9, 9, 3)) == (7, 7, 4)


def test_gradients_of_kernels_by_example():
  x = jax.random.normal(jax.random.key(0), (3, 2, 17, 17, 16))
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 16, 16))

  def loss(kernel, x):
    return jnp.square(conv2d(x, kernel, 1, 1)).mean()

  each = jax.vmap(jax.grad(loss), (None, 0))(kernel, x)
  for i in range(3):
    np.testing.assert_allclose(
      each[i], jax.grad(loss)(kernel, x[i]), rtol=1e-4, atol=1e-4
    )


def test_second_derivatives_and_vmap():
  x = jax.random.normal(jax.random.key(0), (3, 1, 6, 6, 2))
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 4))

  def energy(x):
    return jnp.square(conv2d(x, kernel, 1, 1)).sum() ** 2

  def hessian_vector(x, v):
    return jax.grad(lambda x: (jax.grad(energy)(x) * v).sum())(x)

  batched = jax.vmap(hessian_vector)(x, jnp.ones_like(x))
  single = hessian_vector(x[1], jnp.ones_like(x[1]))
  np.testing.assert_allclose(batched[1], single, rtol=1e-4)


def test_the_layers_that_go_winograds_way_are_those_that_were_measured():
  assert pays((1, 4, 4, 128), 256, 1) and pays((64, 56, 56, 256), 128, 1)
  assert not (pays((1, 4, 4, 127), 256, 1) or pays((1, 4, 4, 128), 255, 1))
  assert pays((8, 28, 28, 64), 64, 1) and pays((1, 56, 56, 128), 64, 1)
  assert not (pays((8, 28, 28, 63), 64, 1) or pays((8, 14, 14, 64), 64, 1))
  assert pays((8, 56, 56, 64), 64, 1) and not pays((9, 56, 56, 64), 64, 1)
  assert pays((1, 4, 4, 64), 64, 0) and not pays((1, 4, 4, 63), 64, 0)


def _convolved(side, c, d, count=4, k=3, padding=1):
  """Columns of the outputs of the convolutions that XLA is given."""
  x, w = jnp.zeros((count, side, side, c)), jnp.zeros((k, k, c, d))

  def run(x, w):
    y, back = jax.vjp(lambda x: conv2d(x, w, 1, padding), x)
    return y, *back(y)

  text = jax.jit(run).lower(x, w).as_text()
  found = re.findall(r'stablehlo.convolution.*-> tensor<\d+x\d+x(\d+)x', text)
  return [int(columns) for columns in found]


@pytest.mark.parametrize(
  ('layer', 'columns'),
  [
    ((56, 64, 64, 10), [57, 57]),
    ((56, 64, 64), []),  # Winograd's way
    ((56, 64, 192, 10), [57, 57]),
    ((56, 128, 32), [57, 57]),
    ((56, 64, 128, 10), [56, 57]),  # its gradient has 64 channels
    ((56, 128, 128, 10), [56, 56]),
    ((112, 64, 64), [112, 112]),
    ((112, 64, 96), [113, 112]),
    ((112, 32, 64), [113, 113]),
    ((56, 3, 64), [56, 56]),
    ((56, 12, 16), [56, 56]),
    ((56, 8, 64), [56, 56]),
    ((9, 64, 64), [9, 9]),
    ((10, 64, 64), [11, 11]),
    ((38, 32, 32, 4, 3, 0), [39, 38]),  # the gradient's output is larger
    ((38, 32, 24, 4, 3, 0), [38, 38]),  # a rim
    ((38, 64, 3, 4, 9, 0), [38, 38]),
    ((38, 16, 16, 4, 3, 0), [38, 38]),
    ((11, 20, 20, 4, 3, 0), [9, 11]),
  ],
  ids=str,
)
def test_the_layers_that_are_computed_with_more_columns(layer, columns):
  assert _convolved(*layer) == columns
