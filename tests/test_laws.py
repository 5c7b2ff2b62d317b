"""The laws: what holds for every method at once."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import METHODS, make_tiny

from vizlab import attribution, nets
from vizlab.objectives import logit, probability, score

# What methods are made of.
NOT_METHODS = {
  # Of networks with attention; their laws are in test_rollout.py.
  'attention_relevance',
  'attention_rollout',
  'FullGradient',
  'Occluder',
  'LayerGradients',
  'activation_and_gradient',
  'blurred',
  'full_gradient',
  'random_baselines',
  'layer_gradients',
  'layer_relevance',
}
each_method = pytest.mark.parametrize('name', METHODS)


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(jax.random.key(0), (5, 16, 20, 3))


TARGETS = jnp.array([0, 3, 5, 1, 3])
# How far what is computed in another way may differ, as a share of the largest
# value. Numbers of bfloat16 have 8 bits, of which differences lose some.
TOLERANCES = {'float32': 1e-5, 'bfloat16': 3e-2}


@pytest.fixture(
  params=['float32', pytest.param('bfloat16', marks=pytest.mark.slow)]
)
def dtype(request):
  return request.param


def in_dtype(net, dtype):
  return net if dtype == 'float32' else nets.with_dtype(net, dtype)


@pytest.fixture
def net(tiny, dtype):
  """The small network, in each precision."""
  return in_dtype(tiny, dtype)


@pytest.fixture
def within(dtype):
  return TOLERANCES[dtype]


def close(a, b, tolerance=1e-5):
  top = max(float(np.abs(b).max()), 1e-6)
  np.testing.assert_allclose(a / top, b / top, rtol=0, atol=tolerance)


def test_every_public_method_has_a_row():
  public = {name for name in attribution.__all__ if not name.isupper()}
  assert set(METHODS) == public - NOT_METHODS


@each_method
def test_batch_equals_loop(name, net, x, within):
  call = jax.jit(METHODS[name].call)
  batch = call(score(net, logit(TARGETS)), x)
  for i, target in enumerate(TARGETS):
    one = call(score(net, logit(target)), x[i : i + 1])
    close(batch[i], one[0], within)


@each_method
@pytest.mark.parametrize('lead', [(), (1,), (5, 1), (1, 5)], ids=str)
def test_any_leading_batch(name, lead, tiny, x):
  call = jax.jit(METHODS[name].call)
  n = int(np.prod(lead))
  images, targets = x[:n], TARGETS[:n]
  flat = call(score(tiny, logit(targets)), images)
  nested = call(
    score(tiny, logit(targets.reshape(lead))), images.reshape(*lead, 16, 20, 3)
  )
  close(nested.reshape(flat.shape), flat)


@each_method
def test_jit_equals_eager_in_value_shape_and_dtype(name, net, x, within):
  method = METHODS[name]
  asked = score(net, logit(TARGETS))
  eager, jitted = method.call(asked, x), jax.jit(method.call)(asked, x)
  assert eager.shape == (5, *method.size(16, 20), *(3,) * method.colour)
  assert eager.dtype == jitted.dtype == jnp.float32
  assert jitted.shape == eager.shape
  close(jitted, eager, within)
  assert float(jnp.abs(eager).max()) > 0


@each_method
def test_under_vmap_and_inside_scan(name, net, x, within):
  call = METHODS[name].call
  plain = jax.jit(call)(score(net, logit(TARGETS)), x)

  def one(target, image):
    return call(score(net, logit(target)), image)

  close(jax.jit(jax.vmap(one))(TARGETS, x), plain, within)
  _, scanned = jax.lax.scan(
    lambda carry, item: (carry, one(*item)), 0, (TARGETS, x)
  )
  close(scanned, plain, within)


@each_method
def test_no_recompile_for_new_weights_targets_and_images(name, net, dtype, x):
  traces = []

  @jax.jit
  def explain(asked, x):
    traces.append(name)
    return METHODS[name].call(asked, x)

  first = explain(score(net, logit(2)), x)
  explain(score(net, logit(4)), x)
  other = in_dtype(make_tiny(1), dtype)
  explain(score(other, logit(1)), 1 - x)
  assert len(traces) == 1
  explain(score(net, probability(2)), x)
  assert len(traces) == 2, 'another objective is another program'
  assert not jnp.allclose(first, explain(score(net, logit(4)), x))


@each_method
@pytest.mark.parametrize(
  ('bad', 'message'),
  [
    (np.zeros((16, 16)), r'x: got shape \(16, 16\)'),
    (np.zeros((0, 16, 16, 3), np.float32), 'x: got shape'),
    (np.zeros((1, 16, 16, 3), np.uint8), 'x: got uint8, expected float32'),
    (np.zeros((1, 0, 16, 3), np.float32), 'x: got shape'),
  ],
  ids=['rank', 'empty batch', 'integers', 'no pixels'],
)
def test_bad_images_are_named(name, bad, message, tiny):
  with pytest.raises(ValueError, match=message):
    METHODS[name].call(score(tiny, logit(0)), jnp.asarray(bad))


@each_method
def test_a_class_out_of_range_is_an_error_or_nan(name, tiny, x):
  call = METHODS[name].call
  with pytest.raises(ValueError, match='target: got 6, expected 0 to 5'):
    call(score(tiny, logit(6)), x)
  with pytest.raises(ValueError, match='target: got -1, expected 0 to 5'):
    call(score(tiny, logit(-1)), x)
  traced = jax.jit(call)(score(tiny, logit(6)), x)
  assert jnp.isnan(traced).all()


@each_method
def test_nan_in_is_nan_out_and_only_there(name, net, x, within):
  call = METHODS[name].call
  asked = score(net, logit(TARGETS))
  got = call(asked, x.at[2, 3, 4].set(jnp.nan))
  assert jnp.isnan(got[2]).any()
  close(
    got[jnp.array([0, 1, 3, 4])],
    call(asked, x)[jnp.array([0, 1, 3, 4])],
    within,
  )


def run_alone(program, flags):
  """Output of a program of this folder, under other compiler flags."""
  here = pathlib.Path(__file__).parent
  done = subprocess.run(
    [sys.executable, here / program],
    env=os.environ | {'XLA_FLAGS': flags, 'PYTHONPATH': str(here.parent)},
    capture_output=True,
    text=True,
    timeout=900,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


@pytest.mark.slow
def test_nan_is_kept_jitted_at_real_sizes_with_the_flags_of_users():
  assert run_alone('jitted_nan.py', '') == ''


@pytest.mark.slow
def test_devices_compute_their_own_part_under_shard_map():
  flags = '--xla_force_host_platform_device_count=2'
  flags += ' --xla_backend_optimization_level=0'
  assert run_alone('sharded.py', flags) == ''


@each_method
def test_float64_images_give_the_same_in_float64(name, tiny, x):
  call = METHODS[name].call
  target = np.array([0, 3], np.int32)
  want = jax.jit(call)(score(tiny, logit(target)), x[:2])
  with jax.enable_x64(True):
    image = jnp.asarray(np.asarray(x[:2], np.float64))
    got = jax.jit(call)(score(tiny, logit(target)), image)
    assert got.dtype == jnp.float64
  close(np.asarray(got), np.asarray(want))


@each_method
def test_methods_that_look_inside_say_so(name, x):
  method = METHODS[name]

  def plain(x):
    return x.sum((-3, -2, -1))

  if method.net:
    with pytest.raises(
      ValueError, match='score: .* reads layers of the network'
    ):
      method.call(plain, x)
  else:
    assert method.call(plain, x).shape[0] == 5


def temporary_bytes(fn, *args):
  compiled = jax.jit(fn).lower(*args).compile()
  return compiled.memory_analysis().temp_size_in_bytes


def occlusion_at(few):
  """Occlusion with a few or many places on images of 40 pixels."""
  stride = 7 if few else 1
  return lambda asked, x: attribution.occlusion(
    asked, x, patch=8, stride=stride, chunk=8
  )


def smoothgrad_of(few):
  return lambda asked, x: attribution.smoothgrad(
    asked, x, jax.random.key(0), samples=32 if few else 1024, chunk=8
  )


def integrated_of(few):
  return lambda asked, x: attribution.integrated_gradients(
    asked, x, steps=32 if few else 1024, chunk=8
  )


@pytest.mark.parametrize('method', [occlusion_at, smoothgrad_of, integrated_of])
def test_memory_does_not_grow_with_the_number_of_samples(method, tiny):
  x = jnp.zeros((1, 40, 40, 3))
  asked = score(tiny, logit(0))
  few = temporary_bytes(method(True), asked, x)
  assert temporary_bytes(method(False), asked, x) <= 1.1 * few


def test_the_chunk_bounds_the_memory_of_score_cam():
  x = jnp.zeros((1, 32, 32, 3))

  def used(layer, chunk):
    net = nets.load('minivgg')
    return temporary_bytes(
      lambda asked, x: attribution.score_cam(
        asked, x, layer=layer, chunk=chunk
      ),
      score(net, logit(0)),
      x,
    )

  assert used('relu5_2', 4) <= used('relu5_2', 16)
  assert used('relu4_2', 4) < 0.5 * used('relu4_2', 64)
