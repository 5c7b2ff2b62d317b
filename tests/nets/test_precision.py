"""Networks in half precision: float32 outside, the chosen dtype inside."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from relevance_nets import COMPOSITES, KEY, network
from tools import METHODS, make_tiny

from vizlab import attribution, nets, rules
from vizlab.nets.layers import LRN, Conv, Dense, GlobalPool, ReLU, conv
from vizlab.objectives import logit, score

# Of the largest logit: three significant digits and more, a few layers.
HALVES = {'bfloat16': 2e-2, 'float16': 2e-3}
each_half = pytest.mark.parametrize('dtype', HALVES)


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(jax.random.key(4), (3, 16, 20, 3))


def reads(fn, *args):
  """Dtypes of what the convolutions and products of a function read."""
  text = str(jax.make_jaxpr(fn)(*args))
  lines = [
    line
    for line in text.splitlines()
    if '= conv_general_dilated' in line or '= dot_general' in line
  ]
  assert lines
  return {re.search(r':(\w+)\[', line).group(1) for line in lines}


def alike(a, b):
  return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


@each_half
def test_float32_outside_and_half_inside(dtype, images, minivgg):
  half = nets.load('minivgg', dtype=dtype)
  assert half.dtype == dtype
  assert {v.dtype for v in jax.tree.leaves(half.params)} == {jnp.dtype(dtype)}
  logits, acts = half(images)
  want, known = minivgg(images)
  assert {a.dtype for a in [logits, *acts.values()]} == {jnp.dtype('float32')}
  top = np.abs(want).max()
  error = np.abs(logits - want).max() / top
  assert 0 < error < HALVES[dtype]
  short = {'bfloat16': 'bf16', 'float16': 'f16'}[dtype]
  assert reads(lambda x: half(x)[0], images) == {short}
  for name in known:
    assert alike(acts[name], known[name]) > 0.999


def test_images_are_preprocessed_before_they_are_rounded(images):
  spec = nets.InputSpec(48, mean=(100.0,) * 3, std=(1.0,) * 3, scale=255.0)
  ops = (GlobalPool('mean'),)
  half = nets.with_dtype(nets.Network('mean', ops, spec, {}), 'bfloat16')
  exact = images.mean((1, 2)) * 255 - 100
  # Half a step of the dtype, and not of the brightness before the mean.
  np.testing.assert_allclose(half(images)[0], exact, rtol=2**-8, atol=1e-3)


@pytest.mark.parametrize('name', METHODS)
def test_maps_are_float32_and_like_those_of_float32(name, tiny, x):
  call = jax.jit(METHODS[name].call)
  want = call(score(tiny, logit(2)), x)
  got = call(score(nets.with_dtype(tiny, 'bfloat16'), logit(2)), x)
  assert got.dtype == jnp.float32 and got.shape == want.shape
  # What ReLUs whose inputs are near zero leave.
  assert alike(got, want) > 0.97


@each_half
@pytest.mark.parametrize('name', COMPOSITES)
def test_relevance_does_not_overflow(name, dtype):
  """Where a sum is small, its quotient with relevance is large."""
  ops = (
    Conv('conv1', 6, bias=False), ReLU('relu1'),
    Conv('conv2', 4, 1, 1, 0, bias=False), ReLU('relu2'),
    GlobalPool('gap'), Dense('fc', 3),
  )  # fmt: skip
  net = network(ops)
  params = nets.get_params(net)
  params['fc']['kernel'] *= 20
  net = nets.with_params(net, params)
  images = jax.random.uniform(KEY, (8, 8, 8, 3))
  call = jax.jit(lambda score, x: attribution.lrp(score, x, COMPOSITES[name]))
  want = call(score(net, logit(1)), images)
  got = call(score(nets.with_dtype(net, dtype), logit(1)), images)
  assert jnp.isfinite(got).all()
  assert alike(got, want) > 0.99


def test_edits_get_and_give_float32(tiny, x):
  half, seen = nets.with_dtype(tiny, 'bfloat16'), []

  def edit(a):
    seen.append(a.dtype)
    return a + jnp.float32(1 / 3)

  logits, acts = half(x, {'pool1': edit})
  assert seen == [jnp.float32] and logits.dtype == jnp.float32
  plain = half(x)[1]['pool1']
  np.testing.assert_array_equal(acts['pool1'], plain + jnp.float32(1 / 3))


def test_a_part_of_an_image_is_evaluated_in_the_same_precision(tiny, x):
  half = nets.with_dtype(tiny, 'bfloat16')
  target = score(half, logit(1))
  settings = {'patch': 6, 'stride': 4, 'chunk': 12}
  fast = attribution.occlusion(target, x, **settings)
  whole = attribution.occlusion(lambda x: target(x), x, **settings)
  assert fast.dtype == jnp.float32
  # A sum of fewer terms may round to the next number of the dtype.
  step = 2**-8 * float(np.abs(half(x)[0]).max())
  np.testing.assert_allclose(fast, whole, rtol=0, atol=2 * step)


def test_rules_and_parameters_are_kept(tiny):
  guided = rules.with_rules(tiny, relu=rules.guided_relu)
  half = nets.with_dtype(guided, 'bfloat16')
  assert half.rules == guided.rules
  assert rules.with_rules(half, relu=rules.relu).dtype == 'bfloat16'
  # Training may keep parameters more exactly than the layers compute.
  exact = nets.with_params(half, nets.get_params(tiny))
  assert exact.dtype == 'bfloat16'
  assert exact.params['fc']['kernel'].dtype == jnp.float32
  back = nets.with_dtype(exact, 'float32')
  x = jnp.ones((16, 16, 3))
  np.testing.assert_array_equal(back(x)[0], guided(x)[0])


@each_half
def test_batch_normalisation_sums_in_float32(dtype):
  net = nets.create('resnet18', key=jax.random.key(1), classes=5)
  x = jax.random.uniform(jax.random.key(2), (2, 64, 64, 3))
  params = nets.get_params(net)
  # A mean beside which what matters is small.
  params['bn1'] |= {'mean': jnp.full(64, 3.0), 'bias': jnp.full(64, 3.0)}
  net = nets.with_params(net, params)
  half = nets.with_dtype(net, dtype)
  want = net(x)[0]
  error = np.abs(half(x)[0] - want).max() / np.abs(want).max()
  assert error < 5 * HALVES[dtype]
  merged = nets.merge_batch_norm(half)
  assert merged.dtype == dtype
  assert merged.params['conv1']['kernel'].dtype == dtype
  error = np.abs(merged(x)[0] - want).max() / np.abs(want).max()
  assert error < 5 * HALVES[dtype]


def test_pooling_and_local_responses_sum_in_float32():
  x = jax.random.uniform(jax.random.key(3), (1, 12, 12, 8)) + 1
  rough = x.astype(jnp.bfloat16)
  exact = rough.astype(jnp.float32)
  window = rules.PoolWindow(3, 1, 1)
  got = rules.avg_pool(rough, window)
  want = rules.avg_pool(exact, window).astype(jnp.bfloat16)
  assert got.dtype == jnp.bfloat16
  np.testing.assert_array_equal(got, want)
  lrn = LRN('norm1', alpha=2.0)
  whole = rules.avg_pool(jnp.arange(16).reshape(1, 4, 4, 1), window)
  assert jnp.issubdtype(whole.dtype, jnp.floating)
  got = lrn({}, rules.Rules(), rough)
  want = lrn({}, rules.Rules(), exact).astype(jnp.bfloat16)
  np.testing.assert_array_equal(got, want)


def test_winograd_is_left_to_float32(monkeypatch):
  used = []
  real = conv.winograd
  monkeypatch.setattr(
    conv, 'winograd', lambda *a, **k: used.append(a) or real(*a, **k)
  )
  kernel = jnp.ones((3, 3, 256, 256))
  for dtype in (jnp.bfloat16, jnp.float32):
    used.clear()
    x = jax.ShapeDtypeStruct((1, 28, 28, 256), dtype)
    jax.eval_shape(lambda x, k=kernel.astype(dtype): conv.conv2d(x, k, 1, 1), x)
    assert bool(used) == (dtype == jnp.float32)


def test_a_traced_network_and_a_dtype_as_an_object(tiny, x):
  cast = jax.jit(lambda net, x: nets.with_dtype(net, jnp.bfloat16)(x)[0])
  half = nets.with_dtype(tiny, np.dtype(jnp.bfloat16))
  assert half.dtype == 'bfloat16'
  np.testing.assert_array_equal(cast(tiny, x), half(x)[0])
  merged = jax.jit(lambda net, x: nets.merge_batch_norm(net)(x)[0])(half, x)
  np.testing.assert_allclose(merged, half(x)[0], rtol=1e-2)


@pytest.mark.parametrize('dtype', ['half', 'float64', 'f4', 3])
def test_an_unknown_dtype(dtype, tiny):
  for call in (
    lambda: nets.with_dtype(tiny, dtype),
    lambda: nets.load('minivgg', dtype=dtype),
  ):
    with pytest.raises(ValueError, match=f'dtype: got {dtype!r}, expected one'):
      call()


def test_images_in_half_precision_are_refused(tiny, x):
  half = nets.with_dtype(tiny, 'bfloat16')
  with pytest.raises(ValueError, match='x: got bfloat16, expected float32'):
    half(x.astype(jnp.bfloat16))
  with jax.enable_x64(True):
    double = jnp.asarray(np.asarray(x, np.float64))
    with pytest.raises(ValueError, match='x: got float64 for a network that'):
      half(double)
    assert tiny(double)[0].dtype == jnp.float64


def test_a_model_of_ones_own_keeps_its_dtype(x):
  own = nets.from_function(lambda x: x.mean((1, 2)), x)
  with pytest.raises(ValueError, match='net: got a FunctionNet, expected'):
    nets.with_dtype(own, 'bfloat16')


def test_a_parameter_outside_of_the_range():
  net = make_tiny(0)
  params = nets.get_params(net)
  params['fc']['bias'] = jnp.full(6, 1e5)
  large = nets.with_params(net, params)
  with pytest.raises(ValueError, match='net: fc/bias has numbers that float16'):
    nets.with_dtype(large, 'float16')
  assert nets.with_dtype(large, 'bfloat16').dtype == 'bfloat16'
  # What is not finite before is not the fault of the dtype.
  params['fc']['bias'] = jnp.full(6, jnp.nan)
  undefined = nets.with_params(net, params)
  assert nets.with_dtype(undefined, 'float16').dtype == 'float16'
