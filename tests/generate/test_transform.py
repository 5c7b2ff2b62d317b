import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import generate, nets
from vizlab.nets.architectures.transformation import transformation
from vizlab.nets.graph import init_params


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


def test_mixtures_go_from_style_to_style(net):
  params = nets.get_params(net)
  key, tables = jax.random.key(1), {}
  for i, (name, values) in enumerate(params.items()):
    tables[name] = dict(values)
    if name.endswith('_norm'):
      tables[name] = {
        k: jax.random.normal(jax.random.fold_in(key, i), (3, *v.shape))
        for k, v in values.items()
      }
  last = jnp.array([0.0, 0.0, 1.0])
  one = generate.mixed_styles(tables, last)
  half = jax.jit(generate.mixed_styles)(tables, jnp.array([0.5, 0.5, 0.0]))
  for name, values in tables.items():
    for k, v in values.items():
      if v.ndim == 2 and name.endswith('_norm'):
        np.testing.assert_allclose(one[name][k], v[2], rtol=1e-6)
        np.testing.assert_allclose(half[name][k], (v[0] + v[1]) / 2, rtol=1e-5)
      else:
        assert one[name][k] is v
  x = jax.random.uniform(jax.random.key(2), (16, 16, 3))
  made = generate.transformed(nets.with_params(net, one), x, border=0)
  assert made.shape == x.shape
  with pytest.raises(ValueError, match='weights: got 2, expected one .* 3'):
    generate.mixed_styles(tables, last[:2])
  with pytest.raises(ValueError, match='params: got no scale or bias'):
    generate.mixed_styles(params, last)
