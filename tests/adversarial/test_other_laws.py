"""Laws of the attacks whose result is not `Attacked`."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tools import make_tiny

from vizlab import adversarial

KEY = jax.random.key(0)
LABELS = jnp.array([0, 3, 5])


def spatial(net, x, label, size=20.0):
  return adversarial.spatial(
    adversarial.mislead(net, label), x, degrees=size, rotations=3, shifts=3
  )


def universal(net, x, label, size=0.05):
  return adversarial.universal(
    net, x, label, KEY, epsilon=size, steps=3, batch=2
  )


def patch(net, x, label, size=0.05):
  return adversarial.patch(
    net, x, label, KEY, size=4, steps=3, batch=2, rate=size
  )


ATTACKS = {'spatial': spatial, 'universal': universal, 'patch': patch}
each_attack = pytest.mark.parametrize('name', ATTACKS)


@pytest.fixture(scope='module')
def x():
  return jax.random.uniform(KEY, (3, 8, 10, 3))


def same(a, b, atol=1e-5):
  for one, other in zip(*map(jax.tree.leaves, (a, b)), strict=True):
    assert one.dtype == other.dtype
    np.testing.assert_allclose(
      *(np.asarray(v, np.float64) for v in (one, other)), atol=atol
    )


@each_attack
def test_jit_equals_eager(name, tiny, x):
  call = ATTACKS[name]
  same(jax.jit(call)(tiny, x, LABELS), call(tiny, x, LABELS))


@each_attack
def test_new_weights_labels_and_sizes_are_no_new_program(name, x):
  module = 'spatial' if name == 'spatial' else 'universal'
  module = importlib.import_module(f'vizlab.adversarial.{module}')
  program = getattr(module, f'_{name}')
  ATTACKS[name](make_tiny(0), x, LABELS, 0.01)
  before = program._cache_size()
  ATTACKS[name](make_tiny(1), 1 - x, LABELS[::-1], 0.02)
  assert program._cache_size() == before > 0


@each_attack
def test_float64_images_give_the_same_in_float64(name, tiny, x):
  want = ATTACKS[name](tiny, x, LABELS)
  with jax.enable_x64(True):
    images = jnp.asarray(np.asarray(x, np.float64))
    got = ATTACKS[name](tiny, images, np.asarray(LABELS, np.int32))
  for one, other in zip(*map(jax.tree.leaves, (got, want)), strict=True):
    wide = other.dtype == jnp.float32
    assert one.dtype == (jnp.float64 if wide else other.dtype)
    near = np.abs(np.asarray(one, np.float32) - np.asarray(other)) < 1e-4
    # A sign may differ where the slope is next to nothing.
    assert near.mean() > 0.98


@each_attack
def test_wrong_arguments_are_named(name, tiny, x):
  for images, label, message in (
    (x + 0.5, LABELS, r'x: got values from .*, expected \[0, 1\]'),
    (jnp.zeros((2, 2)), 0, r'x: got shape \(2, 2\)'),
    (x, 6, 'target: got 6, expected 0 to 5'),
  ):
    with pytest.raises(ValueError, match=message):
      ATTACKS[name](tiny, images, label)


def test_motions_of_a_batch_are_those_of_each_image(tiny, x):
  want = spatial(tiny, x, LABELS)
  rows = [spatial(tiny, x[i : i + 1], LABELS[i : i + 1]) for i in range(3)]
  same(jax.tree.map(lambda *v: jnp.concatenate(v), *rows), want)
  same(jax.vmap(lambda x, y: spatial(tiny, x, y))(x, LABELS), want)
  nested = spatial(tiny, x[:, None], LABELS[:, None])
  same(jax.tree.map(lambda v: v[:, 0], nested), want)


def test_motions_of_an_image_that_is_not_finite_never_succeed(tiny, x):
  got = spatial(tiny, x.at[1, 4, 4].set(jnp.nan), LABELS)
  assert not got.success[1]
  rest = jnp.array([0, 2])
  want = spatial(tiny, x, LABELS)
  same(*(jax.tree.map(lambda v: v[rest], each) for each in (got, want)))
