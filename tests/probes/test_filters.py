import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import nets, probes
from vizlab.nets.layers import LRN, Concat, Conv, Pool, ReLU
from vizlab.rules import PoolWindow

SPEC = nets.InputSpec(size=16, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))


def network(ops, spec=SPEC, seed=0):
  params = {}
  key, width = jax.random.key(seed), {None: 3}
  before = None
  for i, op in enumerate(ops):
    inputs = op.inputs or (before,)
    width[op.name] = sum(width[name] for name in inputs)
    if isinstance(op, Conv):
      k = jax.random.fold_in(key, i)
      shape = (op.kernel, op.kernel, width[inputs[0]], op.features)
      params[op.name] = {
        'kernel': jax.random.normal(k, shape),
        'bias': jnp.full(op.features, -0.7),
      }
      width[op.name] = op.features
    before = op.name
  return nets.Network('own', tuple(ops), spec, params)


def kernel(net, name):
  return np.asarray(nets.get_params(net)[name]['kernel'], np.float64)


def composed(first, second):
  """Kernel of two convolutions, by their definition."""
  a, _, c, _ = first.shape
  b, _, _, d = second.shape
  out = np.zeros((a + b - 1, a + b - 1, c, d))
  for i in range(b):
    for j in range(b):
      out[i : i + a, j : j + a] += np.einsum(
        'hwcm,md->hwcd', first, second[i, j]
      )
  return out


def test_between_neighbours_they_are_the_kernel():
  net = network([Conv('one', 4), ReLU('relu'), Conv('two', 5)])
  got = probes.expanded_weights(
    net, 'two', jnp.arange(5), lower='relu', shape=(9, 12)
  )
  assert got.shape == (5, 9, 12, 4)
  np.testing.assert_allclose(
    probes.cropped(np.asarray(got)),
    kernel(net, 'two').transpose(3, 0, 1, 2),
    rtol=1e-5,
  )
  # The unit in the middle looks around itself.
  rows = np.flatnonzero(np.asarray(got).any((0, 2, 3)))
  assert rows.tolist() == [3, 4, 5]


def test_two_layers_are_the_composition_of_their_kernels():
  net = network([Conv('one', 4), ReLU('relu'), Conv('two', 5, 5, 1, 2)])
  got = probes.expanded_weights(net, 'two', np.array([3, 1]), shape=(15, 15))
  wanted = composed(kernel(net, 'one'), kernel(net, 'two'))
  wanted = wanted.transpose(3, 0, 1, 2)[[3, 1]] / np.array(SPEC.std)
  np.testing.assert_allclose(
    probes.cropped(np.asarray(got)), wanted, rtol=1e-4, atol=1e-5
  )


def test_pooling_averages_and_branches_add():
  ops = [
    Conv('one', 2, 1, 1, 0),
    ReLU('relu'),
    Pool('pool', PoolWindow(2, 2), inputs=('relu',)),
    Conv('left', 2, 1, 1, 0, inputs=('pool',)),
    Conv('right', 2, 3, inputs=('pool',)),
    Concat('joined', inputs=('left', 'right')),
    Conv('two', 1, 1, 1, 0),
  ]
  net = network(ops)
  (got,) = probes.cropped(
    np.asarray(
      probes.expanded_weights(
        net, 'two', np.array([0]), lower='relu', shape=(16, 16)
      )
    )
  )
  left, right, last = (kernel(net, n) for n in ('left', 'right', 'two'))
  small = right @ last[0, 0, 2:, 0]
  small[1, 1] += left[0, 0] @ last[0, 0, :2, 0]
  wanted = small.repeat(2, 0).repeat(2, 1) / 4
  np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_first_layer_of_minivgg(minivgg):
  got = probes.expanded_weights(
    minivgg, 'conv1_1', np.arange(32), shape=(24, 24)
  )
  wanted = kernel(minivgg, 'conv1_1').transpose(3, 0, 1, 2) / 0.25
  np.testing.assert_allclose(
    probes.cropped(np.asarray(got)), wanted, rtol=1e-4, atol=1e-5
  )


def test_weights_of_a_vector_are_those_of_all_its_places(minivgg):
  got = probes.expanded_weights(
    minivgg, 'fc', np.arange(16), lower='relu5_2', shape=(96, 96)
  )
  assert got.shape == (16, 6, 6, 128)
  weight = nets.get_params(minivgg)['fc']['kernel'].T
  wanted = jnp.broadcast_to(weight[:, None, None], got.shape) / 36
  np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'upper': 'conv9_9'}, "layer: got 'conv9_9', expected one of"),
    ({'lower': 'x'}, "layer: got 'x', expected one of"),
    ({'channels': np.array([32])}, r'channels: got \[32\], .* 0 to 31'),
    ({'channels': np.array([-1])}, r'channels: got \[-1\]'),
    ({'channels': np.array([], int)}, r'channels: got \[\]'),
  ],
)
def test_wrong_arguments_are_named(change, message, minivgg):
  arguments = {'upper': 'conv1_1', 'channels': np.array([0]), **change}
  with pytest.raises(ValueError, match=message):
    probes.expanded_weights(minivgg, shape=(32, 32), **arguments)


def test_normalisation_is_the_identity():
  ops = [Conv('one', 4), LRN('norm', alpha=1.0), Conv('two', 5)]
  net = network(ops)
  got = probes.expanded_weights(
    net, 'two', np.arange(5), lower='one', shape=(9, 9)
  )
  np.testing.assert_allclose(
    probes.cropped(np.asarray(got)),
    kernel(net, 'two').transpose(3, 0, 1, 2),
    rtol=1e-5,
  )


def test_vertical_edges_have_the_angle_0():
  edges = np.zeros((200, 7, 7, 3), np.float32)
  edges[:, :, 3:] = 1
  edges += 1e-6 * np.random.default_rng(0).normal(size=edges.shape)
  angle = np.asarray(probes.grating(edges).angle)
  assert (angle < np.pi).all() and np.minimum(angle, np.pi - angle).max() < 1e-4
  assert (angle[angle > 1] < np.pi - 1e-5).all()


def test_a_crop_of_nothing_is_all():
  assert probes.cropped(np.zeros((2, 4, 5, 3))).shape == (2, 4, 5, 3)


def gabors(angles, colours, side=11):
  """A filter for each angle and colour."""
  y, x = np.mgrid[:side, :side] - (side - 1) / 2
  waves = [
    np.cos(0.9 * (x * np.cos(t) + y * np.sin(t)) + 0.4)
    * np.exp(-(x**2 + y**2) / 12)
    for t in angles
  ]
  return jnp.asarray(
    [w[..., None] * np.asarray(c) for w, c in zip(waves, colours, strict=True)],
    jnp.float32,
  )


def test_gratings_have_their_angles():
  angles = np.linspace(0, np.pi, 12, endpoint=False)
  got = probes.grating(gabors(angles, [(1, 1, 1)] * 12))
  off = np.abs(np.asarray(got.angle) - angles)
  assert np.minimum(off, np.pi - off).max() < 0.05
  assert got.coherence.min() > 0.7 and got.colour.max() < 1e-5


def test_coloured_filters_have_their_hues():
  y, x = np.mgrid[-3:4, -3:4]
  blob = np.exp(-(x**2 + y**2) / 4)[..., None]
  colours = [(2, -1, -1), (-1, 2, -1), (-1, -1, 2), (-2, 1, 1)]
  got = probes.grating(jnp.asarray([blob * c for c in colours], jnp.float32))
  wanted = np.deg2rad([0, 120, 240, 180])
  off = np.abs(np.asarray(got.hue) - wanted)
  assert np.minimum(off, 2 * np.pi - off).max() < 1e-3
  np.testing.assert_allclose(got.colour, 1, rtol=1e-5)
  assert got.coherence.max() < 0.01, 'a blob has no direction'


def test_order_is_grey_by_angle_then_coloured_by_hue():
  angles = np.array([2.0, 0.3, 1.0, 0.5, 1.5])
  grey, red, green = (1, 1, 1), (1, -0.5, -0.5), (-0.5, 1, -0.5)
  kernels = gabors(angles, [grey, green, grey, red, grey])
  order = probes.filter_order(kernels).tolist()
  assert order == [2, 4, 0, 3, 1]


def test_a_filter_of_zeros_has_no_colour_and_no_direction():
  got = probes.grating(jnp.zeros((2, 5, 5, 3)))
  assert all(np.isfinite(v).all() for v in got)
  assert not got.colour.any() and not got.coherence.any()
  assert not probes.aliasing(jnp.zeros((2, 5, 5, 3)), 2).any()


def test_gratings_need_colour_channels():
  with pytest.raises(ValueError, match=r'kernels: got \(2, 5, 5, 4\)'):
    probes.grating(jnp.zeros((2, 5, 5, 4)))


@pytest.mark.parametrize(('cycles', 'wanted'), [(0.06, 0), (0.2, 1), (0.4, 1)])
def test_waves_above_the_limit_alias(cycles, wanted):
  y, x = np.mgrid[:48, :48]
  window = np.hanning(48)
  wave = np.cos(2 * np.pi * cycles * x) * np.outer(window, window)
  kernels = jnp.asarray(np.stack([wave, wave.T])[..., None], jnp.float32)
  np.testing.assert_allclose(probes.aliasing(kernels, 4), wanted, atol=1e-2)
  assert probes.aliasing(kernels, 1).max() == 0


def test_an_impulse_aliases_by_the_area_above_the_limit():
  kernels = jnp.zeros((1, 5, 5, 2)).at[0, 2, 2].set(3.0)
  got = probes.aliasing(kernels, 2)
  below = (2 * 16 + 1) / 64  # frequencies up to a quarter
  np.testing.assert_allclose(got, 1 - below**2, rtol=1e-5)
  with pytest.raises(ValueError, match='stride: got 0, expected at least 1'):
    probes.aliasing(kernels, 0)
