import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vizlab import attribution, nets
from vizlab.nets.graph import wiring
from vizlab.nets.layers import LRN, Conv, Pool, ReLU
from vizlab.objectives import logit, neuron, peak, score
from vizlab.rules import Rules


def test_gradient_of_a_linear_score_is_its_weight(linear):
  fn, weight = linear
  x = jax.random.uniform(jax.random.key(0), (2, *weight.shape))
  for row in attribution.gradient(fn, x):
    np.testing.assert_allclose(row, weight, rtol=1e-6)


def test_saliency_is_the_largest_absolute_colour(linear):
  fn, weight = linear
  got = attribution.saliency(fn, jnp.zeros((1, *weight.shape)))[0]
  np.testing.assert_allclose(got, np.abs(weight).max(-1), rtol=1e-6)


def test_gradient_x_input_sums_to_the_score_minus_the_bias(linear):
  fn, weight = linear
  x = jax.random.uniform(jax.random.key(0), (2, *weight.shape))
  total = attribution.gradient_x_input(fn, x).sum((1, 2, 3))
  np.testing.assert_allclose(total, fn(x) - 2.0, rtol=1e-4)


@pytest.mark.parametrize('place', [(0, 3, 4, 1), (0, 8, 15, 0), (0, 11, 7, 2)])
def test_gradient_agrees_with_finite_differences(place, tiny):
  """One pixel at a time, of noise: few kinks of ReLU and pooling are near."""
  asked, step = score(tiny, logit(2)), 2e-3
  x = jax.random.uniform(jax.random.key(5), (1, 16, 16, 3))
  rise = asked(x.at[place].add(step)) - asked(x.at[place].add(-step))
  got = attribution.gradient(asked, x)[place]
  np.testing.assert_allclose(got, rise[0] / (2 * step), rtol=0.02, atol=5e-4)


def test_guided_backprop_equals_the_gradient_where_nothing_is_negative():
  """Limiting case: positive weights let both rules pass the same."""
  net = nets.create('vgg11', classes=4, classifier=False)
  positive = jax.tree.map(jnp.abs, net)
  asked = score(positive, neuron('relu2_1', 5, (2, 3)))
  x = jax.random.uniform(jax.random.key(0), (1, 32, 32, 3), minval=0.5)
  np.testing.assert_allclose(
    jax.jit(attribution.guided_backprop)(asked, x),
    jax.jit(attribution.gradient)(asked, x),
    rtol=1e-5,
  )


def slow_deconvnet(net, x, layer, channel):
  """Explicit unpooling, rectification and transposed convolution, in numpy."""
  _, acts = net(x)
  ops = {op.name: (op, inputs[0]) for op, inputs in wiring(net.ops)}
  a = np.asarray(acts[layer])[0, ..., channel]
  peak_at = np.unravel_index(a.argmax(), a.shape)
  signal = np.zeros(acts[layer].shape[1:])
  signal[(*peak_at, channel)] = a[peak_at]
  name = layer
  while name is not None:
    op, before = ops[name]
    below = np.asarray(net.spec(x) if before is None else acts[before])[0]
    if isinstance(op, ReLU):
      signal = np.maximum(signal, 0)
    elif isinstance(op, Pool):
      signal = unpool(signal, below, op.window)
    elif isinstance(op, LRN):
      forward = functools.partial(op, {}, Rules())
      _, backward = jax.vjp(forward, jnp.asarray(below[None], jnp.float32))
      signal = np.asarray(
        backward(jnp.asarray(signal[None], jnp.float32))[0][0]
      )
    elif isinstance(op, Conv):
      kernel = np.asarray(net.params[name]['kernel'][...])
      signal = transposed(signal, kernel, op, below.shape)
    name = before
  signal = signal / np.asarray(net.spec.std) * net.spec.scale
  return signal if net.spec.order == 'rgb' else signal[..., ::-1]


def unpool(signal, below, window):
  out = np.zeros(below.shape)
  height, width = below.shape[:2]
  for i, j, k in np.ndindex(signal.shape):
    top, left = (v * window.stride - window.padding for v in (i, j))
    rows = range(max(top, 0), min(top + window.size, height))
    columns = range(max(left, 0), min(left + window.size, width))
    places = [(y, z) for y in rows for z in columns]
    winner = max(places, key=lambda p: below[(*p, k)])
    out[(*winner, k)] += signal[i, j, k]
  return out


def transposed(signal, kernel, op, shape):
  pad, s = op.padding, op.stride
  full = np.zeros((shape[0] + 2 * pad, shape[1] + 2 * pad, shape[2]))
  rows, columns = signal.shape[:2]
  for i, j in np.ndindex(kernel.shape[:2]):
    down = slice(i, i + s * (rows - 1) + 1, s)
    right = slice(j, j + s * (columns - 1) + 1, s)
    full[down, right] += signal @ kernel[i, j].T
  return full[pad : pad + shape[0], pad : pad + shape[1]]


@pytest.mark.parametrize(
  ('arch', 'layer', 'size'),
  [('alexnet', 'relu3', 71), ('vgg11', 'relu3_2', 33), ('zfnet', 'relu2', 65)],
)
def test_deconvnet_equals_a_slow_replica(arch, layer, size):
  net = nets.create(arch, key=jax.random.key(2), classifier=False)
  x = jax.random.uniform(jax.random.key(3), (1, size, size, 3))
  peaks = jax.jit(lambda net, x: net(x)[1][layer].max((0, 1, 2)))(net, x)
  channel = int(peaks.argmax())
  got = jax.jit(attribution.deconvnet)(score(net, peak(layer, channel)), x)
  expected = slow_deconvnet(net, x, layer, channel)
  error = np.abs(got[0] - expected).max() / np.abs(expected).max()
  assert error < 1e-4


def test_deconvnet_seed(tiny, images):
  asked = score(tiny, peak('relu2', 3))
  deconvnet = jax.jit(attribution.deconvnet)
  own = deconvnet(asked, images)
  one = deconvnet(asked, images, seed=1.0)
  y = asked(images)
  np.testing.assert_allclose(own, one * y[:, None, None, None], atol=1e-5)


def test_a_score_of_the_wrong_shape_is_named(linear):
  with pytest.raises(ValueError, match=r'score: gave shape \(\) .*\(2,\)'):
    attribution.gradient(jnp.sum, jnp.zeros((2, 4, 4, 3)))
