import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import generate, nets
from vizlab.nets.architectures.transformation import transformation
from vizlab.nets.graph import init_params
from vizlab.nets.layers import ConditionalInstanceNorm


@pytest.fixture(scope='module', params=[True, False], ids=['resize', 'spread'])
def net(request):
  ops = transformation(4, 1, resize=request.param)
  params = init_params(ops, (16, 16, 3), jax.random.key(0))
  spec = nets.InputSpec(16, (0.0,) * 3, (1.0,) * 3, 255.0)
  return nets.Network('small', ops, spec, params)


def copy(x, edits=None):
  return None, {'image': x, 'half': x[..., ::2, ::2, :], 'large': 2 * x}


@pytest.mark.parametrize(
  'shape', [(16, 16, 3), (2, 17, 30, 3), (1, 1, 1, 3), (2, 1, 3, 5, 3)], ids=str
)
def test_a_network_that_copies_gives_the_image(shape):
  x = jax.random.uniform(jax.random.key(0), shape)
  np.testing.assert_array_equal(generate.transformed(copy, x), x)
  seen = []

  def net(x, edits=None):
    seen.append(x.shape)
    return copy(x)

  jax.jit(lambda x: generate.transformed(net, x, border=3, multiple=8))(x)
  for n, padded in zip(shape[-3:-1], seen[0][-3:-1], strict=True):
    assert padded % 8 == 0 and n + 6 <= padded < n + 14


def test_a_network_that_enlarges(net):
  x = jax.random.uniform(jax.random.key(0), (2, 7, 9, 3))

  def thrice(x, edits=None):
    return None, {'image': jnp.repeat(jnp.repeat(x, 3, -3), 3, -2)}

  made = generate.transformed(thrice, x, border=2, multiple=4, factor=3)
  np.testing.assert_array_equal(made, np.repeat(np.repeat(x, 3, 1), 3, 2))
  with pytest.raises(ValueError, match=r"factor: 'image' gave \(\d+, \d+, 3\)"):
    generate.transformed(thrice, x, factor=2)
  with pytest.raises(ValueError, match='factor: got 40, 4 and 0'):
    generate.transformed(thrice, x, factor=0)


def test_the_image_goes_on_as_its_mirror_image():
  x = jax.random.uniform(jax.random.key(0), (2, 5, 6, 3))
  seen = []

  def net(x, edits=None):
    seen.append(np.asarray(x))
    return copy(x)

  generate.transformed(net, x, border=3, multiple=1)
  wanted = np.pad(x, [(0, 0), (3, 3), (3, 3), (0, 0)], 'reflect')
  np.testing.assert_array_equal(seen[0], wanted)


def test_it_stays_in_range_and_keeps_the_type(net):
  x = jax.random.uniform(jax.random.key(0), (2, 21, 18, 3))
  made = generate.transformed(net, x, border=5)
  assert made.shape == x.shape and made.dtype == x.dtype
  assert 0 <= float(made.min()) and float(made.max()) <= 1
  assert float(jnp.ptp(made)) > 0.01
  large = generate.transformed(copy, x, layer='large')
  np.testing.assert_allclose(large, np.minimum(2 * x, 1))


def test_no_image_sees_another(net):
  x = jax.random.uniform(jax.random.key(0), (3, 16, 16, 3))
  whole = generate.transformed(net, x, border=4)
  for i in range(3):
    alone = generate.transformed(net, x[i], border=4)
    np.testing.assert_allclose(whole[i], alone, atol=1e-4)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'border': -1}, 'border, multiple, factor: got -1, 4 and'),
    ({'multiple': 0}, 'border, multiple, factor: got 40, 0 and'),
    ({'layer': 'picture'}, "layer: got 'picture'"),
    ({'layer': 'half'}, r"layer, factor: 'half' gave \(48, 48, 3\)"),
    ({'image': jnp.zeros((16, 16))}, r'image: got shape \(16, 16\)'),
  ],
)
def test_wrong_arguments_are_named(change, message):
  arguments = {'image': jnp.zeros((16, 16, 3)), **change}
  with pytest.raises(ValueError, match=message):
    generate.transformed(copy, **arguments)


def conditional(styles):
  """A conditional network, and random parameters with a style's tables."""
  ops = transformation(4, 1, styles=styles)
  spec = nets.InputSpec(16, (0.0,) * (3 + styles), (1.0,) * (3 + styles))
  params = init_params(ops, spec.shape, jax.random.key(0))
  for i, values in enumerate(params.values()):
    for k, v in values.items():
      if v.ndim == 2:
        values[k] = jax.random.normal(jax.random.key(i), v.shape)
  params['conv4'] = {k: 30 * v + 1 for k, v in params['conv4'].items()}
  return nets.Network('fast_style', ops, spec, params)


def test_each_style_is_a_network_of_its_own(tmp_path):
  """A mixture has the sums of scales and biases (Dumoulin et al. 2017)."""
  net = conditional(3)
  plain = transformation(4, 1)
  spec = nets.InputSpec(16, (0.0,) * 3, (1.0,) * 3)
  x = jax.random.uniform(jax.random.key(2), (2, 16, 16, 3))
  for share in ([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.5, 0.25, 0.0]):
    share = jnp.array(share)
    params = {
      name: {k: share @ v if v.ndim == 2 else v for k, v in values.items()}
      for name, values in nets.get_params(net).items()
    }
    alone = nets.Network('fast_style', plain, spec, params)
    wanted = generate.transformed(alone, x, border=4)
    found = generate.transformed(net, generate.with_style(x, share), border=4)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.ptp(found) > 0.1
  # One style for each image.
  each = jnp.array([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
  found = generate.transformed(net, generate.with_style(x, each), border=4)
  for image, share, got in zip(x, each, found, strict=True):
    wanted = generate.transformed(
      net, generate.with_style(image, share), border=4
    )
    np.testing.assert_allclose(got, wanted, atol=1e-5)
  nets.save(net, tmp_path / 'net.safetensors')
  again = nets.load(tmp_path / 'net.safetensors')
  assert again.ops == net.ops and again.spec == net.spec


def test_shares_are_constant_channels():
  x = jax.random.uniform(jax.random.key(0), (2, 5, 4, 3))
  found = generate.with_style(x, [0.25, 0.75])
  np.testing.assert_array_equal(found[..., :3], x)
  wanted = jnp.broadcast_to(jnp.array([0.25, 0.75]), (2, 5, 4, 2))
  np.testing.assert_array_equal(found[..., 3:], wanted)
  each = jnp.array([[1.0, 2.0], [3.0, 4.0]])
  found = jax.jit(generate.with_style)(x, each)
  np.testing.assert_array_equal(found[:, 2, 3, 3:], each)
  one = jax.vmap(generate.with_style)(x, each)
  np.testing.assert_array_equal(one, found)


@pytest.mark.parametrize('shape', [(), (3, 2), (2, 1, 2)])
def test_shares_of_another_batch_are_refused(shape):
  with pytest.raises(ValueError, match='style: got shape'):
    generate.with_style(jnp.zeros((2, 5, 4, 3)), jnp.zeros(shape))


def test_styles_need_their_shares():
  with pytest.raises(ValueError, match='styles: got -1, expected at least 0'):
    transformation(4, 1, styles=-1)
  with pytest.raises(ValueError, match=r'image: got shape \(8, 8, 1\)'):
    generate.with_style(jnp.zeros((8, 8, 1)), jnp.ones(2))
  with pytest.raises(ValueError, match='expected .*, 6]'):
    generate.transformed(conditional(3), jnp.zeros((16, 16, 3)), border=0)
  with pytest.raises(ValueError, match='styles: got 2 without normalisation'):
    transformation(4, 1, norm=False, styles=2)
  norm = ConditionalInstanceNorm('norm', styles=3)
  with pytest.raises(ValueError, match='styles: got inputs of .* of 3 shares'):
    norm.out_shape((8, 8, 4), (2,))
  assert norm.offset({'bias': jnp.zeros((3, 4))}) is None
