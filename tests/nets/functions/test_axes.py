"""Axes and receptive fields that follow the steps of a function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from vizlab import nets
from vizlab.nets.functions.reshaping import reshaped
from vizlab.nets.receptive_field import Field

X = jax.random.uniform(jax.random.key(0), (2, 8, 8, 4))
KERNEL = jax.random.normal(jax.random.key(1), (3, 3, 4, 4))


@pytest.mark.parametrize(
  ('labels', 'before', 'after', 'expected'),
  [
    ('nchw', (2, 8, 4, 4), (2, 1, 8, 4, 4), ['n', '', 'c', 'h', 'w']),
    ('nhwc', (2, 4, 4, 3), (2, 48), ['n', 'c']),
    ('nhwc', (2, 1, 1, 8), (2, 8), ['n', 'c']),
    ('nhwc', (1, 1, 1, 1), (1, 1), ['n', 'c']),
    ('nhwc', (2, 4, 4, 3), (2, 16, 3), ['n', 'h=4*w=4', 'c']),
    ('nhwc', (2, 4, 4, 3), (8, 4, 3), ['n=2*h=4', 'w', 'c']),
    ('nchw', (2, 8, 4, 4), (2, 2, 4, 4, 4), ['n', 'c:0:2', 'c:1:2', 'h', 'w']),
    ('nc', (1, 8), (1, 1, 1, 8), ['n', '', '', 'c']),
    ('nhwc', (2, 4, 6, 3), (2, 6, 4, 3), [''] * 4),
    ('nhwc', (2, 4, 6, 1), (2, 1, 4, 6), ['n', '', 'h', 'w']),
  ],
)
def test_axes_after_a_reshape(labels, before, after, expected):
  assert reshaped((*labels,), before, after) == (*expected,)


def test_parts_of_an_axis_become_one_again():
  parts = reshaped((*'nchw',), (2, 8, 4, 4), (2, 2, 4, 4, 4))
  assert reshaped(parts, (2, 2, 4, 4, 4), (2, 8, 4, 4)) == (*'nchw',)
  swapped = (parts[0], parts[2], parts[1], *parts[3:])
  other = reshaped(swapped, (2, 4, 2, 4, 4), (2, 8, 4, 4))[1]
  assert other == 'c:1:2=4*c:0:2=2'  # shuffled channels are not channels
  tokens = reshaped((*'nhwc',), (2, 4, 6, 3), (2, 24, 3))
  assert reshaped(tokens, (2, 24, 3), (2, 4, 6, 3)) == (*'nhwc',)
  assert reshaped(tokens, (2, 24, 3), (2, 6, 4, 3))[1:3] == (
    'h=4*w=6:0:2',
    'h=4*w=6:1:2',
  )
  tall = reshaped(('n', 'h', '', 'w', 'c'), (2, 4, 2, 6, 3), (2, 8, 6, 3))
  assert tall == (*'nhwc',)  # each row twice


def convolve(x, kernel=KERNEL, strides=(1, 1), padding='SAME', **settings):
  layout = ('NHWC', 'HWIO', 'NHWC')
  return lax.conv_general_dilated(
    x, kernel, strides, padding, dimension_numbers=layout, **settings
  )


# Each function, and the field of its last activation.
FIELDS = {
  'same': (convolve, Field(3, 1, -1)),
  'strided': (
    lambda x: convolve(convolve(x, strides=(2, 2))),
    Field(7, 2, -2),
  ),
  'dilated': (lambda x: convolve(x, rhs_dilation=(2, 2)), Field(5, 1, -2)),
  'padded': (
    lambda x: convolve(jnp.pad(x, [(0, 0), (2, 1), (2, 1), (0, 0)])),
    Field(3, 1, -3),
  ),
  'branches': (
    lambda x: jnp.concatenate([x, convolve(x)], -1),
    Field(3, 1, -1),
  ),
  'sum': (lambda x: x + convolve(convolve(x)), Field(5, 1, -2)),
  'oblong': (lambda x: convolve(x, KERNEL[:1]), None),
  'cropped': (lambda x: convolve(x[:, 2:, 2:]), None),
  'gated': (
    lambda x: x * jax.nn.sigmoid(x.mean((1, 2), keepdims=True)),
    None,
  ),
}


@pytest.mark.parametrize('name', FIELDS)
def test_receptive_fields(name):
  fn, expected = FIELDS[name]
  row = nets.layer_info(nets.from_function(fn, X))[-1]
  assert len(row.shape) == 3
  assert row.field == expected
  if expected is None:
    return
  # The pixels that the gradient of one unit touches.
  at = 2
  slope = jax.grad(lambda x: fn(x)[0, at, at].sum())(X)
  touched = np.flatnonzero(np.abs(slope[0]).sum((1, 2)))
  low, high = expected.pixels(at)
  assert (touched[0], touched[-1]) == (max(low, 0), min(high, 8) - 1)


def test_activations_are_shown_with_channels_last():
  def fn(x):
    y = jnp.transpose(x, (3, 1, 0, 2))  # [C, H, N, W]
    return jax.nn.relu(y[:, None] - 0.5).mean((0, 1, 2, 4))[:, None]

  net = nets.from_function(fn, X)
  (name,) = (row.name for row in nets.layer_info(net) if row.kind == 'ReLU')
  np.testing.assert_array_equal(net(X)[1][name], jax.nn.relu(X - 0.5))
  edited, _ = net(X, {name: lambda a: a.at[:, 2, 3, 1].add(1.0)})
  np.testing.assert_allclose(edited - net(X)[0], 1 / 256, atol=1e-6)


def test_a_group_norm_is_a_map():
  eqx = pytest.importorskip('equinox')
  norm = eqx.nn.GroupNorm(2, 4)

  def fn(x):
    return norm(x.transpose(2, 0, 1)).mean((1, 2))

  net = nets.from_function(fn, X[0], None)
  assert nets.layer_info(net)[-1].shape == (4,)
  relu = nets.from_function(
    lambda x: jax.nn.relu(norm(x.transpose(2, 0, 1))).mean((1, 2)), X[0]
  )
  acts = relu(X)[1]
  expected = jax.nn.relu(jax.vmap(lambda x: norm(x.transpose(2, 0, 1)))(X))
  np.testing.assert_allclose(
    acts['relu'], expected.transpose(0, 2, 3, 1), atol=1e-6
  )


def test_what_mixes_images_is_refused():
  with pytest.raises(ValueError, match='reduce_sum mixes the images'):
    nets.from_function(
      lambda x: (x / x.sum((0, 1), keepdims=True)).mean((1, 2)), X
    )
  with pytest.raises(ValueError, match='dot_general mixes the images'):
    nets.from_function(lambda x: jnp.ones((2, 2)) @ x.mean((1, 2)), X)


def shown_after(flow):
  """The activation behind a part of a function; ``None`` if it has no name.

  Of a square map nothing but its steps tells rows from columns.
  """

  def fn(x):
    return checkpoint_name(flow(x), 'behind').mean((1, 2))

  return nets.from_function(fn, X)(X)[1].get('behind')


def turned(x):
  return x.transpose(0, 2, 1, 3)


def scanned(body, length):
  return lambda x: lax.scan(lambda x, _: (body(x), None), x, None, length)[0]


def looped(body):
  return lambda x: lax.fori_loop(0, 3, lambda _, x: body(x), x)


def switched(body):
  return lambda x: lax.cond(x.shape[0] > jnp.int32(1), jnp.sin, body, x)


def test_axes_are_followed_through_control_flow():
  for flow, want in (
    (scanned(jnp.sin, 2), jnp.sin(jnp.sin(X))),
    (looped(jnp.sin), jnp.sin(jnp.sin(jnp.sin(X)))),
    (switched(jnp.cos), jnp.sin(X)),
    (lambda x: turned(scanned(jnp.sin, 1)(turned(x))), jnp.sin(X)),
  ):
    np.testing.assert_allclose(shown_after(flow), want, atol=1e-6)
  # What may be turned has no rows and columns, and so no name.
  for flow in (scanned(turned, 2), looped(turned), switched(turned)):
    assert shown_after(flow) is None


def test_a_loop_over_images_keeps_them_apart():
  want = turned(jnp.sin(X))
  got = shown_after(lambda x: lax.map(lambda v: jnp.sin(v).swapaxes(0, 1), x))
  np.testing.assert_allclose(got, turned(want), atol=1e-6)

  def running(x):
    return lax.scan(lambda t, v: (t + v, t), jnp.zeros(X.shape[1:]), x)[1]

  def counted(x):  # by a state without axes
    return x - lax.scan(lambda s, v: (s + v.mean(), None), 0.0, x)[0]

  def in_rows(x):  # images and rows as one axis
    rows = x.reshape(-1, *X.shape[2:])
    out = lax.scan(lambda t, v: (t + v, t), jnp.zeros(X.shape[2:]), rows)[1]
    return out.reshape(x.shape)

  for mixing in (running, counted, in_rows):
    with pytest.raises(ValueError, match='scan mixes the images of a batch'):
      shown_after(mixing)

  def one_by_one(x):
    return lax.fori_loop(
      0, x.shape[0], lambda i, out: out.at[i].set(jnp.sin(x[i])), 0 * x
    )

  np.testing.assert_allclose(shown_after(one_by_one), jnp.sin(X), atol=1e-6)


@pytest.mark.parametrize('kind', ['scan', 'cond', 'while', 'own'])
def test_training_mode_within_control_flow_is_refused(kind):
  def train(x):
    return x - x.mean(0, keepdims=True)

  @jax.custom_jvp
  def own(x):
    return train(x)

  own.defjvp(lambda primals, tangents: (own(*primals), tangents[0]))
  flows = {
    'scan': lambda x: lax.scan(lambda x, _: (train(x), None), x, None, 2)[0],
    'cond': lambda x: lax.cond(True, train, jnp.sin, x),
    'while': lambda x: lax.fori_loop(0, 3, lambda _, x: train(x), x),
    'own': own,
  }
  with pytest.raises(ValueError, match='reduce_sum mixes the images'):
    nets.from_function(lambda x: flows[kind](x).mean((1, 2)), X)
