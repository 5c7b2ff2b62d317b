import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vizlab import probes

ACTIVE = 2


@pytest.fixture
def dictionary():
  key = jax.random.key(0)
  made = probes.new_dictionary(key, jnp.arange(5.0), 8)
  return made._replace(
    encoder=jax.random.normal(jax.random.fold_in(key, 1), (5, 8)),
    bias=jax.random.normal(jax.random.fold_in(key, 2), (8,)),
  )


@pytest.mark.parametrize('shape', [(5,), (7, 5), (2, 3, 4, 5)])
def test_codes_equal_those_of_numpy(dictionary, shape):
  x = 3 * jax.random.normal(jax.random.key(3), shape)
  codes = jax.jit(probes.encode, static_argnums=2)(dictionary, x, ACTIVE)
  encoder, bias, atoms, centre = (np.asarray(v) for v in dictionary)
  for row, got in zip(
    np.asarray(x).reshape(-1, 5), np.asarray(codes).reshape(-1, 8), strict=True
  ):
    answers = np.maximum((row - centre) @ encoder + bias, 0)
    wanted = np.zeros(8)
    for i in np.argsort(-answers)[:ACTIVE]:
      wanted[i] = answers[i]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
  back = probes.decode(dictionary, codes)
  np.testing.assert_allclose(
    back, np.asarray(codes) @ atoms + centre, rtol=1e-4, atol=1e-5
  )
  assert back.shape == shape


def test_new_atoms_have_length_one_and_answer_to_themselves():
  made = probes.new_dictionary(jax.random.key(0), jnp.zeros(64), 16)
  length = jnp.linalg.norm(made.atoms, axis=1)
  np.testing.assert_allclose(length, 1, rtol=1e-5)
  codes = probes.encode(made, made.atoms, 1)
  np.testing.assert_allclose(codes, np.eye(16), atol=1e-5)
  long = made._replace(atoms=3 * made.atoms.at[4].set(0))
  short = probes.unit_atoms(long)
  np.testing.assert_allclose(
    short.atoms, made.atoms.at[4].set(0), rtol=1e-5, atol=1e-6
  )


def test_the_loss_by_hand(dictionary):
  x = 3 * jax.random.normal(jax.random.key(3), (6, 5))
  dead = jnp.arange(8) >= 5
  loss, codes = probes.dictionary_loss(dictionary, x, active=ACTIVE, dead=dead)
  np.testing.assert_array_equal(codes, probes.encode(dictionary, x, ACTIVE))
  error = np.asarray(x - probes.decode(dictionary, codes))
  only = dictionary._replace(
    encoder=jnp.where(dead[None], dictionary.encoder, 0)
  )
  only = only._replace(bias=jnp.where(dead, only.bias, -1))
  added = probes.encode(only, x, ACTIVE) @ dictionary.atoms
  wanted = (error**2).sum(1) + ((error - np.asarray(added)) ** 2).sum(1) / 32
  np.testing.assert_allclose(loss, wanted, rtol=1e-4)


def test_dead_atoms_are_trained_and_move_no_other(dictionary):
  # Atom 7 never wins, but could help.
  quiet = dictionary._replace(bias=dictionary.bias.at[7].set(0.5))
  quiet = quiet._replace(encoder=quiet.encoder.at[:, 7].multiply(1e-3))
  x = 3 * jax.random.normal(jax.random.key(3), (64, 5))

  def slopes(dead):
    return jax.grad(
      lambda d: probes.dictionary_loss(d, x, active=1, dead=dead)[0].sum()
    )(quiet)

  alive, dead = slopes(jnp.zeros(8, bool)), slopes(jnp.arange(8) == 7)
  assert not alive.atoms[7].any() and dead.atoms[7].any()
  assert not alive.encoder[:, 7].any() and dead.encoder[:, 7].any()
  np.testing.assert_array_equal(alive.atoms[:7], dead.atoms[:7])
  np.testing.assert_array_equal(alive.encoder[:, :7], dead.encoder[:, :7])


def test_planted_atoms_are_found():
  key = jax.random.key(1)
  planted = jax.random.normal(key, (12, 32))
  planted /= jnp.linalg.norm(planted, axis=1, keepdims=True)

  def draw(step):
    keys = jax.random.split(jax.random.fold_in(key, step))
    chosen = jax.random.uniform(keys[0], (256, 12))
    chosen = chosen >= jnp.sort(chosen, 1)[:, -ACTIVE][:, None]
    return (chosen * jax.random.uniform(keys[1], (256, 12), minval=1)) @ planted

  tx = optax.adam(5e-3)
  start = probes.new_dictionary(key, jnp.zeros(32), 12)

  def advance(state, step):
    dictionary, opt, idle = state
    loss = functools.partial(
      probes.dictionary_loss, active=ACTIVE, dead=idle > 30
    )
    grads, codes = jax.grad(
      lambda d: (lambda v: (v[0].mean(), v[1]))(loss(d, draw(step))),
      has_aux=True,
    )(dictionary)
    updates, opt = tx.update(grads, opt)
    dictionary = probes.unit_atoms(optax.apply_updates(dictionary, updates))
    idle = jnp.where((codes > 0).any(0), 0, idle + 1)
    return (dictionary, opt, idle), None

  with jax.numpy_dtype_promotion('standard'):
    state = start, tx.init(start), jnp.zeros(12, jnp.int32)
    (found, _, _), _ = jax.jit(
      lambda s: jax.lax.scan(advance, s, jnp.arange(1500))
    )(state)
  nearest = (planted @ found.atoms.T).max(1)
  assert float(nearest.min()) > 0.98, nearest


@pytest.mark.parametrize('active', [0, 9])
def test_wrong_numbers_are_named(dictionary, active):
  message = f'active: got {active}, expected 1 to 8'
  with pytest.raises(ValueError, match=message):
    probes.encode(dictionary, jnp.zeros((2, 5)), active)
  with pytest.raises(ValueError, match='atoms: got 0'):
    probes.new_dictionary(jax.random.key(0), jnp.zeros(3), 0)
