import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import nets
from vizlab.image import bicubic
from vizlab.nets.layers import (
  ConvTranspose,
  InstanceNorm,
  Pad,
  Rescale,
  Upsample,
)
from vizlab.rules import Rules


@pytest.fixture
def x():
  return jax.random.normal(jax.random.key(0), (2, 5, 6, 4))


def run(op, x, params=None):
  y = op(params or {}, Rules(), x)
  assert y.shape[1:] == op.out_shape(x.shape[1:])
  return np.asarray(y)


@pytest.mark.parametrize('mode', ['zeros', 'reflect', 'wrap'])
@pytest.mark.parametrize('sides', [(0, 1), (2, 2), (3, 0)])
def test_borders_equal_those_of_numpy(mode, sides, x):
  wanted = np.pad(
    x,
    [(0, 0), sides, sides, (0, 0)],
    {'zeros': 'constant', 'reflect': 'reflect', 'wrap': 'wrap'}[mode],
  )
  np.testing.assert_array_equal(run(Pad('pad', *sides, mode), x), wanted)


def test_small_maps_have_no_mirror_image():
  with pytest.raises(ValueError, match="x: .* too small for 'pad', .* 3 x 9"):
    Pad('pad', 4, 2).out_shape((3, 9, 1))
  assert Pad('pad', 4, 2, 'zeros').out_shape((3, 9, 1)) == (9, 15, 1)


@pytest.mark.parametrize('fields', [(-1, 0, 'zeros'), (1, 1, 'edge')])
def test_wrong_borders_are_named(fields):
  with pytest.raises(ValueError, match='before, after, mode: got'):
    Pad('pad', *fields)


@pytest.mark.parametrize('factor', [1, 2, 3])
def test_each_position_is_repeated(factor, x):
  wanted = np.repeat(np.repeat(x, factor, 1), factor, 2)
  np.testing.assert_array_equal(run(Upsample('up', factor), x), wanted)


@pytest.mark.parametrize('factor', [2, 3])
def test_positions_are_interpolated(factor, x):
  wanted = bicubic(x, (5 * factor, 6 * factor))
  found = run(Upsample('up', factor, smooth=True), x)
  np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize('stride', [1, 2, 3, 4])
@pytest.mark.parametrize('kernel', [1, 2, 3, 4, 5])
def test_a_transposed_convolution_is_a_gradient(kernel, stride, x):
  op = ConvTranspose('up', 3, kernel, stride)
  params = op.init(jax.random.key(1), x.shape[1:])
  params['bias'] = jnp.arange(3.0)
  shape = {k: v.shape for k, v in params.items()}
  assert shape == op.param_shapes(x.shape[1:])

  def conv(y):
    return jax.lax.conv_general_dilated(
      y,
      params['kernel'],
      (stride, stride),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  read = jnp.zeros((2, 5 * stride, 6 * stride, 3))
  _, pull = jax.vjp(conv, read)
  wanted = pull(x)[0] + params['bias'][None, None, None]
  np.testing.assert_allclose(run(op, x, params), wanted, atol=1e-5)
  plain = ConvTranspose('up', 3, kernel, stride, bias=False)
  assert 'bias' not in plain.param_shapes(x.shape[1:])
  np.testing.assert_allclose(run(plain, x, params), pull(x)[0], atol=1e-5)


def test_channels_are_normalised_image_by_image(x):
  x = x.at[0, ..., 1].set(2.0)
  op = InstanceNorm('norm', 1e-3)
  params = op.init(jax.random.key(0), x.shape[1:])
  assert {k: v.shape for k, v in params.items()} == op.param_shapes(x.shape[1:])
  scale, bias = jnp.arange(1.0, 5), jnp.arange(4.0)
  y = run(op, x, {'scale': scale, 'bias': bias})
  for image, got in zip(np.asarray(x, np.float64), y, strict=True):
    for c in range(4):
      v = image[..., c]
      wanted = (v - v.mean()) / np.sqrt(v.var() + 1e-3) * scale[c] + bias[c]
      np.testing.assert_allclose(got[..., c], wanted, atol=1e-5)
  np.testing.assert_allclose(y[0, ..., 1], 1)  # no variance: the bias
  np.testing.assert_allclose(run(op, x, params).mean((1, 2)), 0, atol=1e-6)


def test_numbers_become_an_image(x):
  np.testing.assert_allclose(run(Rescale('image', 2.0, 1.0), x), 2 * x + 1)
  squashed = run(Rescale('image', 2.0, 1.0, squash=True), x)
  np.testing.assert_allclose(squashed, 2 * np.tanh(x) + 1, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', ['fast_style', 'fast_style_transposed'])
def test_networks_that_make_images(name, tmp_path):
  net = nets.create(name)
  x = jnp.linspace(0, 1, 2 * 16 * 20 * 3).reshape(2, 16, 20, 3)
  _, acts = net(x)
  assert acts['image'].shape == x.shape and not net.has_classifier
  np.testing.assert_allclose(
    acts['res1'], acts['conv3_relu'] + acts['res1b_norm'], rtol=1e-5
  )
  wanted = acts['conv4'] / 255
  if name == 'fast_style_transposed':
    wanted = (150 * jnp.tanh(acts['conv4_norm']) + 127.5) / 255
  np.testing.assert_allclose(acts['image'], wanted, rtol=1e-4, atol=1e-5)
  nets.save(net, tmp_path / 'net.safetensors')
  again = nets.load(tmp_path / 'net.safetensors')
  assert again.ops == net.ops and again.spec == net.spec
  np.testing.assert_array_equal(again(x)[1]['image'], acts['image'])
